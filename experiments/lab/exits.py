"""The exit study of one seed: choose on its calibration outputs, report on its test outputs, keep the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from elbert.errors import DataError
from elbert.evaluation import Outputs
from lab.choosing import choose
from lab.reporting import report
from lab.runs import Run

VERSION = 3


def study_name(run: Run) -> str:
    """The name of the record of a seed's exit study."""
    return f"exits/{run.base.key}/{run.name}"


def examined(run: Run, alone: Sequence[Run], families: Sequence[str] | None) -> dict[str, Any] | None:
    """The exit study of a run, with the classifiers trained alone of the same set and seed that are finished.

    Made again only if it is of other outputs. None where the run, or its outputs on this machine, are missing.

    Raises:
        DataError: the classifiers trained alone were run over other texts.
    """
    record = run.record()
    if record is None:
        return None
    finished = {other.depths: found for other in alone if (found := other.record()) is not None}
    of = {
        "version": VERSION,
        "outputs": record["outputs"],
        "alone": {str(k): found["outputs"]["test"] for k, found in sorted(finished.items())},
        "families": families and list(families),
    }
    known = run.places.records.read(study_name(run))
    if known is not None and known.get("of") == of:
        return known
    calibration, test = run.outputs("calibration"), run.outputs("test")
    plain = {other.depths: other.outputs("test") for other in alone if other.depths in finished}
    if calibration is None or test is None or any(outputs is None for outputs in plain.values()):
        return known if known is not None and known.get("of", {}).get("outputs") == record["outputs"] else None
    there = {k: outputs for k, outputs in plain.items() if outputs is not None}
    same_texts(run, test, there)
    about = {
        "of": of,
        "set": run.prepared.data.name,
        "kind": run.prepared.data.kind,
        "variant": run.variant.name,
        "seed": run.seed,
        "base": run.base.key,
        "saw_this_set": record["base"]["saw_this_set"],
    }
    found = about | report(choose(calibration, families), test, there)
    run.places.records.write(study_name(run), found)
    return found


def lacking(run: Run, ours: Run) -> bool:
    """Whether a run must be made, or made again, for the study of ``ours``: itself, or a classifier trained alone.

    Where its outputs were studied already, its record is enough: a fresh clone has no outputs.
    """
    record, studied = run.record(), ours.places.records.read(study_name(ours))
    if record is None:
        return True
    of = {} if studied is None else studied.get("of", {})
    seen = of.get("alone", {}).get(str(run.depths)) if run.variant.plain else of.get("outputs", {}).get("test")
    return seen != record["outputs"]["test"] and not run.has_outputs


def same_texts(run: Run, test: Outputs, plain: Mapping[int, Outputs]) -> None:
    """Hold the outputs that are compared text by text to the same texts.

    Raises:
        DataError: labels or lengths differ.
    """
    for depths, outputs in plain.items():
        same = len(outputs) == len(test) and bool((outputs.labels == test.labels).all())
        if not same or not bool((outputs.tokens == test.tokens).all()):
            raise DataError(
                f"{run.name}: plain-{depths} was run over other test texts; make it again with run.py --again"
            )
