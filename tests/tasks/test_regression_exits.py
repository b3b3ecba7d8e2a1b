"""Regression: values exit live, replayed and in an exported file alike; they are chosen, compared and certified."""

import json

import numpy as np
import pytest

from elbert.bundle import Bundle, Certificate
from elbert.calibration import CertifiedRisk, MaxDrop, MinSpeedup, calibrate
from elbert.classifier import Classifier
from elbert.comparison.comparison import compare
from elbert.comparison.report_data import build_report_data
from elbert.errors import BundleError, InputError, PolicyError
from elbert.evaluation import Outputs, collect, evaluate, load_outputs
from elbert.evaluation.statistics import compare_scores
from elbert.evaluation.sweep import Trials, build_families
from elbert.exits import policy
from elbert.explain import explain
from elbert.tasks.regression import spearman
from tiny import texts, write_bundle

SPECS = ["settled(1, 0.5)", "settled(2, 0.5)", "stable(3, 1)", "settled(2, 0.3) | depth(5)", "depth(4)", "full"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A tiny regression whose values change by about one standard deviation from depth to depth."""
    folder = write_bundle(tmp_path_factory.mktemp("values") / "m", labels=("value",))
    saved = collect(Classifier.load(folder), texts(40), [0.0] * 40).probabilities[..., 0]
    set_deviation(folder, float(np.abs(np.diff(saved)).mean()))
    return Classifier.load(folder)


def set_deviation(folder, deviation):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"label_deviation": deviation}))


def plain_exit(values, spec):
    """The exit of one text, the long way."""
    for depth in range(1, len(values) + 1):
        steps = np.abs(np.diff(values[:depth]))
        for part in spec.split(" | "):
            name, _, numbers = part.rstrip(")").partition("(")
            first, *limit = [float(x) for x in numbers.split(",")] if numbers else [0.0]
            size = int(first)
            if (
                (name == "settled" and len(steps) >= size and (steps[-size:] < limit[0]).all())
                or (name == "stable" and depth >= size and np.ptp(values[depth - size : depth]) <= limit[0])
                or (name == "depth" and depth >= size)
            ):
                return depth
    return len(values)


@pytest.mark.parametrize("spec", SPECS)
def test_live_rows_exit_where_the_rule_holds(classifier, spec):
    some = texts(40)
    saved = collect(classifier, some, [0.0] * len(some))
    values = saved.probabilities[..., 0] / np.float32(saved.scale)
    expected = [plain_exit(row, spec) for row in values]
    assert saved.replay().exits(policy(spec)).tolist() == expected
    predictions = classifier.predict(some, spec)
    assert [p.depth for p in predictions] == expected
    for p, row in zip(predictions, saved.probabilities[..., 0], strict=True):
        assert p.score == pytest.approx(float(row[p.depth - 1]), abs=1e-5)
    assert len(set(expected)) > 1 or "depth" in spec or spec == "full"


def test_an_exported_file_exits_alike(classifier, tmp_path):
    pytest.importorskip("onnxruntime")
    from elbert.export import export
    from elbert.export.session import Session

    some = texts(30, seed=3)
    tokens = classifier.tokeniser.encode(some)
    for number, spec in enumerate(SPECS[:4]):
        session = Session(export(classifier, spec, tmp_path / f"{number}.onnx", extra_outputs=True), threads=1)
        found, predictions = session.answer(tokens, 8), classifier.predict(some, spec)
        assert found.depth.tolist() == [p.depth for p in predictions]
        assert [session.reasons[i] for i in found.reason] == [p.reason for p in predictions]
        assert np.abs(found.logits[:, 0] - [p.score for p in predictions]).max() < 1e-4


def test_policies_over_probabilities_are_refused_and_the_message_names_those_that_fit(classifier):
    for spec in ("entropy(0.1)", "window(entropy=0.1, size=3)", "depth(3) | gap(0.5)", "tempered(depth(2), 2.0)"):
        with pytest.raises(PolicyError, match=r"outputs are values; fitting: full, depth, settled, stable$"):
            classifier.predict(["a"], spec)
    with pytest.raises(InputError, match=r"'entropy' does not fit outputs that are values; fitting: stable, "):
        build_families(6, ["entropy"], "values")
    with pytest.raises(PolicyError, match="does not fit a model whose outputs are probabilities; fitting: full, "):
        evaluate(Outputs(np.full((3, 2, 2), 0.5), np.zeros(3, int), np.ones(3, int), ("a", "b"), CLASSES), SETTLED)


CLASSES, SETTLED = "single_label_classification", {"x": policy("settled(1, 0.1)")}


def test_an_explanation_shows_values_and_their_changes(classifier):
    explained = explain(classifier, "good film", "settled(1, 0.5)", label=0.5, attention=False, rounds=0)
    values = [step.score for step in explained.steps]
    assert explained.steps[0].change is None and explained.steps[0].entropy is None
    changes = np.abs(np.diff(values)) / classifier.bundle.config.scale
    assert [step.change for step in explained.steps[1:]] == pytest.approx(changes.tolist(), abs=1e-4)
    assert explained.truth == ("0.5",)
    assert {rival.kind for rival in explained.rivals} == {"rival"}
    assert json.dumps(explained.to_dict())
    assert "value" in explained._repr_html_()


@pytest.mark.parametrize("wrong", [0, -1, "2", True, float("inf")])
def test_a_deviation_is_a_number_above_0(tmp_path, wrong):
    folder = write_bundle(tmp_path / "m", labels=("value",))
    assert Bundle.open(folder).config.scale == 1
    set_deviation(folder, wrong)
    with pytest.raises(BundleError, match=r"label_deviation is .*, expected a number above 0"):
        Bundle.open(folder)


def synthetic(n=300, depths=8, seed=0):
    """Values that approach the truth from depth to depth."""
    random = np.random.default_rng(seed)
    truth = random.normal(0, 1.5, n)
    noise = random.normal(0, 0.4, (n, depths)).cumsum(1)[:, ::-1]
    values = (truth[:, None] + noise)[..., None].astype(np.float32)
    return Outputs(values, truth, np.full(n, 9), ("value",), "regression", 1.5)


def test_saved_outputs_keep_the_unit(tmp_path):
    synthetic().save(tmp_path / "o.npz")
    assert load_outputs(tmp_path / "o.npz").scale == 1.5


def test_a_sweep_scores_by_spearmans_correlation():
    outputs = synthetic()
    trials, chosen = Trials(outputs), policy("settled(2, 0.2)")
    values = outputs.probabilities[np.arange(len(outputs)), trials.depth(chosen) - 1, 0]
    assert trials.score(chosen) == spearman(values, outputs.labels)
    assert trials.sweep([chosen]).score[0] == trials.score(chosen)


def test_points_are_chosen_measured_and_certified():
    tuning, measured = synthetic(seed=1), {"float32": synthetic(seed=2)}
    named = ["settled", "stable", "depth"]
    fast = calibrate(MinSpeedup(1.3), tuning, measured, family_names=named)
    assert fast.measured["layer_speedup"] > 1.1
    assert {"spearman", "spearman_full", "points_lost"} <= fast.measured.keys()
    close = calibrate(MaxDrop(5.0), tuning, measured, family_names=named)
    assert close.measured["chosen_on"]["points_lost"]["value"] <= 5.001
    goal = CertifiedRisk(0.2, 0.05, "inconsistency", 0.5)
    point = calibrate(goal, tuning, measured, family_names=named)
    part = measured["float32"]
    exits = part.probabilities[np.arange(len(part)), Trials(part).depth(point.policy) - 1, 0]
    assert point.certificate.flips == (np.abs(exits - part.probabilities[:, -1, 0]) > 0.5).sum()
    assert "inconsistency (more than 0.5 from the value of full depth) at most 20.00%" in str(point.certificate)
    assert Certificate.from_dict(json.loads(json.dumps(point.certificate.to_dict()))) == point.certificate


@pytest.mark.parametrize(
    ("loss", "tolerance", "message"),
    [
        ("harmful-flip", None, "not right or wrong: use the loss inconsistency with a tolerance"),
        ("inconsistency", None, "needs a tolerance, a number above 0 .*; got none"),
        ("inconsistency", 0.0, "got 0"),
        ("inconsistency", float("nan"), "got nan"),
        ("wrong", 0.5, "expected one of harmful-flip, inconsistency"),
    ],
)
def test_a_risk_of_values_needs_a_tolerance(loss, tolerance, message):
    with pytest.raises(InputError, match=message):
        calibrate(
            CertifiedRisk(0.2, 0.05, loss, tolerance), synthetic(), {"float32": synthetic()}, family_names=["depth"]
        )


def test_a_comparison_pairs_families_over_values():
    comparison = compare(synthetic(120), policy("stable(3, 0.1)"), named=["stable", "depth"])
    data = build_report_data(comparison, None, {})
    assert (data["score"], data["ours"], data["oracles"], data["overthinking"]) == ("spearman", "stable", [], None)
    assert data["full"] == comparison.report.by_depth[-1]["spearman"]
    assert {"spearman", "mean_depth"} <= data["honest"]["rows"][0]["entries"][0].keys()


def test_scores_are_compared_over_the_same_texts():
    random = np.random.default_rng(0)
    labels = random.normal(size=200)
    good, poor = labels + 0.1 * random.normal(size=200), labels + 2 * random.normal(size=200)
    interval, p = compare_scores(good, poor, labels, spearman, draws=200)
    assert interval.low < spearman(good, labels) - spearman(poor, labels) == interval.value < interval.high
    assert interval.low > 0 and p < 0.02
    assert compare_scores(good, good, labels, spearman, draws=10)[1] == 1
    alike = labels + 0.1 * random.normal(size=200)
    assert compare_scores(good, alike, labels, spearman, draws=200)[1] > 0.01
