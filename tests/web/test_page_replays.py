"""What the page says of a policy on labelled texts is what elbert evaluate says."""

import json

import msgspec
import numpy as np
import pytest

from browser import Engine
from elbert.evaluation import Outputs
from elbert.evaluation.oracles import first_depth, holds_from_here
from elbert.evaluation.report import score_policy
from elbert.evaluation.statistics import compare_scores, mcnemar_of_counts
from elbert.exits import policy
from elbert.exits.signals import SIGNALS
from elbert.serving.explorer import Evaluation, describe_evaluation
from elbert.tasks.regression import find_ranks
from elbert.tasks.spans import NO_TAG, SpanCodes

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


def tag_outputs(n=40, depths=6, words=7):
    """Tags that become the labels depth by depth, of texts of all lengths; some words have no tag."""
    rng = np.random.default_rng(5)
    names = ("O", "B-place", "I-place", "S-place", "E-place", "B-name", "I-name", "name")
    labels = np.where(rng.random((n, words)) < 0.4, 0, rng.integers(0, len(names), (n, words)))
    drawn = rng.integers(0, len(names), (n, depths, words))
    tags = np.where(rng.random((n, depths, words)) < np.linspace(0.3, 0.95, depths)[:, None], labels[:, None], drawn)
    beyond = np.arange(words) >= rng.integers(1, words + 1, n)[:, None]
    tags[np.broadcast_to((beyond | (rng.random((n, words)) < 0.1))[:, None], tags.shape)] = NO_TAG
    labels[beyond] = NO_TAG
    signals = {name: rng.random((n, depths)).astype(np.float32) for name in token_signals()}
    signals["divergence"][:, 0] = np.inf
    return Outputs(tags, labels, np.ones(n, np.int64), names, "token_classification", signals=signals)


def token_signals():
    return [name for name, signal in SIGNALS.items() if signal.needs == "probabilities"]


def value_outputs(n=50, depths=6):
    """Values that come near the labels depth by depth; some values and labels are equal."""
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 6, n).astype(float)
    noise = rng.normal(0, 1, (n, depths)) * np.linspace(2, 0.3, depths)
    values = np.round(labels[:, None] + noise, 1).astype(np.float32)[..., None]
    return Outputs(values, labels, np.ones(n, np.int64), ("value",), "regression", scale=1.5)


def table_of(outputs):
    texts = [" ".join(f"w{word}" for word in range(i % 7 + 1)) for i in range(len(outputs))]
    if outputs.task.per_token:
        texts = [" ".join(f"w{word}" for word in range(n)) for n in (outputs.labels != NO_TAG).sum(1)]
    return json.loads(msgspec.json.encode(describe_evaluation(Evaluation(texts, outputs))))


@pytest.fixture(scope="module")
def v8_values():
    return Engine("policy/replays.js", "policy/task_scores.js", content="values")


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_scores_are_those_of_evaluate(v8, multi_label, classes):
    outputs = outputs_of(4, classes=classes, multi_label=multi_label)
    correct = outputs.find_right()
    for spec, found in zip(SPECS, v8(SCORES, table_of(outputs), SPECS)):
        expected = score_policy(outputs, spec, policy(spec))
        assert found["score"] == pytest.approx(expected.metrics["accuracy"], abs=1e-12)
        assert found["meanDepth"] == pytest.approx(expected.mean_depth, abs=1e-12)
        assert found["speedup"] == pytest.approx(expected.layer_speedup, abs=1e-12)
        assert found["reasons"] == expected.reasons
        assert {depth: n for depth, n in enumerate(found["exitsAt"], 1) if n} == expected.depths
        apart = sum(found["rightAt"]) - correct[:, -1].sum()
        assert apart == found["helped"] - found["harmed"]


VALUE_SPECS = ["full", "depth(2)", "settled(1, 0.3)", "settled(2, 0.5) | depth(4)", "stable(3, 0.4)"]


@pytest.mark.parametrize("kind", ["tags", "values"])
def test_scores_of_other_tasks_are_those_of_evaluate(v8, v8_values, kind):
    outputs, specs, engine = (tag_outputs(), SPECS, v8) if kind == "tags" else (value_outputs(), VALUE_SPECS, v8_values)
    task, n = outputs.task, np.arange(len(outputs))
    decoded = task.decode(outputs.probabilities)
    if kind == "tags":
        errors, slack = (decoded != outputs.labels[:, None]).sum(-1), 0
        right = outputs.find_right()
    else:
        errors, slack = np.abs(decoded - outputs.labels[:, None]), task.tolerance * outputs.scale
        right = np.zeros_like(errors, bool)
    for spec, found in zip(specs, engine(SCORES, table_of(outputs), specs)):
        expected = score_policy(outputs, spec, policy(spec))
        assert found["score"] == pytest.approx(expected.metrics[task.score_name], abs=1e-12)
        assert found["meanDepth"] == pytest.approx(expected.mean_depth, abs=1e-12)
        assert found["reasons"] == expected.reasons
        assert {depth: n for depth, n in enumerate(found["exitsAt"], 1) if n} == expected.depths
        exits = outputs.replay().exits(policy(spec))
        worse = errors[n, exits - 1] - errors[:, -1]
        assert (found["harmed"], found["helped"]) == ((worse > slack).sum(), (-worse > slack).sum())
        assert found["rightAt"] == np.bincount(exits[right[n, exits - 1]] - 1, minlength=outputs.depths).tolist()


@pytest.mark.parametrize("kind", ["tags", "values"])
def test_hard_texts_of_other_tasks(v8, v8_values, kind):
    outputs, engine = (tag_outputs(), v8) if kind == "tags" else (value_outputs(), v8_values)
    task, last = outputs.task, outputs.probabilities[:, -1:]
    settled, (late, wrong, overthought) = engine(
        "(t) => { const p = $replays.prepareEvaluation(t); return [p.texts.map((text) => text.settled),"
        " ['late', 'wrong', 'overthought'].map((kind) => $replays.listHardTexts(p, kind))]; }",
        table_of(outputs),
    )
    apart = task.differ(outputs.probabilities, last, task.tolerance * outputs.scale)
    assert settled == first_depth(holds_from_here(~apart)).tolist()
    assert sorted(late) == np.flatnonzero(apart.any(1)).tolist()
    decoded = task.decode(last)[:, 0]
    if kind == "tags":
        errors, right = (decoded != outputs.labels).sum(1), outputs.find_right()
        assert sorted(overthought) == np.flatnonzero(~right[:, -1] & right.any(1)).tolist()
    else:
        errors = np.abs(decoded - outputs.labels)
        assert overthought == []
    assert sorted(wrong) == np.flatnonzero(errors).tolist()
    assert errors[wrong].tolist() == sorted(errors[wrong], reverse=True)


def test_spans_are_those_of_python(v8):
    rng = np.random.default_rng(7)
    names = ("O", "B-a", "I-a", "E-a", "S-a", "B-b", "I-b", "E-b", "S-b", "b")
    tags = rng.integers(-1, len(names), (200, 8))
    spelled = [["O" if tag < 0 else names[tag] for tag in row] for row in tags.tolist()]
    for codes, spans in zip(
        SpanCodes(names).of(tags), v8("(all) => all.map((tags) => $spans.findSpans(tags))", spelled)
    ):
        expected = np.zeros(8, int)
        for span in spans:
            expected[span["start"] : span["end"]] = 2 * ["", "a", "b"].index(span["type"]) + 2
            expected[span["start"]] += 1
        assert codes.tolist() == expected.tolist()


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (3, 14), (40, 21), (900, 1000)])
def test_mcnemar_is_that_of_python(v8, b, c):
    assert v8("(b, c) => $chance.computeMcNemar(b, c)", b, c) == pytest.approx(mcnemar_of_counts(b, c), abs=1e-9)


SWAPS = """(table, ours, theirs, draws) => {
  const { score, texts } = $replays.prepareEvaluation(table);
  const at = (depth) => texts.map(({ parts }) => parts[depth - 1]);
  const swaps = $chance.createSwapTest(score, at(ours), at(theirs), draws);
  while (swaps.draw());
  return swaps.p();
}"""


@pytest.mark.parametrize("kind", ["tags", "values"])
@pytest.mark.parametrize(("n", "ours", "theirs"), [(8, 1, 6), (8, 5, 6), (33, 2, 3), (33, 4, 4)])
def test_the_randomization_test_is_that_of_python(v8, kind, n, ours, theirs):
    outputs = tag_outputs(n) if kind == "tags" else value_outputs(n)
    draws = 4000
    found = v8(SWAPS, table_of(outputs), ours, theirs, draws)
    one, other = (outputs.probabilities[:, depth - 1] for depth in (ours, theirs))
    score = outputs.task.score
    if n == 8:  # every swap
        observed, extreme = abs(score(one, outputs.labels) - score(other, outputs.labels)), 0
        for bits in range(2**n):
            swap = (bits >> np.arange(n) & 1).astype(bool).reshape(-1, *[1] * (one.ndim - 1))
            difference = score(np.where(swap, other, one), outputs.labels) - score(
                np.where(swap, one, other), outputs.labels
            )
            extreme += abs(difference) >= observed - 1e-12
        p = extreme / 2**n
    else:
        _, p = compare_scores(one, other, outputs.labels, score, draws=draws)
    assert found == pytest.approx(p, abs=5 * np.sqrt(2 * 0.25 / draws))
    assert (found == 1) == (ours == theirs or p == 1)


@pytest.mark.parametrize("values", [[3, 1, 1, 2.5], [0.1, 0.1], [5], [-2, 7, -2, -2, 0]])
def test_ranks_are_those_of_python(v8, values):
    assert v8("(values) => $task_scores.findRanks(values)", values) == find_ranks(np.array(values)).tolist()


BROKEN = {
    "class": [
        "t.probabilities[1].pop()",
        "t.probabilities[1][2].pop()",
        "t.probabilities[1][2][0] = null",
        "delete t.probabilities",
    ],
    "value": ["t.probabilities[1][2] = [null]", "delete t.unit", "t.tolerance = 'x'"],
    "tags": [
        "t.tags[1].pop()",
        "t.tags[1][2].pop()",
        "t.tags[1][2][0] = 8",
        "t.tags[1][2][0] = 0.5",
        "delete t.tags",
        "delete t.signals",
        "delete t.signals.entropy",
        "t.signals.gap[1].pop()",
    ],
}


@pytest.mark.parametrize("kind", BROKEN)
def test_outputs_of_another_model_are_checked(v8, kind):
    table = table_of(
        {"class": outputs_of, "value": lambda _: value_outputs(), "tags": lambda _: tag_outputs()}[kind](3)
    )
    found = v8(
        "(text, changes) => ['', ...changes].map((change) => { const [table, t] = [JSON.parse(text), JSON.parse(text)];"
        " new Function('t', change)(t);"
        " return table.texts.every((_, i) => $task_scores.TASK_SCORES[table.answers].isTrace(t, table, i)); })",
        json.dumps(table),
        BROKEN[kind],
    )
    assert found == [True, *(False for _ in BROKEN[kind])]


def test_a_constant_correlates_with_nothing(v8_values):
    outputs = value_outputs(n=4)
    outputs.probabilities[:, 0] = 0.7
    [found] = v8_values(SCORES, table_of(outputs), ["depth(1)"])
    assert found["score"] == score_policy(outputs, "depth(1)", policy("depth(1)")).metrics["spearman"] == 0


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
        if all(point["score"] > other["score"] for other in expected):
            expected.append(point)
    assert front == expected
    costs = [point["meanDepth"] for point in points]
    assert costs == sorted(costs)
    spec = v8("(points, cost) => $replays.findPointAtCost(points, cost).spec", front, front[1]["meanDepth"] + 1e-12)
    assert spec == front[1]["spec"]
    assert v8("(points, cost) => $replays.findPointAtCost(points, cost).spec", front, 0) == front[0]["spec"]
