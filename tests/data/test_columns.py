"""Columns of other names, delimiters found from the header, and columns that are kept: in every format."""

import json

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_data_files import write

from elbert.data import Columns, iterate_examples, read_examples, read_label_names
from elbert.data.column_names import Selection
from elbert.data.tables import find_delimiter
from elbert.errors import BadRow, DataError, InputError

NAMED = Columns(text_column="review", text_pair_column="title", label_column="stars")
ROWS = [{"id": 1, "review": "good, warm; fine", "title": "a", "stars": "5"}]


def write_rows(tmp_path, ending):
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
        return str(tmp_path / "a.parquet")
    if ending == "jsonl":
        return write(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))
    mark = {"csv": ",", "semicolons.csv": ";", "tabs.csv": "\t", "bars.csv": "|", "tsv": "\t"}[ending]
    quote = "" if ending == "tsv" else '"'
    lines = [ROWS[0].keys(), [quote + str(value) + quote for value in ROWS[0].values()]]
    return write(tmp_path, f"a.{ending}", "".join(mark.join(line) + "\n" for line in lines))


@pytest.mark.parametrize("ending", ["csv", "semicolons.csv", "tabs.csv", "bars.csv", "tsv", "jsonl", "parquet"])
def test_columns_of_other_names_in_every_format(tmp_path, ending):
    path = write_rows(tmp_path, ending)
    (example,) = read_examples(path, columns=NAMED, keep=["id"], needs_labels=True)
    assert (example.text, example.text_pair, example.label) == ("good, warm; fine", "a", "5")
    assert {name: str(value) for name, value in example.kept.items()} == {"id": "1"}
    assert read_label_names(path, columns=Columns("review", label_column="title")) == ["a"]


@pytest.mark.parametrize("make", [pandas.DataFrame, lambda rows: rows, lambda rows: pa.Table.from_pylist(rows)])
def test_columns_of_other_names_in_memory(make):
    (example,) = iterate_examples(make(ROWS), columns=NAMED)
    assert (example.text, example.text_pair, example.label) == ("good, warm; fine", "a", "5")
    assert [e.label for e in iterate_examples([("a", 1), (("a", "b"), 0)], columns=NAMED)] == [1, 0]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (Columns(text_column="Review"), "no column named Review; .*id, review, title, stars; text_column .*'review'"),
        (Columns("review", "pair"), "no column named pair; .*; text_pair_column .--text-pair-column. names another"),
        (Columns("review", None, "score"), "no column named score; .*; label_column .--label-column. names another"),
        (Columns("review"), "no column named label; columns found: .*; label_column .--label-column. names another"),
    ],
)
def test_a_missing_column_is_named_with_those_found_and_the_remedy(tmp_path, ending, columns, message):
    with pytest.raises(DataError, match=message):
        list(read_examples(write_rows(tmp_path, ending), columns=columns, needs_labels=True))
    with pytest.raises(DataError, match="no column named nr; .*; keep"):
        list(read_examples(write_rows(tmp_path, ending), columns=NAMED, keep=["nr"]))


HEADERS = {
    "text,label": ",",
    "text;label": ";",
    '"text";"label"': ";",
    '"id"\t"text"': "\t",
    "id|text|label": "|",
    "text": ",",
    '"text"': ",",
    "text;raw,text,label": ",",  # the comma finds more
    '"text;raw",text': ",",
    "id;text;label;a,b": ";",
    "text,a;b;label": ",",
    "tokens;tags": ";",
    "one;two,three": ",",  # no text by any: a comma unless another has more columns
    "one;two;three": ";",
    '"text";"a\n': ";",  # a header of several lines
    '{"text": "a;b", "label": 1}': ",",
    "": ",",
}


@pytest.mark.parametrize("header", HEADERS)
def test_the_header_decides_what_the_delimiter_is(header):
    assert find_delimiter(header, Selection()) == HEADERS[header]


@pytest.mark.parametrize("start", ["", "\ufeff", "\n\n", "\ufeff\r\n"])
@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("text,label\na;b;c,1\n", ["a;b;c"]),
        ("text;label\na,b,c;1\n", ["a,b,c"]),
        ('text;label\n"a;b\nc";1\nx;y;1\nlast;0\n', ["a;b\nc", "last"]),
        ("text\na;b\n", ["a;b"]),
        ("sep=;\nid;text\n1;a,b\n", ["a,b"]),
        ("sep=,\r\nid,text\r\n1,a;b\r\n", ["a;b"]),
    ],
)
def test_a_delimiter_inside_of_texts_is_no_delimiter(tmp_path, start, content, texts):
    path = write(tmp_path, "a.csv", start + content)
    bad: list[BadRow] = []
    assert [example.text for example in read_examples(path, skip_bad=bad.append)] == texts
    assert [row.line - start.count("\n") for row in bad] == ([4] if "x;y" in content else [])


def test_a_named_delimiter_is_used(tmp_path):
    path = write(tmp_path, "a.csv", "text;label,text\na;b,c\n")
    assert [e.text for e in read_examples(path)] == ["c"]
    assert [e.text for e in read_examples(path, columns=Columns(delimiter=";"))] == ["a"]
    for name, character in {"tab": "\t", "\\t": "\t", "semicolon": ";", "#": "#"}.items():
        assert Columns.from_options({"delimiter": name}).delimiter == character
    tsv = write(tmp_path, "a.tsv", "text\tlabel\na\tb\n")
    assert [e.text for e in read_examples(tsv, columns=Columns(delimiter="\t"))] == ["a"]


@pytest.mark.parametrize(
    ("name", "options", "keep", "message"),
    [
        ("a.txt", {"text_column": "a"}, (), "the name of a column is for tables, and .txt has no columns"),
        ("a.conll", {}, ("id",), "keep .--keep. is for tables"),
        ("-", {"label_column": "a"}, (), "standard input has no columns"),
        ("a.jsonl", {"delimiter": ";"}, (), "delimiter .* is for csv files; leave it out for .jsonl"),
        ("a.tsv", {"delimiter": ";"}, (), "delimiter .* is for csv files"),
        ("a.csv", {"delimiter": ";;"}, (), "delimiter: expected one character, or tab"),
        ("a.csv", {"delimiter": '"'}, (), "delimiter: expected one character"),
        ("a.csv", {"text_column": " "}, (), "text_column: expected the name of a column"),
        ("a.csv", {"text": "a"}, (), "'text' is no setting; known are delimiter, label_column"),
        ("a.csv", {"text_column": "label"}, (), "'label' is both text_column and label_column"),
    ],
)
def test_what_does_not_fit_is_refused_before_reading(tmp_path, name, options, keep, message):
    path = name if name == "-" else write(tmp_path, name, "text,label\na,b\n")
    with pytest.raises(InputError, match=message):
        read_examples(path, columns=Columns.from_options(options), keep=keep)


def test_a_json_row_may_lack_what_is_kept_but_not_what_is_named(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"id": 1, "review": "a"}\n{"review": "b"}\n{"id": 2}\n')
    bad: list[BadRow] = []
    read = list(read_examples(path, columns=Columns("review"), keep=["id"], skip_bad=bad.append))
    assert [(e.text, e.kept) for e in read] == [("a", {"id": 1}), ("b", {"id": None})]
    assert [str(row) for row in bad] == [
        f"{path}:3: no column named review; columns found: id; text_column (--text-column) names another"
    ]
