"""exits.json: operating points, read and written."""

import json

import pytest

from elbert._display import indefinite
from elbert.bundle import Certificate, Conditions, OperatingPoint, write_points, write_precisions
from elbert.bundle.model_card import describe_model
from elbert.bundle.operating_points import read_points, read_precisions
from elbert.errors import BundleError
from elbert.exits import policy
from elbert.model.families import BACKBONES
from tiny import write_bundle


def check_rejected(file, *parts):
    with pytest.raises(BundleError) as caught:
        read_points(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def written(tmp_path, values):
    file = tmp_path / "exits.json"
    file.write_text(values if isinstance(values, str) else json.dumps(values))
    return file


def test_written_and_read_again(tmp_path):
    points = {
        "fast": OperatingPoint(policy("entropy(0.3) | depth(4)"), {"accuracy": 0.91, "on": "dev.tsv"}),
        "sst2-safe é": OperatingPoint(policy("window(entropy=0.05, size=4, rule=trend)")),
    }
    file = tmp_path / "exits.json"
    write_points(file, points, "fast")
    assert read_points(file) == (points, "fast")
    write_points(file, {}, None)
    assert read_points(file) == ({}, None)
    assert sorted(f.name for f in tmp_path.iterdir()) == [".exits.json.lock", "exits.json"]


def test_certificates_and_conditions_are_kept(tmp_path):
    certificate = Certificate("inconsistency", 0.02, 0.05, 1000, 11, 0.0102)
    conditions = Conditions("ab" * 32, ("float32", "int8"), 128, "cd" * 32, "2026-01-31")
    points = {"sure": OperatingPoint(policy("entropy(0.3)"), {"n": 3}, certificate, conditions)}
    file = tmp_path / "exits.json"
    write_points(file, points, "sure")
    assert read_points(file) == (points, "sure")
    assert str(certificate) == (
        "inconsistency at most 2.00% with probability 95% (11 of 1,000 calibration texts, p = 0.0102)"
    )
    assert conditions.describe_differences("ab" * 32, "int8", 128) == []
    assert len(conditions.describe_differences("ef" * 32, "bfloat16", 64)) == 3


def test_a_folder_without_the_file_has_no_points(tmp_path):
    assert read_points(tmp_path / "exits.json") == ({}, None)


BROKEN = {
    "empty": "",
    "no json": "{",
    "too deep": "[" * 100_000,
    "a list": "[]",
    "no version": "{}",
    "no points": '{"version": 1}',
    "points are a list": '{"version": 1, "points": ["entropy(0.1)"]}',
    "a point is a string": '{"version": 1, "points": {"a": "entropy(0.1)"}}',
    "a point without a policy": '{"version": 1, "points": {"a": {}}}',
    "half a certificate": '{"version": 1, "points": {"a": {"policy": "full", "certificate": {"risk": 0.1}}}}',
    "a certificate of words": '{"version": 1, "points": {"a": {"policy": "full", "certificate": "sure"}}}',
    "conditions without weights": '{"version": 1, "points": {"a": {"policy": "full", "conditions": {"data": "x"}}}}',
    "measured is a number": '{"version": 1, "points": {"a": {"policy": "full", "measured": 3}}}',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file(tmp_path, text):
    check_rejected(written(tmp_path, text), "not readable as operating points", "calibrate again or remove it")


@pytest.mark.parametrize("version", [0, 2, "1", None, {"major": 1}])
def test_an_unknown_version_comes_first(tmp_path, version):
    later = {"version": version, "operating_points": "built in another way"}
    check_rejected(written(tmp_path, later), f"version {version!r}", "this release reads 1", "update elbert")


@pytest.mark.parametrize("default", ["slow", "", 3, ["fast"], {}, False])
def test_a_default_that_is_not_there(tmp_path, default):
    values = {"version": 1, "default": default, "points": {"fast": {"policy": "depth(2)"}}}
    check_rejected(written(tmp_path, values), f"the default {default!r}", "(fast)", "name one of them")


@pytest.mark.parametrize("spec", ["entropy(7)", "nonsense", "", None, "depth(", "fast"])
def test_a_policy_that_cannot_be_read(tmp_path, spec):
    values = {"version": 1, "points": {"fast": {"policy": spec}}}
    check_rejected(written(tmp_path, values), "correct it there, or calibrate again")


def test_points_and_precisions_are_kept_side_by_side(tmp_path):
    file, checked = tmp_path / "exits.json", {"int8": {"test": {"accuracy": 0.9}}}
    write_precisions(file, checked)
    points = {"fast": OperatingPoint(policy("depth(2)"), {})}
    write_points(file, points, "fast")
    assert read_precisions(file) == checked
    write_precisions(file, {})
    assert read_points(file) == (points, "fast")
    assert read_precisions(tmp_path / "nothing.json") == {}


@pytest.mark.parametrize("wrong", ['["int8"]', '{"int8": 0.9}', "null"])
def test_precisions_of_another_form_are_rejected(tmp_path, wrong):
    file = tmp_path / "exits.json"
    file.write_text('{"version": 1, "points": {}, "precisions": ' + wrong + "}")
    with pytest.raises(BundleError, match="expected an object of measurements by precision"):
        read_precisions(file)


def test_a_point_is_shown_in_one_line():
    point = policy("entropy(0.1)")
    assert repr(OperatingPoint(point)) == "<OperatingPoint entropy(0.1): not certified>"
    measured = {"n": 300, "accuracy": 0.9633, "accuracy_full": 0.9667, "mean_depth": 1.01, "depths": {"1": 300}}
    certificate = Certificate("harmful-flip", 0.05, 0.05, 300, 2, 2.9e-05)
    assert repr(OperatingPoint(point, measured, certificate)) == (
        "<OperatingPoint entropy(0.1): accuracy 0.9633 (0.9667 at full depth), mean depth 1.01, measured on 300 texts, "
        f"certified {certificate}>"
    )
    unlabelled = {"n": 1, "agreement": 0.98, "mean_depth": 2.0}
    assert "agreement 0.9800, mean depth 2.00, measured on 1 text, not" in repr(OperatingPoint(point, unlabelled))
    assert "measured on 20 lists" in repr(OperatingPoint(point, {"n": 20, "top": 5, "changed": 0.1}))


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda backbone: backbone.title)
def test_a_card_has_the_article_of_its_architecture(backbone):
    assert indefinite(backbone.title) == ("an ALBERT" if backbone.title == "ALBERT" else f"a {backbone.title}")


def test_the_card_of_an_albert(tmp_path):
    folder = write_bundle(tmp_path / "model", labels=("a", "b"))
    text = "".join(describe_model(folder))
    assert "This is an ALBERT classifier (single label classification) with one shared layer, applied up to 6" in text
