"""Results in the order of a data file, with everything that was wrong with it, as one process would have found it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from elbert.errors import BadRow, DataError, ElbertError
from elbert.prediction import Prediction
from elbert.ray.columns import prediction
from elbert.text import Example


def results(
    answered: Any, source: str, skip_bad: Callable[[BadRow], None] | None = None
) -> Iterator[tuple[Example, Prediction]]:
    """Examples and their predictions, in order, from an answered dataset of a data file.

    A bad row is raised when all before it have been given out, or handed to ``skip_bad``.

    Raises:
        BadRow: a row cannot be used, and there is no ``skip_bad``.
        DataError: the file cannot be read on.
        ElbertError: a row cannot be answered, or the cluster cannot go on.
    """
    for row in _rows(answered):
        if row["bad"] is not None:
            bad = _trouble(source, row["line"], row["bad"])
            if skip_bad is None or not isinstance(bad, BadRow):
                raise bad
            skip_bad(bad)
        elif row["error"] is not None:
            raise ElbertError(f"{source}:{row['line']}: {row['error']}")
        else:
            yield Example(row["text"], row["text_pair"], None, row["line"], source), prediction(row)


def _rows(answered: Any) -> Iterator[Mapping[str, Any]]:
    from ray.exceptions import RayError

    answered.context.enable_progress_bars = answered.context.print_on_execution_start = False
    try:
        with _quiet(logging.getLogger("ray.data")):
            for block in answered.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield from block.to_pylist()
    except RayError as error:
        raise _told(error) from error


@contextmanager
def _quiet(log: logging.Logger) -> Iterator[None]:
    """Whoever asks for results in order has a progress bar and errors of their own."""
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def _trouble(source: str, line: int | None, why: str) -> DataError:
    return DataError(f"{source}: {why}") if line is None else BadRow(source, line, why)


def _told(error: BaseException) -> ElbertError:
    """Ray's error in one line: ours where it was one of ours that a worker raised."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ElbertError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    last = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return ElbertError(f"the cluster could not go on ({type(error).__name__}): {last[-1]:.300}")
