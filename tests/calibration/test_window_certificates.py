"""Certificates of texts in windows: what a loss is, what is stored, and where a point does not hold."""

import json
import warnings

import numpy as np
import pytest

from elbert import Classifier, InputError
from elbert.bundle import Certificate, Conditions, ConditionsWarning
from elbert.cli.main import main
from elbert.errors import BundleError
from elbert.evaluation import split_indices
from elbert.evaluation.document_outputs import collect_documents
from elbert.evaluation.targets import resolve_targets
from elbert.export import export
from elbert.serving.explorer import describe_model
from tiny import texts, write_bundle

pytest.importorskip("scipy")

SEED = 9  # a model whose depths agree more and more with the last
TEXTS = [" ".join(texts(1 + number % 5, number, longest=40)) for number in range(120)]
LONG = "windows(mean, confidence(0.52) | depth(3))"
GOAL = {"risk": 0.3, "error": 0.2, "families": ["entropy", "patience"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model with a point for cut texts, one for windows that follow its policy, and one for a policy over windows."""
    folder = write_bundle(tmp_path_factory.mktemp("windows") / "model", SEED)
    classifier = Classifier.load(folder, dtype="float32", threads=1)
    classifier.calibrate(TEXTS, name="rows", **GOAL)
    classifier.calibrate(TEXTS, name="whole", long="windows", **GOAL)
    classifier.calibrate(TEXTS, name="stopped", long=LONG, default=True, **GOAL)
    return folder


def load(folder, policy=None, **options):
    return Classifier.load(folder, policy, dtype="float32", threads=1, **options)


@pytest.mark.parametrize(("name", "long"), [("whole", "windows(mean)"), ("stopped", LONG)])
def test_a_loss_is_another_answer_than_from_all_windows_at_full_depth(folder, name, long):
    classifier = load(folder, name)
    point = classifier.bundle.points[name]
    part = [TEXTS[i] for i in split_indices(len(TEXTS), 0.5)[1]]
    found = classifier.predict(part, name, long=long)
    full = classifier.predict(part, "full", long="windows(mean, full)")
    assert point.certificate.flips == sum(a.label != b.label for a, b in zip(found, full, strict=True))
    assert (point.certificate.loss, point.certificate.n) == ("inconsistency", len(part))
    assert point.measured["windows_read"] == sum(p.windows_read for p in found)
    assert point.measured["windows"] == sum(p.windows for p in found) > len(part)
    layers = sum(sum(p.window_depths) for p in found)
    assert point.measured["mean_depth"] == pytest.approx(layers / point.measured["windows"], abs=1e-3)
    assert point.measured["layer_speedup"] > 1


def test_the_certificate_and_the_conditions_name_the_windows(folder):
    points = load(folder, "full").bundle.points
    assert [points[name].conditions.long for name in ("rows", "whole", "stopped")] == ["cut", "windows(mean)", LONG]
    assert [points[name].certificate.long for name in ("rows", "whole", "stopped")] == [None, "windows(mean)", LONG]
    assert (
        "inconsistency, of long texts read as windows(mean) against all windows at full depth, at most 30.00%"
        in str(points["whole"].certificate)
    )
    assert points["whole"].measured["goal"].endswith("long texts read as windows(mean)")
    assert points["rows"].text_certificate == points["rows"].certificate
    assert points["whole"].text_certificate == points["whole"].certificate


def test_entries_without_the_field_are_of_cut_texts():
    certificate = Certificate("inconsistency", 0.1, 0.05, 100, 3, 0.01, long="windows(vote)")
    conditions = Conditions("ab", ("float32",), 64, "cd", "2026-01-31", "windows(vote)")
    assert Certificate.from_dict(certificate.to_dict()) == certificate
    assert Conditions.from_dict(conditions.to_dict()) == conditions
    old = {name: value for name, value in conditions.to_dict().items() if name != "long"}
    assert Conditions.from_dict(old).long == "cut"


def find_warnings(run):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    return [str(one.message) for one in caught if one.category is ConditionsWarning]


OTHERS = [
    ("rows", "windows", "cut (here windows(mean))"),
    ("whole", None, "windows(mean) (here cut)"),
    ("whole", "windows(maximum)", "windows(mean) (here windows(maximum))"),
    ("whole", "windows(mean, full)", "windows(mean) (here windows(mean, full))"),
    (None, "cut", f"{LONG} (here cut)"),  # the default point
]


@pytest.mark.parametrize(("name", "long", "difference"), OTHERS)
def test_another_way_to_read_long_texts_is_noted_once_or_refused(folder, name, long, difference):
    classifier = load(folder)
    noted = find_warnings(lambda: [classifier.predict(TEXTS[:2], name, long=long) for _ in range(2)])
    assert len(noted) == 1
    assert f"operating point {name or 'stopped'!r} was calibrated with long texts read as {difference}" in noted[0]
    with pytest.raises(BundleError, match="calibrate again"):
        load(folder, strict=True).predict(TEXTS[:2], name, long=long)


@pytest.mark.parametrize(("name", "long"), [("rows", None), ("whole", "windows"), (None, LONG), ("full", "windows")])
def test_the_same_way_is_not_noted(folder, name, long):
    assert find_warnings(lambda: load(folder, strict=True).predict(TEXTS[:2], name, long=long)) == []


def test_the_command_reads_windows_and_predict_notes_what_is_not_covered(folder, tmp_path, capsys):
    data = tmp_path / "texts.jsonl"
    data.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    made = ["calibrate", "--model", str(folder), "--data", str(data), "--name", "again", "--long", "windows(vote)"]
    goal = ["--risk", "0.3", "--error", "0.2", "--families", "entropy", "--output", str(tmp_path / "copy")]
    assert main([*made, *goal, "--dtype", "float32"]) == 0
    out, err = capsys.readouterr()
    assert "truncated" not in err  # texts are read whole
    assert "windows read" in out and "long texts read as windows(vote)" in out
    assert main([*made, *goal[:-1], str(tmp_path / "other"), "--top-k", "2"]) == 2
    assert "--long does not fit lists" in capsys.readouterr().err


def test_labels_are_those_of_texts(folder):
    classifier = load(folder, "full")
    windows = classifier.resolve_long("windows")
    known = resolve_targets(["positive", "negative"] * 10, classifier.labels, classifier.bundle.config.task)
    outputs = collect_documents(classifier, TEXTS[:20], known, windows)
    assert outputs.labels.tolist() == known.values.tolist()
    assert outputs.rows.labels.tolist() == [
        label for label, size in zip(known.values.tolist(), outputs.sizes, strict=True) for _ in range(size)
    ]


def test_texts_that_fail_are_left_out(folder, monkeypatch):
    classifier = load(folder, "full")
    encode = classifier.tokeniser.encode_windows
    error = InputError("no window")
    monkeypatch.setattr(
        classifier.tokeniser,
        "encode_windows",
        lambda some: [error if text == "bad" else encode([text])[0] for text in some],
    )
    windows, failures = classifier.resolve_long("windows"), []
    found = collect_documents(
        classifier, [TEXTS[4], "bad", TEXTS[1]], None, windows, on_failure=lambda *failed: failures.append(failed)
    )
    assert failures == [(1, error)] and len(found) == len(found.labels) == 2
    assert found.sizes.tolist() == [len(encode([text])[0]) for text in (TEXTS[4], TEXTS[1])]
    assert len(found.rows) == found.sizes.sum()
    assert found.rows.labels.tolist() == np.repeat(found.labels, found.sizes).tolist()


def test_a_stop_that_loses_too_much_alone_is_refused(folder):
    eager = "windows(mean, depth(1))"
    classifier = load(folder, "full")
    with pytest.raises(InputError, match=r"windows\(mean, depth\(1\)\) is settled too early: .* a higher risk"):
        classifier.calibrate(TEXTS, name="eager", long=eager, risk=0.06, error=0.1, output=folder.parent / "new")
    assert not (folder.parent / "new").exists()


NOTE = "calibrated with long texts read as windows(mean) (here cut)"


def test_an_exported_file_has_a_note_where_its_point_holds_for_windows(folder, tmp_path, capsys):
    onnx = pytest.importorskip("onnx")

    def read(policy, **options):
        file = export(folder, policy, tmp_path / "model.onnx", **options)
        return {fact.key: fact.value for fact in onnx.load(file).metadata_props}

    assert read("rows")["operating_point"] == "rows" and "note" not in read("rows")
    assert NOTE in read("whole")["note"]
    assert "certificate" in read(None)["note"]  # the default, whose windows have a policy of their own
    assert "operating_point" not in read("entropy(0.3)")
    assert "in float32 (here int8)" in read("rows", dtype="int8")["note"]
    command = ["export", "--model", str(folder), "--output", str(tmp_path / "model.onnx")]
    assert main([*command, "--policy", "rows"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*command, "--policy", "whole"]) == 0
    assert NOTE in capsys.readouterr().err


def test_the_explorer_and_explanations_know_which_points_hold_for_windows(folder):
    classifier = load(folder, "rows")
    points = describe_model(classifier)["points"]
    assert points["rows"]["mismatch"] is None
    assert NOTE in points["whole"]["mismatch"] and LONG in points["stopped"]["mismatch"]
