"""Run an exported file in onnxruntime: padded batches in, logits out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert._optional import require
from elbert.errors import InputError
from elbert.export.onnx_file import WORD_STARTS
from elbert.tasks import TokenClassification
from elbert.tokenization import Tokens

Ints = NDArray[np.int64]
Feeds = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class SessionOutputs:
    """``logits [texts, classes]``; ``depth [texts]`` from 1 and ``reason [texts]``, if the file has them.

    Of token classifiers, logits are ``[texts, tokens, classes]``, of padding too.
    """

    logits: NDArray[np.float32]
    depth: Ints | None
    reason: Ints | None


class Session:
    """An exported file in onnxruntime, on the CPU.

    Raises:
        InputError: onnxruntime cannot load the file.
        MissingExtra: the package onnxruntime is not installed.
    """

    def __init__(self, file: str | Path, *, threads: int | None = None) -> None:
        runtime: Any = require("onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.log_severity_level = (
            3  # errors only: it would warn that dials with defaults are no constants, which is intended
        )
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = threads or 0
        try:
            self._session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exception classes are not public
            raise InputError(f"{file}: onnxruntime cannot load it ({str(error).splitlines()[0]:.200})") from error
        self.about: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._reads_words = any(declared.name == WORD_STARTS for declared in self._session.get_inputs())
        self._outputs = [output.name for output in self._session.get_outputs()]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The names that ``reason`` is an index into."""
        return tuple(json.loads(self.about["reasons"]))

    def __call__(self, feeds: Feeds) -> SessionOutputs:
        """Run one padded batch."""
        found = dict(zip(self._outputs, self.run(feeds), strict=True))
        return SessionOutputs(found["logits"], found.get("depth"), found.get("reason"))

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        """Run one padded batch; return all outputs of the file in order."""
        outputs: list[NDArray[Any]] = self._session.run(None, feeds)
        return outputs

    def answer(self, tokens: Sequence[Tokens], rows: int = 32, **dials: float) -> SessionOutputs:
        """Run all texts in batches of ``rows`` of similar length; results in input order. ``dials`` by input name."""
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i].ids))
        dial_inputs = {name: np.array(v, np.int64 if isinstance(v, int) else np.float32) for name, v in dials.items()}
        # Logits of all tokens are joined, so all batches have one length.
        per_token = self.about.get("problem_type") == TokenClassification.name
        length = max((len(row) for row in tokens), default=0) if per_token else 0
        parts = [
            self(pad_batch([tokens[i] for i in some], length, words=self._reads_words) | dial_inputs)
            for some in split_chunks(order, rows)
        ]
        back = np.argsort(order)

        def join(values: list[NDArray[Any] | None]) -> Any:
            present = [value for value in values if value is not None]
            return np.concatenate(present)[back] if present else None

        return SessionOutputs(
            join([part.logits for part in parts]),
            join([part.depth for part in parts]),
            join([part.reason for part in parts]),
        )


def split_chunks(order: Sequence[int], rows: int) -> list[Sequence[int]]:
    """Split into parts of at most ``rows``."""
    return [order[start : start + rows] for start in range(0, len(order), rows)]


def pad_batch(tokens: Sequence[Tokens], length: int = 0, *, words: bool = False) -> Feeds:
    """The inputs ``[rows, tokens]`` of one batch, padded to its longest row, or to ``length``.

    With ``words``, the input of token classifiers is among them: 1 where a word begins.
    """
    shape = (len(tokens), max(length, *(len(row.ids) for row in tokens)))
    ids, mask, types = (np.zeros(shape, np.int64) for _ in range(3))
    for at, row in enumerate(tokens):
        ids[at, : len(row.ids)] = row.ids
        types[at, : len(row.ids)] = row.type_ids
        mask[at, : len(row.ids)] = 1
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    if not words:
        return feeds
    starts = np.zeros(shape, np.int64)
    for at, row in enumerate(tokens):
        starts[at, row.pieces.positions] = row.pieces.is_first
    return feeds | {WORD_STARTS: starts}
