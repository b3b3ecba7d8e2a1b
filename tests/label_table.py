"""The tables of ``docs/reference/labels.md`` as test cases, and files of every format that hold their labels."""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from elbert.data import Example

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "labels.md"
PROBLEMS = {
    "one label": "single_label_classification",
    "several labels": "multi_label_classification",
    "number": "regression",
}
NAMES = ("negative", "neutral", "positive")
FORMATS = ("csv", "tsv", "jsonl", "parquet")


@dataclass(frozen=True)
class Case:
    """A row of a table: values, the names of the model if they are known, and what the values mean.

    ``meaning`` is a string where they are an error that contains it, else a set of names or a number; for the rows of a
    training file a tuple of these.
    """

    problem: str
    values: tuple
    names: tuple[str, ...] | None
    meaning: object
    line: int

    def __str__(self):
        return f"line {self.line}, {self.problem}, {json.dumps(self.values)}"


def tables(heading):
    """The cells of a section's table, with the line of each row."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index(f"## {heading}")
    end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("## ")), len(lines))
    rows = [(i + 1, line) for i, line in enumerate(lines[start:end], start) if line.startswith("|")]
    for number, line in rows[2:]:
        yield number, [part.strip().replace("\\|", "|") for part in re.split(r"(?<!\\)\|", line)[1:-1]]


def codes(cell):
    """The parts of a cell in backticks, which are nothing but separated by commas."""
    assert re.fullmatch(r"(`[^`]+`(, )?)*", cell), cell
    return tuple(re.findall(r"`([^`]+)`", cell))


def values(cell):
    """The JSON values of a cell."""
    return tuple(json.loads(code) for code in codes(cell))


def meaning(cell, problem):
    """What one value means: the text of an error, a number, or a set of names."""
    if cell.startswith("error: "):
        return cell.removeprefix("error: ")
    if problem == "regression":
        return float(codes(cell)[0])
    return frozenset(() if cell == "none" else codes(cell))


def value_cases():
    """A case for each line and task: every value has the same meaning, alone in a file."""
    found = []
    for line, (cell, *cells) in tables("Values"):
        for problem, text in zip(PROBLEMS.values(), cells, strict=True):
            one = meaning(text, problem)
            found.append(Case(problem, values(cell), NAMES, one, line))
    for line, (names, cell, text) in tables("Names that are numbers or booleans"):
        problem = PROBLEMS["one label"]
        found.append(Case(problem, values(cell), codes(names), meaning(text, problem), line))
    return found


def file_cases():
    """A case for each training file: its names are collected, and its rows are read with them."""
    found = []
    for line, (task, cell, names, rows) in tables("Label names of a training file"):
        problem = PROBLEMS[task]
        if names.startswith("error: "):
            found.append(Case(problem, values(cell), None, names.removeprefix("error: "), line))
        else:
            each = tuple(meaning(row, problem) for row in rows.split("; "))
            found.append(Case(problem, values(cell), codes(names), each, line))
    return found


def write_file(form, folder, labels):
    """A file of texts with these labels; None if the format cannot hold them."""
    path = folder / f"data.{form}"
    if form in ("csv", "tsv"):
        if any(isinstance(label, dict | None) for label in labels):
            return None
        cells = [str(label) if isinstance(label, str | float) else json.dumps(label) for label in labels]
        plain = {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None} if form == "tsv" else {}
        with path.open("w", newline="", encoding="utf-8") as out:
            csv.writer(out, **plain).writerows([("text", "label"), *(("a film", cell) for cell in cells)])
    elif form == "jsonl":
        lines = [json.dumps({"text": "a film", "label": label}) for label in labels]
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        pa = pytest.importorskip("pyarrow")
        try:
            column = pa.array(labels)
        except pa.ArrowException:  # a column has one type
            return None
        write_parquet(path, column)
    return str(path)


def write_parquet(path, column):
    """Write a file with this column of labels, and return whether parquet has its type."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    try:
        parquet.write_table(pa.table({"text": ["a film"] * len(column), "label": column}), path)
    except NotImplementedError:
        return False
    return True


def python_forms(value):
    """A value as Python programs hold it: plain, and from numpy."""
    if isinstance(value, dict | None):
        return [value]
    if not isinstance(value, list):
        return [value, np.array(value), np.array([value])[0]]
    is_uniform = len({type(item) for item in value}) < 2 and not any(isinstance(item, list | None) for item in value)
    return [value, tuple(value), *([np.array(value)] if is_uniform else ())]


def arrow_columns(label):
    """A column of one label for every arrow type that holds it unchanged."""
    pa = pytest.importorskip("pyarrow")
    scalars = [
        *(pa.bool_(), pa.int8(), pa.uint16(), pa.int64(), pa.float16(), pa.float32(), pa.float64()),
        *(pa.decimal128(12, 2), pa.decimal256(40, 3), pa.string(), pa.large_string(), pa.string_view(), pa.binary()),
    ]
    if isinstance(label, list):
        makes = (pa.list_, pa.large_list, lambda kind: pa.list_(kind, len(label) or -1))
        kinds = [make(kind) for kind in scalars for make in makes]
    else:
        kinds = [*scalars, *(pa.dictionary(pa.int32(), kind) for kind in (pa.string(), pa.int64()))]
    found = []
    for kind in kinds:
        try:
            column = pa.array([label], kind)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            continue
        kept = column.to_pylist()[0]
        if kept == label and pa.types.is_boolean(kind) == isinstance(label, bool):
            found.append(column)
    return found


def decode(target, names, problem):
    """A target as the table writes it."""
    if problem == "regression":
        return target
    if problem == "multi_label_classification":
        assert set(target) <= {0.0, 1.0} and len(target) == len(names)
        return frozenset(name for name, is_chosen in zip(names, target, strict=True) if is_chosen)
    return frozenset([names[target]])


def as_example(label):
    """A row of a file."""
    return Example("a film", None, label, 1, "here")
