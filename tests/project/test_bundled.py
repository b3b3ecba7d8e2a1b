"""The bundled model: small, plain, as accurate as its card states, and one encoder with ``models/base``."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import elbert
from elbert.bundle import Bundle
from elbert.data import read_examples
from elbert.evaluation import Outputs, collect, parse_target
from elbert.evaluation.report import evaluate

SST2 = Path(__file__).parents[3] / "shared" / "data" / "sst2"
BASE = Path(__file__).parents[2] / "models" / "base"
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
with_data = pytest.mark.data


def test_it_is_small_and_in_half_precision():
    file = elbert.bundled_model() / "model.safetensors"
    assert file.stat().st_size <= 16_000_000
    with safe_open(file, framework="pt") as tensors:
        assert {tensors.get_slice(name).get_dtype() for name in tensors.keys()} == {"F16"}  # noqa: SIM118 - no dict


def test_it_carries_no_path_and_no_pickle():
    names = {file.name for file in elbert.bundled_model().iterdir()}
    assert names == {
        "README.md",
        "config.json",
        "exits.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_plain_transformers_gives_the_same_answer_at_full_depth():
    folder = elbert.bundled_model()
    model, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert type(model).__name__ == "AlbertForSequenceClassification"
    assert model.dtype == torch.float32
    assert not any(info.values())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in ["A charming and often affecting journey.", "it 's a mess , and a dull one at that .", ""]:
        with torch.inference_mode():
            logits = model.eval()(**tokenizer(text, return_tensors="pt")).logits[0]
        (ours,) = elbert.Classifier.load(dtype="float32").predict([text], "full")
        assert list(ours.scores.values()) == pytest.approx(logits.softmax(-1).tolist(), abs=1e-5)


def test_its_encoder_is_that_of_the_base():
    bundled, base = (load_file(folder / "model.safetensors") for folder in (elbert.bundled_model(), BASE))
    assert all(bundled[f"albert.{name}"].equal(value) for name, value in base.items())
    assert len(bundled) == len(base) + 2, "the head"


def test_its_default_point_is_one_of_three():
    bundle = Bundle.open()
    assert set(bundle.points) == {"safe", "balanced", "fast"}
    assert bundle.default == "safe"


@pytest.fixture(scope="module", params=["validation", pytest.param("test", marks=pytest.mark.slow)])
def outputs(request) -> tuple[str, Outputs]:
    classifier = elbert.Classifier.load(dtype="float32")
    examples = list(read_examples(str(SST2 / f"{request.param}.parquet")))
    config = classifier.bundle.config
    labels = [parse_target(e, config.labels, config.task) for e in examples]
    return request.param, collect(classifier, [e.content() for e in examples], labels)


@with_data
def test_figures_are_those_of_the_card(outputs):
    name, saved = outputs
    points = Bundle.open().points
    report = evaluate(saved, {n: p.policy for n, p in points.items()})
    kept = json.loads((RESULTS / f"bundled_sst2_{name}.json").read_text("utf-8"))["result"]
    claims = {one["policy"]: one for one in kept["policies"]}
    for score in report.policies:
        claimed = claims[score.policy]
        # Another processor rounds otherwise; a text or two may move.
        assert score.metrics["accuracy"] == pytest.approx(claimed["metrics"]["accuracy"], abs=0.003)
        assert score.metrics["ece"] == pytest.approx(claimed["metrics"]["ece"], abs=0.005)
        assert score.mean_depth == pytest.approx(claimed["mean_depth"], abs=0.05)
        if name == "validation":
            assert points[score.policy].measured["accuracy"] == pytest.approx(claimed["metrics"]["accuracy"], abs=0.003)
    card = (elbert.bundled_model() / "README.md").read_text()
    full = report.by_depth[-1]["accuracy"]
    assert f"{full:.1%}"[:-1] in card


@with_data
def test_depth_is_worth_something(outputs):
    """Deep depths beat shallow ones, and a linear model; otherwise early exit has no use."""
    _, saved = outputs
    accuracy = [metrics["accuracy"] for metrics in evaluate(saved, {}).by_depth]
    assert accuracy[-1] > accuracy[0] + 0.02
    assert accuracy[-1] > 0.8369  # TF-IDF and a linear SVM, on test
