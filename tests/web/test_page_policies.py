"""The pages' policies decide as Python's do: the same depth for the same reason, ties and edges included."""

import math
import re

import numpy as np
import pytest

from elbert.errors import PolicyError
from elbert.exits import Trace, check_policy, policy, replay_exits
from elbert.exits.encoding import policy_table
from elbert.exits.policies import POLICIES, Full
from elbert.exits.trace import apply_temperatures

LEAVE = """(cases) => cases.map(([steps, spec, multiLabel, entropy]) => {
  const signals = $signals.computeSignals(steps, {multiLabel, known: {entropy}});
  const {depth, reason} = $rules.findExit(signals, $rules.listRules($specs.parsePolicy(spec)));
  return [depth, reason];
})"""
READ = """(specs, points) => specs.map((spec) => {
  try { return ["read", $specs.printPolicy($specs.parsePolicy(spec, points))]; }
  catch (error) { if (!(error instanceof $specs.PolicyError)) throw error; return ["refused", error.message]; }
})"""
LAST_BIT = 2e-6  # numpy's logarithm and the browser's may differ by a few of these
NASTY = np.array(
    [0, 0, 1e-45, 1e-38, 1e-7, 0.1, 0.25, 0.3, 0.45, 0.5, 0.55, 0.6, 0.75, 0.9, 1 - 1e-7, 1, 1], np.float32
)


def walks(rng, depths, classes):
    """Distributions that drift over depth."""
    logits = np.cumsum(rng.normal(0, rng.choice([0.2, 0.8, 4]), (depths, classes)), 0) + rng.normal(0, 1, classes)
    p = np.exp(logits - logits.max(-1, keepdims=True))
    return (p / p.sum(-1, keepdims=True)).astype(np.float32)


def ties(rng, depths, classes):
    """Eighths: answers tie, probabilities are exactly 0 and 1, entropies exactly 0."""
    p = rng.multinomial(8, np.full(classes, 1 / classes), depths) / 8
    stays = rng.random(depths) < 0.5
    for depth in range(1, depths):
        if stays[depth]:
            p[depth] = p[depth - 1]
    return p.astype(np.float32)


def edges(rng, depths, classes):
    """Values on and next to thresholds, whether they add up to 1 or not."""
    return rng.choice(NASTY, (depths, classes))


def steady(rng, depths, classes):
    """One distribution throughout, but for the last bit."""
    p = np.repeat(walks(rng, 1, classes), depths, 0)
    p[rng.random(depths) < 0.3] = np.nextafter(p[0], np.float32(rng.choice([0, 1])))
    return p


KINDS = (walks, ties, edges, steady)


def signals_of(probabilities, multi_label):
    trace = Trace.from_outputs(probabilities[None], multi_label=multi_label)
    names = ("entropy", "confidence", "gap", "divergence")
    return {name: trace.window(name, probabilities.shape[0])[0] for name in names}


def threshold(rng, values, high=1.0):
    """A dial: anything, a round number, or exactly (or next to) what the text has."""
    values = values[np.isfinite(values)]
    if len(values) and rng.random() < 0.5:
        value = np.float32(rng.choice(values))
        value = [value, np.nextafter(value, np.float32(0)), np.nextafter(value, np.float32(2))][rng.integers(3)]
        # Below, a processor may be set to take numbers for 0.
        return min(float(value), high) if value >= np.finfo(np.float32).tiny else 0.0
    return float(rng.choice([0, 0.1, 0.3, 0.5, 0.9, 1]) * high if rng.random() < 0.5 else rng.random() * high)


def dials(rng, name, s, depths):
    times = int(rng.integers(1, depths + 2))
    if name == "depth":
        return f"depth({times})"
    if name in ("entropy", "confidence", "gap"):
        return f"{name}({threshold(rng, s[name])!r})"
    if name == "patience":
        return f"patience({times - 1})"
    if name == "patient_confidence":
        return f"patient_confidence({times}, {threshold(rng, s['entropy'])!r})"
    if name == "divergence":
        return f"divergence({times}, {threshold(rng, s['divergence'], math.log(2))!r})"
    if name == "window":
        spread = np.abs(np.subtract.outer(s["confidence"], s["confidence"]).ravel())
        margin = min(threshold(rng, s["gap"]) / 2, 0.5)
        return (
            f"window(entropy={threshold(rng, s['entropy']) if rng.random() < 0.5 else 0}, size={times}, "
            f"rule={rng.choice(RULES)}, margin={margin!r}, range={threshold(rng, spread)!r})"
        )
    if name == "tempered":
        inside = dials(rng, rng.choice(NAMES), s, depths)
        heat = ", ".join(f"{t:.3g}" for t in rng.choice([0.05, 0.7, 1, 2, 20], rng.integers(1, depths + 2)))
        return f"tempered({inside}, {heat})"
    return "full"


RULES = ("agree", "trend", "stable")
NAMES = (
    "full",
    "depth",
    "entropy",
    "confidence",
    "gap",
    "patience",
    "patient_confidence",
    "divergence",
    "window",
    "tempered",
)


def near(spec, probabilities, multi_label, sends_entropy):
    """Whether a logarithm's last bit decides: only then may machines differ. Python's entropies decide exactly."""
    for rule in policy(spec).rules:
        tempered, here = probabilities, {"divergence"} if sends_entropy else {"entropy", "divergence"}
        for temperatures in rule.temperatures:
            tempered = apply_temperatures(tempered, temperatures, multi_label)
            here = {"entropy", "divergence", "confidence", "gap"}
        s = signals_of(tempered, multi_label)
        for condition in rule.conditions:
            if (name := condition.signal) not in here:
                continue
            if condition.kind in ("rising", "spread"):  # compared with one another, whose last bits are pow's
                values = s[name][:, None] - s[name]
                limit = condition.threshold if condition.kind == "spread" else np.inf
                away = [*values[values != 0], *(np.abs(values) - limit).ravel()]
            else:
                away = (s[name] - np.float32(condition.threshold))[s[name] != 0]
            if (np.abs(away) < LAST_BIT).any():
                return True
    return False


DRAWN = [  # every kind once, both tasks twice; make slow has all
    pytest.param(kind, multi_label, id=f"{kind.__name__}-{name}", marks=[] if number % 2 == kept else pytest.mark.slow)
    for number, kind in enumerate(KINDS)
    for multi_label, name, kept in ((False, "one answer", 1), (True, "multi-label", 0))
]


@pytest.mark.parametrize(("kind", "multi_label"), DRAWN)
def test_the_same_depth_for_the_same_reason(v8, kind, multi_label):
    rng = np.random.default_rng(KINDS.index(kind) * 2 + multi_label)
    cases, expected = [], []
    while len(cases) < 1500:
        depths, classes = int(rng.integers(1, 25)), int(rng.choice([1, 2, 2, 3, 4, 7, 12]))
        probabilities = kind(rng, depths, classes)
        s = signals_of(probabilities, multi_label)
        names = rng.choice(NAMES, rng.choice([1, 1, 2, 3]), replace=False)
        spec = " | ".join(dials(rng, name, s, depths) for name in names)
        sends_entropy = bool(rng.random() < 0.5)
        if near(spec, probabilities, multi_label, sends_entropy):
            continue
        cases.append([probabilities.tolist(), spec, multi_label, s["entropy"].tolist() if sends_entropy else None])
        depth, reason = replay_exits(probabilities[None], spec, multi_label=multi_label)
        expected.append([int(depth[0]), reason[0]])
    found = v8(LEAVE, cases)
    wrong = [(case[1], f, e) for case, f, e in zip(cases, found, expected) if f != e]
    assert not wrong
    assert len({reason for _, reason in expected}) > 5  # there was something to decide
    assert len({depth for depth, _ in expected}) > 10


@pytest.mark.parametrize(
    ("probabilities", "spec", "exit_depth"),
    [
        ([0.5, 0.5], "entropy(1.0)", 3),  # below, strictly: Ĥ is 1 exactly
        ([1, 0], "entropy(0)", 3),
        ([1, 0], "entropy(1e-30)", 1),
        ([0.9, 0.1], "confidence(0.9)", 1),  # both are float32's 0.9
        ([0.9, 0.1], "confidence(0.9000001)", 3),
        ([0.75, 0.25], "gap(0.5)", 1),
        ([0.75, 0.25], "window(entropy=0, size=2, margin=0.25)", 3),  # above, strictly
        ([0.75, 0.25], "window(entropy=0, size=2, margin=0.2499999)", 2),
        ([0.5, 0.5], "patience(1)", 2),  # a tie is the first class
        ([0.5, 0.5], "window(entropy=0, size=1)", 3),
        ([0.5, 0.5], "divergence(1, 0)", 3),
        ([1], "entropy(0.1)", 1),  # one class: nothing is open
        ([1], "gap(1)", 1),
    ],
)
def test_on_the_edge(v8, probabilities, spec, exit_depth):
    steps = np.array([probabilities] * 3, np.float32)
    assert replay_exits(steps[None], spec)[0].tolist() == [exit_depth]
    assert v8(LEAVE, [[steps.tolist(), spec, False, None]])[0][0] == exit_depth


SPECS = [
    "full", "full()", " depth( 4 ) ", "depth(4,)", "depth(0x4)", "depth(1_0)", "depth(+4)", "depth((4))",
    "patience(-0)", "entropy(1)", "entropy(.5)", "entropy(5e-1)", "entropy(1e-7)", "entropy(0.00012345)",
    "entropy(-0.0)", "entropy(1.)", "entropy(threshold=0.2)", "(entropy(0.2) | depth(3)) | full",
    "entropy(0.2)|(depth(3)|gap(0.1))", "window", "window()", "window(0.2, rule=trend)", "window(rule='stable')",
    'window(rule="stable", size=3)', "window(0.1, 6, agree, 0.1, 1)", "divergence(2, 0.6931471805599453)",
    "entropy(0.1) # why", "fast", " my-fast ", "fast | patience(3)", "window(\n)", "tempered(window, 1.5)",
    "tempered(entropy(0.2) | depth(3), 2, 0.5,) | patience(1)", "tempered(tempered(full, 1), 2)",
    # refused
    "tempered", "tempered()", "tempered(0.1)", "tempered(full)", "tempered(full, 0)", "tempered(full, x)",
    "tempered(full, T=1)", "tempered(policy=full)", "tempered(full, 21)", "tempered(full, True)", "", " ", "|",
    "full |", "| full", "entropi(0.1)", "entropy", "entropy()", "entropy(2)", "entropy(-0.1)", "entropy(1e999)",
    "entropy(nan)", "entropy(True)", "entropy(None)", "entropy('0.1')", "depth(0)", "depth(2.5)", "depth(4.0)",
    "depth(1, 2)", "depth(1001)", "depth(0777)", "depth(1.5.2)", "depth(3", "depth 3", "depth(3))", "depth(3)(3)",
    "full.x", "True", "window(size=0)", "window(rule=bias_1)", "window(rule=1)", "window(entropy=0.1, entropy=0.2)",
    "window(0.1, entropy=0.2)", "window(delta=0.2)", "window(entropy=0.1, 6)", "window(margin=0.51, rule=x)",
    "window(__proto__=1)", "__proto__", "constructor(1)", "toString", "entropy(0.1) & depth(2)",
    "entropy(0.1) or depth(2)", "__import__('os').system('true')", "entropy(*[1])", "entropy(**{})", "(" * 400,
    "x" * 501, "entropy(0.1)\0", "entropy(0.1)\n| depth(2)", "my-fast | full", "entropy(0.1;)", "entropy(,)",
    "patient_confidence(2)", "divergence(2, 0.7)", "slow", "don't", "😀" * 251, "1",
    "patience(1) | patience(1)", "gap(1) | full | gap(1.0) | full",
]  # fmt: skip
POINTS = {"fast": "depth(3)", "my-fast": "window(entropy=0.5, size=2)"}


def test_specs_are_read_and_printed_as_python_does(v8):
    known = {name: policy(spec) for name, spec in POINTS.items()}
    points = {name: v8("(spec) => $specs.parsePolicy(spec)", spec) for name, spec in POINTS.items()}
    here = [kind["name"] for kind in policy_table("probabilities")["policies"]]  # those that fit this page's model
    for spec, (how, message) in zip(SPECS, v8(READ, SPECS, points)):
        try:
            expected = ["read", str(policy(spec, known))]
        except PolicyError as error:
            message_here = re.sub(r", closest to \w+;", ";", str(error))  # which only Python compares
            expected = ["refused", message_here.replace(", ".join(POLICIES), ", ".join(here))]
        if how == "refused" and message.startswith("cannot read") and expected[1].startswith("cannot read"):
            continue  # the two name different parts
        assert [how, message] == expected, spec


def test_what_python_prints_is_read_and_printed_again(v8):
    rng = np.random.default_rng(5)
    nothing = {name: np.zeros(0) for name in ("entropy", "confidence", "gap", "divergence")}
    specs = [str(policy(dials(rng, NAMES[i % len(NAMES)], nothing, 30))) for i in range(900)]
    specs += [f"{a} | {b}" for a, b in zip(specs, specs[7:])]
    specs = [spec for spec in specs if len(spec) <= 500]
    assert v8(READ, specs, {}) == [["read", spec] for spec in specs]


def test_what_a_model_cannot_follow_is_rejected_with_the_same_message(v8):
    fits = "(spec, depths) => { try { "
    fits += "return $specs.printPolicy($specs.checkPolicy($specs.parsePolicy(spec), depths)); "
    fits += "} catch (error) { return error.message; } }"
    assert v8(fits, "full | depth(6)", 6) == "full | depth(6)"
    with pytest.raises(PolicyError) as caught:
        check_policy(policy("full | depth(7)"), 6)
    assert v8(fits, "full | depth(7)", 6) == str(caught.value)
    many, warm = " | ".join(f"patience({k})" for k in range(30)), "tempered(gap(0.5), 1.%d)"
    for spec in (many, " | ".join(warm % k for k in range(1, 9))):
        with pytest.raises(PolicyError, match="join fewer policies") as caught:
            check_policy(policy(spec), 12)
        assert v8(fits, spec, 12) == str(caught.value)
    for spec in (many, f"{warm % 1} | {warm % 2}"):
        assert v8(fits, spec, 1000) == str(check_policy(policy(spec), 1000))
    assert str(Full()) == "full"


def test_the_page_opens_with_a_policy_that_exits():
    """Models without operating points, and of few depths too."""
    from browser import Engine

    engine = Engine("explorer/policy_form.js")
    point = {"policy": "gap(0.7)"}
    for depths in (1, 2, 5, 6, 12, 24):
        about = {"depths": depths, "default": "full", "points": {}}
        spec = engine("(about) => $policy_form.chooseStart(about)", about)
        assert policy(spec).name == "window"
        check_policy(policy(spec), depths)
        about |= {"points": {"everything": {"policy": "full"}, "fast": point}}
        assert engine("(about) => $policy_form.chooseStart(about)", about) == "gap(0.7)"
        about["default"] = "entropy(0.2)"
        assert engine("(about) => $policy_form.chooseStart(about)", about) == "entropy(0.2)"


def test_a_label_has_one_colour():
    from browser import Engine

    engine = Engine("shared/label_colors.js")
    rng = np.random.default_rng(0)

    def colors(count):
        steps = rng.dirichlet(np.ones(count) * 0.2, 5).tolist()
        labels = [f"label {i}" for i in range(count)]
        return engine(
            "(view) => view.labels.map((_, i) => $label_colors.assignColors(view)(i))",
            {"labels": labels, "steps": steps},
        )

    assert colors(2) == [2, 1]
    assert colors(7) == colors(7) == [1, 2, 3, 4, 5, 6, 7]
    for _ in range(20):
        found = [color for color in colors(40) if color != 8]
        assert len(found) == len(set(found)) == 6
