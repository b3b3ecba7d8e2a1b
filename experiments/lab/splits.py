"""Splits: every text in one part, decided by the texts alone and the same on every machine.

``train`` trains; ``stopping`` chooses the checkpoint; ``calibration`` chooses dials and bears certificates, and is used
for nothing else; ``test`` is reported. Stopping and calibration are cut from training data. No text is in two parts,
whatever its case and spaces: what a test has too (some sets are published so) leaves the others.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from elbert.errors import DataError
from lab.places import ROOT
from lab.sets import DataSet

Row = Mapping[str, Any]
PARTS = ("train", "stopping", "calibration", "test")
SEED = 0


def key(row: Row) -> str:
    """What makes two rows the same text."""
    return "\n".join(" ".join(str(row[name]).lower().split()) for name in ("text", "text_pair") if name in row)


def cut(data: DataSet, train: Sequence[Row], test: Sequence[Row]) -> dict[str, list[Row]]:
    """The four parts of a set, shuffled, from its training and its test rows.

    Raises:
        DataError: there are too few texts for what is to be held out.
    """
    tested = {key(row) for row in test}
    left = [row for row in train if key(row) not in tested]
    drawn, gone = (by_sentence if data.by_sentence else by_text)(left, data.stopping + data.calibration)
    parts = {
        "train": shuffled([row for row in left if not gone(row)])[: data.most_train],
        "stopping": drawn[: data.stopping],
        "calibration": drawn[data.stopping :],
        "test": shuffled(test)[: data.most_test],
    }
    check(data.name, parts)
    return parts


def by_text(rows: Sequence[Row], count: int) -> tuple[list[Row], Callable[[Row], bool]]:
    """Distinct texts drawn at random, and what tells the rows that must leave the training part for them."""
    first = {key(row): row for row in reversed(rows)}
    drawn = draw(sorted(first), count)
    held = set(drawn)
    return [first[each] for each in drawn], lambda row: key(row) in held


def by_sentence(rows: Sequence[Row], count: int) -> tuple[list[Row], Callable[[Row], bool]]:
    """Whole sentences drawn at random; every row that is words of a drawn sentence, and of no other, must leave."""
    cutter = held_out()
    first = {key(row): row for row in reversed(rows)}
    sentences = cutter.maximal(sorted(first))
    drawn = draw([s for s in sentences if len(s.split()) >= cutter.SHORTEST], count)
    held = set(drawn)
    kept: set[str] = set().union(*(cutter.word_runs(s) for s in sentences if s not in held))
    gone = set().union(*(cutter.word_runs(s) for s in drawn)) - kept
    return [first[each] for each in drawn], lambda row: key(row) in gone


def draw(keys: Sequence[str], count: int) -> list[str]:
    """So many of the keys, at random.

    Raises:
        DataError: there are not twice as many, and training needs some too.
    """
    if len(keys) < 2 * count:
        raise DataError(f"{len(keys)} distinct texts are too few to hold out {count}; lower it in the table of sets")
    return random.Random(SEED).sample(list(keys), count)


def shuffled(rows: Sequence[Row]) -> list[Row]:
    """The rows in another order: several sets are sorted by class."""
    return random.Random(SEED).sample(list(rows), len(rows))


def check(name: str, parts: Mapping[str, Sequence[Row]]) -> None:
    """Hold the parts to what is promised of them.

    Raises:
        DataError: a text is in two parts, or a part is empty.
    """
    keys = {part: {key(row) for row in rows} for part, rows in parts.items()}
    for i, part in enumerate(PARTS):
        if not keys[part]:
            raise DataError(f"{name}: the part {part} is empty")
        for other in PARTS[i + 1 :]:
            if both := keys[part] & keys[other]:
                raise DataError(f"{name}: {len(both)} texts are in {part} and in {other}, among them {min(both)!r:.80}")


@cache
def held_out() -> Any:
    """``recipes/held_out.py``, whose cut of SST-2 the bundled model was made with."""
    spec = importlib.util.spec_from_file_location("held_out", ROOT / "recipes" / "held_out.py")
    if spec is None or spec.loader is None:
        raise DataError("recipes/held_out.py is missing; restore it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
