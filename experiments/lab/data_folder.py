"""A data set that is a folder: what the table of sets says of the known ones is derived from its files.

The folder has ``train.parquet`` (columns ``text``, ``label``, and ``text_pair`` for pairs), ``labels.json`` (names in
index order), and one test: ``test.parquet``, or ``validation.parquet`` where there is no test, or ``folds.json``, whose
first fold is the test.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from elbert.errors import DataError
from lab.sets import DataSet, Kind

STEPS = 400  # that training takes at least, as long as no text is seen more than MOST_EPOCHS times
MOST_EPOCHS, FEWEST_EPOCHS = 8, 2
MANY_CLASSES = 30  # from here on twice the epochs, at twice the rate: each class has few texts
TRAIN_TOKENS = 1_500_000  # seen in training at most, so that a run is minutes on two cores
TEST_TOKENS = 1_000_000
LONGEST = 256  # tokens
PIECES = 1.35  # tokens of a word
LONG = 100  # words from which a text is a document


def describe_folder(folder: Path) -> DataSet:
    """The set in a folder, with sizes of its parts, lengths and epochs by rules that look at no test text.

    Raises:
        DataError: the folder lacks a file or column, or its labels are no classes.
    """
    train = read_columns(folder / "train.parquet")
    check_labels(folder, train)
    names = [name for name in ("text", "text_pair") if name in train.column_names]
    texts = zip(*(train[name].to_pylist() for name in names), strict=True)
    words = np.array([sum(len(str(part).split()) for part in row) for row in texts])
    test = find_test(folder)
    rows = len(words) - (count_fold(folder) if test == "fold 0" else 0)
    max_length = 16 * math.ceil((PIECES * float(np.quantile(words, 0.98)) + len(names) + 1) / 16)
    max_length = min(max(max_length, 32), LONGEST)
    tokens = min(PIECES * float(words.mean()) + 3, max_length)
    stopping, calibration = min(max(rows // 12, 20), 500), min(max(rows // 6, 40), 1000)
    trained, batch = rows - stopping - calibration, 32
    epochs = min(max(math.ceil(STEPS * batch / max(trained, 1)), FEWEST_EPOCHS), MOST_EPOCHS)
    many = len(read_labels(folder)) >= MANY_CLASSES
    epochs *= 2 if many else 1
    return DataSet(
        folder.resolve().name,
        find_kind(names, float(words.mean())),
        test,
        stopping,
        calibration,
        max_length,
        epochs=float(epochs),
        rate=2e-4 if many else 1e-4,
        batch=batch,
        most_train=cap(trained, TRAIN_TOKENS / epochs / tokens),
        most_test=math.ceil(TEST_TOKENS / tokens),
    )


def find_kind(names: list[str], words: float) -> Kind:
    """What a text is, by its columns and mean number of words."""
    return "pair" if "text_pair" in names else "document" if words > LONG else "sentence"


def cap(rows: int, most: float) -> int | None:
    """The most rows to train on; None where all may be."""
    return None if rows <= most else int(most)


def read_columns(file: Path) -> pa.Table:
    """The columns of a part.

    Raises:
        DataError: the file is missing or lacks a column.
    """
    if not file.is_file():
        raise DataError(f"{file}: missing; a data set is a folder with train.parquet, labels.json and a test part")
    table = pq.read_table(file)
    missing = [name for name in ("text", "label") if name not in table.column_names]
    if missing:
        found = ", ".join(table.column_names)
        raise DataError(f"{file}: expected a column {missing[0]!r}, found {found}; only texts with classes can be run")
    return table


def read_labels(folder: Path) -> list[str]:
    """The names of the classes.

    Raises:
        DataError: there are none.
    """
    file = folder / "labels.json"
    try:
        names = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: expected a list of class names ({error!s:.200})") from error
    if not isinstance(names, list) or len(names) < 2 or not all(isinstance(name, str) for name in names):
        raise DataError(f"{file}: expected a list of two or more class names")
    return names


def check_labels(folder: Path, train: pa.Table) -> None:
    """Check that the labels of the training part are indices of the named classes.

    Raises:
        DataError: they are not.
    """
    kind = train.schema.field("label").type
    if not pa.types.is_integer(kind):
        raise DataError(f"{folder / 'train.parquet'}: expected whole numbers as labels, found {kind}")
    classes, found = len(read_labels(folder)), train["label"].to_numpy()
    if len(found) == 0 or found.min() < 0 or found.max() >= classes:
        raise DataError(
            f"{folder / 'train.parquet'}: expected labels from 0 to {classes - 1}, as labels.json has names"
        )


def find_test(folder: Path) -> str:
    """Which part is the test.

    Raises:
        DataError: there is none.
    """
    for part in ("test", "validation"):
        if (folder / f"{part}.parquet").is_file():
            return part
    if (folder / "folds.json").is_file():
        return "fold 0"
    raise DataError(f"{folder}: no test; expected test.parquet, validation.parquet or folds.json")


def count_fold(folder: Path) -> int:
    """How many texts the first fold has."""
    return len(json.loads((folder / "folds.json").read_text(encoding="utf-8"))["folds"][0])
