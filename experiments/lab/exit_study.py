"""The exit study: one seed (choose on its calibration outputs, report on its test outputs), then all sets and seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from elbert.errors import DataError, ElbertError
from elbert.evaluation import Outputs
from lab.linear import published
from lab.places import Places, write_csv
from lab.pooling import pool
from lab.report import report
from lab.runs import Base, Run
from lab.selection import choose
from lab.tables import percent

Record = dict[str, Any]


def run_study(
    ours: Sequence[Run],
    alone: Sequence[Run],
    families: Sequence[str] | None,
    variant: str,
    start: Base,
    print_line: Callable[[str], None],
) -> Record:
    """Every set of which a seed is there; seeds whose outputs are not on this machine are reported and skipped."""
    seeds: dict[str, list[Record]] = {}
    for run in ours:
        name = run.prepared.data.name
        beside = [other for other in alone if other.prepared is run.prepared and other.seed == run.seed]
        try:
            found = examine(run, beside, families)
        except ElbertError as error:
            print_line(f"{run.name}: {error}")
            continue
        if found is not None:
            seeds.setdefault(name, []).append(found)
        elif run.record() is not None:
            print_line(f"{run.name}: its outputs are not on this machine; run.py --outputs makes them again")
    sets = {name: pool(found) for name, found in seeds.items()}
    seed_numbers = sorted({run.seed for run in ours})
    return {"base": start.key, "depths": start.depths, "variant": variant, "seeds": seed_numbers, "sets": sets}


def save_study(places: Places, found: Record) -> None:
    """Write the record ``exit_study`` and, a line for each set, speed-up and family, ``exit_study.csv``."""
    places.records.write("exit_study", found)
    header = "set speedup policy accuracy sd mean_depth ours_better ours_worse p seeds_won seeds_drawn seeds_lost"
    write_csv(places.results / "exit_study.csv", header.split(), csv_rows(found["sets"]))


def csv_rows(sets: Mapping[str, Record]) -> Iterator[list[Any]]:
    """The lines of the CSV."""
    for name, pooled in sets.items():
        for speedup, cells in pooled["cells"].items():
            for family, cell in cells.items():
                test = cell.get("test")
                against = [test["better"], test["worse"], test["p"], *test["seeds"]] if test else [""] * 6
                accuracy = cell["accuracy"]
                yield [name, speedup, family, accuracy["mean"], accuracy["sd"], cell["mean_depth"]["mean"], *against]


def load_study(places: Places) -> Record | None:
    """The study as it was kept."""
    return places.records.read("exit_study")


def linear_cell(name: str, linear: Mapping[str, Record]) -> str:
    """The linear baselines of a set: on our rows, and as published on all."""
    ours, theirs = linear.get(name), published().get(name)
    cells = ["–" if ours is None else percent(ours["accuracy"])]
    cells.append("–" if theirs is None else percent(float(theirs["accuracy"])))
    return "; ".join(cells)


VERSION = 3


def study_name(run: Run) -> str:
    """The name of the record of a seed's exit study."""
    return f"exits/{run.base.key}/{run.name}"


def examine(run: Run, alone: Sequence[Run], families: Sequence[str] | None) -> dict[str, Any] | None:
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
    check_same_texts(run, test, there)
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


def needs_run(run: Run, ours: Run) -> bool:
    """Whether a run must be made, or made again, for the study of ``ours``: itself, or a classifier trained alone.

    Where its outputs were studied already, its record is enough: a fresh clone has no outputs.
    """
    record, studied = run.record(), ours.places.records.read(study_name(ours))
    if record is None:
        return True
    of = {} if studied is None else studied.get("of", {})
    seen = of.get("alone", {}).get(str(run.depths)) if run.variant.plain else of.get("outputs", {}).get("test")
    return seen != record["outputs"]["test"] and not run.has_outputs


def check_same_texts(run: Run, test: Outputs, plain: Mapping[int, Outputs]) -> None:
    """Check that outputs which are compared text by text are of the same texts.

    Raises:
        DataError: labels or lengths differ.
    """
    for depths, outputs in plain.items():
        same = len(outputs) == len(test) and bool((outputs.labels == test.labels).all())
        if not same or not bool((outputs.tokens == test.tokens).all()):
            raise DataError(
                f"{run.name}: plain-{depths} was run over other test texts; make it again with run.py --again"
            )
