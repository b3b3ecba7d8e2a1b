"""The training record of a model folder, ``training.json``: the data that the model has seen, and the run's metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elbert._model_files import read_json
from elbert.data.sketch import Content, TextSketch
from elbert.errors import BundleError

TRAINING_FILE = "training.json"
PARTS = ("train", "validation")
NOTABLE = 0.1  # share of seen texts: short ones, such as "ok", occur twice in most data by chance


@dataclass(frozen=True)
class SeenTexts:
    """The share of some texts that a model was trained or validated on, and the data that has them."""

    share: float
    data: str

    def __str__(self) -> str:
        return (
            f"{self.share:.0%} of these texts are among those that this model was trained or validated on ({self.data})"
        )


def read_record(folder: Path) -> dict[str, Any]:
    """Return the training record; empty for a model that elbert did not train.

    Raises:
        BundleError: there is a file that cannot be read.
    """
    file = folder / TRAINING_FILE
    return read_json(file) if file.is_file() else {}


def find_seen(
    folder: Path, contents: Sequence[Content], sha256: str | None = None, parts: Sequence[str] = PARTS
) -> SeenTexts | None:
    """Return how many of these texts the model of a folder was trained or validated on; None if it is no notable share.

    ``sha256`` is the hash of their file, ``parts`` are those of the record to compare. The texts are compared with the
    sketches of the record; without one, as older versions wrote it, only the same file is found.

    Raises:
        BundleError: the record cannot be read.
    """
    record, found = read_record(folder), list[SeenTexts]()
    for part in parts:
        source = record.get(part)
        if not isinstance(source, dict):
            continue
        share = 1.0 if sha256 is not None and source.get("sha256") == sha256 else 0.0
        try:
            share = max(share, TextSketch.from_hex(source["sketch"]).share(contents) if "sketch" in source else 0.0)
        except (TypeError, ValueError) as error:
            raise BundleError(
                f"{folder / TRAINING_FILE}: the sketch of {part} is not readable ({error}); download or save it again"
            ) from error
        found.append(SeenTexts(share, str(source.get("name"))))
    return max((seen for seen in found if seen.share >= NOTABLE), key=lambda seen: seen.share, default=None)
