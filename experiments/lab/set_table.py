"""The table of one run of a set: full depth, fixed depths, policies at some speed-ups, certificates, baselines."""

from __future__ import annotations

from collections import Counter
from typing import Any

from elbert.errors import DataError
from lab import exit_tables
from lab.pooling import pool
from lab.report import report
from lab.runs import Run, is_base_trained_on
from lab.selection import choose
from lab.tables import percent

SPEEDUPS = (2.0, 3.0, 5.0, 10.0)


def build_set_table(run: Run, linear: dict[str, Any]) -> str:
    """The table of a finished run in Markdown; dials are chosen on the calibration part, all figures are of the test.

    Raises:
        DataError: the run's outputs are not on this machine.
    """
    calibration, test = run.outputs("calibration"), run.outputs("test")
    if calibration is None or test is None:
        raise DataError(f"{run.name}: its outputs are not on this machine; run.py --again makes them")
    data = run.prepared.data
    about = {"kind": data.kind, "saw_this_set": is_base_trained_on(run), "seed": run.seed}
    pooled = pool([about | report(choose(calibration, None, SPEEDUPS), test, {})])
    most = max(Counter(test.labels.tolist()).values()) / len(test)
    parts = ", ".join(f"{part} {run.prepared.rows(part):,}" for part in ("train", "stopping", "calibration", "test"))
    return "\n\n".join(
        (
            f"# {data.name}",
            f"Base {run.base.key}, {run.variant.name}, seed {run.seed}, {data.epochs:g} epochs at {data.rate:g}, "
            f"at most {data.max_length} tokens; texts: {parts}. The test is the part `{data.test}`; it chose nothing.",
            f"Full depth {percent(pooled['full']['mean'])}, linear SVM on the same rows {percent(linear['accuracy'])}, "
            f"largest class {percent(most)}.",
            "## Fixed depths",
            exit_tables.depths_table(pooled),
            "## Exits",
            exit_tables.HOW,
            exit_tables.families_table(pooled, percent(linear["accuracy"])),
            "## Certificates: promised, and held on the test",
            exit_tables.promises_table({data.name: pooled}),
        )
    )
