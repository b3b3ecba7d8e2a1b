"""Training from Python: ``elbert.train``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from elbert._optional import require

for module in ("transformers", "accelerate"):
    require(module, "train")  # before the imports below, so that the error names the remedy

from rich.console import Console  # noqa: E402

from elbert._progress import is_interactive  # noqa: E402
from elbert._settings import check_whole  # noqa: E402
from elbert.bundle.publishing import TemporaryFolder  # noqa: E402
from elbert.classifier import Classifier  # noqa: E402
from elbert.data import Columns, ignore_bad, make_reusable  # noqa: E402
from elbert.errors import BadRow, InputError  # noqa: E402
from elbert.tasks import TASKS, Task  # noqa: E402
from elbert.training import run  # noqa: E402
from elbert.training.arguments import make_arguments  # noqa: E402
from elbert.training.options import HELD_OUT  # noqa: E402


def train(
    model: str | Path,
    *,
    train: Any,
    validation: Any = HELD_OUT,
    output: str | Path | None = None,
    labels: Sequence[object] | None = None,
    problem: str = "single-label",
    max_length: int | None = None,
    preset: str = "default",
    skip_bad: bool = False,
    verbose: bool | None = None,
    **options: Any,
) -> Classifier:
    """Train a model to answer at every depth, and return its classifier.

    >>> import elbert
    >>> classifier = elbert.train("bundled", train=frame, validation="validation.csv", output="my-model")

    ``model`` is the folder or hub id of an encoder or classifier to start from, or ``bundled``. ``train`` and
    ``validation`` are each

    - a file: csv, tsv, jsonl or parquet;
    - a table with the columns ``text``, ``label`` and optionally ``text_pair``: a DataFrame of pandas or polars, a
      Table of pyarrow, a Dataset of ``datasets``, or a dict of columns;
    - rows: an iterable of pairs ``(text, label)``, where the text may be a pair of texts, or of dicts;
    - a tuple ``(texts, labels)``.

    ``text_column``, ``text_pair_column`` and ``label_column`` name other columns, and ``delimiter`` the character
    between the fields of a csv file, which is otherwise found from its header.

    A label is a name or an index; for ``problem="multi-label"`` a list of them, or 0 and 1 for each label; for
    ``problem="regression"`` a number; for ``problem="token-classification"`` the columns are ``tokens`` and ``tags``,
    lists of words and of a tag for each. The validation data chooses the checkpoint: the latest whose ``area``, the
    mean score over depths, is within a standard error of the best. It may be a number, the share of ``train`` to
    hold out for this.

    ``labels`` are the label names in index order; the default are those of the training data. ``max_length`` is the
    number of tokens at which a text is cut: by default 128, or 256 if that cuts more than a fifth of the training
    texts, and no more than the model takes. With ``skip_bad``, rows that cannot be used, such as those without a label,
    are reported as warnings and left out. ``options`` are
    those of ``elbert train``: exit options such as ``weighting``, and transformers' TrainingArguments such as
    ``learning_rate`` and ``num_train_epochs``; they override those of the ``preset``. Learning rate, batch size and
    number of epochs follow by default from the width of the model and the size of the data; the run begins with a list
    of its settings, and ends with advice where early exit would gain nothing.

    The model is written to the folder ``output``. Without it, the folder is a temporary one that lives as long as the
    classifier; :meth:`Classifier.save` keeps the model. After each epoch a report is printed on standard error, with
    ``verbose=None`` only on a terminal or in a notebook.

    Raises:
        MissingExtra: the extra ``train`` is not installed.
        BundleError: the model cannot be used.
        DataError: the data cannot be used; a :class:`BadRow` names the row, from 0, or the line of a file.
        InputError: an argument or option is not valid, the output folder already holds a model or cannot be written, or
            training diverged.
    """
    if max_length is not None:
        check_whole("max_length", max_length)
    task, data, validation = find_task_by_title(problem), make_reusable(train), make_reusable(validation)
    temporary = None
    if output is None:
        temporary = TemporaryFolder()
        output = temporary.path / "model"
    folder = os.fspath(output)
    column_names = [option.name for option in fields(Columns)]
    columns = Columns.from_options({name: options.pop(name) for name in column_names if name in options})
    exit_options, arguments = make_arguments(folder, preset, options)
    names = choose_labels(labels, data, task, columns, skip_bad=skip_bad)
    is_shown = is_interactive() if verbose is None else verbose
    run.train(
        os.fspath(model),
        data,
        validation,
        names,
        exit_options,
        arguments,
        problem=task.name,
        max_length=max_length,
        columns=columns,
        skip_bad=warn_skipped if skip_bad else None,
        console=Console(stderr=True, quiet=not is_shown),
    )
    classifier = Classifier.load(folder)
    classifier.keep_alive(temporary)
    return classifier


def find_task_by_title(problem: str) -> Task:
    """Return the task of a title (``multi-label``) or of transformers' name for it.

    Raises:
        InputError: there is none.
    """
    for task in TASKS.values():
        if problem in (task.title, task.name):
            return task
    raise InputError(f"problem is {problem!r:.80}, expected one of {', '.join(task.title for task in TASKS.values())}")


def warn_skipped(row: BadRow) -> None:
    """Report a row that is left out."""
    warnings.warn(f"skipped {row}", stacklevel=2)


def choose_labels(
    labels: Sequence[object] | None, data: Any, task: Task, columns: Columns, *, skip_bad: bool
) -> list[str]:
    """Return the label names: those of the task if it has some, else those of the caller, else those of the data.

    Raises:
        InputError: the labels are one string.
        DataError: the data has no labels, or names cannot be found from them.
    """
    if task.fixed_labels:
        return list(task.fixed_labels)
    if isinstance(labels, str):
        raise InputError(f"labels are {labels!r:.60}, expected a list of names")
    if labels is not None:
        return [str(name) for name in labels]
    return task.read_names(data, "train", columns, ignore_bad if skip_bad else None)  # they are reported when loaded
