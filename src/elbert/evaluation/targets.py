"""Targets: what a model should output for a text, from the labels of data files and of Python lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.data import Example, Form, LabelSet, resolve_value
from elbert.errors import BadRow, InputError
from elbert.model.config import Problem

Target = int | float | list[float]


@dataclass(frozen=True)
class Targets:
    """Labels that were read: ``values [n]`` class indices, ``[n, classes]`` 0/1 for multi-label, ``[n]`` numbers.

    A type of its own, because a list of numbers holds labels: 3 can be the name of a class.
    """

    values: NDArray[Any]

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.values)

    def take(self, index: Sequence[int]) -> Targets:
        """The targets of the texts at these positions."""
        return Targets(self.values[np.asarray(index, np.int64)])


def parse_target(example: Example, names: Sequence[str], problem: Problem) -> Target:
    """The label of an example: a class index, a list of 0 and 1 per label, or a value (regression).

    Use :func:`read_targets` for the examples of a file: only all of them decide whether lists are 0/1 vectors.

    Raises:
        BadRow: the example has no label, or the model has no such label.
    """
    try:
        return _read(example.label, LabelSet(names), problem, None)
    except InputError as error:
        raise example.bad_row(str(error)) from error


def read_targets(
    examples: Sequence[Example],
    names: Sequence[str],
    problem: Problem,
    skip_bad: Callable[[BadRow], None] | None = None,
) -> tuple[list[Example], Targets]:
    """The examples of a file with a valid label, and their targets; the errors of others go to ``skip_bad``.

    Raises:
        BadRow: an example has no valid label, and there is no ``skip_bad``.
    """
    known, kept, targets = LabelSet(names), list[Example](), list[Target]()
    form = _find_form((example.label for example in examples), known, problem)
    for example in examples:
        try:
            targets.append(_read(example.label, known, problem, form))
        except InputError as error:
            bad = example.bad_row(str(error))
            if skip_bad is None:
                raise bad from error
            skip_bad(bad)
        else:
            kept.append(example)
    return kept, Targets(np.array(targets))


def resolve_targets(labels: Targets | Sequence[object], names: Sequence[str], problem: Problem) -> Targets:
    """The targets of labels in Python, which are read as in a data file: names, indices, lists of them, 0/1, numbers.

    Raises:
        InputError: a label is not valid; the message has its position.
    """
    if isinstance(labels, Targets):
        return labels
    known, targets, rows = LabelSet(names), list[Target](), list(labels)
    form = _find_form(rows, known, problem)
    for position, label in enumerate(rows):
        try:
            targets.append(_read(label, known, problem, form))
        except InputError as error:
            raise InputError(f"labels[{position}]: {error}") from error
    return Targets(np.array(targets))


def _find_form(labels: Iterable[object], known: LabelSet, problem: Problem) -> Form | None:
    return known.find_form(labels) if problem == "multi_label_classification" else None


def _read(label: object, known: LabelSet, problem: Problem, form: Form | None) -> Target:
    if problem == "regression":
        return resolve_value(label)
    if problem == "multi_label_classification":
        return [float(x) for x in known.read_several(label, form)]
    return known.read_class(label)
