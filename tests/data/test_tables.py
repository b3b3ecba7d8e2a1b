import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_data_files import ANY_TEXT, skipping, texts, write

from elbert.data import read_examples
from elbert.data.tables import split_csv
from elbert.errors import BadRow, DataError

CELL = ANY_TEXT.filter(lambda text: not text.startswith("\ufeff"))


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(CELL, CELL, CELL), max_size=6), end=st.sampled_from(["\n", "\r\n"]), bom=st.booleans())
def test_comma_separated_rows_are_read_unchanged(tmp_path_factory, rows, end, bom):
    out = io.StringIO(newline="")
    # Python 3.11 leaves a carriage return bare where lines end in a newline alone.
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL if end == "\n" else csv.QUOTE_MINIMAL)
    writer.writerows([("text", "text_pair", "label"), *rows])
    path = write(tmp_path_factory.mktemp("csv"), "a.csv", bom * "\ufeff" + out.getvalue())
    read = list(read_examples(path))
    assert [(example.text, example.text_pair or "", example.label) for example in read] == rows


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(CELL, max_size=6))
def test_one_column_comes_back_empty_texts_included(tmp_path_factory, rows):
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["text"], *([row] for row in rows)])
    assert texts(write(tmp_path_factory.mktemp("csv"), "a.csv", out.getvalue())) == rows


def test_a_row_is_named_by_the_line_it_starts_on(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\n"one\ntwo",1\n\n"three\r\nfour ""five""",0\nsix,1\n')
    read = list(read_examples(path))
    assert [(example.line, example.text) for example in read] == [
        (2, "one\ntwo"),
        (5, 'three\r\nfour "five"'),
        (7, "six"),
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"one,1,2", "expected 2 fields .text, label., got 3"),
        (b"one", "expected 2 fields .text, label., got 1"),
        (b'"one"two,1', "not readable as a row"),
        (b"\xffone,1", "UTF-8"),
    ],
)
def test_a_bad_row_is_named_or_skipped(tmp_path, line, why):
    path = write(tmp_path, "a.csv", b"text,label\ngood,1\n" + line + b"\nfine,0\n")
    with pytest.raises(BadRow, match=why) as caught:
        texts(path)
    assert (caught.value.source, caught.value.line) == (path, 3)
    assert skipping(path) == (["good", "fine"], [3])


@pytest.mark.parametrize(
    "rest", [["inside,0"], [f"inside {i},0" for i in range(30_000)], ['inside, ""quoted"",0', "x"]]
)
def test_a_quote_that_is_never_closed_reaches_to_the_end(tmp_path, rest):
    """The lines after it are inside the field: none is a row of the file."""
    path = write(tmp_path, "a.csv", "\n".join(["text,label", "good,1", '"open,1', *rest]))
    read, lines = skipping(path)
    assert read == ["good"]
    assert lines[0] == 3


@pytest.mark.parametrize("lines", [1, 5000])
@pytest.mark.parametrize("fault", ['"{}"more,1', '"{}",1,2', '"{}\x00\udcff",1', '"a","{}"x'])
def test_a_bad_record_of_many_lines_is_skipped_whole(tmp_path, lines, fault):
    inner = "\n".join('the film, ""good"",0' for _ in range(lines))
    content = f"text,label\ngood,1\n{fault.format(inner)}\nfine,0\n".encode(errors="surrogateescape")
    assert skipping(write(tmp_path, "a.csv", content)) == (["good", "fine"], [3])


@pytest.mark.parametrize("size", [131_072, 131_073, 3_000_000])
def test_a_field_may_have_any_length(tmp_path, size):
    document = ('the film is good\r\nand 5" wide, ' * (size // 30 + 1))[:size]
    quoted = document.replace('"', '""')
    path = write(tmp_path, "a.csv", f'text,label\n"{quoted}",1\nfine,0\n{"x" * size},1\n')
    assert texts(path) == [document, "fine", "x" * size]


@settings(max_examples=300, deadline=None)
@given(content=st.text(st.sampled_from('ab",\r\n '), max_size=40))
def test_records_are_split_as_the_csv_module_splits_them(content):
    lines = io.StringIO(content, newline="")
    ours = [row.fields for row in split_csv(lines, "a.csv") if row.error is None]
    lenient = [row for row in csv.reader(io.StringIO(content, newline="")) if row]
    try:
        strict = [row for row in csv.reader(io.StringIO(content, newline=""), strict=True) if row]
    except csv.Error:
        assert len(ours) < len(lenient), "a row that the module rejects is rejected"
        remaining = iter(lenient)
        assert all(row in remaining for row in ours), "and its lines are no rows"
    else:
        assert ours == strict


def test_a_quoted_row_with_invalid_utf8_is_rejected_whole(tmp_path):
    path = write(tmp_path, "a.csv", b'text,label\n"one\n\xff, ""two""\nthree",1\nfine,0\n')
    assert skipping(path) == (["fine"], [2])


def test_tabs_separate_and_quotes_are_text(tmp_path):
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"open\t1\n5" screen\t0\n"whole"\t1\na\tb\tc\n\nlast\t0\n')
    assert skipping(path) == (['"open', '5" screen', '"whole"', "last"], [5])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sentence,label\na,1\n", "no column named text; columns found: sentence, label"),
        ("text,text\na,1\n", "column text occurs twice"),
        ("\n", None),
        ("text,label\n", None),
        (b"\xff\xfet\0e\0", "no column named text; columns found: te"),
        (b"text\xff,label\n", "header cannot be read"),
        ('"text', "header cannot be read"),
    ],
)
def test_headers(tmp_path, content, message):
    path = write(tmp_path, "a.csv", content)
    if message is None:
        assert texts(path) == []
        return
    with pytest.raises(DataError, match=message):
        texts(path)
