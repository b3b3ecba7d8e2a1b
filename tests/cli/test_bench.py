"""elbert bench: what it measures is what was run; times themselves are not asserted."""

import json

import pytest

from elbert.classifier import Classifier
from tiny import texts

SENTENCES = texts(30, seed=3)


@pytest.fixture
def data(tmp_path):
    """Texts without labels."""
    (tmp_path / "texts.txt").write_text("\n".join(SENTENCES) + "\n")
    return tmp_path / "texts.txt"


def test_depths_are_those_of_predict(elbert, bundle_folder, data):
    result = elbert(
        "bench",
        "--model",
        bundle_folder,
        "--data",
        data,
        "--policy",
        "entropy(0.4)",
        "depth(2)",
        "--rounds",
        1,
        "--json",
    )
    assert (result.status, result.err) == (0, "")
    found = json.loads(result.out)
    classifier = Classifier.load(bundle_folder)
    assert list(found["policies"]) == ["full", "entropy(0.4)", "depth(2)"]
    assert (found["data"], found["dtype"], found["depths"]) == (str(data), "float32", 6)
    assert found["machine"]["torch"]
    for spec, each in found["policies"].items():
        depths = [p.depth for p in classifier.predict(SENTENCES, spec)]
        assert each["mean_depth"] == pytest.approx(sum(depths) / 30)
        assert each["layer_speedup"] == pytest.approx(6 * 30 / sum(depths))
        assert (each["batch"]["texts"], each["single"]["texts"], each["batch"]["rounds"]) == (30, 30, 1)
        assert each["batch"]["texts_per_second"] > 0
        assert 0 < each["single"]["p50"] <= each["single"]["p99"]


def test_synthetic_texts_run_at_fixed_depths(elbert, bundle_folder, monkeypatch):
    monkeypatch.setattr("elbert.cli.commands.bench.SYNTHETIC_TEXTS", 20)
    result = elbert("bench", "--model", bundle_folder, "--rounds", 1)
    assert result.status == 0
    assert "Synthetic texts: use --data FILE" in " ".join(result.out.split())
    for policy in ("full", "depth(3)", "depth(2)"):
        assert policy in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "0"], "--rounds is 0, expected a whole number from 1"),
        (["--data", "nowhere.csv"], "nowhere.csv: no such file"),
        (["--policy", "depht(3)"], "no policy is called 'depht'"),
    ],
)
def test_wrong_arguments_give_one_line(elbert, bundle_folder, arguments, message):
    result = elbert("bench", "--model", bundle_folder, *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err


def test_no_texts_is_one_line(elbert, bundle_folder, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    result = elbert("bench", "--model", bundle_folder, "--data", tmp_path / "empty.txt")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "no texts to measure on" in result.err
