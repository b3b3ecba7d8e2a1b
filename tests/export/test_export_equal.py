"""An exported file answers as the classifier does: same label, same depth, same reason, logits within 1e-4."""

import json
from pathlib import Path

import numpy as np
import pytest
from exported_twin import KINDS, Twin, mixed
from hypothesis import given, settings
from hypothesis import strategies as st

from elbert.data import read_examples
from elbert.exits import POLICIES, PolicyKind
from elbert.export import export
from elbert.export.session import Session, pad_batch
from tiny import texts, write_bundle

pytest.importorskip("onnxruntime")
DATA = Path(__file__).parents[3] / "shared" / "data" / "sst2"


@pytest.fixture(scope="session")
def twin(bundle_folder):
    return Twin.of(bundle_folder, texts(400, seed=3))


def session_of(folder, tmp_path, policy, **options):
    options = {"extra_outputs": True} | options
    return Session(export(folder, policy, tmp_path / "model.onnx", **options), threads=1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_policy_leaves_where_the_classifier_leaves(twin, tmp_path, kind):
    session = session_of(twin.classifier, tmp_path, KINDS[kind])
    depth, _ = twin.expect(mixed(session, twin.tokens, 17), KINDS[kind])
    twin.expect(mixed(session, twin.tokens, 1), KINDS[kind])
    if kind not in ("full", "depth", "last depth", "depths", "no patience"):
        assert len(set(depth.tolist())) > 2  # there was something to decide


SHAPES = {
    "many classes": {"labels": tuple("abcdefg")},
    "multi-label": {"labels": ("x", "y", "z"), "problem_type": "multi_label_classification"},
    "one label of its own": {"labels": ("x",), "problem_type": "multi_label_classification"},
    "one class": {"labels": ("x",)},
    "mean pooling": {"pooling": "mean"},
    "inner layers": {"inner_group_num": 2, "num_hidden_layers": 4},
    "one depth": {"num_hidden_layers": 1},
    "one head": {"num_attention_heads": 1},
    "odd width": {"embedding_size": 7, "hidden_size": 33, "num_attention_heads": 3, "intermediate_size": 41},
    "exact gelu": {"hidden_act": "gelu"},
    "relu": {"hidden_act": "relu"},
    "silu": {"hidden_act": "silu"},
}
SPECS = ("patience(1) | window(entropy=0.3, size=3, rule=stable)", "divergence(1, 0.02) | gap(0.7)", "full")


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_of_model(tmp_path, shape):
    folder = write_bundle(tmp_path / "model", seed=5, **SHAPES[shape])
    if shape == "one class":  # transformers saves no such thing today
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"problem_type": "single_label_classification"}))
    twin = Twin.of(folder, texts(60, seed=8))
    for spec in SPECS:
        session = session_of(folder, tmp_path, spec)
        twin.expect(mixed(session, twin.tokens, 9), spec)


def test_pairs_and_predictions(bundle_folder, tmp_path):
    pairs = list(zip(texts(40, seed=1, longest=20), texts(40, seed=2, longest=20), strict=True))
    twin = Twin.of(bundle_folder, pairs)
    session = session_of(bundle_folder, tmp_path, "window(entropy=0.4, size=3)")
    answers = session.answer(twin.tokens, 8)
    twin.expect(answers, "window(entropy=0.4, size=3)")
    predictions = twin.classifier.predict(pairs, "window(entropy=0.4, size=3)")
    assert [p.depth for p in predictions] == answers.depth.tolist()
    assert [p.reason for p in predictions] == [session.reasons[i] for i in answers.reason]
    assert [p.label for p in predictions] == [twin.classifier.labels[i] for i in answers.logits.argmax(-1)]


def test_regression_runs_to_the_last_depth(tmp_path):
    twin = Twin.of(write_bundle(tmp_path / "model", labels=("value",)), texts(20, seed=4))
    answers = mixed(session_of(twin.classifier, tmp_path, "full"), twin.tokens, 6)
    assert np.abs(answers.logits - twin.logits[:, -1]).max() <= 1e-4
    assert set(answers.depth.tolist()) == {6}


@pytest.mark.data
def test_the_bundled_model_on_real_sentences(tmp_path):
    file = DATA / "validation.parquet"
    sentences = [example.content() for example in read_examples(str(file))][::8]  # make slow runs thousands
    twin = Twin.of(None, sentences)
    spec = str(twin.classifier.policy)
    session = session_of(None, tmp_path, None)
    depth, _ = twin.expect(session.answer(twin.tokens, 32), spec)
    assert len(depth) == 109
    twin.expect(mixed(session, twin.tokens, 23), spec)
    twin.expect(mixed(session, twin.tokens, 1), spec)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "depth" not in kind])
def test_the_bundled_model_on_thousands_of_texts(thousands, tmp_path, kind):
    session = session_of(None, tmp_path, KINDS[kind])
    depth, _ = thousands.expect(session.answer(thousands.tokens, 32), KINDS[kind])
    assert len(depth) > 4000


@pytest.fixture(scope="module")
def thousands():
    real = [e.content() for split in ("validation", "test") for e in read_examples(str(DATA / f"{split}.parquet"))]
    return Twin.of(None, real + texts(1500, seed=11, longest=60))


def dials_of(kind: PolicyKind):
    """Values for the dials of a policy, mostly where they decide something."""
    values = {}
    for dial in kind.dials:
        if dial.choices:
            values[dial.name] = st.sampled_from(list(dial.choices))
        elif dial.type is int:
            values[dial.name] = st.integers(int(dial.low), 8).filter(
                lambda v, name=dial.name: name != "depth" or v <= 6
            )
        else:
            low, high = dial.low, dial.high
            values[dial.name] = st.floats(low, high).map(lambda v, high=high: min(float(np.float32(v)), high))
    return st.fixed_dictionaries(values)


@pytest.fixture(scope="session")
def dialled(twin, tmp_path_factory):
    """A session with dials for every kind of policy, made once each."""
    made, place = {}, tmp_path_factory.mktemp("dialled")

    def get(kind, rule):
        if (kind, rule) not in made:
            spec = {"window": f"window(rule={rule})", "depth": "depth(1)", "patience": "patience(0)"}.get(kind)
            spec = spec or {"patient_confidence": f"{kind}(1, 0.5)", "divergence": f"{kind}(1, 0.5)"}.get(kind)
            path = place / f"{kind}_{rule}.onnx"
            export(twin.classifier, spec or f"{kind}(0.5)", path, dials="optional", extra_outputs=True)
            made[kind, rule] = Session(path, threads=1)
        return made[kind, rule]

    return get


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_dials_as_inputs_do_what_policies_of_those_numbers_do(twin, dialled, data):
    kind = data.draw(
        st.sampled_from([name for name, kind in POLICIES.items() if name != "full" and kind.fits("probabilities")])
    )
    policy = POLICIES[kind](**data.draw(dials_of(POLICIES[kind])))
    session = dialled(kind, policy.dials.get("rule"))
    dial_values = {f"{kind}_{name}": value for name, value in policy.dials.items() if name != "rule"}
    some = Twin(twin.classifier, twin.tokens[:60], twin.logits[:60])
    some.expect(mixed(session, some.tokens, 20, **dial_values), str(policy))


def test_dials_left_out_have_their_defaults_and_wild_ones_are_held_to_their_range(twin, tmp_path):
    spec = "window(entropy=0.3, size=3, rule=trend) | entropy(0.1)"
    session = session_of(twin.classifier, tmp_path, spec, dials="optional")
    twin.expect(mixed(session, twin.tokens, 16), spec)
    assert set(mixed(session, twin.tokens, 16, window_entropy=99.0).depth) <= {1, 2}  # entropy can be 1 at most
    wild = mixed(session, twin.tokens, 16, window_size=-5, window_margin=-1.0, entropy_threshold=float("-inf"))
    twin.expect(wild, "window(entropy=0.3, size=1, rule=trend) | entropy(0.0)")


def test_all_leave_at_once_and_none_leaves(twin, tmp_path):
    at_once = mixed(session_of(twin.classifier, tmp_path, "entropy(1.0) | patience(0)"), twin.tokens, 40)
    assert set(at_once.depth.tolist()) == {1}
    never = mixed(session_of(twin.classifier, tmp_path, "entropy(0.0)"), twin.tokens, 40)
    assert (set(never.depth.tolist()), set(never.reason.tolist())) == ({6}, {1})


def test_padding_and_company_change_no_answer(twin, tmp_path):
    for dtype in ("float32", "int8"):
        session = session_of(twin.classifier, tmp_path, "window(entropy=0.3, size=3)", dtype=dtype)
        alone = mixed(session, twin.tokens[:40], 1)
        together = session(pad_batch(twin.tokens[:40], length=64))
        assert np.array_equal(alone.depth, together.depth)
        assert np.abs(alone.logits - together.logits).max() <= 1e-4
        feeds = pad_batch(twin.tokens[:40], length=64)
        feeds["input_ids"] = np.where(feeds["attention_mask"] == 1, feeds["input_ids"], 7)  # whatever fills it up
        assert np.array_equal(session(feeds).logits, together.logits)
