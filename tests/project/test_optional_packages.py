"""What ``pip install elbert`` installs is enough for inference; each missing extra is one line with its command."""

import json
import subprocess
import sys

import pytest

from tiny import write_bundle

OPTIONAL = (
    *("accelerate", "matplotlib", "msgspec", "onnx", "onnxruntime", "onnxscript", "pandas", "prometheus_client"),
    *("pyarrow", "ray", "scipy", "sentencepiece", "sklearn", "starlette", "transformers", "uvicorn"),
)
# Runs each command of standard input in one process (importing torch takes seconds) where no optional package exists.
BLOCKED = f"""
import contextlib, io, json, sys
from importlib.abc import MetaPathFinder

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
"""
COMMANDS = """
from elbert.cli.main import main
results = []
for arguments in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
    results.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(results))
"""
LIBRARY = """
import elbert
classifier = elbert.Classifier.load(sys.argv[1])
(one,) = classifier.predict(["a film"], "entropy(0.4)", trace=True)
streamed = list(classifier.stream(iter(["a film", ("a", "pair")])))
assert [p.depths for p in (one, *streamed)] == [6, 6, 6]
assert elbert.policy("window(0.1, 3)") and elbert.bundled_model().is_dir()
try:
    elbert.ElbertForSequenceClassification
except elbert.MissingExtra as missing:
    print(missing)
"""


MODULES = """
import pkgutil
from importlib import import_module
import elbert
for module in pkgutil.walk_packages(elbert.__path__, "elbert.", onerror=lambda name: None):
    if not module.name.endswith("__main__"):
        try:
            import_module(module.name)
        except elbert.MissingExtra:
            pass
        except ImportError as error:
            print(module.name, error)
"""


def run_blocked(code, *arguments, stdin=""):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + code, *map(str, arguments)], input=stdin, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data files, and models that need transformers: for their tokenizer, for their activation."""
    folder = tmp_path_factory.mktemp("core")
    (folder / "a.txt").write_text("a film\nbad\n")
    (folder / "a.csv").write_text("text,label\na film,positive\nbad,negative\n")
    (folder / "a.jsonl").write_text('{"text": "a film"}\n{"text": "bad"}\n')
    (folder / "a.parquet").write_bytes(b"PAR1")
    write_bundle(folder / "model")
    old = write_bundle(folder / "old")
    (old / "tokenizer.json").unlink()
    (old / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n")
    rare = write_bundle(folder / "rare")
    config = json.loads((rare / "config.json").read_text())
    (rare / "config.json").write_text(json.dumps(config | {"hidden_act": "mish"}))
    return folder


WORKING = {
    "help": ["--help"],
    "predict --help": ["predict", "--help"],
    "train --help": ["train", "--help"],
    "env": ["env"],
    "text": ["predict", "a film", "--model", "{}/model"],
    "table": ["predict", "a film", "--table", "--model", "{}/model"],
    "bundled model": ["predict", "a film", "--scores", "--trace"],
    "txt": ["predict", "--input", "{}/a.txt", "--model", "{}/model"],
    "csv": ["predict", "--input", "{}/a.csv", "--model", "{}/model"],
    "jsonl": ["predict", "--input", "{}/a.jsonl", "--model", "{}/model"],
    "bench": ["bench", "--data", "{}/a.txt", "--rounds", "1", "--model", "{}/model"],
}
MISSING = {
    "parquet": (["predict", "--input", "{}/a.parquet", "--model", "{}/model"], "pyarrow", "parquet"),
    "tokenizer": (["predict", "a film", "--model", "{}/old"], "transformers", "train"),
    "activation": (["predict", "a film", "--model", "{}/rare"], "transformers", "train"),
    "train": (
        ["train", "--model", "{}/model", "--train", "{}/a.csv", "--validation", "{}/a.csv", "--output", "{}/out"],
        "transformers",
        "train",
    ),
    "evaluate": (["evaluate", "--data", "{}/a.csv", "--model", "{}/model"], "sklearn", "train"),
    "compare": (["compare", "--data", "{}/a.csv", "--output", "{}/out", "--model", "{}/model"], "sklearn", "train"),
    "calibrate": (
        ["calibrate", "--data", "{}/a.csv", "--speedup", "2", "--name", "n", "--model", "{}/model"],
        "scipy",
        "train",
    ),
    "figure": (["explain", "a film", "--output", "{}/a.png", "--model", "{}/model"], "matplotlib", "plots"),
    "export": (["export", "--output", "{}/a.onnx", "--model", "{}/model"], "onnx", "onnx"),
    "report": (["export", "--report", "{}/a.csv", "--model", "{}/model"], "sklearn", "train"),
    "serve": (["serve", "--model-id", "{}/model", "--port", "0"], "uvicorn", "serve"),
    "explore": (["explore", "--no-browser", "--model", "{}/model"], "uvicorn", "serve"),
    "ray": (["predict", "a film", "--ray", "--model", "{}/model"], "ray", "ray"),
}
EXPLAIN = ["explain", "a film", "--json", "--model", "{}/model"]


@pytest.fixture(scope="module")
def results(folder):
    """Status, output and errors of every command, by case."""
    cases = {**WORKING, **{name: arguments for name, (arguments, _, _) in MISSING.items()}, "explain": EXPLAIN}
    commands = [[argument.replace("{}", str(folder)) for argument in arguments] for arguments in cases.values()]
    return dict(zip(cases, json.loads(run_blocked(COMMANDS, stdin=json.dumps(commands))), strict=True))


@pytest.mark.parametrize("case", WORKING)
def test_inference_works_without_optional_packages(results, case):
    status, out, err = results[case]
    assert (status, err) == (0, "")
    assert out


@pytest.mark.parametrize("case", MISSING)
def test_a_missing_package_is_one_line_with_the_remedy(results, case):
    _, package, extra = MISSING[case]
    assert results[case] == [2, "", f"elbert: error: this needs {package}: pip install 'elbert[{extra}]'\n"]


def test_explanations_work_without_attention(results):
    status, out, err = results["explain"]
    assert (status, err) == (0, "elbert: attention is omitted: this needs transformers: pip install 'elbert[train]'\n")
    assert {step["attention"] for step in json.loads(out)["steps"]} == {None}


@pytest.fixture(scope="module")
def printed(folder):
    """What the two programs print, in one process, because importing torch takes seconds."""
    library, modules = run_blocked(f"{LIBRARY}\nprint('----')\n{MODULES}", folder / "model").split("----\n")
    return library, modules


def test_the_library_works_without_optional_packages(printed):
    assert printed[0] == "this needs transformers: pip install 'elbert[train]'\n"


def test_every_module_can_be_imported_or_names_its_extra(printed):
    assert printed[1] == ""
