"""Explanations of tags and of values: what predict gives at every depth, in JSON, on the terminal and in pages."""

import json

import numpy as np
import pytest

from elbert import Classifier
from elbert.cli.main import main
from elbert.errors import InputError
from elbert.evaluation import collect
from elbert.explain import explain
from taggers import write_tagger
from tiny import write_bundle

TEXT = "the film good. Love journey! warm"


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    return Classifier.load(write_tagger(tmp_path_factory.mktemp("tags") / "model"), dtype="float32", threads=1)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("values") / "model"
    write_bundle(folder, labels=("value",), problem_type="regression", num_labels=1, label_deviation=1.5)
    return Classifier.load(folder, dtype="float32", threads=1)


@pytest.mark.parametrize("spec", ["full", "entropy(0.8)", "patience(1)", "window(entropy=0.9, size=2) | depth(5)"])
@pytest.mark.parametrize("text", [TEXT, "film", "good " * 200])
def test_tags_are_those_of_predict_at_every_depth(tagger, spec, text):
    explained = explain(tagger, text, spec, rounds=0)
    outputs = collect(tagger, [text], None)
    replayed = outputs.replay()
    assert explained.depth == replayed.exits(tagger.resolve_policy(spec))[0]
    assert [step.entropy for step in explained.steps] == outputs.signals["entropy"][0].tolist()
    before = None
    for step in explained.steps:
        assert [word.tag for word in step.words] == list(step.answer)
        assert step.changed == (() if before is None else tuple(np.flatnonzero(np.array(step.answer) != before)))
        assert (step.label, step.score) == (
            step.words[step.least_settled].tag,
            step.words[step.least_settled].score,
        )
        assert step.attention is None
        before = np.array(step.answer)
    if not explained.truncated:
        [answer] = tagger.predict([text], spec, trace=True)
        assert (explained.depth, explained.reason) == (answer.depth, answer.reason)
        for step, there in zip(explained.steps, answer.trace, strict=False):
            assert [(w.word, w.tag, w.score) for w in step.words] == [(w.word, w.tag, w.score) for w in there.words]
            assert step.least_settled == there.least_settled
    values = json.loads(json.dumps(explained.to_dict(), allow_nan=False))
    assert (values["answers"], len(values["steps"][0]["words"])) == ("tags", len(explained.steps[0].words))


def test_the_least_settled_word_has_the_entropy_of_the_text(tagger):
    [answer] = tagger.predict([TEXT], "full", trace=True)
    for step in answer.trace:
        assert step.signals["entropy"] == step.entropy
        alone = step.words[step.least_settled]
        assert alone.score <= step.signals["confidence"] + 1e-6 or len(tagger.labels) > 2
    long = tagger.predict([("film. good " * 60).strip()], "full", trace=True)[0]
    assert len(long.trace[0].words) == 180
    assert 0 <= long.trace[2].least_settled < 180


def test_a_text_without_words(tagger):
    explained = explain(tagger, "\u200b", rounds=0)
    assert explained.depth == 6
    assert explained.steps[0].words == () or explained.steps[0].least_settled is not None


def test_tags_on_a_terminal(tagger, capsys):
    folder = str(tagger.bundle.folder)
    assert main(["explain", TEXT, "--model", folder, "--policy", "entropy(0.8)"]) == 0
    out = capsys.readouterr().out
    explained = explain(tagger, TEXT, "entropy(0.8)", rounds=0)
    assert "least settled" in out
    assert f"It {explained.why}." in out
    step = explained.exit_step
    assert f"{step.words[step.least_settled].word} {step.label}" in out
    flat = " ".join(out.split())
    for before, now in zip(explained.steps, explained.steps[1:], strict=False):
        for index in now.changed:
            change = f"{now.words[index].word} {before.words[index].tag} → {now.words[index].tag}"
            assert change in flat
    assert explained._repr_html_().count("<tr") == 7


def test_values_have_a_unit_and_no_classes(scorer):
    explained = explain(scorer, "good film", "settled(1, 0.5)", label=2, rounds=0)
    values = collect(scorer, ["good film"], None).probabilities[0, :, 0]
    changes = np.abs(np.diff(values / np.float32(1.5)))
    assert explained.unit == 1.5
    assert [step.score for step in explained.steps] == values.tolist()
    assert [step.change for step in explained.steps[1:]] == pytest.approx(changes.tolist(), abs=1e-6)
    assert "from this value" in explained.form.compare(explained.exit_step, explained.steps[-1])
    assert explained.to_dict()["answers"] == "value"


@pytest.mark.parametrize("label", ["O", 0, ["O", "O"]])
def test_one_label_is_not_that_of_all_words(tagger, label):
    with pytest.raises(InputError, match="tags of all words"):
        explain(tagger, "the film", label=label)
