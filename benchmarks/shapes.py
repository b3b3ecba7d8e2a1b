"""Model folders to measure on: the bundled one, and shapes with random weights."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import torch

from elbert import bundled_model

SHAPES = {
    "albert-base": {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "depths": 12},
    "albert-large": {"hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096, "depths": 24},
}
COMMON = (
    *("the", "of", "and", "to", "in", "is", "was", "for", "on", "that", "with", "as", "it", "by", "at", "from"),
    *("his", "her", "an", "were", "are", "this", "be", "or", "had"),
)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def folder_of(shape: str, cache: Path) -> Path:
    """The folder of a shape; random ones are written into ``cache``, with the bundled tokenizer."""
    if shape == "bundled":
        return bundled_model()
    from transformers import AlbertConfig, AlbertForSequenceClassification

    folder = cache / shape
    if not (folder / "model.safetensors").exists():
        torch.manual_seed(0)
        sizes = dict(SHAPES[shape])
        sizes["num_hidden_layers"] = sizes.pop("depths")
        config = AlbertConfig(vocab_size=30522, embedding_size=128, **sizes)
        AlbertForSequenceClassification(config).save_pretrained(folder)
        for name in TOKENIZER_FILES:
            shutil.copy(bundled_model() / name, folder / name)
    return folder


def texts_of(words: int, number: int, seed: int = 0) -> list[str]:
    """Texts of so many common words, each of them one token."""
    rng = random.Random(seed)
    return [" ".join(rng.choices(COMMON, k=words)) for _ in range(number)]
