"""Rows of tokens exit in the engine as a plain reference says: over padded outputs of all depths."""

import numpy as np
import pytest
import torch

from elbert.engine import Capacity, Engine, Request
from elbert.errors import PolicyError
from elbert.exits.token_trace import TokenTrace, read_signals
from elbert.model.reference.token_classifiers import ElbertForTokenClassification

POLICIES = [
    "entropy(0.5)",
    "confidence(0.5)",
    "gap(0.4)",
    "patience(2)",
    "divergence(2, 0.01)",
    "window(entropy=0.3, size=3)",
    "patience(3) | depth(4)",
    "depth(3)",
    "entropy(1.0)",  # all exit at once
    "entropy(0.0)",  # none does
]


@pytest.fixture(scope="module")
def reference(tagger, classifier, texts):
    """By text: probabilities ``[words, depths, classes]``, from transformers' encoder over one text at a time."""
    model = ElbertForTokenClassification.from_pretrained(tagger).eval()
    found = []
    for row in classifier.tokeniser.encode(texts):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.ids])).exit_logits[:, 0]
        words = row.pieces.positions[row.pieces.is_first]
        found.append(logits[:, words].softmax(-1).transpose(0, 1).numpy())
    return found


def plain_signals(probabilities):
    """Signals of one text, written again from their definitions: the worst over words at each depth."""
    words, depths, classes = probabilities.shape
    if not words:
        return {"entropy": [0] * depths, "confidence": [1] * depths, "gap": [1] * depths}
    p = probabilities.astype(float)
    top = np.sort(p, -1)
    return {
        "entropy": (-(p * np.log(p)).sum(-1) / np.log(classes)).max(0),
        "confidence": p.max(-1).min(0),
        "gap": (top[..., -1] - top[..., -2]).min(0),
        "same": [0, *(p.argmax(-1)[:, 1:] == p.argmax(-1)[:, :-1]).all(0)],
    }


def test_signals_are_those_of_the_least_settled_word(reference, outputs):
    for number, probabilities in enumerate(reference):
        for name, values in plain_signals(probabilities).items():
            np.testing.assert_allclose(outputs.signals[name][number], values, atol=1e-5)


def test_tags_are_those_of_the_reference(reference, outputs):
    compared = 0
    for tags, probabilities in zip(outputs.probabilities, reference, strict=True):
        words = tags[:, (tags != -1).all(0)]
        if words.shape[1] == len(probabilities):  # else punctuation is a word of this tokenizer, and none of a file
            assert (words == probabilities.argmax(-1).T).all()
            compared += words.shape[1]
    assert compared > 62


@pytest.mark.parametrize("spec", POLICIES)
def test_engine_exits_where_saved_outputs_do(classifier, texts, outputs, spec):
    policy, replay = classifier.resolve_policy(spec), outputs.replay()
    found = classifier.predict(texts, policy)
    assert [prediction.depth for prediction in found] == replay.exits(policy).tolist()
    assert [prediction.reason for prediction in found] == replay.reasons(policy)


def test_exits_differ_between_texts(classifier, outputs):
    depths = outputs.replay().exits(classifier.resolve_policy("patience(2)"))
    assert len(set(depths.tolist())) > 2


def test_rows_of_many_policies_share_calls(classifier, texts, outputs):
    """As in a server: more policies than are decided one by one."""
    specs = [*POLICIES, *(f"entropy({k / 20})" for k in range(1, 15))]
    policies = [classifier.resolve_policy(spec) for spec in specs]
    engine, expected = Engine(classifier.backend, Capacity(64, 4096)), {}
    for identity, policy in enumerate(policies):
        text = identity % len(texts)
        engine.submit(Request(identity, classifier.tokeniser.encode([texts[text]])[0], policy))
        expected[identity] = outputs.take(np.array([text])).replay().exits(policy)[0]
    found = {}
    while len(engine):
        for exits in engine.step().exits:
            found |= dict(zip(exits.identity.tolist(), exits.depth.tolist(), strict=True))
    assert found == expected


def test_probabilities_of_exits_are_those_of_the_depth(classifier, texts, reference):
    rows = classifier.tokeniser.encode(texts)
    for exits in classifier.exits(rows, classifier.resolve_policy("patience(2)")):
        ends = np.cumsum(exits.counts)
        for identity, depth, count, end in zip(exits.identity, exits.depth, exits.counts, ends, strict=True):
            is_first = rows[identity].pieces.is_first
            found = exits.probabilities[end - count : end][is_first]
            np.testing.assert_allclose(found, reference[identity][:, depth - 1], atol=1e-5)
        assert exits.trace is None


def test_a_live_trace_keeps_one_depth(classifier, texts):
    from elbert.inference import admit

    rows = admit(classifier.tokeniser.encode(texts), range(len(texts)), classifier.backend, classifier.policy)
    assert isinstance(rows.trace, TokenTrace) and rows.trace.probabilities.shape[1] == 1


def test_pieces_inside_words_have_no_part():
    probabilities = np.array([[[0.9, 0.1]], [[0.5, 0.5]]], np.float32)
    counts, first = np.array([2]), np.array([True, False])
    assert read_signals(probabilities, counts, first, ["confidence"])["confidence"] == pytest.approx(0.9)
    assert read_signals(probabilities, counts, ~first, ["confidence"])["confidence"] == pytest.approx(0.5)


def test_joined_rows_keep_their_signals():
    def trace(signals, rows):
        made = TokenTrace.begin(np.full(rows, 2), np.zeros(2 * rows, int), np.ones(2 * rows, bool), 3, 2, signals)
        return made.record(np.full((2 * rows, 2), 0.5, np.float32))

    joined = TokenTrace.join([trace(["entropy"], 1), trace(["gap"], 2)])
    assert joined.signals["entropy"][:, 0].tolist() == [1, 0, 0] and len(joined.counts) == 3
    kept = joined.keep(np.array([2, 0]))
    assert kept.signals["entropy"][:, 0].tolist() == [0, 1] and len(kept.probabilities) == 4


def test_temperatures_are_refused_in_one_line(classifier):
    with pytest.raises(PolicyError, match="temperatures, which do not fit token classification"):
        classifier.resolve_policy("tempered(entropy(0.1), 2)")


def test_a_depth_alone_reads_the_head_once(classifier, texts, monkeypatch):
    reads = []
    read = classifier.backend.read
    monkeypatch.setattr(classifier.backend, "read", lambda *arguments: reads.append(1) or read(*arguments))
    classifier.predict(texts[:3], "depth(3)")
    assert len(reads) == 1
