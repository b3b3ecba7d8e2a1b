"""elbert predict: texts from everywhere, JSON lines and tables, and everything that can be wrong with the request."""

import csv
import io
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from elbert.classifier import Classifier
from tiny import texts, write_bundle

KEYS = ["text", "label", "score", "depth", "depths", "reason", "truncated"]
SENTENCES = [*texts(30, seed=8), "", 'quo,ted "text" it\'s', "é 漢字 🎬", " spaces  kept "]
PAIRS = [("the film", "is good"), ("", "and"), ("a", "é")]
POLICY = "entropy(0.4)"


def lines(result):
    assert (result.status, result.err) == (0, "")
    assert result.out == "" or result.out.endswith("\n")
    return [json.loads(line) for line in result.out.split("\n")[:-1]]


def expected(folder, sentences, policy=POLICY):
    return Classifier.load(folder).predict(sentences, policy)


def assert_answers(found, sentences, predictions):
    assert len(found) == len(sentences)
    for line, text, p in zip(found, sentences, predictions, strict=True):
        pair = {} if isinstance(text, str) else {"text_pair": text[1]}
        assert line == {
            "text": text if isinstance(text, str) else text[0],
            **pair,
            "label": p.label,
            "score": pytest.approx(p.score, abs=1e-5),
            "depth": p.depth,
            "depths": 6,
            "reason": p.reason,
            "truncated": p.truncated,
        }


def write_rows(path, rows):
    """Texts or pairs, as the ending says."""
    rows = [(row,) if isinstance(row, str) else row for row in rows]
    columns = ("text", "text_pair")[: len(rows[0])]
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(r) + "\n" for r in records))
    elif path.suffix == ".tsv":
        path.write_text("".join("\t".join(row) + "\n" for row in (columns, *rows)))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as out:
            csv.writer(out, quoting=csv.QUOTE_ALL).writerows((columns, *rows))
    else:
        path.write_text("".join(f"{row[0]}\n" for row in rows))
    return path


def test_texts_of_the_command_line(predict, bundle_folder):
    found = lines(predict(*SENTENCES, "--policy", POLICY))
    assert [list(line) for line in found] == [KEYS] * len(SENTENCES)
    assert_answers(found, SENTENCES, expected(bundle_folder, SENTENCES))
    assert len({line["depth"] for line in found}) > 1


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "txt"])
def test_files_of_every_format(predict, bundle_folder, tmp_path, ending):
    sentences = [s for s in SENTENCES if s or ending != "tsv"]
    file = write_rows(tmp_path / f"texts.{ending}", sentences)
    found = lines(predict("--input", file, "--policy", POLICY))
    assert_answers(found, sentences, expected(bundle_folder, sentences))


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_pairs(predict, bundle_folder, tmp_path, ending):
    file = write_rows(tmp_path / f"pairs.{ending}", PAIRS)
    assert_answers(lines(predict("--input", file, "--policy", POLICY)), PAIRS, expected(bundle_folder, PAIRS))


def test_standard_input(predict, bundle_folder, monkeypatch):
    sentences = [s for s in SENTENCES if "\n" not in s]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(sentences).encode()), encoding="latin-1"))
    assert_answers(lines(predict("--input", "-", "--policy", POLICY)), sentences, expected(bundle_folder, sentences))


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "txt"])
def test_an_empty_file_gives_no_lines(predict, tmp_path, ending):
    file = tmp_path / f"empty.{ending}"
    file.write_text("")
    result = predict("--input", file)
    assert (result.status, result.out) == (0, "")
    assert result.err == f"elbert: {file}: no texts, nothing to classify\n"
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "empty.parquet")
    assert predict("--input", tmp_path / "empty.parquet").out == ""
    result = predict("--input", file, "--table")
    assert result.out.splitlines()[-1] == "no texts"


def test_more_texts_than_are_read_ahead_stay_in_order(predict, tmp_path):
    sentences = texts(5000, seed=2, longest=5)
    found = lines(predict("--input", write_rows(tmp_path / "many.txt", sentences), "--policy", "depth(1)"))
    assert [line["text"] for line in found] == sentences


def test_scores_and_trace(predict, bundle_folder):
    found = lines(predict(*SENTENCES, "--policy", POLICY, "--scores", "--trace"))
    classifier = Classifier.load(bundle_folder)
    for line, p in zip(found, classifier.predict(SENTENCES, POLICY, trace=True), strict=True):
        assert list(line) == [*KEYS, "scores", "trace"]
        assert line["scores"] == pytest.approx(p.scores, abs=1e-5)
        assert line["scores"][line["label"]] == line["score"]
        assert [step["depth"] for step in line["trace"]] == list(range(1, line["depth"] + 1))
        for step, expected_step in zip(line["trace"], p.trace, strict=True):
            assert list(step) == ["depth", "scores", "entropy"]
            assert step["scores"] == pytest.approx(expected_step.scores, abs=1e-5)
            assert step["entropy"] == pytest.approx(expected_step.entropy, abs=1e-4)


def test_multi_label_and_regression(elbert, tmp_path):
    multi = write_bundle(tmp_path / "m", labels=("a", "b", "c"), problem_type="multi_label_classification")
    (line,) = lines(elbert("predict", "good film", "--scores", "--model", multi))
    assert line["score"] == max(line["scores"].values())
    assert list(line["scores"]) == ["a", "b", "c"]
    value = write_bundle(tmp_path / "v", labels=("value",))
    (line,) = lines(elbert("predict", "good film", "--model", value))
    assert (line["label"], line["depth"], line["reason"]) == ("value", 6, "last")
    elbert("predict", "x", "--policy", POLICY, "--model", value).check_error(
        "does not fit a model whose outputs are values"
    )


def test_table_and_total_line(predict, bundle_folder):
    result = predict(*SENTENCES, "--policy", POLICY, "--table")
    head, *rows, total = result.out.splitlines()
    assert (result.status, result.err) == (0, "")
    assert head.split() == ["label", "score", "depth", "reason", "text"]
    predictions = expected(bundle_folder, SENTENCES)
    for row, text, p in zip(rows, SENTENCES, predictions, strict=True):
        cells = row.split(maxsplit=4)
        assert cells[:4] == [p.label, f"{p.score:.3f}", f"{p.depth}/6", p.reason]
        assert " ".join(text.split()).startswith(row.removesuffix("…").split(p.reason, 1)[1].strip())
    mean = sum(p.depth for p in predictions) / len(predictions)
    start = f"{len(SENTENCES)} texts, mean depth {mean:.2f} of 6, layer speed-up {6 / mean:.2f}x, "
    assert total.startswith(start)
    assert total.endswith(" texts per second")
    assert float(total.removeprefix(start).split()[0].replace(",", "")) > 0


def test_table_with_scores_and_trace(predict):
    result = predict("good film", "--policy", "depth(2)", "--table", "--scores", "--trace")
    _, row, scores, first, second, _ = result.out.splitlines()
    assert "good film" in row
    assert scores.startswith("  negative 0.")
    assert " positive 0." in scores
    assert [first.split()[:2], second.split()[:2]] == [["depth", "1"], ["depth", "2"]]


def test_a_table_shows_what_a_terminal_would_obey(predict):
    result = predict("\x1b[2Jgood\x07 \u202efilm\x9b31m\nline", "--table", "--policy", "patient_confidence(1, 1)")
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(result.out)
    assert len(result.out.splitlines()) == 3
    assert "patient_confidence  " in result.out


def test_operating_points_by_name(elbert, tmp_path):
    points = {"version": 1, "default": "fast", "points": {"fast": {"policy": "depth(2)"}, "sst2-x": {"policy": "full"}}}
    folder = write_bundle(tmp_path, points=points)
    depth = {
        name: lines(elbert("predict", "x", "--model", folder, *more))[0]["depth"]
        for name, more in {"default": (), "named": ("--policy", "sst2-x"), "spec": ("--policy", "depth(4)")}.items()
    }
    assert depth == {"default": 2, "named": 6, "spec": 4}
    elbert("predict", "x", "--model", folder, "--policy", "slow").check_error(
        "'slow'", "operating points of this model: fast, sst2-x"
    )


REJECTED = {
    "nothing": ([], ("give either texts or --input FILE", "elbert predict -h")),
    "a text as an address": (["--ray", "x"], ("give either texts or --input FILE", "--ray took 'x' as its address")),
    "both": (["x", "--input", "texts.txt"], ("give either texts or --input FILE",)),
    "missing file": (["--input", "nowhere.csv"], ("nowhere.csv: no such file",)),
    "folder": (["--input", "folder.csv"], ("folder.csv: is a folder", ".csv")),
    "ending": (["--input", "texts.docx"], ("texts.docx: unknown ending", ".csv, .tsv, .jsonl")),
    "no text column": (["--input", "columns.csv"], ("columns.csv: no column named text; columns found: a, b",)),
    "policy": (["x", "--policy", "hope(3)"], ("no policy is called 'hope'", "known policies: full, depth")),
    "empty policy": (["x", "--policy", ""], ("cannot read the policy ''", "known policies")),
    "dial": (["x", "--policy", "entropy(2)"], ("threshold=2", "a number from 0 to 1")),
    "depth": (["x", "--policy", "depth(7)"], ("this model has 6 depths", "depth(1) to depth(6)")),
    "device": (["x", "--device", "abacus"], ("device is 'abacus', expected",)),
    "another device": (["x", "--device", "meta"], ("device is 'meta', expected auto, cpu or cuda",)),
    "threads": (["x", "--threads", "0"], ("threads is 0",)),
    "many threads": (["x", "--threads", "1000000"], ("threads is 1000000", "1 to 1024")),
    "rows": (["x", "--max-rows", "-1"], ("max_rows is -1",)),
    "option": (["x", "--polcy", "full"], ("unknown argument '--polcy', closest to --policy", "elbert predict -h")),
    "table and file": (["x", "--table", "--output", "o.jsonl"], ("give one of them",)),
    "output is a folder": (["x", "--output", "folder.csv"], ("folder.csv: a folder",)),
    "output in no folder": (["x", "--output", "no/where.jsonl"], ("no/where.jsonl: this folder does not exist",)),
    "surrogate": (["bad \udcff", "fine"], ("argument:1: text holds a lone surrogate",)),
    "a name of two lines": (["--input", "two\nlines.txt"], ("two lines.txt: no such file",)),
    "a name too long": (["--input", "x" * 300 + ".txt"], ("File name too long",)),
}


@pytest.fixture
def working_folder(tmp_path, monkeypatch):
    """A working folder with a few files in it."""
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "texts.txt").write_text("a film\n")
    (tmp_path / "texts.docx").write_text("a film\n")
    (tmp_path / "columns.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("arguments", "parts"), REJECTED.values(), ids=REJECTED)
def test_a_bad_request_gives_one_line(predict, working_folder, arguments, parts):
    before = sorted(working_folder.iterdir())
    predict(*arguments).check_error(*parts)
    assert sorted(working_folder.iterdir()) == before


@pytest.mark.parametrize("model", ["nowhere/at/all", "someone/never-fetched", "", "texts.txt", "folder.csv"])
def test_no_such_model(elbert, working_folder, model):
    elbert("predict", "x", "--model", model).check_error(model)


BAD = {
    "rows.txt": (b"good\n\xff\xfe\nbad\n", 2, "not valid UTF-8"),
    "rows.csv": (b'text,label\ngood,1\n"b\xe9d",1\nbad,0\n', 3, "not valid UTF-8"),
    "rows.tsv": (b"text\tlabel\ngood\t1\nthree\tfields\there\nbad\t0\n", 3, "expected 2 fields"),
    "rows.jsonl": (b'{"text": "good"}\n{"txt": "x"}\n{"text": "bad"}\n', 2, "text is missing"),
    "more.jsonl": (b'{"text": "good"}\n{"text"\n{"text": "bad"}\n', 2, "invalid JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_named_and_may_be_skipped(predict, tmp_path, name):
    content, line, why = BAD[name]
    file = tmp_path / name
    file.write_bytes(content)
    predict("--input", file).check_stopped(["good"], f"{file}:{line}: {why}")
    result = predict("--input", file, "--skip-bad")
    assert [json.loads(x)["text"] for x in result.out.splitlines()] == ["good", "bad"]
    skipped, total = result.err.splitlines()
    assert result.status == 0
    assert skipped.startswith(f"elbert: skipped {file}:{line}: {why}")
    assert total == "elbert: 1 bad row skipped, 2 texts classified"


LABELS_NOT_READ = {
    "twice.csv": b"text,label,label\ngood,1,0\nbad,,\n",
    "bytes.csv": b"text,label\ngood,\xff\nbad,[\n",
    "codes.tsv": b"text\tlabel\ngood\t-100\nbad\t0.5\n",
    "kinds.jsonl": b'{"text": "good", "label": {"a": 1}}\n{"text": "bad", "label": [null, true]}\n',
}


@pytest.mark.parametrize("name", [*LABELS_NOT_READ, "struct.parquet", "bytes.parquet"])
def test_labels_are_not_read(predict, elbert, bundle_folder, tmp_path, name):
    file = tmp_path / name
    if name in LABELS_NOT_READ:
        file.write_bytes(LABELS_NOT_READ[name])
    else:
        broken = pa.array([b"\xff", b"a"]).view(pa.string())
        labels = broken if name == "bytes.parquet" else pa.array([{"a": 1}, None])
        pq.write_table(pa.table({"text": ["good", "bad"], "label": labels}), file)
    assert [line["text"] for line in lines(predict("--input", file))] == ["good", "bad"]
    assert elbert("bench", "--data", file, "--rounds", "1", "--model", bundle_folder, "--json").status == 0
    evaluation = elbert("evaluate", "--data", file, "--model", bundle_folder)
    evaluation.check_error(str(file), "label" if name != "bytes.parquet" and name != "bytes.csv" else "UTF-8")


def test_a_bad_row_of_standard_input(predict, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"good\n\xff\n")))
    predict("--input", "-").check_stopped(["good"], "<stdin>:2: not valid UTF-8")
