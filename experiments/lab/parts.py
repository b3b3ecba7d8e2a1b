"""The fixed parts of a set: every text is in one part, decided by the texts alone and the same on every machine.

``train`` trains; ``stopping`` chooses the checkpoint; ``calibration`` chooses dials and certifies, and is used for
nothing else; ``test`` is reported. Stopping and calibration are cut from training data. No text is in two parts,
whatever its case and spaces: a text that is also in the test part (some sets are published so) is removed from the
others. The parts are parquet files in the work folder, with a manifest of what they hold."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from elbert.bundle.certificate import files_hash
from elbert.errors import DataError
from lab.places import ROOT, Places, read_record, write_record
from lab.sets import DataSet

VERSION = 1


@dataclass(frozen=True)
class Prepared:
    """A set's parts as files, its label names, and its manifest."""

    data: DataSet
    folder: Path
    manifest: dict[str, Any]

    @property
    def labels(self) -> list[str]:
        """Names in index order."""
        return list(self.manifest["labels"])

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each part's rows, which no parquet writer's version changes."""
        return {part: self.manifest["parts"][part]["sha256"] for part in PARTS}

    def file(self, part: str) -> Path:
        """The parquet file of a part."""
        return self.folder / f"{part}.parquet"

    def rows(self, part: str) -> int:
        """How many texts a part has."""
        return int(self.manifest["parts"][part]["rows"])

    def tokens(self) -> float:
        """About how many tokens a training text has, from its words: for plans, not for reports."""
        return min(1.35 * float(self.manifest["parts"]["train"]["words"]) + 2, self.data.max_length)


def prepare(data: DataSet, places: Places) -> Prepared:
    """The set's parts, cut now or earlier; a cut of other data, or by other rules, is made again.

    Raises:
        DataError: the set is not there, or is too small.
    """
    folder, source = places.work / "data" / data.name, places.data / data.name
    manifest = read_record(folder / "manifest.json")
    about = {"version": VERSION, "cut": data.cut, "source": source_hash(source)}
    if manifest is None or any(manifest.get(name) != value for name, value in about.items()):
        manifest = about | write_parts(data, source, folder)
        write_record(folder / "manifest.json", manifest)  # last: it marks all the others as complete
    return Prepared(data, folder, manifest)


def source_hash(source: Path) -> str:
    """SHA-256 of the published files."""
    files = sorted([*source.glob("*.parquet"), *source.glob("labels.json"), *source.glob("folds.json")])
    if not files:
        raise DataError(f"{source}: no such data set; --data-dir names the folder that holds the sets")
    return files_hash(files)


def write_parts(data: DataSet, source: Path, folder: Path) -> dict[str, Any]:
    """Cut and write; returns its part of the manifest."""
    labels = json.loads((source / "labels.json").read_text(encoding="utf-8"))
    train, test = published(data, source)
    parts = cut(data, train, test)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part, rows in parts.items():
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        columns["label"] = pa.array(columns["label"], pa.int32())
        pq.write_table(pa.table(columns), folder / f"{part}.parquet")
    write_record(folder / "labels.json", labels)
    return {
        "labels": labels,
        "published": {"train": len(train), "test": len(test)},
        "parts": {part: about(rows) for part, rows in parts.items()},
    }


def published(data: DataSet, source: Path) -> tuple[list[Row], list[Row]]:
    """Training and test rows as published, without what their classes do not need."""
    rows = pq.read_table(source / "train.parquet").to_pylist()
    if data.test != "fold 0":
        return rows, pq.read_table(source / f"{data.test}.parquet").to_pylist()
    first = set(json.loads((source / "folds.json").read_text(encoding="utf-8"))["folds"][0])
    return [r for i, r in enumerate(rows) if i not in first], [rows[i] for i in sorted(first)]


def about(rows: Sequence[Row]) -> dict[str, Any]:
    """Size, mean words and hash of a part."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True).encode() + b"\n")
    words = sum(len(str(row[name]).split()) for row in rows for name in ("text", "text_pair") if name in row)
    return {"rows": len(rows), "words": round(words / len(rows), 2), "sha256": digest.hexdigest()}


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
    allowed = [row for row in train if key(row) not in tested]
    drawn, is_removed = (sample_sentences if data.by_sentence else sample_texts)(
        allowed, data.stopping + data.calibration
    )
    parts = {
        "train": shuffle([row for row in allowed if not is_removed(row)])[: data.most_train],
        "stopping": drawn[: data.stopping],
        "calibration": drawn[data.stopping :],
        "test": shuffle(test)[: data.most_test],
    }
    check(data.name, parts)
    return parts


def sample_texts(rows: Sequence[Row], count: int) -> tuple[list[Row], Callable[[Row], bool]]:
    """Distinct texts drawn at random, and a test for the rows that must be removed from training for them."""
    first = {key(row): row for row in reversed(rows)}
    drawn = sample_keys(sorted(first), count)
    held = set(drawn)
    return [first[each] for each in drawn], lambda row: key(row) in held


def sample_sentences(rows: Sequence[Row], count: int) -> tuple[list[Row], Callable[[Row], bool]]:
    """Whole sentences drawn at random; every row that is words of a drawn sentence, and of no other, is removed."""
    cutter = load_held_out()
    first = {key(row): row for row in reversed(rows)}
    sentences = cutter.maximal(sorted(first))
    drawn = sample_keys([s for s in sentences if len(s.split()) >= cutter.SHORTEST], count)
    held = set(drawn)
    kept: set[str] = set().union(*(cutter.word_runs(s) for s in sentences if s not in held))
    removed = set().union(*(cutter.word_runs(s) for s in drawn)) - kept
    return [first[each] for each in drawn], lambda row: key(row) in removed


def sample_keys(keys: Sequence[str], count: int) -> list[str]:
    """So many of the keys, at random.

    Raises:
        DataError: there are not twice as many, and training needs some too.
    """
    if len(keys) < 2 * count:
        raise DataError(f"{len(keys)} distinct texts are too few to hold out {count}; lower it in the table of sets")
    return random.Random(SEED).sample(list(keys), count)


def shuffle(rows: Sequence[Row]) -> list[Row]:
    """The rows in another order: several sets are sorted by class."""
    return random.Random(SEED).sample(list(rows), len(rows))


def check(name: str, parts: Mapping[str, Sequence[Row]]) -> None:
    """Check that no part is empty and no text is in two parts.

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
def load_held_out() -> Any:
    """``recipes/held_out.py``, whose cut of SST-2 the bundled model was made with."""
    spec = importlib.util.spec_from_file_location("held_out", ROOT / "recipes" / "held_out.py")
    if spec is None or spec.loader is None:
        raise DataError("recipes/held_out.py is missing; restore it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
