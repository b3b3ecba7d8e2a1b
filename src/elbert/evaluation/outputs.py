"""Outputs: the probabilities of every depth for labelled texts, computed once and saved as one file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from elbert._atomic import open_atomic
from elbert.classifier import Classifier
from elbert.data import Example, resolve_label, resolve_labels_multi, resolve_value
from elbert.errors import DataError, InputError
from elbert.exits import Full
from elbert.model.config import Problem
from elbert.tokenization.tokenizer import Text

Target = int | float | list[float]


def parse_target(example: Example, names: Sequence[str], problem: Problem) -> Target:
    """The label of an example: a class index, a list of 0 and 1 per label, or a value (regression).

    Raises:
        BadRow: the example has no label, or the model has no such label.
    """
    if example.label is None:
        raise example.bad_row("no label; expected a column 'label'")
    try:
        if problem == "regression":
            return resolve_value(example.label)
        if problem == "multi_label_classification":
            return [float(x) for x in resolve_labels_multi(example.label, names)]
        return resolve_label(example.label, names)
    except InputError as error:
        raise example.bad_row(str(error)) from error


Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Outputs:
    """Saved outputs of all depths.

    probabilities: ``[n, depths, classes]`` float32 (values, for a regression)
    labels:        ``[n]`` class indices, ``[n, classes]`` 0/1 for multi-label, ``[n]`` values for regression
    tokens:        ``[n]``, the length of each text
    """

    probabilities: Floats
    labels: NDArray[Any]
    tokens: NDArray[np.int64]
    label_names: tuple[str, ...]
    problem: Problem

    @property
    def depths(self) -> int:
        """The number of depths of the model."""
        return int(self.probabilities.shape[1])

    @property
    def multi_label(self) -> bool:
        """Whether each label is decided on its own, with a sigmoid."""
        return self.problem == "multi_label_classification"

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.probabilities)

    def take(self, index: NDArray[np.int64]) -> Outputs:
        """The outputs of the texts at positions ``index``."""
        return replace(
            self, probabilities=self.probabilities[index], labels=self.labels[index], tokens=self.tokens[index]
        )

    def split(self, share: float) -> tuple[Outputs, Outputs]:
        """A random share of the texts, and the rest; the same split every time (:func:`split_indices`)."""
        first, rest = split_indices(len(self), share)
        return self.take(first), self.take(rest)

    def unlabelled(self) -> Outputs:
        """A copy whose labels are the last depth's predictions: "correct" then means "agrees with full depth"."""
        last = self.probabilities[:, -1]
        return replace(self, labels=(last > 0.5).astype(int) if self.multi_label else last.argmax(-1))

    def save(self, path: str | Path) -> None:
        """Write one ``.npz`` file, atomically."""
        about = json.dumps({"label_names": self.label_names, "problem": self.problem})
        with open_atomic(Path(path), "wb") as out:
            np.savez_compressed(
                out, probabilities=self.probabilities, labels=self.labels, tokens=self.tokens, about=np.array(about)
            )


def split_indices(n: int, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split ``range(n)`` into a random share and the rest, both sorted. The seed is fixed.

    Raises:
        InputError: the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise InputError(f"expected a share of the texts between 0 and 1, such as 0.5, got {share:g}")
    order = np.random.default_rng(0).permutation(n)
    cut = round(n * share)
    return np.sort(order[:cut]), np.sort(order[cut:])


def load_outputs(path: str | Path) -> Outputs:
    """Read saved outputs.

    Raises:
        DataError: the file is missing, is no outputs file, or its arrays do not match each other.
    """
    try:
        # Opened here, because numpy does not close the file when the zip is broken.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as parts:
            about = json.loads(str(parts["about"]))
            outputs = Outputs(
                np.asarray(parts["probabilities"], np.float32),
                parts["labels"],
                parts["tokens"],
                tuple(about["label_names"]),
                cast(Problem, about["problem"]),
            )
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; elbert evaluate --outputs FILE writes one") from error
    except Exception as error:  # a damaged zip or array can fail in a dozen ways, all of which mean the same
        raise DataError(f"{path}: not a file of saved outputs; elbert evaluate --outputs FILE writes one") from error
    if not is_consistent(outputs):
        raise DataError(f"{path}: its parts do not fit each other; write it again with elbert evaluate --outputs")
    return outputs


def is_consistent(outputs: Outputs) -> bool:
    """Whether the shapes, label names and labels match each other."""
    shape, labels = outputs.probabilities.shape, outputs.labels
    if len(shape) != 3 or shape[1] < 1 or len(outputs.label_names) != shape[2] or outputs.tokens.shape != shape[:1]:
        return False
    if outputs.problem not in get_args(Problem) or labels.dtype.kind not in "iuf":
        return False
    if outputs.multi_label:
        return labels.shape == (shape[0], shape[2]) and bool(np.isin(labels, (0, 1)).all())
    indices = outputs.problem == "regression" or bool(np.isin(labels, np.arange(shape[2])).all())
    return labels.shape == shape[:1] and indices


def collect(classifier: Classifier, texts: Sequence[Text], labels: Sequence[Target] | None) -> Outputs:
    """Run texts once at full depth and keep the probabilities of every depth.

    Without labels, the last depth's predictions serve as labels (:meth:`Outputs.unlabelled`).
    """
    config = classifier.bundle.config
    tokens = classifier.tokeniser.encode(texts)
    probabilities = np.zeros((len(texts), config.depths, len(config.labels)), np.float32)
    for exits in classifier.exits(tokens, Full(), keep_trace=True):
        if exits.trace is not None:
            probabilities[exits.identity] = exits.trace
    lengths = np.array([len(t.ids) for t in tokens], np.int64)
    outputs = Outputs(probabilities, np.array(labels or 0), lengths, config.labels, config.problem)
    return outputs.unlabelled() if labels is None else outputs
