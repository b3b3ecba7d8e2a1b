"""Data in memory: every accepted form has the same examples, and others are refused with the accepted forms."""

import numpy as np
import pytest

from elbert.data import class_names, iterate_examples, make_reusable, read_label_names
from elbert.errors import BadRow, DataError, InputError

pandas = pytest.importorskip("pandas")
pyarrow = pytest.importorskip("pyarrow")

TEXTS = ["good film", "bad plot", "dull"]
LABELS = ["positive", "negative", "negative"]
COLUMNS = {"id": [7, 8, 9], "text": TEXTS, "label": LABELS}


class Labels:
    """The part of a feature of ``datasets`` that names classes."""

    names = ("negative", "positive")


class Dataset:
    """The part of a Dataset of ``datasets`` by which it is read."""

    column_names = ["text", "label"]
    features = {"text": object(), "label": Labels()}
    rows = {"text": TEXTS, "label": [1, 0, 0]}

    def __getitem__(self, name):
        return self.rows[name]


class Polars:
    """The part of a DataFrame of polars by which it is read."""

    class Series:
        def __init__(self, values):
            self.to_list = lambda: values

    columns = list(COLUMNS)

    def __getitem__(self, name):
        return self.Series(COLUMNS[name])


class LazyFrame(Polars):
    """The part of a lazy table by which it is recognised."""

    def collect(self):
        return Polars()


def write_csv(folder):
    file = folder / "rows.csv"
    pandas.DataFrame(COLUMNS).to_csv(file, index=False)
    return file


FORMS = {
    "a path": lambda folder: write_csv(folder),
    "a file's name": lambda folder: str(write_csv(folder)),
    "pandas": lambda _: pandas.DataFrame(COLUMNS),
    "pandas categories": lambda _: pandas.DataFrame(COLUMNS | {"label": pandas.Categorical(LABELS)}, index=[5, 5, 5]),
    "polars": lambda _: Polars(),
    "pyarrow": lambda _: pyarrow.table(COLUMNS),
    "a dict of lists": lambda _: COLUMNS,
    "a dict of arrays": lambda _: {"text": np.array(TEXTS), "label": pandas.Series(LABELS)},
    "pairs": lambda _: list(zip(TEXTS, LABELS, strict=True)),
    "a generator": lambda _: (list(row) for row in zip(TEXTS, LABELS, strict=True)),
    "dicts": lambda _: [{"text": t, "label": y, "x": 1} for t, y in zip(TEXTS, LABELS, strict=True)],
    "two lists": lambda _: (TEXTS, LABELS),
    "two arrays": lambda _: (np.array(TEXTS, object), np.array(LABELS)),
}


def content(data, labels=None):
    return [(e.text, e.text_pair, e.label) for e in iterate_examples(data, labels)]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_same_examples(tmp_path, form):
    assert content(FORMS[form](tmp_path)) == [(t, None, y) for t, y in zip(TEXTS, LABELS, strict=True)]
    if form != "a generator":
        assert read_label_names(FORMS[form](tmp_path)) == ["negative", "positive"]


def test_texts_and_labels_are_two_arguments():
    assert content(TEXTS, LABELS) == content((TEXTS, LABELS))
    assert content([("a", "b"), "c"], [1, 0]) == [("a", "b", 1), ("c", None, 0)]


def test_a_data_set_with_classes_has_their_names():
    assert [label for _, _, label in content(Dataset())] == [1, 0, 0]
    assert class_names(Dataset()) == ["negative", "positive"]
    assert class_names(COLUMNS) is None
    assert read_label_names(Dataset()) == ["negative", "positive"]


@pytest.mark.parametrize("missing", [None, float("nan"), pandas.NA], ids=str)
def test_missing_values_are_none(missing):
    table = pandas.DataFrame({"text": ["a"], "text_pair": [missing], "label": [missing]}, dtype=object)
    assert content(table) == content([{"text": "a", "text_pair": missing, "label": missing}]) == [("a", None, None)]
    with pytest.raises(BadRow, match=r"^data:1: text is missing or null"):
        content({"text": ["a", missing]})


def test_pairs_of_texts():
    rows = [{"text": "a", "text_pair": "b", "label": 1}]
    assert content(rows) == content([(("a", "b"), 1)]) == content({name: [value] for name, value in rows[0].items()})


def test_an_iterator_is_read_once():
    reusable = make_reusable(iter([("a", 1)]))
    assert content(reusable) == content(reusable) == [("a", None, 1)]


WRONG = {
    "nothing": (None, "data is NoneType None; expected a file, a table with the columns text and label"),
    "a number": (3, "data is int 3; expected a file"),
    "bytes": (b"a", "data is bytes"),
    "three values a row": ([("a", "b", "c")], "data:0 is tuple"),
    "numbers": ([1, 2], "data:0 is int 1; expected a file"),
    "another column": (
        pandas.DataFrame({"sentence": ["a"]}),
        "data: no column named text; columns found: sentence; text_column",
    ),
    "a dict without text": ({"sentence": ["a"]}, "no column named text; columns found: sentence"),
    "a row without text": ([{"sentence": "a"}], "data:0: a row has no column named text; columns found: sentence"),
    "several splits": (
        {"train": Dataset(), "test": Dataset()},
        r"a dict of 2 tables: pass one of them, data\['train'\]",
    ),
    "a lazy table": (LazyFrame(), "a LazyFrame is a query and no table: pass its result as a DataFrame"),
    "uneven columns": ({"text": ["a"], "label": [1, 2]}, "columns of different lengths"),
    "uneven lists": ((["a"], [1, 2]), "2 labels for 1 text"),
    "a column twice": (pandas.DataFrame([["a", "b"]], columns=["text", "text"]), "column text occurs twice"),
    "a text that is none": ([("a", 1), (5, 1)], "data:1: text must be a string, got int 5"),
    "a missing file": ("nowhere.csv", "nowhere.csv: no such file"),
    "a text": ("a good film", "unknown ending, expected .csv"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_data_is_refused(kind):
    data, message = WRONG[kind]
    with pytest.raises((InputError, DataError), match=message) as caught:
        content(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("texts", ["a", COLUMNS, pandas.DataFrame(COLUMNS), 5])
def test_labels_go_with_texts(texts):
    with pytest.raises(InputError, match="labels"):
        content(texts, LABELS)
    with pytest.raises(InputError, match="expected a list with one for each text"):
        content(TEXTS, "positive")
