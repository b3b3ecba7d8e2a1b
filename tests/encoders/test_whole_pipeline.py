"""What stands on the classifier works for these encoders too, or says in a line that it does not."""

import asyncio
import json
import shutil

import pytest

from elbert.classifier import Classifier
from elbert.cli.main import main
from elbert.serving.service import Service
from elbert.serving.settings import Settings
from tiny import texts

LABELS = ("negative", "positive")


@pytest.fixture(scope="module")
def own(folder, tmp_path_factory):
    """A copy of the model, which may get operating points, and labelled data beside it."""
    where = tmp_path_factory.mktemp("house")
    rows = [{"text": f"{text} x", "label": LABELS[i % 2]} for i, text in enumerate(texts(300, longest=9))]
    (where / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shutil.copytree(folder, where / "model")
    return where


def test_evaluate_counts_every_depth(own, capsys):
    arguments = ["--model", str(own / "model"), "--data", str(own / "data.jsonl"), "--policy", "entropy(0.4)", "--json"]
    assert main(["evaluate", *arguments]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["by_depth"]) == 6


def test_calibrate_writes_a_point_that_predict_follows(own, capsys):
    arguments = ["--model", str(own / "model"), "--data", str(own / "data.jsonl"), "--speedup", "1.3", "--name", "fast"]
    assert main(["calibrate", *arguments]) == 0
    assert main(["predict", "a good film", "--model", str(own / "model"), "--policy", "fast"]) == 0
    assert '"depths": 6' in capsys.readouterr().out
    assert set(Classifier.load(own / "model").bundle.points) == {"fast"}


def test_the_exits_of_a_data_set_are_explained(own, capsys):
    arguments = ["--model", str(own / "model"), "--data", str(own / "data.jsonl"), "--policy", "entropy(0.4)", "--json"]
    assert main(["explain", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)


def test_a_server_answers_what_the_classifier_answers(folder):
    classifier, sentences = Classifier.load(folder), texts(20, seed=3)

    async def run():
        service = Service(classifier, Settings())
        await service.start()
        try:
            return [await service.gather(sentences, policy=spec) for spec in ("full", "entropy(0.4)", "patience(2)")]
        finally:
            await service.stop(5)

    for items, spec in zip(asyncio.run(run()), ("full", "entropy(0.4)", "patience(2)")):
        for item, expected in zip(items, classifier.predict(sentences, spec)):
            assert item.error is None
            assert (item.prediction.depth, item.prediction.reason) == (expected.depth, expected.reason)
            assert item.prediction.scores == pytest.approx(expected.scores, abs=2e-5)


def test_one_file_that_loops_cannot_hold_several_layers(folder, tmp_path, capsys):
    pytest.importorskip("onnx")
    assert main(["export", "--model", str(folder), "--policy", "full", "--output", str(tmp_path / "x.onnx")]) != 0
    assert "whose depths share one layer" in capsys.readouterr().err
    assert not (tmp_path / "x.onnx").exists()
