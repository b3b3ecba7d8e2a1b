"""Explanations of tags and of values: what predict gives at every depth, in JSON, on the terminal and in pages."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from elbert import Classifier
from elbert.cli.main import main
from elbert.errors import InputError
from elbert.evaluation import collect
from elbert.explain import explain, survey
from elbert.explain.figures import MOST_WORDS, choose_words, write_figure
from elbert.explain.page import render_explanation
from taggers import TAGS, write_tagger
from tiny import texts, write_bundle

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


TEXTS = [f"{text} film".strip() for text in texts(40, seed=8, longest=12)]


def svg_words(path):
    return " ".join(node.text or "" for node in ET.parse(path).iter() if node.tag.endswith("text"))


@pytest.mark.parametrize("text", [TEXT, "the $film_ \\frac{ <b>", "film good love " * 20, "\u200b"])
def test_a_figure_of_tags(tagger, tmp_path, text):
    explained = explain(tagger, text, "window(entropy=0.9, size=2) | entropy(0.8)", rounds=0)
    write_figure(explained, tmp_path / "tags.svg")
    shown, drawn = choose_words(explained), svg_words(tmp_path / "tags.svg")
    words = explained.exit_step.words
    assert shown == sorted(shown)
    assert len(shown) == min(len(words), MOST_WORDS)
    for index in shown:
        assert words[index].word[:10] in drawn
        for step in explained.steps:
            assert step.words[index].tag in drawn or step.words[index].tag[:2] in drawn
    hidden = [index for index in range(len(words)) if index not in shown]
    assert not hidden or f"{len(hidden)} more not shown" in drawn
    if any(words[index].tag == "O" for index in shown):  # what is an entity at the exit comes first
        assert all(words[index].tag == "O" for index in hidden)
    assert f"exit: {explained.reason}" in drawn


def test_a_survey_of_tags_is_counted_again_text_by_text(tagger):
    labels = [[TAGS[(i + j) % 3] for j, _ in enumerate(text.split())] for i, text in enumerate(TEXTS)]
    labels[0] = [word.tag for word in tagger.predict([TEXTS[0]], "full", trace=True)[0].trace[-1].words]
    found = survey(tagger, TEXTS, labels, "entropy(0.6)", source="tags.jsonl")
    every = [p.trace for p in tagger.predict(TEXTS, "full", trace=True)]
    live = tagger.predict(TEXTS, "entropy(0.6)")
    assert found.exits == tuple([p.depth for p in live].count(depth) for depth in range(1, 7))
    outputs = collect(tagger, TEXTS, labels)
    task = outputs.task
    at_exit = np.stack([outputs.probabilities[i, p.depth - 1] for i, p in enumerate(live)])
    assert (found.score_name, found.accuracy) == ("f1", None)
    assert found.score == task.measure(at_exit, outputs.labels)["f1"]
    assert found.score_by_depth[-1] == task.measure(outputs.probabilities[:, -1], outputs.labels)["f1"] > 0
    right = [task.find_right(at_exit[i : i + 1], outputs.labels[i : i + 1])[0] for i in range(len(TEXTS))]
    assert sum(found.exits_right) == sum(right)
    wrong = sum(
        tag != label
        for trace, truth in zip(every, labels)
        for tag, label in zip([w.tag for w in trace[0].words], truth)
    )
    assert len(TAGS) <= 8
    matrix = np.array(found.confusion.matrices[0])
    assert matrix.sum() - matrix.trace() == wrong
    assert matrix.sum() == sum(map(len, labels))
    for each in found.easiest:
        trace = every[each.line - 1]
        tags = ", ".join(f"{w.word} {w.tag}" for w in trace[-1].words if w.tag != "O") or "none"
        assert each.last == tags
        assert each.truth is not None


def test_a_survey_of_values_is_counted_again_text_by_text(scorer):
    labels = [float(i % 5) for i in range(len(TEXTS))]
    found = survey(scorer, TEXTS, labels, "settled(1, 0.5)")
    values = collect(scorer, TEXTS, labels).probabilities[..., 0]
    live = scorer.predict(TEXTS, "settled(1, 0.5)")
    assert found.exits == tuple([p.depth for p in live].count(depth) for depth in range(1, 7))
    assert (found.score_name, found.exits_right, found.confusion, found.overthought) == ("spearman", None, None, None)
    near = np.abs(values - values[:, -1:]) <= 0.1 * 1.5
    settled = [next(d for d in range(1, 7) if row[d - 1 :].all()) for row in near]
    assert found.settled == tuple(settled.count(depth) for depth in range(1, 7))
    errors = {i + 1: abs(p.score - labels[i]) for i, p in enumerate(live)}
    farthest = [each.line for each in found.wrong]
    assert [errors[line] for line in farthest] == pytest.approx(sorted(errors.values(), reverse=True)[:25], abs=1e-5)
    assert {each.right for each in found.wrong} == {None}
    assert found.bounds == (values.min(), values.max())
    unlabelled = survey(scorer, TEXTS, None, "settled(1, 0.5)")
    assert (unlabelled.score, unlabelled.wrong, unlabelled.settled) == (None, None, found.settled)


@pytest.mark.parametrize("kind", ["tags", "values"])
def test_surveys_of_tasks_as_the_command_writes_them(tagger, scorer, tmp_path, capsys, kind):
    classifier, column = (tagger, "tags") if kind == "tags" else (scorer, "label")
    rows = [
        {"tokens": text.split(), "tags": ["O"] * len(text.split())} if kind == "tags" else {"text": text, "label": i}
        for i, text in enumerate(TEXTS)
    ]
    file, output = tmp_path / "data.jsonl", tmp_path / "out"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for ending, start in (("html", b"<!doctype html>"), ("svg", b"<?xml"), ("png", b"\x89png")):
        target = output.with_suffix(f".{ending}")
        arguments = ["explain", "--data", str(file), "--model", str(classifier.bundle.folder), "--output", str(target)]
        assert main(arguments) == 0
        assert target.read_bytes()[:40].lower().startswith(start)
    out = capsys.readouterr().out
    for part in {"tags": ["f1 ", "label > prediction: words", "overthought"], "values": ["spearman ", "farthest"]}[
        kind
    ]:
        assert part in out
    assert main([*arguments[:-2], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["answers"], found["n"], found["accuracy"]) == ("tags" if kind == "tags" else "value", 40, None)
    labels = [row[column] for row in rows]
    assert "</script>" in render_explanation(survey(classifier, TEXTS, labels))
