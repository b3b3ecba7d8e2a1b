"""What the page says of a policy on labelled texts is what elbert evaluate says."""

import numpy as np
import pytest

from elbert.evaluation import Outputs
from elbert.evaluation.report import score_policy
from elbert.exits import policy

SPECS = ["full", "depth(3)", "entropy(0.35)", "window(entropy=0.2, size=3, margin=0.05)", "patience(2) | entropy(0.1)"]
SCORES = """(table, specs) => {
  const prepared = $replays.prepareEvaluation(table);
  return specs.map((spec) => {
    const found = $replays.scorePolicy(prepared, $specs.parsePolicy(spec));
    return {...found, reasons: Object.fromEntries(found.reasons)};
  });
}"""


def outputs_of(seed, n=70, depths=9, classes=3, multi_label=False):
    rng = np.random.default_rng(seed)
    logits = np.cumsum(rng.normal(0, 0.9, (n, depths, classes)), 1)
    if multi_label:
        probabilities, labels = 1 / (1 + np.exp(-logits)), rng.integers(0, 2, (n, classes))
    else:
        probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        labels = rng.integers(0, classes, n)
    problem = "multi_label_classification" if multi_label else "single_label_classification"
    names = tuple("abcdefgh"[:classes])
    return Outputs(probabilities.astype(np.float32), labels, np.ones(n, np.int64), names, problem)


def table_of(outputs):
    return {
        "labels": list(outputs.label_names),
        "depths": outputs.depths,
        "multi_label": outputs.multi_label,
        "texts": [str(i) for i in range(len(outputs))],
        "label": outputs.labels.tolist(),
        "probabilities": outputs.probabilities.tolist(),
    }


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_scores_are_those_of_evaluate(v8, multi_label, classes):
    outputs = outputs_of(4, classes=classes, multi_label=multi_label)
    correct = outputs.find_right()
    for spec, found in zip(SPECS, v8(SCORES, table_of(outputs), SPECS)):
        expected = score_policy(outputs, spec, policy(spec))
        assert found["accuracy"] == pytest.approx(expected.metrics["accuracy"], abs=1e-12)
        assert found["meanDepth"] == pytest.approx(expected.mean_depth, abs=1e-12)
        assert found["speedup"] == pytest.approx(expected.layer_speedup, abs=1e-12)
        assert found["reasons"] == expected.reasons
        left = [a + b for a, b in zip(found["rightAt"], found["wrongAt"])]
        assert {depth: n for depth, n in enumerate(left, 1) if n} == expected.depths
        apart = sum(found["rightAt"]) - correct[:, -1].sum()
        assert apart == found["helped"] - found["harmed"]


def test_hard_texts(v8):
    outputs = outputs_of(8)
    correct, says = outputs.find_right(), outputs.probabilities.argmax(-1)
    lists = v8(
        "(t) => { const p = $replays.prepareEvaluation(t);"
        " return ['late', 'wrong', 'overthought'].map((kind) => $replays.listHardTexts(p, kind)); }",
        table_of(outputs),
    )
    late, wrong, overthought = lists
    settled = [next(m for m in range(9) if (row[m:] == row[-1]).all()) + 1 for row in says]
    assert sorted(late) == [i for i, depth in enumerate(settled) if depth > 1]
    assert [settled[i] for i in late] == sorted((settled[i] for i in late), reverse=True)
    assert sorted(wrong) == np.flatnonzero(~correct[:, -1]).tolist()
    assert sorted(overthought) == np.flatnonzero(~correct[:, -1] & correct.any(1)).tolist()
    assert overthought


@pytest.mark.parametrize("depths", [1, 2, 6, 24])
def test_families_are_policies_that_the_model_can_follow(v8, depths):
    families = v8("(depths) => $families.listFamilies(depths)", depths)
    assert "window" in families
    for family, specs in families.items():
        assert all(str(policy(spec)).startswith(f"{family}(") for spec in specs)
        assert len(set(specs)) == len(specs)


def test_fronts_hold_what_no_cheaper_point_equals(v8):
    outputs = outputs_of(2, classes=2)
    points, front = v8(
        "(t) => { const p = $replays.prepareEvaluation(t);"
        " const all = $replays.sweepFamily(p, $families.listFamilies(t.depths).entropy);"
        " return [all, $replays.findFront(all)]; }",
        table_of(outputs),
    )
    expected = []
    for point in points:
        if all(point["accuracy"] > other["accuracy"] for other in expected):
            expected.append(point)
    assert front == expected
    costs = [point["meanDepth"] for point in points]
    assert costs == sorted(costs)
    spec = v8("(points, cost) => $replays.findPointAtCost(points, cost).spec", front, front[1]["meanDepth"] + 1e-12)
    assert spec == front[1]["spec"]
    assert v8("(points, cost) => $replays.findPointAtCost(points, cost).spec", front, 0) == front[0]["spec"]
