"""Entities are those of transformers' pipeline; long texts are read in windows."""

import json

import pytest
from transformers import pipeline

from conftest import draw_texts
from elbert import Classifier
from elbert.errors import InputError
from elbert.inference.windows import split_text
from taggers import ENCODERS, write_tagger


@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
@pytest.mark.parametrize("family", ENCODERS)
def test_entities_are_those_of_transformers(family, tmp_path):
    folder, texts = write_tagger(tmp_path / "model", family), [*draw_texts(12), "film", " the  film "]
    for strategy in ("simple", "first"):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"aggregation_strategy": strategy}))
        theirs = pipeline("ner", model=str(folder), aggregation_strategy=strategy)
        found = Classifier.load(folder, "full", dtype="float32", threads=1).predict(texts)
        for text, prediction in zip(texts, found, strict=True):
            expected = theirs(text)
            spans = [(entity["entity_group"], entity["start"], entity["end"]) for entity in expected]
            assert [(entity.label, entity.start, entity.end) for entity in prediction.entities] == spans
            scores = [entity["score"] for entity in expected]
            assert [entity.score for entity in prediction.entities] == pytest.approx(scores, abs=1e-5)
            if strategy == "simple":  # for the other, transformers joins words without the spaces between them
                assert [entity.word for entity in prediction.entities] == [entity["word"] for entity in expected]


def test_a_prediction_has_entities_and_words(classifier):
    (found,) = classifier.predict(["the film"])
    values = found.to_dict()
    assert values.keys() == {"entities", "words", "depth", "depths", "reason", "truncated"}
    assert [word["word"] for word in values["words"]] == ["the", "film"]
    assert "words" not in found.to_dict(scores=False)
    assert (found.label, found.score) in [(word.tag, word.score) for word in found.words]
    assert found.score == min(word.score for word in found.words)


@pytest.mark.parametrize("long", [None, "windows", "cut"])
def test_a_text_without_words_has_no_entities(classifier, long):
    for found in classifier.predict(["", "  "], "patience(2)", trace=True, long=long):
        assert not found.entities and not found.words and found.depth < found.depths
        assert [(step.words, step.least_settled) for step in found.trace] == [((), None)] * found.depth


def test_long_texts_are_read_in_windows(classifier):
    text = "  ".join(draw_texts(20, seed=3))
    found, short = classifier.predict([text, "the film"])
    assert not found.truncated and len(short.words) == 2
    words = text.replace(",", " ").replace(".", " ").replace("!", " ").split()
    assert [word.word for word in found.words if word.word.isalpha()] == words
    assert all(text[word.start : word.end].strip() == word.word for word in found.words)
    assert all(text[entity.start : entity.end] for entity in found.entities)


def test_windows_are_the_text_and_end_at_sentences(classifier):
    text = "the film is good. " * 30 + "x" * 200
    windows = split_text(text, classifier.tokeniser)
    assert "".join(window for _, window in windows) == text and len(windows) > 2
    assert [start for start, _ in windows] == [text.index(windows[0][1])] + [
        sum(len(window) for _, window in windows[:number]) for number in range(1, len(windows))
    ]
    assert all(window.endswith("good. ") for _, window in windows[:-2])
    assert not any(row.truncated for row in classifier.tokeniser.encode([window for _, window in windows]))


def test_a_stream_of_long_and_short_texts_keeps_its_order(classifier):
    texts = ["the film", "a movie " * 100, "bad", 3, "warm " * 70]
    found = list(classifier.stream_results(iter(texts), live=True))
    assert [len(result.words) if not isinstance(result, Exception) else "error" for result in found] == [
        *(2, 200, 1, "error", 70)
    ]


@pytest.mark.parametrize(
    ("texts", "long", "why"), [([("a", "b")], None, "pair"), (["a"], "windows(vote)", "nothing is combined")]
)
def test_what_does_not_fit_is_refused_in_one_line(classifier, texts, long, why):
    with pytest.raises(InputError, match=why):
        classifier.predict(texts, long=long)


def test_a_trace_has_the_words_of_every_depth(classifier):
    texts = ["the film is good", "", "  ".join(draw_texts(20, seed=3))]
    for text, found in zip(texts, classifier.predict(texts, "patience(2)", trace=True), strict=True):
        assert [step.depth for step in found.trace] == list(range(1, found.depth + 1))
        assert found.trace[-1].words == found.words
        assert found.to_dict()["trace"][-1]["words"] == [
            {"word": word.word, "tag": word.tag, "score": word.score} for word in found.words
        ]
        for depth in range(1, found.depth):
            (shallow,) = classifier.predict([text], f"depth({depth})")
            if found.windows is None:
                assert [word.tag for word in found.trace[depth - 1].words] == [word.tag for word in shallow.words]


def test_a_text_is_cut_on_request(classifier):
    text = "  ".join(draw_texts(20, seed=3))
    (cut,), (whole,) = classifier.predict([text], long="cut"), classifier.predict([text], long="windows")
    assert cut.truncated and cut.windows is None and len(cut.words) < len(whole.words)
    assert whole == classifier.predict([text])[0]
    assert whole.windows == whole.windows_read > 1


@pytest.mark.parametrize("long", [None, "windows", "cut"])
def test_words_have_no_row_of_probabilities(classifier, long):
    with pytest.raises(InputError, match="this model tags words: use predict"):
        classifier.predict_proba(["a film"], long=long)
