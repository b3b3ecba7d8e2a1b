"""Encodings, line ends and NULs mean the same in every text format; files that are not text are refused whole."""

import gzip
import io
import json

import pytest
from test_data_files import parquet, skipping, texts, write

from elbert.data import read_examples
from elbert.errors import BadRow, DataError

ROWS = ["good film", "ein schöner Film, ja", "фильм", "映画 🎬", "a\0b"]
ENDINGS = ("txt", "csv", "tsv", "jsonl")
MARKED = ("utf-8-sig", "utf-16", "utf-32")
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


def lay_out(ending, rows, end="\n"):
    """The rows as the content of a file."""
    if ending == "jsonl":
        lines = [json.dumps({"text": row}, ensure_ascii=False) for row in rows]
    else:
        lines = [f'"{row}"' if "," in row and ending == "csv" else row for row in rows]
    return "".join(line + end for line in (["text"] if ending in ("csv", "tsv") else []) + lines)


def skip_reads(tmp_path, name, content):
    """The texts read from a file with bad rows skipped, and from the same content on standard input."""
    yield lambda: skipping(write(tmp_path, name, content))[0]
    if name.endswith(".txt"):
        for stream in (io.BytesIO(content), io.BufferedReader(io.BytesIO(content))):
            yield lambda stream=stream: skipping("-", stdin=stream)[0]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "dos", "old mac"])
@pytest.mark.parametrize("encoding", ["utf-8", *MARKED])
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_mark_selects_the_encoding_and_every_line_end_is_one(tmp_path, ending, encoding, end):
    content = lay_out(ending, ROWS, end).encode(encoding)
    for read in skip_reads(tmp_path, f"a.{ending}", content):
        assert read() == ROWS


@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_both_byte_orders(tmp_path, mark):
    assert texts(write(tmp_path, "a.txt", "\ufeffgood\nbad".encode(mark))) == ["good", "bad"]


LANGUAGES = {
    "English": ["good film", "bad film"],
    "German": ["schöner Film", "öder Film"],
    "Russian": ["хороший фильм", "плохой"],
    "Greek": ["καλή ταινία", "κακή"],
    "Arabic": ["فيلم جيد", "سيئ"],
    "Hindi": ["अच्छी फ़िल्म", "बुरी फ़िल्म"],
    "Japanese": ["良い映画です", "悪い映画です"],
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("ending", ENDINGS)
def test_wide_encodings_without_a_mark_are_refused_whole(tmp_path, ending, encoding, language):
    content = lay_out(ending, LANGUAGES[language]).encode(encoding)
    for read in skip_reads(tmp_path, f"a.{ending}", content):
        with pytest.raises(DataError, match=f"looks like {encoding[:6].upper()} without .* save it as UTF-8") as caught:
            read()
        assert not isinstance(caught.value, BadRow)


@pytest.mark.parametrize("ending", ENDINGS)
def test_utf16_behind_other_text_is_refused(tmp_path, ending):
    content = lay_out(ending, ["good film"] * 500).encode() + "bad film\nno film\n".encode("utf-16-le")
    with pytest.raises(DataError, match="looks like UTF-16 from line"):
        skipping(write(tmp_path, f"a.{ending}", content))


@pytest.mark.parametrize("text", ["\0", "\0\0\0\0\0\0", "a\0b", "good\0film", "\0good film", "good film\0", "a\0b\0c!"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_nul_inside_a_text_is_kept(tmp_path, ending, text):
    rows = ["first", text, "last"]
    assert texts(write(tmp_path, f"a.{ending}", lay_out(ending, rows))) == rows


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_an_end_inside_a_character_is_an_error_of_the_file(tmp_path, ending, encoding):
    path = write(tmp_path, f"a.{ending}", lay_out(ending, ["good", "bad"]).encode(encoding) + b"x")
    with pytest.raises(DataError, match=f"not valid {encoding.upper()}"):
        skipping(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_bytes_of_another_encoding_name_the_remedy(tmp_path, ending):
    path = write(tmp_path, f"a.{ending}", lay_out(ending, ["good", "schön"]).encode("latin-1"))
    with pytest.raises(BadRow, match=r":\d: not valid UTF-8 .*; save the file as UTF-8"):
        list(read_examples(path))


def test_half_a_surrogate_pair_costs_its_row(tmp_path):
    content = "good\n\ud83c\nbad\n".encode("utf-16", errors="surrogatepass")
    assert skipping(write(tmp_path, "a.txt", content)) == (["good", "bad"], [2])


OTHERS = {
    b"PAR1\x15\x04\x15\x1c": r"parquet file; name it \.parquet",
    gzip.compress(b"text\ngood\n"): "gzip",
    b"PK\x03\x04\x14\0": r"zip archive, as \.xlsx",
}


@pytest.mark.parametrize("content", OTHERS, ids=["parquet", "gzip", "zip"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_is_no_text_is_named(tmp_path, ending, content):
    with pytest.raises(DataError, match=OTHERS[content]):
        skipping(write(tmp_path, f"a.{ending}", content))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", '{"text": "good", "label": 1}\n', r"JSON lines.* name the file \.jsonl"),
        ("a.tsv", '{"text": "good", "label": 1}\n', r"JSON lines.* name the file \.jsonl"),
        ("a.csv", '{"text":"good","label":"x"}\n', r"JSON lines.* name the file \.jsonl"),
        ("a.csv", '{"label":"x","text":"a \\"b\\", c"}\n', r"JSON lines.* name the file \.jsonl"),
        ("a.tsv", '{"label":"x","text":"a\\tb"}\n', r"JSON lines.* name the file \.jsonl"),
        ("a.txt", '{"text": "good", "label": 1}\n', r"JSON lines.* name the file \.jsonl"),
        ("a.jsonl", "text,label\ngood,1\n", r"table's header.* name the file \.csv"),
        ("a.jsonl", '"label","text"\n1,"good"\n', r"table's header.* name the file \.csv"),
        ("a.ndjson", "text\tlabel\ngood\t1\n", r"table's header.* name the file \.tsv"),
        ("a.jsonl", "\n\ntext\ngood\n", r"table's header.* name the file \.csv"),
        ("a.parquet", "text,label\ngood,1\n", "not readable as parquet"),
    ],
)
def test_content_and_ending_that_differ_are_one_error(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message) as caught:
        skipping(write(tmp_path, name, content))
    assert not isinstance(caught.value, BadRow)


def test_json_lines_on_standard_input_are_refused():
    with pytest.raises(DataError, match="holds JSON lines, expected one text a line"):
        texts_of_stdin = read_examples("-", stdin=io.BytesIO(b'{"text": "good"}\n'))
        next(texts_of_stdin)
    assert [e.text for e in read_examples("-", stdin=io.BytesIO(b'{"note": "good"}\n'))] == ['{"note": "good"}']


def test_an_empty_second_text_is_none_in_every_format(tmp_path):
    paths = [
        write(tmp_path, "a.csv", "text,text_pair\ngood,\nbad,plot\n"),
        write(tmp_path, "a.tsv", "text\ttext_pair\ngood\t\nbad\tplot\n"),
        write(tmp_path, "a.jsonl", '{"text": "good", "text_pair": ""}\n{"text": "bad", "text_pair": "plot"}\n'),
        write(tmp_path, "b.jsonl", '{"text": "good", "text_pair": null}\n{"text": "bad", "text_pair": "plot"}\n'),
        parquet(tmp_path, {"text": ["good", "bad"], "text_pair": ["", "plot"]}),
    ]
    for path in paths:
        assert [example.content() for example in read_examples(path)] == ["good", ("bad", "plot")]


def arrow_types():
    pa = pytest.importorskip("pyarrow")
    strings = [pa.string(), pa.large_string(), pa.string_view(), pa.json_()]
    return [*strings, pa.binary(), pa.large_binary(), pa.binary_view(), pa.dictionary(pa.int8(), pa.string())]


@pytest.mark.parametrize("kind", arrow_types(), ids=str)
@pytest.mark.parametrize("store_schema", [True, False])
def test_every_type_of_strings_is_read(tmp_path, kind, store_schema):
    pa = pytest.importorskip("pyarrow")
    values = pa.array(['"good"', '"bad é"', '"good"'])
    if pa.types.is_dictionary(kind):
        column = values.dictionary_encode()
    elif isinstance(kind, pa.BaseExtensionType):
        column = pa.ExtensionArray.from_storage(kind, values)
    else:
        column = values.cast(kind)
    path = parquet(tmp_path, {"text": column, "text_pair": column}, store_schema=store_schema)
    assert [example.content() for example in read_examples(path)] == [(v, v) for v in values.to_pylist()]


def test_bytes_in_parquet_are_utf8(tmp_path):
    pa = pytest.importorskip("pyarrow")
    path = parquet(tmp_path, {"text": pa.array([b"good", b"\xff", None, b"bad"])})
    assert skipping(path) == (["good", "bad"], [2, 3])


@pytest.mark.parametrize("column", ["text", "text_pair"])
@pytest.mark.parametrize("value", [["a"], {"a": "b"}, True, 1.5, b"abc"], ids=lambda value: type(value).__name__)
def test_other_types_are_refused_in_one_line(tmp_path, column, value):
    pa = pytest.importorskip("pyarrow")
    array = pa.array([value], pa.binary(3)) if isinstance(value, bytes) else pa.array([value])
    path = parquet(tmp_path, {"text": ["good"], column: array})
    with pytest.raises(DataError, match=f"column {column} holds .*, expected strings") as caught:
        skipping(path)
    assert "\n" not in str(caught.value)


def test_a_long_text_that_repeats_is_read_in_little_memory(tmp_path):
    """A file of some kB, as an attacker would send it: its rows together are 20 GB."""
    pa = pytest.importorskip("pyarrow")
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x" * 1_000_000])
    path = parquet(tmp_path, {"text": column}, store_schema=False)
    examples = read_examples(path)
    before = pa.total_allocated_bytes()
    assert len(next(examples).text) == 1_000_000
    assert pa.total_allocated_bytes() - before < 50_000_000
