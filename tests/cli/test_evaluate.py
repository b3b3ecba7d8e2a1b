"""elbert evaluate: the same numbers as counting by hand, in a table and in JSON, with the model and without."""

import json
import re
import sys
from pathlib import Path

import pytest

from elbert.classifier import Classifier
from elbert.evaluation import load_outputs
from elbert.exits.policies import COMMON_SPECS
from tiny import texts, write_bundle

SENTENCES = texts(40, seed=12)
SPECS = ["entropy(0.4)", "depth(3)", "window(entropy=0.2, size=3)"]


@pytest.fixture
def data(tmp_path):
    """A labelled file: names, and every third label by its index."""
    labels = [("negative", "positive")[i % 5 > 1] if i % 3 else int(i % 5 > 1) for i in range(len(SENTENCES))]
    rows = [{"text": text, "label": label} for text, label in zip(SENTENCES, labels, strict=True)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "data.jsonl"


TRUTH = [int(i % 5 > 1) for i in range(len(SENTENCES))]


def found(result):
    assert result.status == 0
    assert re.sub(r"elbert: wrote .*\.npz: the outputs of [0-9]+ texts\n", "", result.err) == ""
    return json.loads(result.out)


def test_numbers_equal_those_of_live_predictions(elbert, bundle_folder, data):
    report = found(elbert("evaluate", "--data", data, "--model", bundle_folder, "--policy", *SPECS, "--json"))
    assert list(report) == ["n", "problem", "by_depth", "policies", "oracles", "overthinking"]
    assert (report["n"], report["problem"], len(report["by_depth"])) == (40, "single_label_classification", 6)
    classifier = Classifier.load(bundle_folder)
    for spec, policy in zip(SPECS, report["policies"], strict=True):
        live = classifier.predict(SENTENCES, spec)
        right = [p.label == classifier.labels[y] for p, y in zip(live, TRUTH, strict=True)]
        depths, reasons = [p.depth for p in live], [p.reason for p in live]
        assert policy["policy"] == spec
        assert policy["metrics"]["accuracy"] == pytest.approx(sum(right) / 40)
        assert policy["mean_depth"] == pytest.approx(sum(depths) / 40)
        assert policy["layer_speedup"] == pytest.approx(6 * 40 / sum(depths))
        assert policy["depths"] == {str(d): depths.count(d) for d in sorted(set(depths))}
        assert policy["reasons"] == {r: reasons.count(r) for r in sorted(set(reasons))}
        clock = policy["wall_clock"]
        assert (clock["texts"], clock["rounds"]) == (40, 3)
        assert clock["texts_per_second"] > 0
        assert clock["speedup"] > 0
    for depth, metrics in enumerate(report["by_depth"], 1):
        live = classifier.predict(SENTENCES, f"depth({depth})")
        right = [p.label == classifier.labels[y] for p, y in zip(live, TRUTH, strict=True)]
        assert metrics["accuracy"] == pytest.approx(sum(right) / 40)
        assert set(metrics) == {"accuracy", "f1", "matthews", "ece"}


def test_saved_outputs_need_no_model(elbert, bundle_folder, data, tmp_path):
    outputs = tmp_path / "outputs.npz"
    command = ["evaluate", "--policy", *SPECS, "--rounds", "0", "--json", "--data"]
    live = found(elbert(*command, data, "--model", bundle_folder, "--outputs", outputs))
    saved = load_outputs(outputs)
    assert saved.probabilities.shape == (40, 6, 2)
    assert saved.labels.tolist() == TRUTH
    assert saved.label_names == ("negative", "positive")
    assert found(elbert(*command, outputs)) == live
    assert {policy["wall_clock"] for policy in live["policies"]} == {None}


def test_tables(elbert, bundle_folder, data):
    result = elbert("evaluate", "--data", data, "--model", bundle_folder, "--policy", "entropy(0.4)", "--rounds", "1")
    assert (result.status, result.err) == (0, "")
    for part in [
        "40 texts, every fixed depth",
        "accuracy",
        "matthews",
        "ece",
        "depth(6)",
        "entropy(0.4)",
        "layer speed-up",
    ]:
        assert part in result.out
    for part in [
        "mean depth",
        "layer speed-up",
        "texts/s",
        "speed-up: medians",
        "exits by reason",
        "oracles",
        "overthinking",
        "medians of 1 interleaved rounds",
    ]:
        assert part in result.out
    assert "\x1b" not in result.out
    untimed = elbert("evaluate", "--data", data, "--model", bundle_folder, "--rounds", "0")
    assert "texts/s" not in untimed.out
    assert "patience(3)" in untimed.out  # one of the common policies


def test_operating_points_are_evaluated_by_default(elbert, data, tmp_path):
    points = {"version": 1, "default": "a [red]", "points": {"a [red]": {"policy": "depth(2)"}}}
    folder = write_bundle(tmp_path / "model", points=points)
    report = found(elbert("evaluate", "--data", data, "--model", folder, "--rounds", "0", "--json"))
    assert report["policies"][0]["policy"] == "a [red]"
    assert report["policies"][0]["mean_depth"] == 2
    assert "a [red]" in elbert("evaluate", "--data", data, "--model", folder, "--rounds", "0").out


def test_multi_label(elbert, tmp_path):
    model = write_bundle(tmp_path / "m", labels=("a", "b", "c"), problem_type="multi_label_classification")
    data = tmp_path / "data.tsv"
    data.write_text("text\tlabel\ngood film\ta;c\nbad\t\nslow\t1\n")
    outputs = tmp_path / "o.npz"
    report = found(
        elbert("evaluate", "--data", data, "--model", model, "--outputs", outputs, "--json", "--rounds", "0")
    )
    assert set(report["by_depth"][0]) == {"accuracy", "f1", "ece"}
    assert load_outputs(outputs).labels.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_regression(elbert, tmp_path):
    model = write_bundle(tmp_path / "m", labels=("value",))
    data = tmp_path / "data.csv"
    data.write_text("text,label\ngood film,1.5\nbad,-2\nslow,0\n")
    outputs = tmp_path / "o.npz"
    report = found(elbert("evaluate", "--data", data, "--model", model, "--outputs", outputs, "--json"))
    assert [p["policy"] for p in report["policies"]] == list(COMMON_SPECS["values"])
    assert (report["oracles"], report["overthinking"]) == ([], None)
    assert set(report["by_depth"][5]) == {"pearson", "spearman", "rmse"}
    for policy in report["policies"]:
        assert policy["wall_clock"]["texts"] == 3
        policy["wall_clock"] = None  # saved outputs have no model to time
    assert found(elbert("evaluate", "--data", outputs, "--json")) == report
    for source in ([data, "--model", model], [outputs]):
        elbert("evaluate", "--data", *source, "--policy", "entropy(0.1)").check_error(
            "does not fit a model whose outputs are values"
        )


def test_pairs(elbert, bundle_folder, tmp_path):
    (tmp_path / "p.tsv").write_text("text\ttext_pair\tlabel\nthe film\tis good\t1\na\tb\t0\n")
    arguments = ["--model", bundle_folder, "--policy", "depth(2)", "--json"]
    assert found(elbert("evaluate", "--data", tmp_path / "p.tsv", *arguments))["n"] == 2


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ('{"text": "x"}', "no column named label; columns found: text; label_column (--label-column) names another"),
        ('{"text": "x", "label": null}', "no label; expected one label, a name or an index"),
        ('{"text": "x", "label": "neutral"}', "unknown label 'neutral'; expected one of negative, positive"),
        ('{"text": "x", "label": 2}', "unknown label '2'; expected one of negative, positive, or an index from 0 to 1"),
        ('{"text": "x", "label": 0.5}', "unknown label '0.5'"),
        ('{"text": "x", "label": true}', "unknown label 'true'"),
        ('{"text": "x", "label": {"a": 1}}', "label must be a name, an index, a number or a list of labels, got dict"),
        ('{"text": "x", "label": "Positive"}', "unknown label 'Positive', closest to 'positive'; expected one of"),
        ('{"label": 1}', "text is missing"),
    ],
)
def test_a_bad_label_is_named_and_may_be_skipped(elbert, bundle_folder, tmp_path, row, why):
    data = tmp_path / "data.jsonl"
    data.write_text('{"text": "good", "label": 1}\n' + row + '\n{"text": "bad", "label": "negative"}\n')
    command = ["evaluate", "--data", data, "--model", bundle_folder, "--rounds", "0", "--json"]
    elbert(*command).check_error(f"{data}:2: {why}")
    result = elbert(*command, "--skip-bad")
    assert json.loads(result.out)["n"] == 2
    assert result.err.splitlines()[0].startswith(f"elbert: skipped {data}:2: {why}")
    assert result.err.splitlines()[1:] == ["elbert: 1 bad row skipped, 2 texts evaluated"]


REJECTED = {
    "rounds": (["--data", "data.jsonl", "--rounds", "-1"], ("--rounds is -1",)),
    "missing": (["--data", "nowhere.csv"], ("nowhere.csv: no such file",)),
    "missing outputs": (["--data", "nowhere.npz"], ("nowhere.npz: no such file", "--outputs FILE writes one")),
    "empty": (["--data", "empty.csv"], ("empty.csv: no labelled texts",)),
    "depth": (["--data", "data.jsonl", "--policy", "depth(7)"], ("this model has 6 depths",)),
    "policy": (["--data", "data.jsonl", "--policy", "full", "hope"], ("no policy is called 'hope'",)),
    "damaged": (["--data", "damaged.npz"], ("damaged.npz: not a file of saved outputs",)),
    "place": (["--data", "data.jsonl", "--outputs", "no/where.npz"], ("no/where.npz", "folder does not exist")),
    "ending": (["--data", "data.jsonl", "--outputs", "outputs"], ("expected a name ending in .npz",)),
}


@pytest.mark.parametrize(("arguments", "parts"), REJECTED.values(), ids=REJECTED)
def test_a_bad_request_gives_one_line(elbert, bundle_folder, data, monkeypatch, arguments, parts):
    monkeypatch.chdir(data.parent)
    Path("empty.csv").touch()
    Path("damaged.npz").write_bytes(b"PK")
    before = sorted(data.parent.iterdir())
    model = [] if arguments[1].endswith(".npz") else ["--model", bundle_folder]
    elbert("evaluate", *arguments, *model).check_error(*parts)
    assert sorted(data.parent.iterdir()) == before


def test_saved_outputs_and_a_model_exclude_each_other(elbert, bundle_folder, tmp_path):
    elbert("evaluate", "--data", "o.npz", "--model", bundle_folder).check_error("o.npz contains outputs already")


def test_depths_that_saved_outputs_have_not(elbert, bundle_folder, data, tmp_path):
    outputs = tmp_path / "o.npz"
    elbert("evaluate", "--data", data, "--model", bundle_folder, "--outputs", outputs, "--rounds", "0")
    elbert("evaluate", "--data", outputs, "--policy", "depth(7)").check_error("this model has 6 depths")
    elbert("evaluate", "--data", outputs, "--policy", "fast").check_error("no policy is called 'fast'")


def test_without_scikit_learn_the_extra_is_named(elbert, bundle_folder, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    elbert("evaluate", "--data", data, "--model", bundle_folder).check_error("pip install 'elbert[train]'")
