"""Targets: what a model should output for a text, from the labels of data files and of Python lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbert.data import Example, LabelSet
from elbert.errors import BadRow, InputError
from elbert.tasks import Target, Task


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


def parse_target(example: Example, names: Sequence[str], task: Task) -> Target:
    """The label of an example: a class index, a list of 0 and 1 per label, or a value (regression).

    Use :func:`read_targets` for the examples of a file: only all of them decide whether lists are 0/1 vectors.

    Raises:
        BadRow: the example has no label, or the model has no such label.
    """
    try:
        return task.read_label(example.label, LabelSet(names), None)
    except InputError as error:
        raise example.bad_row(str(error)) from error


def read_targets(
    examples: Sequence[Example],
    names: Sequence[str],
    task: Task,
    skip_bad: Callable[[BadRow], None] | None = None,
) -> tuple[list[Example], Targets]:
    """The examples of a file with a valid label, and their targets; the errors of others go to ``skip_bad``.

    Raises:
        BadRow: an example has no valid label, and there is no ``skip_bad``.
    """
    known, kept, targets = LabelSet(names), list[Example](), list[Target]()
    form = task.find_form((example.label for example in examples), known)
    for example in examples:
        try:
            targets.append(task.read_label(example.label, known, form))
        except InputError as error:
            bad = example.bad_row(str(error))
            if skip_bad is None:
                raise bad from error
            skip_bad(bad)
        else:
            kept.append(example)
    return kept, Targets(task.stack_targets(targets))


def resolve_targets(labels: Targets | Sequence[object], names: Sequence[str], task: Task) -> Targets:
    """The targets of labels in Python, which are read as in a data file: names, indices, lists of them, 0/1, numbers.

    Raises:
        InputError: a label is not valid; the message has its position.
    """
    if isinstance(labels, Targets):
        return labels
    known, targets, rows = LabelSet(names), list[Target](), list(labels)
    form = task.find_form(rows, known)
    for position, label in enumerate(rows):
        try:
            targets.append(task.read_label(label, known, form))
        except InputError as error:
            raise InputError(f"labels[{position}]: {error}") from error
    return Targets(task.stack_targets(targets))
