"""No name is cut in a table: in pipes lines have no limit, on terminals names wrap at spaces or stand above numbers."""

import inspect
import json
import random
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from elbert.cli.commands.export import print_report as print_precisions
from elbert.cli.render import terminal_tables
from elbert.cli.render.terminal_tables import format_table, measure
from elbert.exits.policies import POLICIES
from elbert.explain.depth_outputs import FORMS
from elbert.tasks import TASKS
from tiny import texts, write_bundle

LONG = "tempered(window(entropy=0.125, size=3, rule=stable, margin=0.05, range=0.15), 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)"
LABELS = ("balance_not_updated_after_bank_transfer", "card payment wrong exchange rate", "c")
SPECS = ("patient_confidence(times=2, threshold=0.3)", LONG)
WIDTHS = (60, 80, 120, 200)


def flatten(out):
    """The output without colours, in one line."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", out).split())


def check_whole(out, names):
    flat = flatten(out)
    for name in names:
        assert all(word in flat.split() for word in name.split()), (name, out)


@pytest.fixture
def at(monkeypatch):
    """Standard output as a terminal of a width; as a pipe where the width is None."""

    def set_width(width):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: width is not None)
        monkeypatch.setenv("COLUMNS", str(width or 80))

    return set_width


@pytest.mark.parametrize("width", [None, *WIDTHS])
def test_random_tables(width):
    generator = random.Random(0)
    names = [*POLICIES, *SPECS, "電影評論 的 政策", ""]
    for _ in range(300):
        columns = generator.randint(1, 9)
        head = ["policy", *(generator.choice(["f1", "layer speed-up", "p99 ms"]) for _ in range(columns))]
        rows = [
            [generator.choice(names), *(f"{10 ** generator.uniform(0, 7):.2f}x" for _ in range(columns))]
            for _ in range(generator.randint(1, 5))
        ]
        lines = format_table(head, rows, width)
        flat = " ".join(lines).split()
        for row in [head, *rows]:
            assert all(word in flat for cell in row for word in cell.split())
        if width is None:
            assert len(lines) == len(rows) + 2
        else:
            assert max(map(measure, lines)) <= width


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    points = {
        "version": 1,
        "default": None,
        "points": {"a-point-whose-name-is-long": {"policy": LONG}},
    }
    return write_bundle(tmp_path_factory.mktemp("names") / "model", labels=LABELS, points=points)


@pytest.fixture
def data(tmp_path):
    rows = [{"text": text, "label": LABELS[i % 3]} for i, text in enumerate(texts(60, seed=5, longest=30))]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "data.jsonl"


@pytest.mark.parametrize("width", [None, *WIDTHS])
def test_evaluate(elbert, model, data, at, width):
    at(width)
    result = elbert("evaluate", "--model", model, "--data", data, "--rounds", "1", "--policy", *SPECS)
    check_whole(result.out, SPECS)


@pytest.mark.parametrize("width", [None, *WIDTHS])
def test_bench(elbert, model, data, at, width):
    at(width)
    result = elbert("bench", "--model", model, "--data", data, "--rounds", "1", "--policy", *SPECS)
    check_whole(result.out, SPECS)


@pytest.mark.parametrize("width", [None, *WIDTHS])
def test_compare(elbert, model, data, at, width, tmp_path):
    at(width)
    families = ("patient_confidence", "entropy | patience", "depth")
    result = elbert("compare", "--model", model, "--data", data, "--output", tmp_path / "o", "--families", *families)
    for table in re.split("held out", result.out):
        check_whole(table, [*families, "entropy"])


@pytest.mark.parametrize("width", [None, *WIDTHS])
def test_labels_of_predictions_and_explanations(elbert, model, data, at, width):
    at(width)
    predicted = elbert("predict", "--model", model, "--input", data, "--table", "--scores")
    assert all(
        label in line for line in predicted.out.splitlines() for label in LABELS if " 0." in line and "," in line
    )
    shown = {line[: max(map(len, LABELS))].strip() for line in predicted.out.splitlines()[1:-1:2]}
    assert shown <= set(LABELS)
    [first] = [json.loads(line) for line in data.read_text().splitlines()[:1]]
    for policy in SPECS:
        one = elbert("explain", first["text"], "--model", model, "--policy", policy)
        assert "…" not in "".join(line for line in one.out.splitlines() if re.match(r"[ ▶]+ *[0-9]+  ", line))
        assert set(re.findall(r"balance\w*", flatten(one.out))) <= {LABELS[0]}
        check_whole(one.out.split("exits of other policies")[1], ["patient_confidence(2, 0.3)"])
    many = elbert("explain", "--data", data, "--model", model)
    assert set(re.findall(r"balance\w*", flatten(many.out))) <= {LABELS[0]}


LONG_TEXTS = [f"{text} {'word ' * 40}end{i}" for i, text in enumerate(texts(12, seed=5))]


def test_texts_are_whole_in_pipes_and_as_wide_as_the_terminal(elbert, model, at, tmp_path):
    (tmp_path / "long.txt").write_text("\n".join(LONG_TEXTS))
    for command in (["explain", "--data"], ["predict", "--table", "--input"]):
        at(None)
        piped = elbert(*command, tmp_path / "long.txt", "--model", model).out
        assert "…" not in piped
        assert "end3" in piped
        used = {}
        for width in WIDTHS:
            at(width)
            shown = elbert(*command, tmp_path / "long.txt", "--model", model).out
            lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.splitlines()]
            used[width] = max(len(line) for line in lines if line.endswith("…"))
        assert all(width - 3 <= size <= max(width, 100) for width, size in used.items())


def test_rankings(elbert, model, at):
    at(None)
    ranker = elbert("rank", "--query", "a film", LONG_TEXTS[0], "--model", model, "--table")
    assert "…" not in ranker.out


REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def read_defined():
    """The names in the first column of the reference's table of columns."""
    rows = re.findall(r"^\| (`.*?) \|", REFERENCE.read_text().split("## Metrics of the server")[0], re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert len(names) == len(set(names))
    return {generalise(name) for name in names}


def generalise(name):
    """A column's name with N for a number in it."""
    return re.sub(r"\d+(\.\d+)?(?=x$)|(?<=batch )\d+", "N", name)


def find_metrics(task):
    return re.findall(r'"(\w+)": ', inspect.getsource(task.measure))


def test_every_column_is_defined_once(elbert, model, data, at, tmp_path, monkeypatch):
    at(None)
    defined, printed = read_defined(), {}
    kept = terminal_tables.format_table
    monkeypatch.setattr(
        terminal_tables,
        "format_table",
        lambda head, rows, width: printed.setdefault("tables", set()).update(head) or kept(head, rows, width),
    )
    elbert("evaluate", "--model", model, "--data", data, "--rounds", "1")
    elbert("bench", "--model", model, "--rounds", "1")
    elbert("compare", "--model", model, "--data", data, "--output", tmp_path / "out", "--families", "window", "depth")
    size = {"dtype": "float32", "size": 1, "load_seconds": 1, "texts_per_second": {1: 1.0, 8: 2.0}}
    rest = {"metrics": {"accuracy": 1.0}, "mean_depth": 1.0, "answers_changed": 0.0, "exits_moved": 0.0}
    print_precisions({"float32": SimpleNamespace(**size, **rest)})
    for name in ("rank", "predict"):
        arguments = ["--query", "a query"] if name == "rank" else []
        texts_ranker = (
            write_bundle(tmp_path / name, labels=("value",), problem_type="regression") if arguments else model
        )
        head = elbert(name, *arguments, "a film", "--table", "--model", texts_ranker).out.splitlines()[0]
        printed[name] = set(re.sub(r"a query$", "", head).split())
    survey = elbert("explain", "--data", data, "--model", model).out
    heads = [line for line in survey.splitlines() if re.match(r" +(depth|tokens)  ", line)]
    printed["survey"] = {cell for head in heads for cell in re.split(r"  +", head.strip())}
    one = elbert("explain", "a film", "--model", model, "--policy", "window(0.1, 3)").out
    [head] = [line for line in one.splitlines() if line.startswith("   depth  ")]
    printed["explain"] = {cell for cell in re.split(r"  +", head.strip()) if "(" not in cell}
    printed["forms"] = {text for form in FORMS.values() for text in (form.head, form.unit)}
    printed["metrics"] = {"ece", *(name for task in TASKS.values() for name in find_metrics(task))}
    for command, names in printed.items():
        assert names and {generalise(name) for name in names} <= defined, command
    used = {generalise(name) for names in printed.values() for name in names}
    assert defined <= used
