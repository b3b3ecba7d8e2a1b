"""elbert export, its report, and the example that needs onnxruntime and tokenizers alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from elbert import Classifier, bundled_model
from elbert.cli.main import main
from elbert.export import export
from tiny import texts

ROOT = Path(__file__).parents[2]
SENTENCES = ["A charming and often affecting journey.", "dull .", "it is neither good nor bad"]


@pytest.fixture
def elbert(capsys):
    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "data.jsonl"
    rows = [{"text": text, "label": i % 2} for i, text in enumerate(texts(30, seed=2))]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_a_file_and_a_line_about_it(elbert, bundle_folder, tmp_path):
    out = tmp_path / "model.onnx"
    status, expected, err = elbert("export", "--model", bundle_folder, "--policy", "patience(2)", "--output", out)
    assert (status, expected, err) == (0, f"{out}: 0.1 MB, float32\n", "")
    status, expected, err = elbert(
        "export", "--model", bundle_folder, "--output", out, "--dtype", "int8", "--dials", "--json"
    )
    assert json.loads(expected) == {"output": str(out), "size": out.stat().st_size, "dtype": "int8"}


def test_a_report_of_every_precision(elbert, bundle_folder, data):
    arguments = ("export", "--model", bundle_folder, "--policy", "entropy(0.4)", "--report", data, "--threads", 1)
    status, expected, _ = elbert(*arguments, "--rounds", 1, "--json")
    assert status == 0
    report = json.loads(expected)["precisions"]
    assert list(report) == ["float32", "float16", "int8"]
    exact = report["float32"]
    predictions = Classifier.load(bundle_folder, dtype="float32").predict(texts(30, seed=2), "entropy(0.4)")
    right = [p.label == ("negative", "positive")[i % 2] for i, p in enumerate(predictions)]
    assert exact["metrics"]["accuracy"] == pytest.approx(sum(right) / 30)
    assert exact["mean_depth"] == pytest.approx(sum(p.depth for p in predictions) / 30)
    assert (exact["answers_changed"], exact["exits_moved"]) == (0, 0)
    assert exact["size"] > report["float16"]["size"] > report["int8"]["size"]
    assert set(exact["texts_per_second"]) == {"1", "32"}
    status, expected, _ = elbert(*arguments, "--rounds", 0)
    assert status == 0
    assert [line.split()[0] for line in expected.splitlines() if line.strip().endswith("%")] == list(report)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "nothing to do: --output FILE"),
        (["--output", "x.onnx", "--policy", "sure"], "no policy is called 'sure'"),
        (["--output", "x.txt"], "--output is x.txt, expected a name ending in .onnx; name it x.onnx"),
        (["--page", "page.html"], "page.html: the name of a file; expected that of a folder, such as page"),
        (["--output", "nowhere/x.onnx"], "nowhere/x.onnx: this folder does not exist"),
        (["--report", "nothing.csv"], "nothing.csv: no such file"),
        (["--report", "nothing.csv", "--rounds", "-1"], "--rounds is -1"),
        (["--output", "x.onnx", "--dtype", "int4"], "invalid choice: 'int4'"),
        (["--output", "x.onnx", "--model", "nowhere/at/all"], "no such folder"),
    ],
)
def test_bad_input_gives_one_line(elbert, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    status, out, err = elbert("export", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert expected in err
    assert not list(tmp_path.iterdir())


def test_a_bad_row_is_named(elbert, bundle_folder, data):
    with data.open("a") as file:
        file.write('{"text": "a film", "label": "none of them"}\n')
    arguments = ("export", "--model", bundle_folder, "--report", data, "--rounds", 0, "--threads", 1)
    status, _, err = elbert(*arguments)
    assert (status, f"{data}:31: " in err) == (2, True)
    status, expected, err = elbert(*arguments, "--skip-bad", "--json")
    assert (status, "1 bad row skipped" in err, len(json.loads(expected)["precisions"])) == (0, True, 3)


def test_the_example_reports_files_that_it_cannot_use_in_one_line(tmp_path):
    script, tokenizer = ROOT / "examples" / "onnx_classify.py", bundled_model() / "tokenizer.json"
    model = export(None, None, tmp_path / "model.onnx", extra_outputs=True)
    plain = export(None, None, tmp_path / "plain.onnx")
    dials = export(None, None, tmp_path / "dials.onnx", extra_outputs=True, dials="required")
    bad = tmp_path / "bad.onnx"
    bad.write_text("no model")
    cases = [
        ([model, tokenizer], "usage: "),
        ([plain, tokenizer, "a film"], "export it with elbert export --extra-outputs"),
        ([dials, tokenizer, "a film"], "without --dials"),
        ([bad, tokenizer, "a film"], f"{bad}: not readable as an ONNX file"),
        ([tmp_path / "missing.onnx", tokenizer, "a film"], "missing.onnx: not readable as an ONNX file"),
        ([model, bad, "a film"], f"{bad}: not readable as a tokenizer"),
        ([model, tmp_path / "missing.json", "a film"], "missing.json: not readable as a tokenizer"),
    ]
    for arguments, message in cases:
        command = [sys.executable, str(script), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert message in done.stderr


def test_the_example_needs_onnxruntime_and_tokenizers_alone(tmp_path):
    script = ROOT / "examples" / "onnx_classify.py"
    assert len([line for line in script.read_text().splitlines() if line]) <= 36
    model = export(None, None, tmp_path / "model.onnx", dtype="int8", extra_outputs=True)
    watched = (
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__');"
        "sys.exit(str({'torch', 'transformers', 'elbert'} & set(sys.modules) or ''))"
    )
    arguments = [str(script), str(model), str(bundled_model() / "tokenizer.json"), *SENTENCES]
    done = subprocess.run([sys.executable, "-c", watched, *arguments], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr.strip()) == (1, "")  # sys.exit('') tells nothing
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[2] for line in lines] == SENTENCES
    assert [line[0] for line in lines[:2]] == ["positive", "negative"]
    assert lines[0][1] == "depth 1 of 12 (entropy)"
