"""A synthetic signal and a synthetic policy, one entry each, that tests put into the tables."""

from elbert.exits import POLICIES, PolicyKind
from elbert.exits.conditions import Of, at_depth, at_start, held, rising, spread
from elbert.exits.rules import Depths, Dial, Family, Rule
from elbert.exits.signals import SIGNALS, Signal

SMALLEST = Signal(
    "smallest",
    needs="probabilities",
    worst="max",
    array=lambda now, before: now.min(-1),
    nodes=lambda g, now, before, options: g.ReduceMin(now, [-1], keepdims=0),
    script="(now) => Math.min(...now)",
)
DOUBT = PolicyKind(
    "doubt",
    dials=(
        Dial("limit", "Smallest probability", high=0.5),
        Dial("times", "Depths", int, 1, 1000, default=2),
        Dial("start", "Mode", str, default="any", choices={"any": "From any depth.", "low": "From a low depth."}),
    ),
    rules=(
        Rule("doubt", (held("smallest", "<=", Of("limit"), Of("times")), at_depth(2)), ("start", "any")),
        Rule(
            "doubt",
            (at_start("smallest", "<", Of("limit", factor=2), Of("times", plus=1)), rising("confidence", Of("times"))),
            ("start", "low"),
        ),
        Rule("quiet", (spread("smallest", Of("limit", factor=0.125), Of("times", plus=2)),)),
    ),
    summary="its smallest probability is at most `limit`",
    families=(
        Family("doubt", (("doubt", {"limit": (0.01, 0.1, 0.2, 0.3), "times": Depths(1, -1)}),), "#123456", "--", "*"),
    ),
    examples=((0.2, 1, "any"),),
)
SPECS = ("doubt(0.25)", "doubt(0.2, 1)", "doubt(0.4, 3, low)", "tempered(doubt(limit=0.3, start=low), 1.5) | depth(5)")


def add_entries(monkeypatch):
    """Put both entries into their tables until the end of the test."""
    monkeypatch.setitem(SIGNALS, SMALLEST.name, SMALLEST)
    monkeypatch.setitem(POLICIES, DOUBT.name, DOUBT)
