"""The folders of the experiments, and files that are written completely or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elbert._atomic import open_atomic
from elbert.errors import InputError
from lab.records import Records

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Places:
    """``data``: the sets as published; ``work``: what can be made again, untracked; ``results``: what is kept."""

    data: Path = ROOT.parent / "shared" / "data"
    work: Path = ROOT / "experiments" / "work"
    results: Path = ROOT / "experiments" / "results"

    @property
    def records(self) -> Records:
        """What was measured, as records by name."""
        return Records(self.results)


def read_record(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is none, or the file is damaged: then it is made again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all, in a folder that need not be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_atomic(path) as out:
        out.write(text)


def write_record(path: Path, values: Any) -> None:
    """Write a JSON file, whole or not at all, in the same form every time."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


@contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes that would do the same work; the lock ends with the process.

    Raises:
        InputError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".claimed").open("a") as file:
        if os.name == "posix":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(f"{folder}: another process is at work on it; wait, or choose another run") from error
        yield


def public_path(path: Path) -> str:
    """A path for a record that others read: relative to the repository, or only its name."""
    full = path.resolve()
    return str(full.relative_to(ROOT)) if full.is_relative_to(ROOT) else full.name
