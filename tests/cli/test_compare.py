"""elbert compare: one pass of the model, whose report agrees with plain replays."""

import csv
import json

import pytest

from elbert.classifier import Classifier
from elbert.comparison import compare
from elbert.errors import InputError
from elbert.evaluation import collect, load_outputs
from elbert.evaluation.sweep import Trials
from elbert.exits import policy
from tiny import texts, write_bundle

SENTENCES = texts(120, seed=5)
TRUTH = [i % 3 for i in range(120)]
FEW = ("--families", "window", "entropy", "patience", "depth")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("compare") / "model", labels=("a", "b", "c"))


@pytest.fixture
def data(tmp_path):
    rows = [{"text": text, "label": label} for text, label in zip(SENTENCES, TRUTH, strict=True)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "data.jsonl"


def test_the_report_equals_replays(elbert, model, data, tmp_path):
    out = tmp_path / "out"
    result = elbert("compare", "--model", model, "--data", data, "--output", out, *FEW, "--json")
    assert (result.status, result.err) == (0, "")
    values = json.loads(result.out)
    assert values == json.loads((out / "comparison.json").read_text())
    trials = Trials(collect(Classifier.load(model), SENTENCES, TRUTH))
    rows = list(csv.DictReader((out / "policies.csv").read_text().splitlines()))
    assert len(rows) == sum(f["policies"] for f in values["families"])
    for row in rows[::97]:
        chosen = policy(row["policy"])
        assert float(row["mean_depth"]) == pytest.approx(trials.depth(chosen).mean(), abs=1e-4)
        assert float(row["accuracy"]) == pytest.approx(trials.correct(chosen).mean(), abs=1e-5)
    assert values["full"] == pytest.approx(trials.right[:, -1].mean())
    assert [f["accuracy"] for f in values["fixed"]] == pytest.approx(list(trials.right.mean(0)))
    assert all(later["flops"] > earlier["flops"] for earlier, later in zip(values["fixed"], values["fixed"][1:]))
    assert [f["name"] for f in values["families"]][-2:] == ["window, tempered", "entropy, tempered"]
    honest = values["honest"]
    assert honest["choose_n"] + honest["report_n"] == 120
    assert sum(values["exits"]["histogram"]) == 120
    for best in values["at_speedup"]:
        for speedup, found in zip(values["speedups"], best["values"], strict=True):
            assert found is None or found["mean_depth"] <= 6 / speedup + 1e-3


def test_files_are_whole(elbert, model, data, tmp_path):
    out = tmp_path / "out"
    flags = ["--label-column", "label"]
    result = elbert("compare", "--model", model, "--data", data, "--output", out, *FEW, *flags)
    assert result.status == 0
    assert json.loads((out / "comparison.json").read_text())["column_flags"] == flags  # for the command of the report
    assert "held out: dials chosen on other texts" in result.out
    names = {"report.html", "curves.png", "curves.svg", "policies.csv", "comparison.json"}
    assert {f.name for f in out.iterdir()} == names
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    drawing = (out / "curves.svg").read_text()
    assert "<text" in drawing  # text that a paper's editor can change
    assert "patience" in drawing
    page = (out / "report.html").read_text()
    assert '<script type="application/json" id="data">' in page


def test_saved_outputs_compare_the_same(elbert, model, data, tmp_path):
    saved = tmp_path / "outputs.npz"
    outputs = collect(Classifier.load(model), SENTENCES, TRUTH)
    outputs.save(saved)
    result = elbert("compare", "--data", saved, "--tuning", saved, "--output", tmp_path / "a", *FEW, "--json")
    values = json.loads(result.out)
    assert values["fixed"][0]["flops"] is None
    assert (values["honest"]["choose_n"], values["honest"]["report_n"]) == (120, 120)
    again = compare(load_outputs(saved), policy("full"), choose=outputs, named=FEW[1:])
    rows = {c.speedup: {e.family: e.score for e in c.entries} for c in again.contests}
    for row in values["honest"]["rows"]:
        assert {e["family"]: e["accuracy"] for e in row["entries"]} == rows[row["speedup"]]


def test_a_duel_has_a_statistical_test(model):
    outputs = collect(Classifier.load(model), SENTENCES, TRUTH)
    comparison = compare(outputs, policy("full"), named=["window", "depth"])
    for contest in comparison.contests:
        for duel in contest.duels:
            assert duel.rival != "window"
            assert 0 <= duel.p <= 1
            assert duel.difference.low <= duel.difference.value <= duel.difference.high
            assert (duel.verdict == "no difference") == (duel.p > 0.05)


REJECTED = {
    "an unknown family": (["--families", "windows"], "expected some of window"),
    "a folder that is a file": (["--output", "data.jsonl"], "expected the name of a folder"),
    "no labels": (["--data", "plain.jsonl"], "no column named label"),
    "too few": (["--data", "three.jsonl"], "too few"),
}


@pytest.mark.parametrize("case", REJECTED.values(), ids=REJECTED)
def test_what_cannot_be_is_one_line(elbert, model, data, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.jsonl").write_text('{"text": "a film"}\n')
    (tmp_path / "three.jsonl").write_text('{"text": "a film", "label": 1}\n' * 3)
    arguments = {"--data": "data.jsonl", "--output": "out", case[0][0]: case[0][1]}
    elbert("compare", "--model", model, *(x for pair in arguments.items() for x in pair)).check_error(*case[1:])
    assert not (tmp_path / "out").exists()


def test_outputs_of_another_model_are_no_tuning(model):
    outputs = collect(Classifier.load(model), SENTENCES, TRUTH)
    other = type(outputs)(
        outputs.probabilities[:, :3], outputs.labels, outputs.tokens, outputs.label_names, outputs.problem
    )
    with pytest.raises(InputError, match="another model"):
        compare(outputs, policy("full"), choose=other)
