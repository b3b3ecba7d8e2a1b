"""What an example should be answered with, in the form its problem asks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from elbert._atomic import replaced
from elbert.classifier import Classifier
from elbert.data import Example, resolve_label, resolve_labels_multi, resolve_value
from elbert.errors import DataError, InputError
from elbert.exits import Full
from elbert.model.config import Problem
from elbert.texts import Text

Target = int | float | list[float]


def target(example: Example, names: Sequence[str], problem: Problem) -> Target:
    """A class index, a list of 0 and 1 per label, or a value.

    Raises:
        BadRow: the example has no label, or none that fits.
    """
    if example.label is None:
        raise example.bad("no label; expected a column 'label'")
    try:
        if problem == "regression":
            return resolve_value(example.label)
        if problem == "multi_label_classification":
            return [float(x) for x in resolve_labels_multi(example.label, names)]
        return resolve_label(example.label, names)
    except InputError as error:
        raise example.bad(str(error)) from error


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
        """How many depths the model has."""
        return int(self.probabilities.shape[1])

    @property
    def multi_label(self) -> bool:
        """Whether every label is a question of its own."""
        return self.problem == "multi_label_classification"

    def __len__(self) -> int:
        """How many texts."""
        return len(self.probabilities)

    def take(self, index: NDArray[np.int64]) -> Outputs:
        """The outputs of some of the texts, by their numbers."""
        return replace(
            self, probabilities=self.probabilities[index], labels=self.labels[index], tokens=self.tokens[index]
        )

    def split(self, share: float) -> tuple[Outputs, Outputs]:
        """A share of the texts, and the rest, as :func:`split` draws them."""
        first, rest = split(len(self), share)
        return self.take(first), self.take(rest)

    def unlabelled(self) -> Outputs:
        """The same with the last depth's answers for labels: right is what agrees with full depth."""
        last = self.probabilities[:, -1]
        return replace(self, labels=(last > 0.5).astype(int) if self.multi_label else last.argmax(-1))

    def save(self, path: str | Path) -> None:
        """Write one ``.npz`` file, whole or not at all."""
        about = json.dumps({"label_names": self.label_names, "problem": self.problem})
        with replaced(Path(path), "wb") as out:
            np.savez_compressed(
                out, probabilities=self.probabilities, labels=self.labels, tokens=self.tokens, about=np.array(about)
            )


def split(n: int, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of ``n`` texts in two parts, at random but the same every time: a share of them, and the rest.

    Raises:
        InputError: the share is none.
    """
    if not 0 < share < 1:
        raise InputError(f"a share of the texts is a number between 0 and 1, such as 0.5; this is {share:g}")
    order = np.random.default_rng(0).permutation(n)
    cut = round(n * share)
    return np.sort(order[:cut]), np.sort(order[cut:])


def load_outputs(path: str | Path) -> Outputs:
    """Read saved outputs.

    Raises:
        DataError: the file is missing, is no outputs file, or its parts do not fit each other.
    """
    try:
        # Opened here: numpy leaves the file of a broken zip open.
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
    if not fit_each_other(outputs):
        raise DataError(f"{path}: its parts do not fit each other; write it again with elbert evaluate --outputs")
    return outputs


def fit_each_other(outputs: Outputs) -> bool:
    """Whether shapes, label names and labels belong together."""
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
    """One pass at full depth over texts, remembering what every depth says.

    Where there are no labels, the last depth's answers stand for them.
    """
    config = classifier.bundle.config
    tokens = classifier.tokeniser.encode(texts)
    said = np.zeros((len(texts), config.depths, len(config.labels)), np.float32)
    for exits in classifier.exits(tokens, Full(), remember=True):
        if exits.said is not None:
            said[exits.identity] = exits.said
    lengths = np.array([len(t.ids) for t in tokens], np.int64)
    outputs = Outputs(said, np.array(labels or 0), lengths, config.labels, config.problem)
    return outputs.unlabelled() if labels is None else outputs
