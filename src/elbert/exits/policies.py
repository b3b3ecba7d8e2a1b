"""The table of policies: one entry per kind. Everything else that knows a policy is made from these entries.

Specs, live rows and replay, sweeps, ONNX files, pages, explanations, figures and documentation read the table, so a new
policy is one entry here and a paragraph in its documentation.
"""

from __future__ import annotations

import copyreg
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from elbert.exits.conditions import Of, at_depth, at_start, held, rising, spread
from elbert.exits.list_rules import ListRule
from elbert.exits.rules import Axis, Depths, Dial, Family, Grid, Policy, PolicyKind, Rule, Single
from elbert.exits.signals import Content

MAX_DEPTH = 1000  # deeper than any model; a spec from outside cannot request a window of a billion depths


def spaced(count: int) -> tuple[float, ...]:
    """``count`` thresholds in [0, 1]: evenly spaced above 0.05, log-spaced below, where confident classifiers are."""
    few = count // 3
    values = [*np.geomspace(1e-4, 0.05, few, endpoint=False), *np.linspace(0.05, 1, count - few)]
    return tuple(float(f"{v:.3g}") for v in values)


def spaced_near_one(count: int) -> tuple[float, ...]:
    """``1 -`` :func:`spaced`: dense near 1."""
    return tuple(float(f"{1 - t:.6g}") for t in spaced(count))


def family(
    name: str, colour: str, dash: str, marker: str, order: int, axes: Mapping[str, Axis], *, is_tempered: bool = False
) -> Family:
    """A family of one policy, whose name is the first word; dials that are no axis keep their defaults."""
    return Family(name, ((name.split()[0], axes),), colour, dash, marker, order, is_tempered)


THRESHOLD = Dial("threshold", "Threshold")
TIMES = Dial("times", "Depths in a row", int, 1, MAX_DEPTH)
MARGINS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45)
RANGES = (0.01, 0.02, 0.05, 0.1, 0.2)
NATS = tuple(float(f"{d:.3g}") for d in np.geomspace(1e-6, math.log(2) * 0.99, 90))

Full = PolicyKind("full", dials=(), rules=(), summary="never before the last depth; reason `last`")

Depth = PolicyKind(
    "depth",
    dials=(Dial("depth", "Depth", int, 1, MAX_DEPTH),),
    rules=(Rule("depth", (at_depth(Of("depth")),)),),
    summary="the depth is reached: the fixed, shallower model, the baseline",
    families=(family("depth", "#666666", ":", ".", 11, {"depth": Depths(2, -1)}),),
)
Entropy = PolicyKind(
    "entropy",
    dials=(THRESHOLD,),
    rules=(Rule("entropy", (held("entropy", "<", Of("threshold")),)),),
    summary="the entropy, divided by ln C and so from 0 to 1, is below `threshold`",
    citation="FastBERT; DeeBERT, in nats; ACL 2020",
    families=(family("entropy", "#d55e00", "--", "s", 3, {"threshold": spaced(300)}, is_tempered=True),),
    examples=((0.1,), (0.3,)),
)
Confidence = PolicyKind(
    "confidence",
    dials=(THRESHOLD,),
    rules=(Rule("confidence", (held("confidence", ">=", Of("threshold")),)),),
    summary="the largest probability ≥ `threshold`",
    citation="Schwartz et al., ACL 2020",
    families=(family("confidence", "#e69f00", "--", "D", 4, {"threshold": spaced_near_one(300)}),),
    examples=((0.9,),),
)
Gap = PolicyKind(
    "gap",
    dials=(THRESHOLD,),
    rules=(Rule("gap", (held("gap", ">=", Of("threshold")),)),),
    summary="the difference of the two largest probabilities ≥ `threshold`",
    citation="CALM, NeurIPS 2022",
    families=(family("gap", "#b8860b", "--", "P", 5, {"threshold": spaced_near_one(300)}),),
    examples=((0.8,),),
)
Patience = PolicyKind(
    "patience",
    dials=(Dial("times", "Times the same class again", int, 0, MAX_DEPTH),),
    rules=(Rule("patience", (held("same", "==", 1, Of("times")),)),),
    summary="the last `times` + 1 predictions are equal",
    citation="PABEE, NeurIPS 2020",
    families=(family("patience", "#009e73", ":", "X", 6, {"times": Depths(0, -1)}),),
    examples=((3,),),
)
PatientConfidence = PolicyKind(
    "patient_confidence",
    dials=(TIMES, THRESHOLD),
    rules=(Rule("patient_confidence", (held("entropy", "<", Of("threshold"), Of("times")),)),),
    summary="the entropy, from 0 to 1, is below `threshold` at `times` depths in a row",
    citation="PCEE-BERT, NAACL Findings 2022",
    families=(family("patient_confidence", "#5e9b2c", ":", "<", 7, {"times": Depths(1, -1), "threshold": spaced(90)}),),
    examples=((2, 0.3),),
)
Divergence = PolicyKind(
    "divergence",
    dials=(TIMES, Dial("threshold", "Threshold in nats", high=math.log(2))),
    rules=(Rule("divergence", (held("divergence", "<", Of("threshold"), Of("times")),)),),
    summary="`times` steps in a row with a Jensen–Shannon divergence below `threshold` nats",
    citation="F-PABEE, ICASSP 2023",
    families=(family("divergence", "#cc79a7", "-.", ">", 8, {"times": Depths(1, -2, least=1), "threshold": NATS}),),
    examples=((2, 0.01),),
)

# The paper's second stage (bias_1, bias_2, bias_3) over the last ``size`` depths, for any number of classes: one class
# throughout is ``size - 1`` equal neighbours, and with one class its probability is the confidence.
ONE_CLASS = held("same", "==", 1, Of("size", plus=-1))
EVERY_GAP = held("gap", ">", Of("margin", factor=2), Of("size"))
FIRST_GAP = at_start("gap", ">", Of("margin", factor=2), Of("size"))
RISING, STEADY = rising("confidence", Of("size")), spread("confidence", Of("range"), Of("size"))
SETTINGS: dict[str, Axis] = {"entropy": spaced(45), "size": Depths(2), "margin": MARGINS}
CHOICES = {
    "agree": "The same answer over the whole window, each time by more than the margin.",
    "trend": "The same answer, and its probability never falls over the window.",
    "stable": "As agree, and its probability changes by at most the range.",
}

Window = PolicyKind(
    "window",
    dials=(
        Dial("entropy", "Entropy below", default=0.1),
        Dial("size", "Window of depths", int, 1, MAX_DEPTH, default=6),
        Dial("rule", "Window rule", str, default="agree", choices=CHOICES),
        Dial("margin", "Margin over one half", high=0.5, default=0.0),
        Dial("range", "Range", default=0.05),
    ),
    rules=(
        Rule("entropy", (held("entropy", "<", Of("entropy")),)),
        Rule("window", (ONE_CLASS, EVERY_GAP), ("rule", "agree")),
        Rule("window", (ONE_CLASS, FIRST_GAP, RISING), ("rule", "trend")),
        Rule("window", (ONE_CLASS, EVERY_GAP, STEADY), ("rule", "stable")),
    ),
    summary="the entropy, from 0 to 1, is below `entropy` (reason `entropy`), or the window rule holds over the last "
    "`size` depths (reason `window`)",
    citation="ELBERT, ICASSP 2021",
    families=(
        family("window", "#0072b2", "-", "o", 0, SETTINGS, is_tempered=True),
        family("window trend", "#56b4e9", "-", "v", 1, {**SETTINGS, "rule": ("trend",)}),
        family("window stable", "#003a5d", "-", "^", 2, {**SETTINGS, "rule": ("stable",), "range": RANGES}),
    ),
    examples=tuple((0.1, 6, choice, 0.0, 0.05) for choice in CHOICES),
)

# Of values; the dials are in standard deviations of the training labels.
DEVIATIONS = tuple(float(f"{d:.3g}") for d in np.geomspace(1e-3, 2, 60))
Settled = PolicyKind(
    "settled",
    dials=(TIMES, Dial("change", "Change below", high=10.0, default=0.1)),
    rules=(Rule("settled", (held("change", "<", Of("change"), Of("times")),)),),
    summary="`times` steps in a row change the value by less than `change` standard deviations of the training labels",
    citation="PABEE for regression, NeurIPS 2020",
    families=(family("settled", "#009e73", "--", "o", 12, {"times": Depths(1, -1), "change": DEVIATIONS}),),
    examples=((2, 0.1),),
)
Stable = PolicyKind(
    "stable",
    dials=(
        Dial("size", "Window of depths", int, 2, MAX_DEPTH),
        Dial("range", "Range at most", high=10.0, default=0.1),
    ),
    rules=(Rule("stable", (spread("value", Of("range"), Of("size")),)),),
    summary="the values of the last `size` depths are within `range` standard deviations of the training labels",
    citation="the window's rule `stable`, for values",
    families=(family("stable", "#0072b2", "-", "s", 0, {"size": Depths(2), "range": DEVIATIONS}),),
    examples=((3, 0.1),),
)

KINDS = (Full, Depth, Entropy, Confidence, Gap, Patience, PatientConfidence, Divergence, Window, Settled, Stable)
POLICIES: dict[str, PolicyKind] = {kind.name: kind for kind in KINDS}

# Of lists that are ranked: not in POLICIES, which single texts can follow.
Outranked = PolicyKind(
    "outranked",
    dials=(
        Dial("top", "Highest scores to keep", int, 1, MAX_DEPTH),
        Dial("margin", "Margin", high=10.0, default=0.5),
        Dial("size", "Window of depths", int, 2, MAX_DEPTH, default=2),
    ),
    rules=(),
    list_rules=(ListRule("outranked", Of("top"), Of("margin"), Of("size")),),
    summary="`top` other texts of its list are above what it can still reach: its score, what it rose over the last "
    "`size` depths once more, and twice the `margin`, in standard deviations of the training labels",
)
LIST_POLICIES: dict[str, PolicyKind] = {Outranked.name: Outranked}
LIST_REASONS = frozenset(rule.reason for kind in LIST_POLICIES.values() for rule in kind.list_rules)

# With many classes the normalised entropy depends on how the remaining probability spreads over all other classes,
# which says little about correctness; the gap depends on the second most probable class alone. At two classes they are
# one test.
ENTROPY_OR_PATIENCE: tuple[Grid, ...] = (("entropy", {"threshold": spaced(90)}), ("patience", {"times": Depths(1, -1)}))
GAP_OR_WINDOW: tuple[Grid, ...] = (
    ("gap", {"threshold": spaced_near_one(90)}),
    ("window", {"entropy": (0.0,), "size": Depths(2)}),
)
SETTLED_OR_DEPTH: tuple[Grid, ...] = (
    ("settled", {"times": Depths(1, -1), "change": DEVIATIONS[::2]}),
    ("depth", {"depth": Depths(2, -1)}),
)
UNIONS: tuple[Family, ...] = (
    Family("entropy | patience", ENTROPY_OR_PATIENCE, "#8a4fbf", "-.", "h", 9),
    Family("gap | window", GAP_OR_WINDOW, "#a3337f", "-", "d", 10),
    Family("settled | depth", SETTLED_OR_DEPTH, "#5e9b2c", "-.", "h", 10),
)

FULL: Policy = Full()
# The families that comparisons hold against all others, by what outputs are.
OURS: dict[Content, str] = {"probabilities": Window.name, "values": Stable.name}
ROLES = {"full": Full.name, "fixed_depth": Depth.name}  # which policies play a part on pages, beside ours
COMMON_SPECS: dict[Content, tuple[str, ...]] = {
    "probabilities": (
        "window(entropy=0.1, size=6)",
        "window(entropy=0.1, size=3)",
        "entropy(0.1)",
        "entropy(0.3)",
        "patience(3)",
    ),
    "values": ("stable(3, 0.1)", "settled(2, 0.1)", "settled(3, 0.05)"),
}
"""Policies to show where none is chosen, by what outputs are; the paper's with its defaults first."""


def fixed_depth(depth: int) -> Policy:
    """The policy that ends every row at one depth."""
    return Depth(depth)


def make_policy(name: str, values: tuple[Any, ...]) -> Single:
    """The policy of that name with these dials, in their order."""
    return (POLICIES | LIST_POLICIES)[name](*values)


# A policy is pickled as its name and dials: its kind is the entry of the table where it is loaded.
copyreg.pickle(Single, lambda policy: (make_policy, (policy.name, policy.values)))


def list_families(content: Content | None = None) -> dict[str, Family]:
    """The families of policies that a sweep can try, in order; only those that fit such outputs, if it is not None."""
    families = (*(family for kind in POLICIES.values() for family in kind.families), *UNIONS)
    fitting = (one for one in families if content is None or all(POLICIES[name].fits(content) for name, _ in one.grids))
    return {family.name: family for family in sorted(fitting, key=lambda family: family.order)}
