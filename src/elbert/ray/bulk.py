"""Bulk prediction on Ray Data: a dataset with columns for predictions, and results in the order of a data file."""

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
from elbert.inference import CUT, Windows, parse_long
from elbert.model import check_device, fastest_precision
from elbert.prediction import Prediction
from elbert.ray.actor import Actor, Task
from elbert.ray.cluster import ActorPool, import_ray, resolve_device
from elbert.ray.columns import to_prediction

BLOCK_ROWS = 4096  # seconds of work, and more than an engine holds at once


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
    long: str | None = None,
    actors: int | tuple[int, int] | None = None,
    device: str = "auto",
    threads: int | None = None,
    rows_per_block: int = BLOCK_ROWS,
    **load: Any,
) -> Any:
    """Classify the rows of a :class:`ray.data.Dataset` on its cluster; lazily, in the dataset's order.

    >>> elbert.ray.predict(ray.data.read_parquet("/shared/reviews"), "/shared/model").write_parquet("/shared/answers")

    ``model`` is a folder that every machine sees, or a hub id (default: the bundled model). Columns ``text``, and for
    pairs ``text_pair``, are read. Columns ``label``, ``score``, ``depth``, ``depths``, ``reason``, ``truncated`` are
    added, and on request ``scores`` (by label) and ``trace``; ``prefix`` is put before their names. A row that fails
    ends the run; with ``keep_bad`` its columns are null, and a column ``error`` holds the reason. A token classifier
    adds ``entities``, and with ``scores`` ``words``, lists of structs. ``long`` is as in :meth:`Classifier.predict`;
    with it ``windows`` and ``windows_read`` are added.

    ``actors`` is the number of processes with an engine, or ``(min, max)`` for a pool that grows and shrinks (default:
    up to as many as the cluster has resources for). Each computes with ``threads`` processor threads (default: one),
    or with ``device="cuda"`` on its own GPU. Other options of :meth:`Classifier.load` are passed on: ``dtype``,
    ``max_rows``, ``max_tokens``, ``strict``. A block has about ``rows_per_block`` rows. The blocks of an actor that
    dies are computed again: no row is lost or duplicated.

    Raises:
        BundleError, PolicyError: the model or the policy cannot be used.
        InputError: an option or a column is not acceptable.
        MissingExtra: Ray is not installed.
    """
    import_ray()
    if not hasattr(dataset, "map_batches"):
        raise InputError(
            f"expected a ray.data.Dataset, got {type(dataset).__name__}; make one with ray.data.from_items, "
            "from_pandas or a read_ function"
        )
    if rows_per_block < 1:
        raise InputError(f"rows_per_block is {rows_per_block}, expected a whole number from 1")
    bundle = Bundle.open(model)
    config = bundle.config
    check_policy(bundle.resolve_policy(policy), config.depths, config.task.content, per_token=config.task.per_token)
    windows = parse_long(long, config, bundle.resolve_policy)
    if trace and config.task.per_token:
        raise InputError("token classification has no trace: leave it out")
    if trace and windows is not None:
        raise InputError("a trace has the depths of one row, and a text in windows has several rows: use one of both")
    device = resolve_device(device)
    load |= {"device": device, "threads": (threads or 1) if device == "cpu" else threads}
    _warn_about_conditions(bundle, policy, str(load.get("dtype", "auto")), device, windows)
    task = Task(
        *(portable_name(model), policy, bundle.weights_hash, load, text, text_pair, prefix, scores, trace, keep_bad),
        long=long,
        per_token=config.task.per_token,
    )
    if (schema := dataset.schema(fetch_if_missing=False)) is not None:
        task.check_columns(schema.names)
    pool = ActorPool.plan(actors, device, threads)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")  # retries have no other option yet
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
    """The model's name on every machine: an absolute path for a local folder, a hub id unchanged."""
    path = None if model is None else find_local_path(str(model))
    return str(path.resolve()) if path is not None and path.is_dir() else None if model is None else str(model)


def _warn_about_conditions(
    bundle: Bundle, policy: str | None, dtype: str, device: str, windows: Windows | None
) -> None:
    """Give an actor's warning about an operating point here, where the user sees it, and not in a worker's log."""
    name = bundle.default if policy is None else policy.strip()
    if device != "auto":
        check_device(device)
    precision = fastest_precision(bundle.safe_precisions, device) if dtype == "auto" else dtype
    long = CUT if windows is None else str(windows)
    if name in bundle.points and (
        message := bundle.describe_mismatch(name, precision, bundle.load_tokeniser().max_length, long)
    ):
        warnings.warn(message, ConditionsWarning, stacklevel=3)


def results(
    answered: Any, source: str, skip_bad: Callable[[BadRow], None] | None = None
) -> Iterator[tuple[Example, Prediction]]:
    """Examples and their predictions, in order, from the dataset that :func:`predict` made of a data file.

    A bad row, or one that the model cannot take, is raised after all rows before it were yielded, or passed to
    ``skip_bad``.

    Raises:
        BadRow: a row cannot be used, and there is no ``skip_bad``.
        DataError: the rest of the file cannot be read.
        ElbertError: the cluster failed.
    """
    for row in _rows(answered):
        why = row["bad"] if row["bad"] is not None else row["error"]
        if why is not None:
            bad = _data_error(source, row["line"], why)
            if skip_bad is None or not isinstance(bad, BadRow):
                raise bad
            skip_bad(bad)
        else:
            yield Example(row["text"], row["text_pair"], None, row["line"], source), to_prediction(row)


def _rows(answered: Any) -> Iterator[Mapping[str, Any]]:
    from ray.exceptions import RayError

    answered.context.enable_progress_bars = answered.context.print_on_execution_start = False
    try:
        with _quiet(logging.getLogger("ray.data")):
            for block in answered.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield from block.to_pylist()
    except RayError as error:
        raise _to_elbert_error(error) from error


@contextmanager
def _quiet(log: logging.Logger) -> Iterator[None]:
    """Silence Ray's log: the caller has its own progress bar and reports errors itself."""
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def _data_error(source: str, line: int | None, why: str) -> DataError:
    return DataError(f"{source}: {why}") if line is None else BadRow(source, line, why)


def _to_elbert_error(error: BaseException) -> ElbertError:
    """The error of this package that a worker raised, or Ray's own error in one line."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ElbertError):
            return cause
        cause = getattr(cause, "cause", None) or cause.__cause__
    last = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return ElbertError(f"the cluster failed ({type(error).__name__}): {last[-1]:.300}")
