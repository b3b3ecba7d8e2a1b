"""Proof by addition, in pages: a synthetic policy and signal run in V8 and are driven in the explorer."""

import numpy as np
import pytest
from explorer_server import run_explorer

from browser import Engine, wait_until
from elbert.exits import POLICIES, PolicyKind, Trace, policy, replay_exits
from elbert.exits.conditions import Of, held, spread
from elbert.exits.rules import Dial, Rule
from elbert.explain.rule_tracks import explain_exit, track_rules
from synthetic_policy import DOUBT, SPECS, add_entries

MODULES = ("policy/replays.js", "policy/families.js", "policy/sentences.js", "policy/members.js")
EXITS = """(rows, spec, options) => {
  const rules = $rules.listRules($specs.parsePolicy(spec));
  return rows.map((steps) => {
    const signals = $signals.computeSignals(steps, options);
    const exit = $rules.findExit(signals, rules);
    return [exit.depth, exit.reason, $sentences.describeExit(rules, signals, exit)];
  });
}"""
TEXT = "The plot is thin, but the acting is so warm that I left smiling."


@pytest.fixture(autouse=True)
def _entries(monkeypatch):
    add_entries(monkeypatch)


def probabilities(n=150, depths=8, classes=3):
    logits = np.cumsum(np.random.default_rng(3).normal(0, 0.8, (n, depths, classes)), 1)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return p.astype(np.float32)


@pytest.mark.parametrize("spec", [*SPECS, "doubt(0.1, 1)", "doubt(0.05, 1, low) | patience(4)"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_v8_decides_and_explains_as_numpy(spec, multi_label):
    saved, chosen = probabilities(), policy(spec)
    depths, reasons = replay_exits(saved, chosen, multi_label=multi_label)
    traces = [Trace.from_outputs(row[None], multi_label=multi_label) for row in saved]
    why = [
        explain_exit(chosen, trace, int(depth), track_rules(chosen, trace))
        for trace, depth in zip(traces, depths, strict=True)
    ]
    found = Engine(*MODULES)(EXITS, saved.tolist(), spec, {"multiLabel": multi_label})
    assert [tuple(one) for one in found] == list(zip(depths.tolist(), reasons, why, strict=True))
    assert len(set(depths.tolist())) > 2


def test_v8_sweeps_and_names_it():
    v8 = Engine(*MODULES)
    swept = v8("() => $families.listFamilies(6)")["doubt"]
    assert swept == [str(DOUBT(limit, times)) for limit in (0.01, 0.1, 0.2, 0.3) for times in range(1, 6)]
    assert v8("() => $families.findLook('doubt')") == {"color": "#123456", "marker": "*", "dash": "7 3"}
    assert str(DOUBT(0.2, 1, "any")) in v8("() => $families.listExamples(6)")


@pytest.mark.parametrize("name", ["still", "narrow"])
def test_v8_reads_values(name, monkeypatch):
    dials = (Dial("limit", "Limit", high=10.0), Dial("times", "Times", int, 1, 100))
    limit, times = Of("limit"), Of("times")
    condition = held("change", "<=", limit, times) if name == "still" else spread("value", limit, times)
    monkeypatch.setitem(POLICIES, name, PolicyKind(name, dials, (Rule(name, (condition,)),), "it is settled"))
    outputs = 2 if name == "still" else 1
    saved = np.random.default_rng(0).normal(0, 1, (200, 8, outputs)).cumsum(1).astype(np.float32)
    v8 = Engine(*MODULES, content="values")
    found = v8(EXITS, saved.tolist(), f"{name}(0.5, 2)", {"content": "values"})
    trace, chosen = Trace.from_outputs(saved, content="values"), policy(f"{name}(0.5, 2)")
    fired = np.array([chosen.leaves(trace.at(depth)) for depth in range(1, 8)] + [[True] * 200])
    assert [depth for depth, *_ in found] == (fired.argmax(0) + 1).tolist()
    assert len({depth for depth, *_ in found}) > 3


def test_the_explorer_drives_it(opened, classifier, evaluation):
    with run_explorer(classifier, evaluation) as address:
        page = opened(address)
        wait_until(page, "document.querySelectorAll('#curve .legend button').length > 5")
        page.fill("#text", TEXT)
        page.press("#text", "Enter")
        page.wait_for_selector("#verdict:not([hidden])")
        assert "doubt(" in page.inner_text("#rivals")
        assert "doubt" in page.locator("#curve .legend button").all_inner_texts()
        page.fill("#spec", "doubt(0.05)")
        [trace] = classifier.predict([TEXT], "full", trace=True)
        steps = np.array([[list(step.scores.values()) for step in trace.trace]], np.float32)
        for limit, times, start in [(0.05, 2, "any"), (0.3, 2, "any"), (0.3, 4, "any"), (0.02, 4, "low")]:
            page.fill("#doubt_limit-number", str(limit))
            page.fill("#doubt_times", str(times))
            page.check(f"input[name=doubt_start][value={start}]", force=True)
            chosen = DOUBT(limit, times, start)
            assert page.input_value("#spec") == str(chosen)
            [depth], [reason] = replay_exits(steps, chosen)
            assert page.inner_text("#where") == f"Exit at depth {depth} of 12"
            assert f"exit at {depth}: {reason}" in page.text_content("#depths svg")
            complete = Trace.from_outputs(steps)
            why = explain_exit(chosen, complete, int(depth), track_rules(chosen, complete))
            assert page.inner_text("#why") == why.partition(": ")[2]
            depths, _ = replay_exits(evaluation.outputs.probabilities, chosen)
            assert f"\n{depths.mean():.2f}\n" in page.inner_text("#tiles")
