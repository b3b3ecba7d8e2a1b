"""Decisions of native code against the numpy interpreter: all policies, ties, NaN, every task, rows at many depths."""

import numpy as np
import pytest
import torch

from elbert.classifier import Classifier
from elbert.exits import STAY, Replay, Trace, policy
from elbert.exits.conditions import held
from elbert.exits.rules import Dial, PolicyKind, Rule
from elbert.exits.signals import SIGNALS
from elbert.inference.native_step import lower_natively
from elbert.inference.rows import join_tokens, select_tokens
from elbert.inference.step import decide
from elbert.model import native
from tiny import texts, write_bundle

pytestmark = pytest.mark.skipif(
    isinstance(native.load(), native.NoVariant), reason=f"no native code: {getattr(native.load(), 'reason', '')}"
)
DEPTHS, ROWS, WIDTH = 6, 120, 32
SPECS = [
    "full",
    "depth(2)",
    "entropy(0.5)",
    "confidence(0.7)",
    "gap(0.3)",
    "patience(0)",
    "patience(2)",
    "patient_confidence(3, 0.7)",
    "divergence(1, 0.02)",
    "divergence(3, 0.2)",
    "window(entropy=0.1, size=3, margin=0.05)",
    "window(entropy=0.1, size=2, rule=trend)",
    "window(entropy=0.1, size=4, rule=stable, range=0.3)",
    "entropy(0.2) | patience(3)",
    "gap(0.9) | window(entropy=0, size=2) | depth(5)",
    "tempered(entropy(0.5), 0.5, 2, 3)",
    "tempered(window(entropy=0.1, size=2), 0.3) | divergence(2, 0.01)",
]


SPECS_OF_VALUES = [
    *("full", "depth(3)", "settled(1, 0.5)", "settled(2, 2)", "stable(3, 1.5)"),
    "depth(4) | settled(1, 0.2)",
]
CASES = {
    "two classes": ("softmax", 2, SPECS),
    "one class": ("softmax", 1, SPECS),
    "many classes": ("softmax", 37, SPECS),
    "labels": ("sigmoid", 3, SPECS),
    "values": ("values", 2, SPECS_OF_VALUES),
}


def random(*shape, seed, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def build_step(classes):
    """A layer and a head with random weights."""

    def product(out, summed, seed, scale, activation=0):
        weight = random(out, summed, seed=seed, scale=scale * summed**-0.5)
        return native.NativeProduct(weight, random(out, seed=seed + 1, scale=0.1), activation)

    norm = torch.ones(WIDTH), torch.zeros(WIDTH), 1e-12
    layer = native.NativeLayer(
        native.load(),
        "float32",
        heads=4,
        qkv=product(3 * WIDTH, WIDTH, 1, 1),
        dense=product(WIDTH, WIDTH, 3, 1),
        attention_norm=norm,
        widen=product(2 * WIDTH, WIDTH, 5, 1, native.ACTIVATIONS["gelu_new"]),
        narrow=product(WIDTH, 2 * WIDTH, 7, 1),
        norm=norm,
    )
    head = native.NativeHead(
        native.load(),
        "float32",
        pooler=product(WIDTH, WIDTH, 9, 1, native.ACTIVATIONS["tanh"]),
        classifier=product(classes, WIDTH, 11, 4),
        is_mean=False,
    )
    return layer, head


def draw_outputs(task, classes):
    """``[rows, depths, classes]``: random, with equal classes, equal depths, certain rows and NaN."""
    logits = random(ROWS, DEPTHS, classes, seed=2, scale=2.0)
    logits[::5] = logits[::5, :1].clone()
    logits[1::7] = logits[1::7].round()
    logits[2::9] *= 40
    outputs = {"softmax": logits.softmax(-1), "sigmoid": logits.sigmoid(), "values": logits}[task].numpy()
    outputs[3::31, 1] = np.nan
    return outputs


def draw_hidden():
    """``[tokens, width]`` and bounds of rows of one to three tokens; one row has NaN, some are equal."""
    lengths = torch.arange(ROWS) % 3 + 1
    bounds = torch.cat((torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)))
    hidden = random(int(bounds[-1]), WIDTH, seed=3)
    hidden[bounds[4] : bounds[6]] = torch.nan
    hidden[bounds[20] : bounds[24]] = 0
    return hidden, bounds


def run_step(task, classes, policies, *, keep_trace=False, scale=1.0):
    """A step of rows at depths 0 to 5: their new trace, and the decisions of native code."""
    layer, head = build_step(classes)
    hidden, bounds = draw_hidden()
    depth, outputs = np.arange(ROWS) * 7 % DEPTHS, draw_outputs(task, classes)
    content = "values" if task == "values" else "probabilities"
    lowered = [lower_natively(each, DEPTHS, content) for each in policies]
    assert None not in lowered
    live = native.Live(lowered, depth, outputs, task, keep_trace=keep_trace, scale=scale)
    layer(hidden, bounds, len(hidden), head, live)
    trace = Trace(depth, outputs, task == "sigmoid", content=content, scale=scale)
    assert live.exits == (live.decision != STAY).sum()
    return trace, live


def names(decision, reasons):
    """The reason of each row, None where it stays."""
    return [None if rule == STAY else reasons[rule] for rule in decision.tolist()]


def own_names(live, policies):
    """The reason of each row, by the rules of its own policy."""
    pairs = zip(live.decision.tolist(), policies, strict=True)
    return [None if rule == STAY else (*each.reasons, "last")[rule] for rule, each in pairs]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_each_policy_decides_as_in_numpy(case):
    task, classes, specs = case
    for spec in specs:
        policies = (policy(spec),) * ROWS
        trace, live = run_step(task, classes, policies, scale=2.5 if task == "values" else 1.0)
        assert own_names(live, policies) == names(*decide(trace, policies, DEPTHS)), spec


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_rows_of_many_policies_decide_as_in_numpy(case):
    task, classes, specs = case
    kinds = [policy(spec) for spec in specs]
    policies = tuple(kinds[row % len(kinds)] for row in range(ROWS))
    trace, live = run_step(task, classes, policies)
    assert own_names(live, policies) == names(*decide(trace, policies, DEPTHS))
    assert len(set(own_names(live, policies))) > 2


@pytest.mark.parametrize("case", [name for name in CASES if name != "values"])
def test_a_threshold_that_equals_the_signal(case):
    """Both round sums alike: a comparison with the very value that numpy computes has the same result."""
    task, classes, _ = CASES[case]
    trace, _ = run_step(task, classes, (policy("entropy(0.5)"),) * ROWS)
    for name, dials in {"entropy": (), "confidence": (), "gap": (), "divergence": (1,)}.items():
        values = np.clip(np.nan_to_num(trace.now(name), posinf=0.5), 0, np.log(2) if dials else 1)
        policies = tuple(policy(f"{name}({', '.join(map(repr, (*dials, float(value))))})") for value in values)
        again, live = run_step(task, classes, policies)
        assert np.array_equal(again.probabilities, trace.probabilities, equal_nan=True)
        assert own_names(live, policies) == names(*decide(trace, policies, DEPTHS)), name


def test_the_head_is_read_only_where_it_is_needed():
    policies = tuple(policy("full" if row % 2 else "entropy(0.5)") for row in range(ROWS))
    trace, _ = run_step("softmax", 2, policies)
    before, now = draw_outputs("softmax", 2), trace.depth - 1
    rows = np.arange(ROWS)
    changed = (before[rows, now] != trace.probabilities[rows, now]).any(-1)
    needs = (rows % 2 == 0) | (trace.depth == DEPTHS)
    assert changed[needs & ~np.isnan(trace.last).any(-1)].all()
    assert not changed[~needs].any()
    kept, _ = run_step("softmax", 2, policies, keep_trace=True)
    assert (before[rows, now] != kept.probabilities[rows, now]).any(-1).all()


@pytest.mark.parametrize("layers", [2, 3, DEPTHS])
def test_several_layers_in_one_call(layers):
    """They are those of single calls, and end where a row exits."""
    layer, head = build_step(2)
    hidden, bounds = draw_hidden()
    policies = [policy("full" if row % 3 else "depth(3)") for row in range(ROWS)]
    found = []
    for most in (1, layers):
        out, outputs = hidden, np.zeros((ROWS, DEPTHS, 2), np.float32)
        lowered = [lower_natively(each, DEPTHS, "probabilities") for each in policies]
        live = native.Live(lowered, np.zeros(ROWS, np.int64), outputs, "softmax", keep_trace=True, scale=1.0)
        live.layers, calls, made = most, 0, 0
        while made < min(layers, 3):
            out = layer(out, bounds, len(hidden), head, live)
            calls, made = calls + 1, made + live.struct.made
        assert (calls, made) == ((made, made) if most == 1 else (1, min(layers, 3)))
        found.append((out.numpy(), outputs, live.decision.copy(), live.logits.copy(), live.exits))
    assert found[0][-1] == (ROWS // 3 if layers >= 3 else 0)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(hidden, draw_hidden()[0])


def test_policies_that_native_code_does_not_have():
    odd = PolicyKind("odd", (Dial("low", "Low"),), (Rule("odd", (held("oddness", "<", 0.5),)),), summary="odd")
    tempered = policy("tempered(tempered(entropy(0.5), 2), 3)")
    SIGNALS["oddness"] = SIGNALS["entropy"]
    try:
        assert lower_natively(odd(0.5), DEPTHS, "probabilities") is None
    finally:
        del SIGNALS["oddness"]
    assert lower_natively(tempered, DEPTHS, "probabilities") is None
    assert lower_natively(policy("entropy(0.5)"), DEPTHS, "values") is None
    assert lower_natively(policy("entropy(0.5)"), DEPTHS, "probabilities") is not None


@pytest.mark.parametrize("kind", [{}, {"labels": ("a", "b", "c"), "problem_type": "multi_label_classification"}])
def test_a_replay_of_the_returned_trace_exits_alike(tmp_path, kind):
    classifier = Classifier.load(write_bundle(tmp_path, seed=4, **kind), max_rows=8)
    sentences, reasons = texts(60, seed=9), set()
    for spec in ("entropy(0.5)", "window(entropy=0.3, size=3)", "tempered(entropy(0.4), 2) | patience(2)"):
        answers = classifier.predict(sentences, spec, trace=True)
        for answer in answers:
            outputs = [[list(step.scores.values()) for step in answer.trace]]
            if answer.reason != "last":  # the replay's last depth is the exit, where it saw nothing deeper
                outputs[0].append(outputs[0][-1])
            multi = classifier.bundle.config.multi_label
            (depth,) = Replay(np.array(outputs, np.float32), multi_label=multi).exits(policy(spec)).tolist()
            assert depth == answer.depth
        reasons |= {answer.reason for answer in answers}
    assert len(reasons) > 1


def test_several_policies_in_one_batch_and_one_unknown(tmp_path):
    """A row whose policy native code does not have makes its batch take the general path; the answers are the same."""
    classifier = Classifier.load(write_bundle(tmp_path, seed=4), max_rows=8)
    sentences = texts(30, seed=9)
    plain = classifier.predict(sentences, "entropy(0.5)")
    nested = classifier.predict(sentences, "tempered(tempered(entropy(0.5), 1), 1)")
    assert [(p.depth, p.reason) for p in plain] == [(p.depth, p.reason) for p in nested]


def test_wrong_arrays_are_refused():
    layer, head = build_step(2)
    known, (hidden, bounds) = lower_natively(policy("entropy(0.5)"), DEPTHS, "probabilities"), draw_hidden()
    depth, outputs = np.zeros(ROWS, np.int64), draw_outputs("softmax", 2)

    def step(policies=(known,) * ROWS, depth=depth, outputs=outputs, head=head):
        live = native.Live(policies, depth.copy(), outputs, "softmax", keep_trace=False, scale=1.0)
        return layer(hidden, bounds, len(hidden), head, live)

    step()
    shallow = lower_natively(policy("entropy(0.5)"), DEPTHS - 1, "probabilities")
    for wrong in (
        {"policies": (known,)},
        {"policies": (shallow,) * ROWS},
        {"depth": depth[:-1]},
        {"depth": depth.astype(np.int32)},
        {"depth": depth - 1},
        {"depth": depth + DEPTHS},
        {"outputs": outputs.astype(np.float64)},
        {"outputs": outputs[:, :, ::-1]},
        {"outputs": outputs[:-1].copy()},
        {"head": build_step(3)[1]},
        {"head": None},
    ):
        with pytest.raises(ValueError):
            step(**wrong)
    numbers = np.array([[0, 1, 0, 0, 1, -1]])
    native.NativePolicy(numbers, np.zeros(1), np.zeros((0, DEPTHS)), 1)
    for column, value in ((0, 1), (0, -1), (1, 5), (2, 7), (2, -1), (3, 5), (3, -1), (4, -1), (5, 0), (5, -2)):
        wrong = numbers.copy()
        wrong[0, column] = value
        with pytest.raises(ValueError):
            native.NativePolicy(wrong, np.zeros(1), np.zeros((0, DEPTHS)), 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_hidden_states_are_copied_as_torch_does(dtype):
    hidden, tokens = random(9, WIDTH, seed=1).to(dtype), torch.tensor([3, 4, 8, 3])
    assert torch.equal(select_tokens(hidden, tokens), hidden[tokens])
    assert torch.equal(join_tokens([hidden[:2], hidden[5:], hidden[:0]]), torch.cat((hidden[:2], hidden[5:])))
