"""Exported token classifiers: the logits of every token at the exit of its row, as the engine computes them."""

import numpy as np
import pytest

from elbert import Classifier
from elbert.errors import InputError
from elbert.export import export
from elbert.export.precision_report import compare_precisions
from elbert.export.session import Session
from taggers import write_tagger
from tiny import texts

pytest.importorskip("onnxruntime")
TEXTS = ["the film", "", *texts(14, seed=2, longest=30)]
POLICIES = ["full", "depth(3)", "patience(2)", "entropy(0.7)", "divergence(2, 0.02) | depth(5)", "confidence(0.5)"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return Classifier.load(write_tagger(tmp_path_factory.mktemp("tagger")), dtype="float32", threads=1)


@pytest.mark.parametrize("spec", [*POLICIES, "window(entropy=0.3, size=3)"])
def test_logits_depths_and_reasons_are_those_of_the_engine(classifier, spec, tmp_path):
    policy = classifier.resolve_policy(spec)
    file = export(classifier, policy, tmp_path / "tags.onnx", extra_outputs=True)
    tokens, session = classifier.tokeniser.encode(TEXTS), Session(file, threads=1)
    found = session.answer(tokens, rows=5)
    assert found.logits.shape == (len(TEXTS), max(map(len, tokens)), len(classifier.labels))
    seen = 0
    for exits in classifier.exits(tokens, policy):
        ends = np.cumsum(exits.counts)
        for row, number in enumerate(exits.identity.tolist()):
            own = exits.logits[ends[row] - exits.counts[row] : ends[row]]
            assert found.logits[number, tokens[number].pieces.positions] == pytest.approx(own, abs=1e-4)
            assert found.depth[number] == exits.depth[row]
            assert session.reasons[found.reason[number]] == exits.reason[row]
            seen += 1
    assert seen == len(TEXTS)


def test_dials_are_inputs(classifier, tmp_path):
    file = export(classifier, "entropy(0.0)", tmp_path / "tags.onnx", extra_outputs=True, dials="optional")
    tokens, session = classifier.tokeniser.encode(TEXTS), Session(file, threads=1)
    (dial,) = {one.name for one in session._session.get_overridable_initializers()}
    assert set(session.answer(tokens, **{dial: 1.0}).depth.tolist()) == {1}
    assert set(session.answer(tokens).depth[2:].tolist()) == {classifier.depths}


def test_int8_and_float16_have_the_shapes(classifier, tmp_path):
    tokens = classifier.tokeniser.encode(TEXTS[2:])
    exact = Session(export(classifier, "full", tmp_path / "a.onnx")).answer(tokens).logits
    for dtype in ("float16", "int8"):
        found = Session(export(classifier, "full", tmp_path / f"{dtype}.onnx", dtype=dtype)).answer(tokens).logits
        assert found.shape == exact.shape
        assert np.abs(found - exact).mean() < 0.2


def test_reports_are_of_whole_texts(classifier):
    with pytest.raises(InputError, match="whole texts"):
        compare_precisions(classifier, ["a film"], ["O"])
