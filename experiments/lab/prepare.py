"""From the published sets to the parts in the work folder, with a manifest of what they hold."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from elbert.bundle.certificate import files_hash
from elbert.errors import DataError
from lab.places import Places, read_record, write_record
from lab.sets import DataSet
from lab.splits import PARTS, Row, cut

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
        write_record(folder / "manifest.json", manifest)  # last: it says that all the others are whole
    return Prepared(data, folder, manifest)


def source_hash(source: Path) -> str:
    """SHA-256 of the published files."""
    files = sorted([*source.glob("*.parquet"), *source.glob("labels.json"), *source.glob("folds.json")])
    if not files:
        raise DataError(f"{source}: no such data set; --data-dir names the folder that holds the sets")
    return files_hash(files)


def write_parts(data: DataSet, source: Path, folder: Path) -> dict[str, Any]:
    """Cut and write; returns what the manifest says of it."""
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
