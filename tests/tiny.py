"""Tiny models with random weights, made in a second, that behave like real folders."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from elbert.model.reference.albert import ElbertConfig, ElbertForSequenceClassification

WORDS = [
    "the",
    "a",
    "film",
    "movie",
    "plot",
    "is",
    "was",
    "not",
    "very",
    "good",
    "bad",
    "great",
    "awful",
    "charming",
    "dull",
    "funny",
    "slow",
    "smart",
    "empty",
    "warm",
    "cold",
    "and",
    "but",
    "with",
    "without",
    "heart",
    "story",
    "acting",
    "ending",
    "i",
    "it",
    "this",
    "that",
    "one",
    "two",
    "three",
    "love",
    "hate",
    "journey",
    "often",
]
SPECIALS = ["<pad>", "<unk>", "[CLS]", "[SEP]"]
SIZES = {
    "embedding_size": 12,
    "hidden_size": 32,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "initializer_range": 0.4,  # large, so that depths differ and policies have something to decide
}


def write_tokenizer(folder: Path, max_length: int = 64) -> None:
    vocab = {word: i for i, word in enumerate([*SPECIALS, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "pad_token": "<pad>",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "unk_token": "<unk>",
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def tiny_config(labels=("negative", "positive"), **changes) -> ElbertConfig:
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    return ElbertConfig(vocab_size=len(SPECIALS) + len(WORDS), **(SIZES | names | changes))


def tiny_model(seed: int = 0, **changes) -> ElbertForSequenceClassification:
    torch.manual_seed(seed)
    return ElbertForSequenceClassification(tiny_config(**changes)).eval()


def write_bundle(folder: Path, seed: int = 0, points: dict | None = None, **changes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tiny_model(seed, **changes).save_pretrained(folder)
    write_tokenizer(folder, changes.get("max_position_embeddings", 64))
    if points is not None:
        (folder / "exits.json").write_text(json.dumps(points))
    return folder


def texts(n: int, seed: int = 0, longest: int = 40) -> list[str]:
    generator = torch.Generator().manual_seed(seed)

    def draw(high: int) -> int:
        return int(torch.randint(high, (1,), generator=generator))

    return [" ".join(WORDS[draw(len(WORDS))] for _ in range(draw(longest))) for _ in range(n)]


def rewrite_weights(folder: Path, change) -> None:
    """Load, change and save the weights of a folder."""
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def train_sentencepiece(folder: Path, sentences: list[str], vocab_size: int) -> Path:
    """Train ``folder/spiece.model`` on sentences, with the settings of ALBERT's."""
    from sentencepiece import SentencePieceTrainer

    SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_prefix=str(folder / "spiece"),
        model_type="unigram",
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        pad_piece="<pad>",
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        user_defined_symbols=["(", ")", '"', "-", "."],
        normalization_rule_name="nmt_nfkc",
        minloglevel=2,
        num_threads=1,
    )
    (folder / "spiece.vocab").unlink()
    return folder
