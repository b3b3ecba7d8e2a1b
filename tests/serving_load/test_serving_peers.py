"""The benchmark's servers give the same answers as the classifier, or a comparison of them would mean nothing."""

import asyncio
from pathlib import Path

import pytest
from live import ROOT

from elbert import Classifier, bundled_model
from serving_peers.contest import CONTESTANTS, running
from serving_peers.openloop import each_once
from serving_peers.wire import post

pytestmark = pytest.mark.slow
TEXTS = (ROOT / "examples" / "reviews.txt").read_text().splitlines()


@pytest.mark.parametrize("contestant", CONTESTANTS, ids=lambda contestant: contestant.name)
def test_a_contestant_answers_as_the_classifier_does(contestant):
    if contestant.missing:
        pytest.skip(f"needs {contestant.needs}")
    policy = "full" if contestant.full_depth else "safe"
    right = Classifier.load(policy=policy, dtype="float32", threads=1).predict(TEXTS)
    requests = [post("/predict", {"inputs": text}) for text in TEXTS]
    with running([contestant], Path(bundled_model()), "float32", 1) as (server,), server.awake():
        answers = asyncio.run(each_once(server.port, requests, 6))
    for answer, prediction in zip(answers, right):
        assert answer.status == 200
        found = {entry["label"]: entry["score"] for entry in answer.json()}
        assert found == pytest.approx(prediction.scores, abs=1e-3)
        assert answer.json()[0]["label"] == prediction.label


@pytest.mark.parametrize("contestant", CONTESTANTS, ids=lambda contestant: contestant.name)
def test_only_ours_compute_in_int8(contestant):
    is_ours = contestant.name.startswith(("elbert", "static batches"))
    assert contestant.precision("float32") == "float32"
    assert contestant.precision("bfloat16") == "bfloat16"
    assert (contestant.precision("int8") == "int8") == is_ours
