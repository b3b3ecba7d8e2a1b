"""The exit study over sets and seeds: each seed examined, seeds pooled, kept as JSON and CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from elbert.errors import ElbertError
from elbert.evaluation.sweep import SLACK, SPEEDUPS
from lab.base import Base
from lab.exits import examined
from lab.linear import published
from lab.places import Places, write_csv
from lab.pooled import pool
from lab.runs import Run
from lab.tables import percent

Record = dict[str, Any]


def study(
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
            found = examined(run, beside, families)
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


def keep(places: Places, found: Record) -> None:
    """Write the record ``exit_study`` and, a line for each set, speed-up and family, ``exit_study.csv``."""
    places.records.write("exit_study", found)
    header = "set speedup policy accuracy sd mean_depth ours_better ours_worse p seeds_won seeds_drawn seeds_lost"
    write_csv(places.results / "exit_study.csv", header.split(), lines(found["sets"]))


def lines(sets: Mapping[str, Record]) -> Iterator[list[Any]]:
    """The lines of the CSV."""
    for name, pooled in sets.items():
        for speedup, cells in pooled["cells"].items():
            for family, cell in cells.items():
                test = cell.get("test")
                against = [test["better"], test["worse"], test["p"], *test["seeds"]] if test else [""] * 6
                accuracy = cell["accuracy"]
                yield [name, speedup, family, accuracy["mean"], accuracy["sd"], cell["mean_depth"]["mean"], *against]


def load(places: Places) -> Record | None:
    """The study as it was kept."""
    return places.records.read("exit_study")


def linear_cell(name: str, linear: Mapping[str, Record]) -> str:
    """The linear baselines of a set: on our rows, and as published on all."""
    ours, theirs = linear.get(name), published().get(name)
    cells = ["–" if ours is None else percent(ours["accuracy"])]
    cells.append("–" if theirs is None else percent(float(theirs["accuracy"])))
    return "; ".join(cells)


__all__ = ["SLACK", "SPEEDUPS", "keep", "linear_cell", "load", "study"]
