import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elbert.data import Example, read_examples
from elbert.errors import BadRow, DataError

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SEVENTY_GIB = 70 << 30


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def texts(path):
    return [example.text for example in read_examples(path)]


def skipping(path, **options):
    """The texts read, and the line and reason of each row skipped."""
    skipped: list[BadRow] = []
    read = [example.text for example in read_examples(path, skip_bad=skipped.append, **options)]
    return read, [bad.line for bad in skipped]


def parquet(tmp_path, columns, **options):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as pq

    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return str(path)


def test_every_format_gives_the_same_examples(tmp_path):
    rows = [("fine", "a pair", "pos"), ("bad, really", None, "neg")]
    objects = [{"text": text, "text_pair": pair, "label": label, "id": 7} for text, pair, label in rows]
    paths = [
        write(tmp_path, "a.csv", '\ufefftext,label,text_pair,id\r\nfine,pos,a pair,7\r\n\r\n"bad, really",neg,,7\r\n'),
        write(tmp_path, "a.tsv", "id\ttext\ttext_pair\tlabel\n7\tfine\ta pair\tpos\n7\tbad, really\t\tneg"),
        write(tmp_path, "a.jsonl", "\n\n".join(json.dumps(row) for row in objects)),
        write(tmp_path, "a.NDJSON", "\ufeff" + "\r\n".join(json.dumps(row) for row in objects) + "\r\n"),
        parquet(tmp_path, {name: [row[name] for row in objects] for name in objects[0]}),
    ]
    for path in paths:
        read = list(read_examples(path))
        assert [(example.text, example.text_pair, example.label) for example in read] == rows
        assert {example.source for example in read} == {path}


def test_a_text_file_has_one_text_a_line(tmp_path):
    path = write(tmp_path, "a.txt", "\ufefffine\r\n\nbad\u2028really\x0b\n last")
    assert texts(path) == ["fine", "", "bad\u2028really\x0b", " last"]


@pytest.mark.parametrize("make", [io.StringIO, lambda text: io.BytesIO(text.encode())])
def test_standard_input_has_one_text_a_line(make):
    read = list(read_examples("-", stdin=make("fine\n\nbad")))
    assert [example.text for example in read] == ["fine", "", "bad"]
    assert read[2] == Example("bad", None, None, line=3, source="<stdin>")


def test_standard_input_is_the_default(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"fine\n\xff\n"), encoding="ascii"))
    assert skipping("-") == (["fine"], [2])


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.txt"])
def test_an_empty_file_has_no_rows(tmp_path, name):
    assert texts(write(tmp_path, name, "")) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no.csv", "no such file"),
        ("no.xml", r"\.csv, \.tsv, .*\.parquet.*standard input"),
        ("no.csv.gz", "unknown ending"),
    ],
)
def test_a_missing_file_or_wrong_ending_fails_at_once(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        read_examples(str(tmp_path / name))


def test_a_folder_fails_at_once(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        read_examples(str(tmp_path))


BAD_LINES = {
    b'{"text": "a"': "invalid JSON",
    b'["a"]': "expected a JSON object",
    b'{"label": 1}': "missing or null",
    b'{"text": null}': "missing or null",
    b'{"text": 3}': "must be a string, got int",
    b'{"text": "a", "text_pair": 3}': "text_pair must be a string",
    b'{"text": "\xff"}': "UTF-8",
    b'{"text": "\\ud800"}': "surrogate",
    b'{"text": "a", "label": ' + b"9" * 5000 + b"}": "invalid JSON",
    b"[" * 100_000: "invalid JSON",
}


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:30].decode("latin-1"))
def test_a_bad_json_line_is_named_or_skipped(tmp_path, line):
    path = write(tmp_path, "a.jsonl", b'{"text": "one"}\n\n' + line + b'\n{"text": "four"}\n')
    with pytest.raises(BadRow, match=BAD_LINES[line]) as caught:
        texts(path)
    assert (caught.value.source, caught.value.line) == (path, 3)
    assert skipping(path) == (["one", "four"], [3])


def test_a_line_that_is_not_utf8_is_skipped_alone(tmp_path):
    assert skipping(write(tmp_path, "a.txt", b"one\n\xff\nthree\n")) == (["one", "three"], [2])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"words": ["a"]}, "no column named text; columns found: words"),
        ({"text": [1]}, "column text holds int64, expected strings"),
        ({"text": ["a"], "text_pair": [1.5]}, "column text_pair holds double"),
    ],
)
def test_parquet_columns_are_checked(tmp_path, columns, message):
    with pytest.raises(DataError, match=message):
        texts(parquet(tmp_path, columns))


def test_parquet_nulls_are_bad_rows(tmp_path):
    assert skipping(parquet(tmp_path, {"text": ["one", None, "three"]})) == (["one", "three"], [2])


def test_parquet_labels_of_every_kind(tmp_path):
    for labels in (["x", "y"], [1, 0], [0.5, 1.5], [["x"], []], [[1, 2], [0]], [None, 1], [True, None], [{"x": 1}] * 2):
        read = read_examples(parquet(tmp_path, {"text": ["a", "b"], "label": labels}))
        assert [example.label for example in read] == labels


def test_parquet_with_broken_utf8_or_broken_bytes(tmp_path):
    pa = pytest.importorskip("pyarrow")
    raw = pa.array([b"one", b"\xff", b"three"]).view(pa.string())
    assert skipping(parquet(tmp_path, {"text": raw})) == (["one", "three"], [2])
    with pytest.raises(DataError, match="not readable as parquet"):
        texts(write(tmp_path, "b.parquet", b"PAR1 nothing"))


def test_parquet_is_read_a_little_at_a_time(tmp_path):
    path = parquet(tmp_path, {"text": [f"row {i}" for i in range(9000)]}, row_group_size=3000, compression="none")
    raw = bytearray((tmp_path / "rows.parquet").read_bytes())
    at = raw.rindex(b"row 8000")
    raw[at - 12_000 : at] = bytes(12_000)
    (tmp_path / "rows.parquet").write_bytes(raw)
    examples = read_examples(path)
    assert [next(examples).text for _ in range(3000)][-1] == "row 2999"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.txt"])
def test_a_huge_file_is_read_a_little_at_a_time(tmp_path, name):
    line = '{"text": "fine"}\n' if name == "a.jsonl" else "text\n"
    path = write(tmp_path, name, line * 1000)
    with open(path, "rb+") as file:
        file.truncate(SEVENTY_GIB)  # sparse: nothing is written, and reading it all would not end
    examples = read_examples(path)
    assert [next(examples).line for _ in range(5)][-1] in (5, 6)


def test_standard_input_is_read_as_it_comes():
    def lines():
        yield b"one\n"
        raise AssertionError("read ahead")

    assert next(read_examples("-", stdin=lines())).text == "one"


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(ANY_TEXT, st.none() | ANY_TEXT, st.none() | ANY_TEXT | st.integers()), max_size=6),
    ascii=st.booleans(),
)
def test_json_lines_come_back(tmp_path_factory, rows, ascii):
    objects = [{"text": text, "text_pair": pair, "label": label} for text, pair, label in rows]
    rows = [(text, pair or None, label) for text, pair, label in rows]
    lines = "".join(json.dumps(row, ensure_ascii=ascii) + "\n" for row in objects)
    path = write(tmp_path_factory.mktemp("jsonl"), "a.jsonl", lines)
    read = list(read_examples(path))
    assert [(example.text, example.text_pair, example.label) for example in read] == rows
    assert [example.line for example in read] == list(range(1, len(rows) + 1))


def test_an_example_can_be_rejected_later():
    bad = Example("a", None, None, line=9, source="x.csv").bad_row("unknown label")
    assert isinstance(bad, BadRow) and str(bad) == "x.csv:9: unknown label"
