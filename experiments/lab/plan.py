"""Plans: which runs are missing, how long they will take by those that were measured, and working them off."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from elbert.errors import ElbertError
from lab.command import print_line
from lab.fit import Machine
from lab.runs import Run

GUESS = 3e-5  # seconds to train a token at one depth: two quiet cores with bfloat16 instructions, before any run
READING = 0.25  # of that for a token that only passes through, as the texts of calibration and test do
OVERHEAD = 15.0  # seconds of a run besides


def work(run: Run) -> float:
    """Tokens times depths that a run trains on, with what it reads afterwards."""
    prepared = run.prepared
    trained = prepared.rows("train") * prepared.data.epochs
    read = prepared.rows("calibration") + prepared.rows("test") + prepared.rows("stopping") * prepared.data.epochs
    return (trained + READING * read) * prepared.tokens() * run.depths


def pace(known: Sequence[tuple[Run, dict[str, Any]]]) -> float:
    """Seconds a unit of work, the median of measured runs; a guess before there is one."""
    return statistics.median(run_pace(run, record) for run, record in known) if known else GUESS


def run_pace(run: Run, record: dict[str, Any]) -> float:
    """Seconds a unit of work of one measured run."""
    return max(float(record["seconds"]) - OVERHEAD, 1.0) / work(run)


def minutes(run: Run, known: Sequence[tuple[Run, dict[str, Any]]], machine: Machine) -> float:
    """How long a run will take: by measured ones with as many threads, and on the same set, where there are some."""
    here = [pair for pair in known if is_like(pair[1]["conditions"], machine)] or known
    same = [pair for pair in here if pair[0].prepared.data.name == run.prepared.data.name]
    return (pace(same or here) * work(run) + OVERHEAD) / 60


def is_like(conditions: dict[str, Any], machine: Machine) -> bool:
    """Whether a run was made on as many threads of the same kind of device."""
    threads = machine.threads or torch.get_num_threads()
    return bool(conditions["device"] == machine.device and conditions["machine"]["torch threads"] == threads)


def find_finished(runs: Sequence[Run]) -> list[tuple[Run, dict[str, Any]]]:
    """The finished ones, with their records."""
    return [(run, record) for run in runs if (record := run.record()) is not None]


def print_plan(runs: Sequence[Run], missing: Sequence[Run], machine: Machine) -> None:
    """Print the missing runs and how long each will take."""
    known = find_finished(runs)
    each = [minutes(run, known, machine) for run in missing]
    for run, estimate in zip(missing, each, strict=True):
        print_line(f"{run.name:<32} {estimate:6.1f} min")
    by = f"by {len(known)} measured runs" if known else "a guess: no run was measured yet"
    print_line(
        f"{len(runs) - len(missing)} of {len(runs)} runs are there; the rest takes {sum(each):.0f} minutes ({by})"
    )


def make_missing(
    runs: Sequence[Run],
    lacking: Callable[[Run], bool],
    limit: float | None,
    machine: Machine,
    make: Callable[[Run], dict[str, Any]],
) -> int:
    """Make missing runs in order, as long as the next one is likely to end within ``limit`` minutes.

    Returns how many are still missing; one that fails, or that another process is making, is reported and skipped.
    The first is always started, or a small limit would never make progress.
    """
    begun, number = time.monotonic(), 0
    for run in filter(lacking, runs):  # checked when its turn comes: another process may have made it meanwhile
        elapsed = (time.monotonic() - begun) / 60
        estimate = minutes(run, find_finished(runs), machine)
        if limit is not None and number and elapsed + estimate > limit:
            print_line(
                f"stopped after {elapsed:.1f} minutes: {run.name} would take {estimate:.1f} more; run the command again"
            )
            break
        try:
            record = make(run)
        except ElbertError as error:
            print_line(f"{run.name}: {error}")
            continue
        number += 1
        print_line(f"{run.name}: {record['seconds'] / 60:.1f} min, area {record['test']['area']:.4f}")
    return sum(map(lacking, runs))
