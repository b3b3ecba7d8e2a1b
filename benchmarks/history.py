"""Ratios of quick benchmarks: kept ones to compare with, and a line in a table for each that was measured.

``kept_ratios.json`` has the ratios of a release by machine; ``history.csv`` has every ratio that was ever measured. A
ratio against peers is compared only with one against the same peers.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FALL = 0.15  # share of a kept ratio by which a new one may be lower
COLUMNS = ("date", "commit", "machine", "versions", "name", "against", "ratio")


@dataclass(frozen=True)
class Ratio:
    """How many times faster we are; ``against`` names those we are compared with, in any order."""

    name: str
    value: float
    against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where and with what ratios were measured."""

    date: str
    commit: str
    machine: str
    versions: str


@dataclass(frozen=True)
class Comparison:
    """A ratio beside the kept one; ``kept`` is None where there is none to compare with, and ``reason`` is why."""

    ratio: Ratio
    kept: float | None
    reason: str = ""

    @property
    def has_fallen(self) -> bool:
        """Whether the ratio is lower than the kept one by more than :data:`FALL`."""
        return self.kept is not None and self.ratio.value < (1 - FALL) * self.kept

    def __str__(self) -> str:
        beside = self.reason if self.kept is None else f"kept {self.kept:.2f}, {self.ratio.value / self.kept - 1:+.0%}"
        return f"{self.ratio.name:<46} {self.ratio.value:6.2f}  ({beside}){'  FALLEN' if self.has_fallen else ''}"


def compare(ratios: Iterable[Ratio], kept: Mapping[str, Ratio]) -> list[Comparison]:
    """Every ratio beside the kept one of its name."""
    found = []
    for ratio in ratios:
        before = kept.get(ratio.name)
        if before is None:
            found.append(Comparison(ratio, None, "nothing kept for this machine"))
        elif set(before.against) != set(ratio.against):
            others = ", ".join(before.against) or "no peer"
            found.append(Comparison(ratio, None, f"not comparable: the kept one is against {others}"))
        else:
            found.append(Comparison(ratio, before.value))
    return found


def better(first: Sequence[Ratio], second: Sequence[Ratio]) -> list[Ratio]:
    """The higher of two measurements of each ratio: what disturbs a measurement only lowers it or raises it by chance,
    and a ratio counts as fallen only if it is low twice."""
    again = {ratio.name: ratio for ratio in second}
    return [max(ratio, again.get(ratio.name, ratio), key=lambda each: each.value) for ratio in first]


def read_kept(path: Path, machine: str) -> dict[str, Ratio]:
    """The kept ratios of a machine, by name; empty where none are kept."""
    if not path.exists():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8")).get(machine, {}).get("ratios", [])
    return {entry["name"]: Ratio(entry["name"], entry["value"], tuple(entry["against"])) for entry in entries}


def keep_ratios(path: Path, source: Source, ratios: Sequence[Ratio]) -> None:
    """Replace the kept ratios of a machine; those of other machines stay."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[source.machine] = {
        "date": source.date,
        "commit": source.commit,
        "versions": source.versions,
        "ratios": [asdict(ratio) | {"value": round(ratio.value, 3)} for ratio in ratios],
    }
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def append_history(path: Path, source: Source, ratios: Iterable[Ratio]) -> None:
    """Add a line for each ratio; the first line of the file names the columns."""
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        for ratio in ratios:
            row = {"name": ratio.name, "against": "; ".join(sorted(ratio.against)), "ratio": f"{ratio.value:.3f}"}
            writer.writerow(asdict(source) | row)
