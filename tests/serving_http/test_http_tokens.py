"""A server of a token classifier: Hugging Face's client, the shape of /v1/classify, and what does not fit."""

import json

import pytest
from huggingface_hub import InferenceClient
from live_server import Held, Live, until

from elbert import Classifier
from taggers import write_tagger

TEXTS = ["the film was good", "i love this movie and that journey"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = write_tagger(tmp_path_factory.mktemp("tagger") / "model")
    return Classifier.load(folder, "patience(2)", dtype="float32", threads=1)


@pytest.fixture(scope="module")
def tagging(classifier):
    held = Classifier(
        classifier.bundle, classifier.tokeniser, Held(classifier.backend), classifier.policy, max_rows=8, threads=1
    )
    with Live(held) as server:
        yield server


def test_the_client_gets_the_entities(tagging, classifier, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    client = InferenceClient(base_url=tagging.url)
    for text, expected in zip(TEXTS, classifier.predict(TEXTS), strict=True):
        found = client.token_classification(text)
        spans = [(entity.entity_group, entity.start, entity.end, entity.word) for entity in found]
        assert spans == [(e.label, e.start, e.end, e.word) for e in expected.entities] and spans
        assert [e.score for e in found] == pytest.approx([e.score for e in expected.entities], abs=1e-5)
    labels = {entity.entity_group for entity in client.token_classification(TEXTS[1])}
    left = client.token_classification(TEXTS[1], ignore_labels=[min(labels)])
    assert {entity.entity_group for entity in left} == labels - {min(labels)}


def test_several_texts_are_answered_nested(tagging, classifier):
    status, _, found = tagging.call("POST", "/", {"inputs": TEXTS})
    expected = classifier.predict(TEXTS)
    assert status == 200 and [len(one) for one in found] == [len(one.entities) for one in expected]


def test_items_have_entities_depth_and_reason(tagging, classifier):
    status, _, found = tagging.call("POST", "/v1/classify", {"input": TEXTS})
    assert status == 200
    for item, expected in zip(found["data"], classifier.predict(TEXTS), strict=True):
        assert [e["word"] for e in item["entities"]] == [e.word for e in expected.entities]
        assert (item["label"], item["depth"], item["reason"]) == (expected.label, expected.depth, expected.reason)
        assert item["probs"] == [] and item["error"] is None


def test_a_trace_has_words_and_long_texts_have_windows(tagging, classifier):
    status, _, found = tagging.call("POST", "/v1/classify", {"input": TEXTS, "trace": True})
    assert status == 200
    for item, expected in zip(found["data"], classifier.predict(TEXTS, trace=True, long="cut"), strict=True):
        tags = [[word["tag"] for word in step["words"]] for step in item["trace"]]
        assert tags == [[word.tag for word in step.words] for step in expected.trace]
    text = "the film is good. " * 40
    _, _, found = tagging.call("POST", "/v1/classify", {"input": [text, "a film"], "long": "windows"})
    [item, short], [expected] = found["data"], classifier.predict([text])
    assert (item["windows"], item["windows_read"], item["truncated"]) == (expected.windows, expected.windows, False)
    assert [(e["start"], e["end"]) for e in item["entities"]] == [(e.start, e.end) for e in expected.entities]
    assert "windows" not in short


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/predict", {"inputs": "a film"}, "tags tokens"),
        ("/", {"inputs": "a film", "parameters": {"aggregation_strategy": "max"}}, "this model's is 'simple'"),
        ("/", {"inputs": [["a", "b"]]}, "inputs"),
        ("/", {"inputs": ""}, "empty"),
        ("/v1/classify", {"input": ["a film"], "trace": True, "long": "windows"}, "leave trace or long out"),
        ("/v1/classify", {"input": ["a film"], "long": "windows(vote)"}, "nothing is combined"),
        ("/v1/classify", {"input": ["a film"], "policy": "tempered(entropy(0.1), 2)"}, "temperatures"),
    ],
)
def test_what_does_not_fit_is_refused(tagging, path, body, why):
    status, _, found = tagging.call("POST", path, body)
    assert status in (400, 422) and why in found["error"]


@pytest.mark.parametrize("long", ["cut", "windows"])
def test_shadow_traffic_compares_spans_with_full_depth(tmp_path, long):
    folder = write_tagger(tmp_path / "model", seed=3, initializer_range=0.1)
    (folder / "exits.json").write_text(
        json.dumps({"version": 1, "default": "early", "points": {"early": {"policy": "depth(4)"}}}), encoding="utf-8"
    )
    early = Classifier.load(folder, "early", dtype="float32", threads=1)
    texts = [*TEXTS, "a", "a film", "film", "the film is good. " * 40, "good movie and this journey"]
    expected = sum(
        spans(one) != spans(other)
        for one, other in zip(early.predict(texts, long=long), early.predict(texts, "full", long=long), strict=True)
    )
    assert 0 < expected < len(texts)
    held = Classifier(early.bundle, early.tokeniser, Held(early.backend), early.policy, max_rows=8, threads=1)
    with Live(held, shadow=1.0, long=long) as server:
        status, _, _ = server.call("POST", "/v1/classify", {"input": texts})
        assert status == 200
        until(lambda: server.counts().get('elbert_shadow_texts{point="early"}') == len(texts))
        counts = server.counts()
    assert counts['elbert_shadow_differing{point="early"}'] == expected
    assert counts["elbert_shadow_dropped"] == 0


def spans(prediction):
    """Type, first word and last word of each span, by the rules of conlleval."""
    found, before = [], None
    for i, word in enumerate(prediction.words):
        prefix, _, kind = word.tag.partition("-")
        if prefix != "O" and (prefix == "B" or before != kind):
            found.append([kind, i, i])
        elif prefix != "O":
            found[-1][-1] = i
        before = kind if prefix != "O" else None
    return found
