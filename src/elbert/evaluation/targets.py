"""What an example should be answered with, in the form its problem asks for."""

from __future__ import annotations

from collections.abc import Sequence

from elbert.errors import InputError
from elbert.model.config import Problem
from elbert.text import Example, resolve_label, resolve_labels_multi, resolve_value

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
