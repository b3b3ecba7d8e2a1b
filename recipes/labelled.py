"""The labels of a task beside what a base learns: every depth classifies its texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AlbertForSequenceClassification

from passages import Row, token_batches
from student import every_depth

SHORT = 64  # tokens; longer texts are cut to a multiple of GRAIN, so that rows of one length come together
GRAIN = 16


@dataclass(frozen=True)
class LabelledTexts:
    """The texts of a task as token numbers, their labels, and the labels' names, in order."""

    rows: list[list[int]]
    labels: list[int]
    names: list[str]

    @staticmethod
    def read(file: Path, tokenizer: Path, longest: int) -> LabelledTexts:
        """Read columns ``text`` and ``label`` and ``labels.json`` beside; texts are cut to ``longest`` tokens."""
        import pyarrow.parquet as pq

        encoder = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
        encoder.no_padding()
        encoder.enable_truncation(longest)
        columns = pq.read_table(file, columns=["text", "label"]).to_pydict()
        rows = [cut(encoding.ids) for encoding in encoder.encode_batch(columns["text"])]
        return LabelledTexts(rows, columns["label"], json.loads((file.parent / "labels.json").read_text("utf-8")))

    def batches(self, tokens: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """``(ids [rows, tokens of a row], labels [rows])`` without end: rows of exactly one length, nothing padded."""
        return token_batches(self._draw(np.random.default_rng(seed)), tokens)

    def _draw(self, rng: np.random.Generator) -> Iterator[Row]:
        while True:
            for number in rng.permutation(len(self.rows)).tolist():
                yield np.array(self.rows[number]), np.array(self.labels[number])


def cut(ids: list[int]) -> list[int]:
    """The text, or its first tokens and its last, [SEP]."""
    return ids if len(ids) <= SHORT else [*ids[: len(ids) // GRAIN * GRAIN - 1], ids[-1]]


def read_tasks(files: Sequence[Path], tokenizer: Path, longest: int) -> list[LabelledTexts]:
    """The texts of each file; all have the same labels."""
    tasks = [LabelledTexts.read(file, tokenizer, longest) for file in files]
    for file, task in zip(files, tasks, strict=True):
        if task.names != tasks[0].names:
            raise SystemExit(f"{file}: expected the labels of {files[0]}, {tasks[0].names}, got {task.names}")
    return tasks


def label_batches(tasks: Sequence[LabelledTexts], tokens: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """A batch of each task in turn, without end."""
    streams = [task.batches(tokens, seed) for task in tasks]
    while True:
        for stream in streams:
            yield next(stream)


def label_loss(model: AlbertForSequenceClassification, ids: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the labels, mean over all depths, as ``equal`` weights of ``elbert train``."""
    hidden = every_depth(model, ids, torch.ones_like(ids), torch.zeros_like(ids))[1:]
    pooled = torch.tanh(model.albert.pooler(torch.stack([each[:, 0] for each in hidden])))
    logits = model.classifier(nn.functional.dropout(pooled, 0.1, model.training)).float()
    return nn.functional.cross_entropy(logits.flatten(0, 1), labels.repeat(len(hidden)))
