"""What a way to train is worth with exits: ours at every speed-up, dials of the run's own calibration part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elbert.evaluation.sweep import Trials
from lab.choosing import near
from lab.places import read_record, write_record
from lab.reporting import key, told
from lab.runs import Run


def early_file(run: Run) -> Path:
    """Where it is kept."""
    return run.places.results / "early" / run.base.key / f"{run.name}.json"


def early(run: Run) -> dict[str, Any]:
    """By speed-up, policy, accuracy and mean depth; empty where the outputs are not here and were not read before."""
    record, known = run.record(), read_record(early_file(run))
    if record is None or run.variant.plain:
        return {}
    if known is not None and known["outputs"] == record["outputs"]:
        return dict(known["speedups"])
    calibration, test = run.outputs("calibration"), run.outputs("test")
    if calibration is None or test is None:
        return {}
    trials = Trials(test)
    found = {key(speedup): told(trials, policy) for speedup, policy in near(calibration).items()}
    write_record(early_file(run), {"outputs": record["outputs"], "speedups": found})
    return found
