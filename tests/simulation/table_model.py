"""A model whose logits are a table of (row, depth), and a tokenizer of numbers: both cost almost nothing to run.

The hidden state of a token holds the key of its row, the depth, and the fault that its text asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from elbert.bundle import Bundle, OperatingPoint
from elbert.classifier import Classifier
from elbert.errors import InputError
from elbert.exits import policy
from elbert.model import ModelConfig
from elbert.tokenization import Tokens

VOCABULARY = 1000
MAX_LENGTH = 24
START, END = 2, 3
NAN, BROKEN, UNEMBEDDABLE = 4, 5, 6  # tokens: the output is NaN; the layer fails; the embedding fails
UNKNOWN_TOKEN = VOCABULARY + 5  # the engine rejects it
PANIC, REFUSED = "panic", "refused"  # words on which the tokenizer fails: with the whole request, with the text
PRIME = 65_521  # keys are below it, so that float32 holds them exactly


def make_config(depths: int, groups: int, labels: int, multi_label: bool) -> ModelConfig:
    """The configuration of a table model."""
    values = {
        "model_type": "albert",
        "vocab_size": VOCABULARY,
        "embedding_size": 4,
        "hidden_size": 4,
        "num_hidden_layers": depths,
        "num_hidden_groups": groups,
        "num_attention_heads": 1,
        "intermediate_size": 4,
        "max_position_embeddings": MAX_LENGTH,
        "id2label": {str(i): f"label {i}" for i in range(labels)},
        "problem_type": "multi_label_classification" if multi_label else "single_label_classification",
    }
    return ModelConfig.from_dict(values, "the table model")


class TableBackend:
    """Implements :class:`elbert.model.Backend`. ``before(verb, rows, tokens)`` runs before each call."""

    device = torch.device("cpu")

    def __init__(self, config: ModelConfig, before: Callable[[str, int, int], None] = lambda *_: None) -> None:
        self.config = config
        self._before = before

    def embed(self, ids, type_ids, layout):
        self._before("embed", len(layout), layout.tokens)
        numbers = ids.numpy()
        starts = layout.starts.numpy()
        if (numbers == UNEMBEDDABLE).any():
            raise RuntimeError("the embedding fails on this text")
        places = np.arange(len(numbers)) - np.repeat(starts, layout.lengths)
        keys = np.add.reduceat(numbers * (places + 7) * 31, starts) % PRIME
        has_nan, is_broken = (np.add.reduceat(numbers == token, starts) > 0 for token in (NAN, BROKEN))
        hidden = np.zeros((layout.size, 4), np.float32)
        of_rows = np.stack((keys, np.zeros_like(keys), has_nan, is_broken), 1)
        hidden[: layout.tokens] = np.repeat(of_rows, layout.lengths, 0)
        return torch.from_numpy(hidden)

    def step(self, hidden, layout, group):
        self._before("step", len(layout), layout.tokens)
        rows = hidden.numpy()[layout.starts.numpy()]
        if rows[:, 3].any():
            raise RuntimeError("the layer fails on this text")
        expected = {self.config.group(int(depth) + 1) for depth in rows[:, 1]}
        assert expected == {group}, f"layer group {group} for rows that need {expected}"
        return hidden + torch.tensor([0.0, 1.0, 0.0, 0.0])

    def read(self, hidden, layout, head):
        self._before("read", len(layout), layout.tokens)
        rows = hidden.numpy()[layout.starts.numpy()]
        logits = self._logits(rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64))
        logits[rows[:, 2] > 0] = np.nan
        return torch.from_numpy(logits.astype(np.float32))

    def _logits(self, keys, depths):
        """``[rows, classes]``: noise that shrinks with depth, and a preference of the row that grows."""
        classes = np.arange(len(self.config.labels))
        noise = draw(keys[:, None] * 131 + depths[:, None] * 7919 + classes * 104_729)
        preference = draw(keys[:, None] * 17 + classes * 611_953)
        share = (depths / self.config.depths)[:, None]
        return 5 * share * preference + 3 * (1 - share) * noise


def draw(numbers):
    """A number in [-1, 1) for each whole number, exactly the same in every batch."""
    mixed = numbers * 2_654_435_761 % 4_294_967_291
    mixed = (mixed ^ (mixed >> 13)) * 40_503 % 1_000_003
    return mixed / 500_001.5 - 1


class NumberTokeniser:
    """Texts are numbers between spaces, each of them a token. ``before(texts)`` runs before each call."""

    max_length = MAX_LENGTH
    truncation_side = "right"
    vocab_size = VOCABULARY

    def __init__(self, before: Callable[[list], None] = lambda texts: None) -> None:
        self._before = before

    def encode(self, texts, direction=None, max_length=None):
        """The tokens of each text."""
        return self.encode_each(texts, direction, max_length)

    def encode_each(self, texts, direction=None, max_length=None):
        """The tokens or the error of each text."""
        self._before(texts)
        return [self._encode(text, direction or self.truncation_side, max_length or MAX_LENGTH) for text in texts]

    def _encode(self, text, direction, most):
        words = (text if isinstance(text, str) else " ".join(text)).split()
        if PANIC in words:
            raise TokenizerPanic("a panic of the tokenizer")
        if REFUSED in words:
            return InputError("the tokenizer fails on it")
        numbers, most = [int(word) for word in words if word.isdecimal()], min(most, MAX_LENGTH) - 2
        kept = numbers[:most] if direction == "right" else numbers[max(len(numbers) - most, 0) :]
        ids = [START, *kept, END]
        return Tokens(ids, [0] * len(ids), len(kept) < len(numbers))


class TokenizerPanic(BaseException):
    """As from a library in Rust: no subclass of Exception."""


def make_classifier(config, tokeniser, backend, points, default, **options) -> Classifier:
    """A classifier of these parts; ``points`` are ``(name, spec, mean depth)``."""
    operating = {name: OperatingPoint(policy(spec), {"mean_depth": depth}) for name, spec, depth in points}
    bundle = Bundle(Path("table"), config, operating, default)
    return Classifier(bundle, tokeniser, backend, operating[default].policy, threads=1, **options)
