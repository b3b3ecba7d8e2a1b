"""Proof by addition: a synthetic policy and a synthetic signal, one entry each, work without another file."""

import re
from itertools import pairwise

import numpy as np
import pytest
from exported_twin import Twin, mixed

from elbert import Classifier, PolicyError
from elbert.calibration.search import MinSpeedup, calibrate
from elbert.comparison.comparison import compare
from elbert.comparison.plots import draw_comparison
from elbert.evaluation import Outputs
from elbert.exits import Trace, check_policy, policy, replay, replay_exits
from elbert.exits.encoding import lower_policy, policy_table
from elbert.explain import explain
from elbert.explain.figures import draw_explanation
from elbert.export import export
from elbert.export.browser import describe_dials
from elbert.export.session import Session
from synthetic_policy import DOUBT, SMALLEST, SPECS, add_entries
from tiny import texts


@pytest.fixture(autouse=True)
def _entries(monkeypatch):
    add_entries(monkeypatch)


@pytest.fixture(scope="module")
def twin(bundle_folder):
    return Twin.of(bundle_folder, texts(200, seed=3))


def outputs(n=120, depths=6, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    logits = np.cumsum(rng.normal(0, 0.8, (n, depths, classes)), 1)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return Outputs(
        p.astype(np.float32),
        p[:, -1].argmax(-1),
        np.ones(n, np.int64),
        tuple("abcdefgh"[:classes]),
        "single_label_classification",
    )


def plain_exit(row, limit, times, start):
    """The formulas, one row at a time."""
    smallest, confidence = row.min(-1), row.max(-1)
    for m in range(1, len(row)):
        last = smallest[max(0, m - times) : m]
        rises = all(b >= a for a, b in pairwise(confidence[m - times : m]))
        if start == "any" and m >= max(2, times) and (last <= np.float32(limit)).all():
            return m, "doubt"
        if start == "low" and m > times and smallest[m - times - 1] < np.float32(2 * limit) and rises:
            return m, "doubt"
        if m >= times + 2 and np.ptp(smallest[m - times - 2 : m]) <= np.float32(limit / 8):
            return m, "quiet"
    return len(row), "last"


@pytest.mark.parametrize("dials", [(0.25, 2, "any"), (0.1, 1, "any"), (0.2, 3, "low"), (0.05, 1, "low")])
def test_it_is_parsed_and_replayed(dials):
    chosen = DOUBT(*dials)
    assert policy(str(chosen)) == chosen
    saved = outputs(400, 8).probabilities
    expected = [plain_exit(row, *dials) for row in saved]
    depths, reasons = replay_exits(saved, str(chosen))
    assert list(zip(depths.tolist(), reasons, strict=True)) == expected
    assert len(set(depths.tolist())) > 3
    with pytest.raises(PolicyError, match=r"accepted is doubt\(limit, times, start\) with limit a number from 0 to"):
        policy("doubt(0.7)")
    with pytest.raises(PolicyError, match="any or low"):
        policy("doubt(0.1, start=high)")


@pytest.mark.parametrize("spec", SPECS)
def test_live_rows_exit_as_in_the_replay(spec, bundle_folder):
    saved, chosen = outputs(60).probabilities, policy(spec)
    exits, trace = replay(saved, chosen), Trace.start(60, 6, 3)
    for depth in range(1, 6):
        trace = trace.record(saved[:, depth - 1])
        assert chosen.leaves(trace)[exits == depth].all()
        assert not chosen.leaves(trace)[exits > depth].any()
    found = Classifier.load(bundle_folder, policy=spec).predict(texts(20, seed=1))
    assert {p.reason for p in found} <= {*chosen.reasons, "last"}


def test_it_is_swept_calibrated_and_drawn():
    saved = outputs()
    compared = compare(saved, policy("doubt(0.2)"), named=["doubt", "entropy"])
    assert len(compared.swept["doubt"].policies) == 2 + 4 * 5
    assert DOUBT.families[0].colour in draw_comparison(compared, ["svg"])["svg"].decode()
    point = calibrate(MinSpeedup(1.5), saved, {"float32": outputs(seed=1)}, family_names=["doubt"])
    assert str(point.policy).startswith("doubt(")


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("dials", ["fixed", "optional"])
def test_a_file_exits_as_the_replay(twin, tmp_path, spec, dials):
    export(twin.classifier, spec, tmp_path / "model.onnx", dials=dials, extra_outputs=True)
    session = Session(tmp_path / "model.onnx", threads=1)
    twin.expect(mixed(session, twin.tokens, 17), spec)
    if dials == "optional" and spec.startswith("doubt(0.25"):
        twin.expect(mixed(session, twin.tokens, 17, doubt_limit=0.4, doubt_times=3), "doubt(0.4, 3)")


def test_dials_of_the_page_know_the_end_that_never_exits():
    never = {dial["name"]: dial["never"] for dial in describe_dials(policy("doubt(0.2) | gap(0.5)"))}
    assert never == {"doubt_limit": 0, "doubt_times": 1000, "gap_threshold": 1}


def test_it_is_explained(bundle_folder):
    classifier = Classifier.load(bundle_folder)
    explained = explain(classifier, "a good film", "doubt(0.5, 3)", attention=False, rounds=0)
    assert explained.why == "exited at depth 3 of 6: every smallest ≤ 0.5 over depths 1 to 3, depth 3 ≥ 2"
    assert [step.state for step in explained.rules[0].steps][:3] == ["1 of 3", "2 of 3", "holds"]
    assert "doubt(limit=0.2, times=1, start=any)" in {rival.policy for rival in explained.rivals}
    late = explain(classifier, "a good film", "doubt(0.0, 4)", attention=False, rounds=0)
    assert re.search("smallest > 0", late.rules[0].steps[4].state)
    draw_explanation(explained)


def test_the_table_for_pages_and_arrays_for_native_code():
    table = policy_table()
    assert table["signals"][-1]["script"] == SMALLEST.script
    (entry,) = (kind for kind in table["policies"] if kind["name"] == "doubt")
    assert entry["rules"][0]["when"] == {"dial": "start", "choice": "any"}
    lowered = lower_policy(policy("doubt(0.25, 3)"), 6)
    assert lowered.conditions[:, 4].tolist() == [3, 2, 5]
    assert (lowered.cost, lowered.reasons) == (8, ("doubt", "quiet"))
    check_policy(policy("doubt(0.25, 900)"), 6)
    assert lower_policy(policy("doubt(0.25, 900)"), 6).cost == 0
