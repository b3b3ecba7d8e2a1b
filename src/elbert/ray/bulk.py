"""Results in the order of a data file, with everything that was wrong with it, as one process would have found it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from elbert.bundle import Bundle, ConditionsWarning
from elbert.bundle.folder import find_local_path
from elbert.data import Example
from elbert.errors import BadRow, DataError, ElbertError, InputError
from elbert.exits import check_policy
from elbert.model import fastest
from elbert.prediction import Prediction
from elbert.ray.actor import Actor, Task
from elbert.ray.cluster import Pool, place, ray
from elbert.ray.columns import prediction


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


ROWS = 4096  # of a block: seconds of work, and more than an engine holds at once


def predict(
    dataset: Any,
    model: str | Path | None = None,
    policy: str | None = None,
    *,
    text: str = "text",
    text_pair: str = "text_pair",
    prefix: str = "",
    scores: bool = False,
    trace: bool = False,
    keep_bad: bool = False,
    actors: int | tuple[int, int] | None = None,
    device: str = "auto",
    threads: int | None = None,
    rows_per_block: int = ROWS,
    **load: Any,
) -> Any:
    """Classify the rows of a :class:`ray.data.Dataset` on its cluster; lazily, in the dataset's order.

    >>> elbert.ray.predict(ray.data.read_parquet("/shared/reviews"), "/shared/model").write_parquet("/shared/answers")

    ``model`` is a folder that every machine sees, or a hub id; unsaid, the bundled model. Columns ``text``, and for
    pairs ``text_pair``, are read; ``label``, ``score``, ``depth``, ``depths``, ``reason`` are added, each after
    ``prefix``, and where asked for ``scores`` (by label) and ``trace``. A row that cannot be answered ends the run;
    with ``keep_bad`` its answer is null, and a column ``error`` says why.

    ``actors`` is how many processes hold an engine: a number, or ``(least, most)`` between which the pool grows and
    shrinks; unsaid, as many as the cluster has room for. Each computes with ``threads`` processor threads (unsaid:
    one), or with ``device="cuda"`` on a GPU of its own. What else :meth:`Classifier.load` knows is passed on:
    ``dtype``, ``max_rows``, ``max_tokens``, ``strict``. A block has about ``rows_per_block`` rows; when an actor dies
    its blocks are done again, and no row is lost or there twice.

    Raises:
        BundleError, PolicyError: the model or the policy cannot be used.
        InputError: an option or a column is not acceptable.
        MissingExtra: Ray is not installed.
    """
    ray()
    if rows_per_block < 1:
        raise InputError(f"rows_per_block is {rows_per_block}, expected a whole number from 1")
    bundle = Bundle.open(model)
    check_policy(bundle.resolve_policy(policy), bundle.config.depths, regression=bundle.config.problem == "regression")
    device = place(device)
    load |= {"device": device, "threads": (threads or 1) if device == "cpu" else threads}
    _complain(bundle, policy, str(load.get("dtype", "auto")), device)
    same = portable_name(model)
    task = Task(same, policy, bundle.weights_hash, load, text, text_pair, prefix, scores, trace, keep_bad)
    if (schema := dataset.schema(fetch_if_missing=False)) is not None:
        task.check(schema.names)
    pool = Pool.of(actors, device, threads)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")  # it has no other word for retries yet
        answered = dataset.repartition(target_num_rows_per_block=rows_per_block).map_batches(
            Actor,
            fn_constructor_args=(task,),
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            **pool.options,
        )
    answered.context.execution_options.preserve_order = True
    return answered


def portable_name(model: str | Path | None) -> str | None:
    """A name that means the same on every machine: not a relative path; a hub id as it is."""
    path = None if model is None else find_local_path(str(model))
    return str(path.resolve()) if path is not None and path.is_dir() else None if model is None else str(model)


def _complain(bundle: Bundle, policy: str | None, dtype: str, device: str) -> None:
    """What an actor would say of an operating point's conditions, said where somebody reads it."""
    name = bundle.default if policy is None else policy.strip()
    precision = fastest(bundle.safe_precisions, device) if dtype == "auto" else dtype
    if name in bundle.points and (said := bundle.describe_mismatch(name, precision, bundle.load_tokeniser().max_length)):
        warnings.warn(said, ConditionsWarning, stacklevel=3)
