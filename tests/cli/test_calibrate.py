"""elbert calibrate: a policy is chosen for a goal, measured on other texts, certified, and stored."""

import json
import warnings

import numpy as np
import pytest

from elbert.bundle import Bundle, ConditionsWarning, files_hash
from elbert.calibration import compute_losses, compute_p_value
from elbert.classifier import Classifier
from elbert.cli.commands.calibrate import describe_loss
from elbert.errors import BundleError
from elbert.evaluation import Outputs, collect, split_indices
from elbert.evaluation.sweep import Trials
from elbert.exits import policy
from tiny import rewrite_weights, texts, write_bundle

SENTENCES = texts(240, seed=3)
TRUTH: list[int] = []
SEED = 9  # a model whose depths agree more and more with the last


@pytest.fixture(scope="module", autouse=True)
def _truth(tmp_path_factory):
    """Labels that full depth mostly gets right, so that early exits lose accuracy."""
    classifier = Classifier.load(write_bundle(tmp_path_factory.mktemp("truth") / "model", SEED), "full")
    predicted = [classifier.labels.index(p.label) for p in classifier.predict(SENTENCES)]
    TRUTH[:] = [1 - label if i % 7 == 0 else label for i, label in enumerate(predicted)]


@pytest.fixture
def model(tmp_path):
    return write_bundle(tmp_path / "model", SEED)


@pytest.fixture
def data(tmp_path):
    rows = [{"text": text, "label": label} for text, label in zip(SENTENCES, TRUTH, strict=True)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "data.jsonl"


@pytest.fixture
def unlabelled(tmp_path):
    (tmp_path / "plain.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in SENTENCES))
    return tmp_path / "plain.jsonl"


FEW = ("--families", "entropy", "patience")


def entry(result):
    assert (result.status, result.err) == (0, "")
    return json.loads(result.out)


def measured(model, part: np.ndarray) -> Outputs:
    chosen = [SENTENCES[i] for i in part]
    return collect(Classifier.load(model, "full"), chosen, [TRUTH[i] for i in part])


def test_the_fastest_that_is_as_good_is_kept_with_its_figures(elbert, model, data):
    printed = entry(
        elbert("calibrate", "--model", model, "--data", data, "--max-drop", 2, "--name", "good", *FEW, "--json")
    )
    point = Bundle.open(model).points["good"]
    assert printed["policy"] == str(point.policy)
    chosen, rest = split_indices(240, 0.5)
    trials = Trials(measured(model, rest))
    assert point.measured["n"] == 120
    assert point.measured["accuracy"] == pytest.approx(trials.correct(point.policy).mean(), abs=1e-4)
    assert point.measured["accuracy_full"] == pytest.approx(trials.right[:, -1].mean(), abs=1e-4)
    assert point.measured["mean_depth"] == pytest.approx(trials.depth(point.policy).mean(), abs=1e-3)
    depths, counts = np.unique(trials.depth(point.policy), return_counts=True)
    assert point.measured["depths"] == {str(d): c for d, c in zip(depths.tolist(), counts.tolist(), strict=True)}
    interval = point.measured["points_lost"]
    assert interval["low"] <= interval["value"] <= interval["high"]
    assert interval["value"] == pytest.approx(
        100 * (trials.right[:, -1].mean() - trials.correct(point.policy).mean()), abs=0.01
    )
    on = point.measured["chosen_on"]
    assert on["n"] == 120
    assert on["accuracy"] >= on["accuracy_full"] - 0.02
    conditions = point.conditions
    assert conditions.weights == files_hash([model / "model.safetensors"])
    assert conditions.data == files_hash([data])
    assert (conditions.dtypes, conditions.max_length) == (("float32",), 64)
    assert point.certificate is None
    assert Bundle.open(model).default is None


@pytest.mark.parametrize(
    ("low", "value", "high", "line"),
    [
        (-1.67, 0.33, 3.0, "lost 0.33 points (95% interval -1.67 to 3.00)"),
        (-4.67, -2.0, 0.33, "gained 2.00 points (95% interval -0.33 to 4.67)"),
        (-1.0, -0.5, 0.0, "gained 0.50 points (95% interval 0.00 to 1.00)"),
        (0.0, 0.0, 0.0, "lost 0.00 points (95% interval 0.00 to 0.00)"),
    ],
)
def test_a_negative_loss_is_a_gain(low, value, high, line):
    assert describe_loss({"value": value, "low": low, "high": high, "confidence": 0.95}) == line


def test_the_most_accurate_that_is_as_fast(elbert, model, data):
    point = entry(
        elbert("calibrate", "--model", model, "--data", data, "--speedup", 2, "--name", "twice", *FEW, "--json")
    )
    on = point["measured"]["chosen_on"]
    assert on["layer_speedup"] >= 2
    trials = Trials(measured(model, split_indices(240, 0.5)[0]))
    for spec in ("entropy(0.9)", "patience(1)", "depth(1)"):  # on the grid: others that are fast enough
        if trials.depth(policy(spec)).mean() <= 3:
            assert trials.correct(policy(spec)).mean() <= on["accuracy"] + 1e-4


def test_a_certificate_follows_the_formula(elbert, model, data):
    arguments = ("--model", model, "--data", data, "--risk", 0.2, "--error", 0.1, "--name", "sure", *FEW, "--default")
    point = entry(elbert("calibrate", *arguments, "--json"))
    certificate = point["certificate"]
    trials = Trials(measured(model, split_indices(240, 0.5)[1]))
    chosen = policy(point["policy"])
    flips = int(trials.look_up(compute_losses(trials, "harmful-flip"), trials.depth(chosen)).sum())
    assert (certificate["loss"], certificate["n"], certificate["flips"]) == ("harmful-flip", 120, flips)
    assert certificate["p_value"] == compute_p_value(flips, 120, 0.2) <= 0.1
    assert trials.depth(chosen).mean() < 6
    bundle = Bundle.open(model)
    assert bundle.default == "sure"
    assert bundle.points["sure"].certificate.risk == 0.2


def test_policies_fixed_beforehand_are_tested_in_their_order_on_all_texts(elbert, model, data):
    specs = ("depth(5)", "depth(4)", "depth(1)")
    arguments = ("--model", model, "--data", data, "--risk", 0.15, "--name", "fixed", "--policies", *specs, "--json")
    point = entry(elbert("calibrate", *arguments))
    trials = Trials(measured(model, np.arange(240)))
    lost = compute_losses(trials, "harmful-flip")
    expected = "full"
    for spec in specs:
        if compute_p_value(int(trials.look_up(lost, trials.depth(policy(spec))).sum()), 240, 0.15) > 0.05:
            break
        expected = spec
    assert point["policy"] == expected
    assert (point["measured"]["n"], point["certificate"]["n"]) == (240, 240)
    assert "chosen_on" not in point["measured"]


def test_without_labels_agreement_is_measured_and_inconsistency_certified(elbert, model, unlabelled):
    arguments = ("--model", model, "--data", unlabelled, "--risk", 0.2, "--name", "same", *FEW, "--json")
    point = entry(elbert("calibrate", *arguments))
    assert point["certificate"]["loss"] == "inconsistency"
    assert point["measured"]["agreement"] == pytest.approx(1 - point["certificate"]["flips"] / 120, abs=1e-4)
    assert "accuracy" not in point["measured"]
    elbert("calibrate", *arguments, "--loss", "harmful-flip").check_error(
        "use the loss inconsistency (--loss inconsistency)"
    )


def test_other_files_other_precisions_and_temperatures(elbert, model, data, tmp_path):
    arguments = ("--model", model, "--data", data, "--tuning", data, "--max-drop", 5, "--name", "warm", "--families")
    point = entry(elbert("calibrate", *arguments, "entropy", "--temperature", "--also-dtype", "bfloat16", "--json"))
    assert point["policy"].startswith("tempered(entropy(")
    assert point["measured"]["n"] == point["measured"]["chosen_on"]["n"] == 240
    assert point["conditions"]["dtypes"] == ["float32", "bfloat16"]
    assert point["measured"]["other_dtypes"]["bfloat16"]["n"] == 240
    assert elbert("predict", "a film", "--model", model, "--policy", "warm", "--strict").status == 0
    assert (
        elbert("predict", "a film", "--model", model, "--policy", "warm", "--dtype", "bfloat16", "--strict").status == 0
    )


def test_points_are_kept_and_copied(elbert, model, data, tmp_path):
    for name, speedup in (("quick", 3), ("quicker", 5)):
        result = elbert("calibrate", "--model", model, "--data", data, "--speedup", speedup, "--name", name, *FEW)
        assert result.status == 0
        assert "these are estimates" in result.out
    copy = tmp_path / "copy"
    arguments = ("--model", model, "--data", data, "--speedup", 2, "--name", "slower", *FEW, "--output", copy)
    assert elbert("calibrate", *arguments).status == 0
    assert list(Bundle.open(model).points) == ["quick", "quicker"]
    assert list(Bundle.open(copy).points) == ["quick", "quicker", "slower"]
    (quick, slower) = (Classifier.load(copy, name, strict=True) for name in ("quick", "slower"))
    assert quick.predict(SENTENCES[:9]) == Classifier.load(model).predict(SENTENCES[:9], "quick")
    assert sum(p.depth for p in slower.predict(SENTENCES)) > sum(p.depth for p in quick.predict(SENTENCES))


def test_what_it_does_not_hold_for_warns_or_is_rejected(elbert, model, data):
    assert elbert("calibrate", "--model", model, "--data", data, "--speedup", 2, "--name", "p", *FEW).status == 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier = Classifier.load(model, "p", dtype="bfloat16")
        classifier.predict(["a film"], "p")
    assert [w.category for w in caught] == [ConditionsWarning]  # once is enough
    assert "was calibrated in float32 (here bfloat16)" in str(caught[0].message)
    with pytest.raises(BundleError, match="calibrate again"):
        Classifier.load(model, "p", dtype="bfloat16", strict=True)
    with pytest.raises(BundleError, match="calibrate again"):
        Classifier.load(model, dtype="bfloat16", strict=True).predict(["a film"], "p")
    rewrite_weights(model, lambda weights: weights["classifier.bias"].add_(1))
    result = elbert("predict", "a film", "--model", model, "--policy", "p", "--strict")
    result.check_error("operating point 'p' was calibrated with other weights")
    settings = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps(settings | {"model_max_length": 32}))
    with pytest.warns(ConditionsWarning, match=r"other weights .*, and with texts of at most 64 tokens \(here 32\)"):
        Classifier.load(model, "p")


REJECTED = {
    "a policy's name": (["--name", "full"], "which an operating point of that name would hide"),
    "reads as a policy": (["--name", "entropy"], "choose another name"),
    "a union's name": (["--name", "depth(1) | full"], "choose another name"),
    "no name": (["--name", " "], "1 to 64 characters"),
    "no such family": (["--families", "windows"], "expected some of window"),
    "too fast": (["--speedup", "7"], "this model has 6 depths, so 1 to 6"),
    "too many points": (["--max-drop", "101"], "expected 0 to 100"),
    "a risk of nothing": (["--risk", "0"], "expected a probability between 0 and 1"),
    "too few texts": (["--risk", "0.01"], "120 texts cannot certify a risk of 0.01 with error 0.05", "at least 299"),
    "a share of all": (["--tuning-share", "1"], "between 0 and 1"),
    "no such policy": (["--policies", "depth(9)"], "this model has 6 depths"),
}


@pytest.mark.parametrize("case", REJECTED.values(), ids=REJECTED)
def test_what_cannot_be_is_one_line_and_nothing_written(elbert, model, data, case):
    changes, *parts = case
    goal = [] if changes[0] in ("--speedup", "--max-drop", "--risk") else ["--speedup", "2"]
    name = [] if changes[0] == "--name" else ["--name", "n"]
    elbert("calibrate", "--model", model, "--data", data, *name, *goal, *changes).check_error(*parts)
    assert not (model / "exits.json").exists()


def test_a_model_that_without_a_local_folder_needs_a_copy(elbert, data, tmp_path):
    elbert("calibrate", "--data", data, "--speedup", 2, "--name", "n").check_error("--output DIR makes a copy")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    arguments = ("calibrate", "--data", data, "--speedup", 2, "--name", "n", "--output", tmp_path / "there")
    elbert(*arguments).check_error("which exists already")
    elbert("calibrate", "--data", "-", "--speedup", 2, "--name", "n", "--output", tmp_path / "new").check_error(
        "use a file"
    )


def test_one_file_with_labels_and_one_without(elbert, model, data, unlabelled):
    arguments = ("calibrate", "--model", model, "--data", data, "--tuning", unlabelled, "--speedup", 2, "--name", "n")
    elbert(*arguments).check_error("one has labels and the other has none")


def test_a_regression_is_calibrated_by_spearman_and_a_tolerance(elbert, tmp_path):
    model = write_bundle(tmp_path / "regression", labels=("value",), problem_type="regression")
    data = tmp_path / "values.csv"
    data.write_text("text,label\n" + "".join(f"good film {i},{i / 10}\n" for i in range(60)))
    base = ["calibrate", "--model", model, "--data", data, "--families", "depth"]
    found = elbert(*base, "--speedup", 2, "--name", "n").out
    assert "spearman" in found and "n: depth(" in found
    risk = [*base, "--risk", 0.2, "--name", "m"]
    elbert(*risk).check_error("needs a tolerance")
    elbert(*risk, "--tolerance", 1, "--loss", "harmful-flip").check_error("not right or wrong")
    assert "more than 100 from the value of full depth" in elbert(*risk, "--tolerance", 100).out
