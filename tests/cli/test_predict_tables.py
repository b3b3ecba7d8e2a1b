"""elbert predict: columns of other names, columns that are kept, and csv and parquet output."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

NASTY = [
    "plain",
    'a "quoted", text; with\tmarks',
    "two\nlines\r\nand\rmore",
    " spaces ",
    "\x00\x1b[31m\x7f",
    "=1+1",
    "",
]
FLAGS = ["--text-column", "review", "--keep", "id,label"]


def write_input(tmp_path, ending):
    rows = [{"id": number, "review": text, "label": "pos", "input_label": 1} for number, text in enumerate(NASTY)]
    path = tmp_path / f"in.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as out:
            writer = csv.DictWriter(out, rows[0], delimiter=";", quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_output_has_the_same_rows_and_what_is_kept(predict, tmp_path, ending):
    source = write_input(tmp_path, ending)
    found = {}
    for name in ("o.jsonl", "o.csv", "o.parquet"):
        result = predict("--input", source, *FLAGS, "--scores", "--output", tmp_path / name)
        assert (result.status, result.out) == (0, "")
        assert result.err.startswith(f"elbert: wrote {tmp_path / name}: 7 texts, mean depth ")
        assert result.err.count("\n") == 1
    lines = (tmp_path / "o.jsonl").read_text().split("\n")[:-1]
    for line in map(json.loads, lines):
        flat = {**line, **{f"score_{label}": score for label, score in line["scores"].items()}}
        found.setdefault("o.jsonl", []).append(flat)
    with (tmp_path / "o.csv").open(newline="") as stream:
        found["o.csv"] = list(csv.DictReader(stream))
    found["o.parquet"] = pq.read_table(tmp_path / "o.parquet").to_pylist()
    assert list(found["o.csv"][0]) == list(found["o.parquet"][0])
    assert list(found["o.csv"][0])[:6] == ["id", "input_label", "review", "label", "score", "depth"]
    for one, other, third in zip(*found.values(), strict=True):
        assert one["text"] == other["review"] == third["review"]
        assert str(one["id"]) == other["id"] == str(third["id"])
        assert one["input_label"] == other["input_label"] == third["input_label"] == "pos"
        assert one["label"] == other["label"] == third["label"]
        for name in ("score", "score_negative"):
            assert one[name] == pytest.approx(float(other[name]), abs=1e-6) == pytest.approx(third[name], abs=1e-6)
    assert [row["review"] for row in found["o.parquet"]] == NASTY
    assert isinstance(found["o.parquet"][0]["id"], int if ending == "parquet" else str)


def test_a_csv_output_is_read_by_the_same_command_and_by_any_csv_reader(predict, tmp_path):
    predict("--input", write_input(tmp_path, "csv"), "--text-column", "review", "--output", tmp_path / "o.csv")
    again = predict("--input", tmp_path / "o.csv", "--text-column", "review", "--json")
    assert [json.loads(line)["text"] for line in again.out.split("\n")[:-1]] == NASTY
    lenient = csv.reader(io.StringIO((tmp_path / "o.csv").read_bytes().decode(), newline=""), delimiter=",")
    assert [row[0] for row in lenient][1:] == NASTY


def read_header(file):
    return pq.read_schema(file).names if file.suffix == ".parquet" else file.read_text().split("\n")[0].split(",")


@pytest.mark.parametrize("output", ["o.csv", "o.parquet"])
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "txt"])
def test_texts_have_the_columns_of_the_input(predict, tmp_path, ending, output):
    place, source, tail = tmp_path / output, tmp_path / f"in.{ending}", ["label", "score", "depth"]

    def write(*rows):
        delimiter = {"csv": ",", "tsv": "\t"}.get(ending)
        if ending == "parquet":
            pq.write_table(pa.Table.from_pylist(list(rows)), source)
        elif delimiter:
            lines = [rows[0], *(row.values() for row in rows)]
            source.write_text("".join(delimiter.join(map(str, line)) + "\n" for line in lines))
        else:
            lines = [json.dumps(row) if ending == "jsonl" else row["text"] for row in rows]
            source.write_text("".join(line + "\n" for line in lines))

    write({"text": "a film", "other": 1})
    predict("--input", source, "--output", place)
    assert read_header(place)[:4] == ["text", *tail]
    if ending == "txt":
        return
    write({"review": "a film", "score": "a plot"})
    predict("--input", source, "--text-column", "review", "--output", place)
    assert read_header(place)[:4] == ["review", *tail]
    predict("--input", source, "--text-column", "score", "--output", place)
    assert read_header(place)[:4] == ["input_score", *tail]
    predict("--input", source, "--text-column", "review", "--text-pair-column", "score", "--output", place)
    assert read_header(place)[:5] == ["review", "input_score", *tail]
    write({"text": "a film", "text_pair": ""}, {"text": "a film", "text_pair": "a plot"})
    predict("--input", source, "--output", place)
    assert read_header(place)[:5] == ["text", "text_pair", *tail]


def test_a_pair_behind_a_first_row_without_one_is_not_lost(predict, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "a film"}\n{"text": "a film", "text_pair": "a plot"}\n')
    failed = predict("--input", source, "--output", tmp_path / "o.csv")
    failed.check_error(f"{source}:2: a second text, and the first row has none", "--text-pair-column text_pair")
    done = predict("--input", source, "--output", tmp_path / "o.jsonl")
    assert (done.status, done.out) == (0, "")


@pytest.mark.parametrize(("name", "content"), [("e.csv", ""), ("e.csv", "text\n"), ("e.jsonl", "\n"), ("e.txt", "")])
@pytest.mark.parametrize("output", [None, "o.jsonl", "o.csv", "o.parquet"])
def test_no_texts_are_reported_in_one_line(predict, tmp_path, name, content, output):
    (tmp_path / name).write_text(content)
    flags = [] if output is None else ["--output", tmp_path / output]
    result = predict("--input", tmp_path / name, *flags)
    assert (result.status, result.out) == (0, "")
    assert result.err == f"elbert: {tmp_path / name}: no texts, nothing to classify\n"
    if output == "o.csv":
        assert (tmp_path / output).read_text() == "text,label,score,depth,depths,reason,truncated\n"
    if output == "o.parquet":
        assert pq.read_table(tmp_path / output).num_rows == 0


REFUSED = {
    "texts": (["a text", "--keep", "id"], "columns are those of a file"),
    "text column": (["a text", "--text-column", "x"], "columns are those of a file"),
    "json": (["--json", "--output", "o.csv"], "--json is for JSON lines, and --output is"),
    "tsv": (["--output", "o.tsv"], "writes .csv, .parquet or .jsonl"),
    "missing": (["--keep", "nr"], "no column named nr; columns found: id, review, label, input_label; keep (--keep)"),
    "ray": (["--keep", "id", "--ray"], "--keep is not for --ray"),
    "delimiter": (["--delimiter", ";;"], "--delimiter: expected one character, or tab"),
    "twice": (["--keep", "label,input_label", "--output", "o.csv"], "the output would have two columns 'input_label'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_kept_or_written_is_one_line_and_leaves_no_file(predict, tmp_path, case):
    flags, message = REFUSED[case]
    source = [] if flags[0] == "a text" else ["--input", write_input(tmp_path, "csv"), "--text-column", "review"]
    before = sorted(tmp_path.iterdir())
    flags = [tmp_path / flag if flag.startswith("o.") else flag for flag in flags]
    predict(*source, *flags).check_error(message)
    assert sorted(tmp_path.iterdir()) == before


def test_other_commands_read_the_same_columns(elbert, bundle_folder, tmp_path):
    data = tmp_path / "a.csv"
    data.write_text("sentence;y\n" + "".join(f"a good film {n};{n % 2}\n" for n in range(8)))
    flags = ["--data", data, "--text-column", "sentence", "--label-column", "y", "--model", bundle_folder]
    assert json.loads(elbert("evaluate", *flags, "--rounds", 0, "--json").out)["n"] == 8
    assert elbert("explain", *flags, "--json").status == 0
    for command in (["evaluate", "--rounds", 0], ["compare", "--output", tmp_path / "c"], ["explain"]):
        result = elbert(*command, *flags[:-4], "--label-column", "stars", *flags[-2:])
        assert (result.status, result.out) == (2, "")
        message = "no column named stars; columns found: sentence, y; label_column (--label-column) names another"
        assert result.err.splitlines()[-1].endswith(message)


def test_long_texts_are_read_in_windows(predict, tmp_path):
    long = "a good film and a bad film . " * 40
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in (long, "a film")))
    for name in ("o.jsonl", "o.csv", "o.parquet"):
        result = predict("--input", source, "--long", "windows(vote, full)", "--output", tmp_path / name)
        assert result.status == 0
        assert result.err.startswith("elbert: long texts read as windows(vote, full): ")
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    rows = pq.read_table(tmp_path / "o.parquet").to_pylist()
    for line, row in zip(lines, rows, strict=True):
        assert (line["windows"], line["windows_read"]) == (row["windows"], row["windows_read"])
    assert lines[0]["windows"] == lines[0]["windows_read"] > 1 == lines[1]["windows"]
    assert not lines[0]["truncated"] and "windows,windows_read" in (tmp_path / "o.csv").read_text()
    refused = predict("--long", "pages", "a film")
    assert refused.status == 2 and "expected cut, windows, or" in refused.err and refused.err.count("\n") == 1
