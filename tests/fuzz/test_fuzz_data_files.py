"""Data files of every format, whole, damaged and random: no answer for a row that is not in the file, and no traceback.

A plain reader of each format counts the rows. ``make slow`` draws many more files.
"""

import csv
import io
import json
import resource

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elbert.data import read_examples
from elbert.errors import BadRow, DataError

ENDINGS = ("csv", "tsv", "jsonl", "txt", "parquet")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
MEMORY = 200 << 20  # bytes that reading any of these small files may add

CHARACTER = st.sampled_from('ab",;\t {}[]:\\\r\n\0é漢🎬\u2028\u200d\ufeff') | st.characters(exclude_categories=["Cs"])
FIELD = st.text(CHARACTER, max_size=30)
ROWS = st.lists(st.tuples(FIELD, FIELD), max_size=8)
# How often a file is damaged, and how: position, bytes to remove, bytes to insert.
DAMAGE = st.lists(
    st.tuples(
        st.floats(0, 1), st.integers(0, 5), st.binary(max_size=4) | st.sampled_from([b'"', b"\n", b"\0", b"\xff"])
    ),
    min_size=1,
    max_size=4,
)


def lay_out(ending, rows, end):
    """The rows as text in a format; a format that cannot hold a character gets a space for it."""
    if ending == "jsonl":
        return "".join(json.dumps({"text": a, "text_pair": b}, ensure_ascii=False) + end for a, b in rows)
    if ending == "csv":
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("text", "text_pair"), *rows])
        return out.getvalue()
    plain = [[c.translate({9: " ", 10: " ", 13: " "}) for c in row] for row in rows]
    if ending == "tsv":
        return "".join("\t".join(row) + end for row in [["text", "text_pair"], *plain])
    return "".join(row[0] + end for row in plain)


def write_file(folder, ending, rows, encoding, end):
    path = folder / f"rows.{ending}"
    if ending == "parquet":
        texts, pairs = ([row[i] for row in rows] for i in (0, 1))
        pq.write_table(
            pa.table({"text": pa.array(texts, pa.string()), "text_pair": pa.array(pairs, pa.string())}), path
        )
    else:
        path.write_bytes(lay_out(ending, rows, end).encode(encoding))
    return path


def read_plainly(path):
    """The first texts of all rows, as a plain reader of the format reads them, bad rows included as they come."""
    if path.suffix == ".parquet":
        return pq.read_table(path)["text"].to_pylist()
    content = path.read_bytes()
    encoding = "utf-8-sig"
    for name in ("utf-32", "utf-16"):
        if content.startswith(("\ufeff".encode(f"{name}-le"), "\ufeff".encode(f"{name}-be"))):
            encoding = name
            break
    text = io.StringIO(decode(content, encoding), newline="")
    if path.suffix == ".csv":
        previous = csv.field_size_limit(1 << 30)
        try:
            header, *rows = [row for row in csv.reader(text) if row] or [[]]
        finally:
            csv.field_size_limit(previous)
        return [row[header.index("text")] for row in rows if len(row) == len(header)]
    lines = [line.removesuffix("\n").removesuffix("\r") for line in text]
    if path.suffix == ".txt":
        return lines
    if path.suffix == ".tsv":
        header, *rows = [line.split("\t") for line in lines if line] or [[]]
        return [row[header.index("text")] for row in rows if len(row) == len(header)]
    return [value for line in lines if (value := read_json(line)) is not None]


def decode(content, encoding):
    """The content up to the first place that UTF-16 or UTF-32 does not have."""
    if encoding == "utf-8-sig":
        return content.decode(encoding, "surrogateescape")
    try:
        return content.decode(encoding, "surrogatepass")
    except UnicodeDecodeError as error:
        return content[: error.start].decode(encoding, "surrogatepass")


def read_json(line):
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found.get("text") if isinstance(found, dict) else None


def read_ours(path):
    """The texts read with bad rows skipped, the bad rows, and the error that ended the file."""
    bad: list[BadRow] = []
    texts = []
    try:
        for example in read_examples(str(path), skip_bad=bad.append):
            texts.append(example.text)
    except DataError as error:
        return texts, bad, error
    return texts, bad, None


def is_subsequence(some, all_of_them):
    remaining = iter(all_of_them)
    return all(text in remaining for text in some)


def check_file(path):
    texts, bad, error = read_ours(path)
    for message in (*map(str, bad), *([str(error)] if error else [])):
        assert message.startswith(f"{path}:")
    assert [row.line for row in bad] == sorted({row.line for row in bad}), "a row is reported once"
    if error is None or texts:
        assert is_subsequence(texts, read_plainly(path))
    return texts, bad, error


def check_whole(folder, ending, rows, encoding, end):
    """A file that is not damaged has every row, or is refused whole because it looks like another kind of file."""
    path = write_file(folder, ending, rows, encoding, end)
    texts, bad, error = check_file(path)
    if error is None:
        expected = [lay_out("txt", [row], "") for row in rows] if ending in ("tsv", "txt") else [a for a, _ in rows]
        assert (texts, bad) == (expected, [])
    else:
        assert "looks like" in str(error) or "holds JSON lines" in str(error) or "is " in str(error)
        assert not isinstance(error, BadRow)


def check_damaged(folder, ending, rows, encoding, end, damage):
    path = write_file(folder, ending, rows, encoding, end)
    content = bytearray(path.read_bytes())
    for place, removed, inserted in damage:
        at = int(place * len(content))
        content[at : at + removed] = inserted
    path.write_bytes(content)
    if ending == "parquet":
        read_ours(path)  # a damaged one may be anything, and pyarrow decides what
    else:
        check_file(path)


def check_random(folder, ending, content):
    path = folder / f"rows.{ending}"
    path.write_bytes(content)
    if ending == "parquet":
        assert read_ours(path)[2] is not None
    else:
        check_file(path)


LAYOUT = {
    "ending": st.sampled_from(ENDINGS),
    "rows": ROWS,
    "encoding": st.sampled_from(ENCODINGS),
    "end": st.sampled_from(["\n", "\r\n", "\r"]),
}
OPTIONS = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@pytest.fixture
def _bounded_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY


def make_test(check, examples, **arguments):
    """A test that draws arguments for a check; hypothesis shrinks the file that fails and prints it."""

    @pytest.mark.usefixtures("_bounded_memory")
    @settings(max_examples=examples, **OPTIONS)
    @given(**arguments)
    def test(tmp_path, **drawn):
        check(tmp_path, **drawn)

    return test


RANDOM = {
    "ending": st.sampled_from(ENDINGS),
    "content": st.binary(max_size=300) | st.binary(max_size=100).map(lambda data: b"text\n" + data),
}

test_whole_files = make_test(check_whole, 150, **LAYOUT)
test_damaged_files = make_test(check_damaged, 200, **LAYOUT, damage=DAMAGE)
test_random_files = make_test(check_random, 150, **RANDOM)
test_many_whole_files = pytest.mark.slow(make_test(check_whole, 3_000, **LAYOUT))
test_many_damaged_files = pytest.mark.slow(make_test(check_damaged, 6_000, **LAYOUT, damage=DAMAGE))
test_many_random_files = pytest.mark.slow(make_test(check_random, 3_000, **RANDOM))
