"""Rows that are readable and that the model cannot take: named by file and line, or skipped and counted."""

import io
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from elbert.data import read_examples
from elbert.ray.actor import Actor, Task
from elbert.ray.bulk import results
from elbert.ray.columns import to_columns
from elbert.ray.dataset_files import read_rows, to_table
from elbert.tokenization import Tokeniser
from tiny import SPECIALS, WORDS, rewrite_weights, write_bundle

NAN_WORD, FAILING_WORD = "cold", "warm"
ROWS = ["good film", "bad plot", "it was dull", "great ending"]
ENDINGS = ("csv", "tsv", "jsonl", "parquet", "txt")


def spoil(weights):
    """One word makes the output NaN, as activations that overflow do."""
    embedding = weights["albert.embeddings.word_embeddings.weight"][len(SPECIALS) + WORDS.index(NAN_WORD)]
    embedding[::2], embedding[1::2] = 3e38, -3e38


@pytest.fixture(scope="module")
def spoilt_folder(tmp_path_factory):
    """A model of single texts, on one word of which its output is NaN."""
    folder = write_bundle(tmp_path_factory.mktemp("spoilt") / "m", type_vocab_size=1)
    rewrite_weights(folder, spoil)
    return folder


@pytest.fixture(autouse=True)
def _failing_tokenizer(monkeypatch):
    """The tokenizer fails on one word, as tokenizers' Rust code may."""
    encode_each = Tokeniser.encode_each

    def fail(self, texts, *rest):
        rows = encode_each(self, texts, *rest)
        for number, text in enumerate(texts):
            if FAILING_WORD in str(text):
                from elbert.errors import InputError

                rows[number] = InputError("the tokenizer fails on this text (PanicException)")
        return rows

    monkeypatch.setattr(Tokeniser, "encode_each", fail)


FAULTS = {
    "pair": (("bad plot", "dull"), "it takes single texts, no pairs"),
    "NaN": ((f"bad {NAN_WORD}", ""), "output for this text is NaN"),
    "tokenizer": ((f"a {FAILING_WORD} film", ""), "the tokenizer fails on this text"),
}


def write_rows(path, rows, label=None):
    """Rows of (text, second text) as the file's ending says; returns the line of each row."""
    ending = path.suffix
    records = [{"text": a, "text_pair": b} | ({"label": label} if label else {}) for a, b in rows]
    columns = list(records[0])
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif ending == ".jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    elif ending == ".txt":
        path.write_text("".join(f"{a}\n" for a, _ in rows))
    else:
        separator = "," if ending == ".csv" else "\t"
        path.write_text("".join(separator.join(line) + "\n" for line in [columns, *(r.values() for r in records)]))
    return range(2, len(rows) + 2) if ending in (".csv", ".tsv") else range(1, len(rows) + 1)


def insert(fault):
    """The rows with two faulty ones between them, and their positions."""
    rows = [(text, "") for text in ROWS]
    rows[1:1] = [FAULTS[fault][0]]
    rows[4:4] = [FAULTS[fault][0]]
    return rows, (1, 4)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_row_that_the_model_cannot_take(elbert, spoilt_folder, tmp_path, ending, fault):
    if (ending, fault) == ("txt", "pair"):
        pytest.skip("a text file has no pairs")
    rows, bad = insert(fault)
    file = tmp_path / f"rows.{ending}"
    lines = write_rows(file, rows)
    command = ("predict", "--input", file, "--model", spoilt_folder, "--dtype", "float32")
    elbert(*command).check_stopped(ROWS[:1], f"{file}:{lines[bad[0]]}: ", FAULTS[fault][1])
    result = elbert(*command, "--skip-bad")
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == ROWS
    *skipped, total = result.err.splitlines()
    assert [line.split(": ")[1] for line in skipped] == [f"skipped {file}:{lines[number]}" for number in bad]
    assert (result.status, total) == (0, "elbert: 2 bad rows skipped, 4 texts classified")


@pytest.mark.parametrize("fault", ["NaN", "tokenizer"])
def test_arguments_and_standard_input(elbert, spoilt_folder, monkeypatch, fault):
    rows, bad = insert(fault)
    texts = [a for a, _ in rows]
    command = ("predict", "--model", spoilt_folder, "--dtype", "float32", "--skip-bad")
    for source in ("argument", "<stdin>"):
        if source == "<stdin>":
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(texts).encode())))
        result = elbert(*command, *(["--input", "-"] if source == "<stdin>" else texts))
        assert [json.loads(line)["text"] for line in result.out.splitlines()] == ROWS
        assert [line.split(": ")[1] for line in result.err.splitlines()[:2]] == [
            f"skipped {source}:{number + 1}" for number in bad
        ]


def test_an_argument_that_is_no_text_may_be_skipped(elbert, spoilt_folder):
    result = elbert("predict", "good film", "bad \udcff", "dull", "--model", spoilt_folder, "--skip-bad")
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == ["good film", "dull"]
    assert result.err.splitlines()[0].startswith("elbert: skipped argument:2: text holds a lone surrogate")


COMMANDS = {
    "evaluate": ["--rounds", 1, "--policy", "full"],
    "explain": [],
    "calibrate": ["--name", "x", "--speedup", 1, "--families", "depth", "--output", "new"],
    "compare": ["--families", "depth", "--output", "new"],
}


@pytest.mark.parametrize(
    ("command", "fault"), [*((name, "NaN") for name in COMMANDS), ("evaluate", "pair"), ("explain", "tokenizer")]
)
def test_commands_that_need_all_texts(elbert, spoilt_folder, tmp_path, monkeypatch, command, fault):
    monkeypatch.chdir(tmp_path)
    rows, bad = insert(fault)
    file = tmp_path / "rows.csv"
    lines = write_rows(file, rows * 10, label="positive")
    call = (command, "--data", file, "--model", spoilt_folder, "--dtype", "float32", *COMMANDS[command])
    result = elbert(*call)
    # Where texts are computed in another order than that of the file, another bad row can be the first.
    result.check_error(f"{file}:", FAULTS[fault][1])
    assert int(result.err.split(":")[3]) in {lines[n] for n in range(len(lines)) if n % len(rows) in bad}
    result = elbert(*call, "--skip-bad")
    assert (result.status, result.err.count(f"skipped {file}:")) == (0, 20), result.err
    assert "bad rows skipped, " in result.err


def test_the_report_on_precisions(elbert, spoilt_folder, tmp_path):
    pytest.importorskip("onnxruntime")
    sound = write_bundle(tmp_path / "m", type_vocab_size=1)
    file = tmp_path / "rows.csv"
    for fault, folder in (("NaN", spoilt_folder), ("pair", sound)):
        rows, bad = insert(fault)
        lines = write_rows(file, rows, label="positive")
        call = ("export", "--report", file, "--model", folder, "--rounds", 0)
        elbert(*call).check_error(f"{file}:{lines[bad[0]]}: ", FAULTS[fault][1])
    result = elbert(*call, "--skip-bad", "--json")
    assert (result.status, result.err.count(f"skipped {file}:")) == (0, 2), result.err
    assert set(json.loads(result.out)["precisions"]) == {"float32", "float16", "int8"}


@pytest.mark.parametrize("fault", ["NaN", "pair"])
def test_the_data_of_the_explorer(elbert, spoilt_folder, tmp_path, fault, capsys):
    from elbert.classifier import Classifier
    from elbert.cli.commands.explore import collect_evaluation
    from elbert.cli.main import parser

    rows, bad = insert(fault)
    file = tmp_path / "rows.csv"
    lines = write_rows(file, rows, label="positive")
    call = ("explore", "--data", str(file), "--model", str(spoilt_folder), "--dtype", "float32")
    elbert(*call).check_error(f"{file}:{lines[bad[0]]}: ", FAULTS[fault][1])
    arguments = parser().parse_args([*call, "--skip-bad"])
    found = collect_evaluation(arguments, Classifier.load(spoilt_folder, dtype="float32", threads=1))
    assert found.texts == ROWS
    assert capsys.readouterr().err.count(f"skipped {file}:") == 2


def test_a_benchmark_names_the_row_that_the_model_cannot_take(elbert, spoilt_folder, tmp_path):
    rows, bad = insert("NaN")
    lines = write_rows(tmp_path / "rows.csv", rows)
    result = elbert("bench", "--data", tmp_path / "rows.csv", "--model", spoilt_folder, "--dtype", "float32")
    result.check_error(f"rows.csv:{lines[bad[0]]}: ", FAULTS["NaN"][1])


@pytest.mark.parametrize(
    ("call", "fault"), [("evaluate", "pair"), ("evaluate", "tokenizer"), ("compare", "NaN"), ("calibrate", "NaN")]
)
def test_methods_of_the_classifier_name_the_row(spoilt_folder, tmp_path, call, fault):
    from elbert.classifier import Classifier
    from elbert.errors import BadRow

    classifier = Classifier.load(spoilt_folder, dtype="float32", threads=1)
    rows, bad = insert(fault)
    file = tmp_path / "rows.jsonl"
    rows += [(text, "") for text in ROWS] * 9  # enough to calibrate
    lines = write_rows(file, rows, label="positive")
    more = {"name": "x", "speedup": 1, "output": tmp_path / "new"} if call == "calibrate" else {}
    with pytest.raises(BadRow, match=FAULTS[fault][1]) as caught:
        getattr(classifier, call)(str(file), **more)
    assert (caught.value.source, caught.value.line) in {(str(file), lines[number]) for number in bad}


@pytest.mark.parametrize("fault", FAULTS)
def test_on_ray(spoilt_folder, tmp_path, fault):
    """What an actor adds and how the rows come back, without a cluster."""
    from elbert.classifier import Classifier
    from elbert.errors import BadRow

    rows, bad = insert(fault)
    file = tmp_path / "rows.csv"
    lines = write_rows(file, rows)
    weights = Classifier.load(spoilt_folder).bundle.weights_hash
    actor = Actor(Task(str(spoilt_folder), "full", weights, {"threads": 1, "dtype": "float32"}, keep_bad=True))
    answered = FakeDataset(actor(to_table(read_rows(str(file), None))))
    skipped: list[BadRow] = []
    found = list(results(answered, str(file), skipped.append))
    assert [example.text for example, _ in found] == ROWS
    assert [str(row).split(": ")[0] for row in skipped] == [f"{file}:{lines[number]}" for number in bad]
    assert all(FAULTS[fault][1] in str(row) for row in skipped)
    with pytest.raises(BadRow, match=f":{lines[bad[0]]}: "):
        list(results(answered, str(file)))


class FakeDataset:
    """A dataset of one block."""

    def __init__(self, block):
        self.block = block
        self.context = self

    def iter_batches(self, **options):
        return iter([self.block])


LONG = "good film " * 50


@pytest.mark.parametrize("form", ["--json", "--table"])
def test_truncated_texts_are_counted_once(predict, tmp_path, form):
    file = tmp_path / "rows.txt"
    file.write_text("".join(f"{text}\n" for text in ("short", LONG, "short", LONG)))
    result = predict("--input", file, form)
    assert (result.status, result.err) == (
        0,
        "elbert: 2 of 4 texts truncated: they are longer than the model reads\n",
    )
    if form == "--json":
        found = [json.loads(line)["truncated"] for line in result.out.splitlines()]
        assert found == [False, True, False, True]


@pytest.mark.parametrize("command", [("evaluate", "--rounds", 0), ("explain",)], ids=lambda command: command[0])
def test_truncated_texts_are_counted_by_other_commands(elbert, bundle_folder, tmp_path, command):
    file = tmp_path / "rows.csv"
    write_rows(file, [("short", ""), (LONG, "")], label="positive")
    result = elbert(*command, "--data", file, "--model", bundle_folder)
    assert result.err.splitlines() == ["elbert: 1 of 2 texts truncated: they are longer than the model reads"]


def test_truncation_on_ray(bundle_folder):
    from elbert.classifier import Classifier

    weights = Classifier.load(bundle_folder).bundle.weights_hash
    block = Actor(Task(str(bundle_folder), "full", weights, {"threads": 1}))(pa.table({"text": ["short", LONG]}))
    assert block["truncated"].to_pylist() == [False, True]
    assert to_columns([None], ["a"], scores=False, trace=False)["truncated"].to_pylist() == [None]


@pytest.mark.parametrize("text", ["-meh", "--great--", "-hello", "--modell=x", "-5x", "--"])
@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_text_that_begins_with_a_dash(elbert, bundle_folder, command, text):
    if text != "--":
        result = elbert(command, "--model", bundle_folder, text)
        result.check_error("put -- before texts that begin with a dash")
    result = elbert(command, "--model", bundle_folder, "--json", "--", text)
    assert (result.status, result.err.count("error")) == (0, 0), result.err
    assert json.loads(result.out)["text"] == text


@pytest.mark.parametrize("name", ["a.tsv", "a.TSV", "a.txt", "a.json", "a.jsonl.gz", "a.xlsx", "a.onnx", "a.png"])
def test_an_output_whose_name_promises_another_format(predict, tmp_path, name):
    predict("good film", "--output", tmp_path / name).check_error(
        "predict writes .csv, .parquet or .jsonl; name it", ".jsonl"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.NDJSON", "answers", "answers.2026-01-01", "answers.out"])
def test_other_outputs_are_written(predict, tmp_path, name):
    assert predict("good film", "--output", tmp_path / name).status == 0
    assert json.loads((tmp_path / name).read_text())["text"] == "good film"


def test_answers_are_the_rows_of_a_plain_reader(predict, tmp_path):
    """One answer for each row that the csv module reads, in order: documents, quotes, old line ends, blank lines."""
    import csv

    rows = ["one", 'two "quoted", with\nlines\r\nand more', "x" * 200_000, "", "last\rline"]
    file = tmp_path / "rows.csv"
    with file.open("w", newline="") as out:
        csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n\r\n").writerows(
            [["text"], *([row] for row in rows)]
        )
    result = predict("--input", file)
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == rows
    assert [example.text for example in read_examples(str(file))] == rows


def test_a_weight_that_float16_cannot_hold_is_named(elbert, spoilt_folder, tmp_path):
    pytest.importorskip("onnx")
    call = ("export", "--model", spoilt_folder, "--output", tmp_path / "x.onnx")
    elbert(*call, "--dtype", "float16").check_error("word_embeddings has a weight of 3e+38", "use float32")
    assert list(tmp_path.iterdir()) == []
