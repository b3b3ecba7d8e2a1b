"""Short forms that terminal, figure and page share."""

from __future__ import annotations

from dataclasses import dataclass

from elbert.explaining.explanation import Explanation
from elbert.explaining.rules import RuleStep, RuleTrack

LINES = 4  # labels that a chart can tell apart
UNSAID = (", range=0.05", ", margin=0.0", ", rule=agree")  # a window's usual dials, from its spec's end


def short(spec: str) -> str:
    """A spec without the window's usual dials, as far as its end has them."""
    if "|" in spec or not spec.endswith(")"):
        return spec
    inner = spec[:-1]
    for dial in UNSAID:
        inner = inner.removesuffix(dial)
    return f"{inner})"


def watched(explained: Explanation) -> RuleTrack | None:
    """The rule with a memory, whose window is shown sliding; None where the policy has none."""
    return next((track for track in explained.rules if track.size > 1), None)


@dataclass(frozen=True)
class Gauge:
    """A signal that is drawn: ``values [depths]``, and the threshold against it, if any; bars end at ``top``."""

    name: str
    values: tuple[float | None, ...]
    threshold: float | None
    top: float


def gauged(explained: Explanation) -> Gauge:
    """What the policy reads, entropy first; where it reads nothing, entropy without a threshold."""
    known = [track for track in explained.rules if track.signal is not None and track.reason != "window"]
    chosen = next((track for track in known if track.signal == "entropy"), known[0] if known else None)
    if chosen is None:
        return Gauge("entropy", tuple(step.entropy for step in explained.steps), None, 1.0)
    name = f"{chosen.signal}{', tempered' if chosen.tempered else ''}"
    if chosen.signal != "divergence":
        return Gauge(name, chosen.values, chosen.threshold, 1.0)
    # Divergences are small: the bars end at the largest, or at twice the threshold.
    there = [value for value in chosen.values if value is not None]
    return Gauge(name, chosen.values, chosen.threshold, max([*there, 2 * (chosen.threshold or 0.0), 1e-9]))


def shown(explained: Explanation) -> list[str]:
    """The labels that get a line of their own: the answer, those on top somewhere, then the most probable ones."""
    tops = [step.label for step in explained.steps]
    total = {name: sum(step.scores[name] for step in explained.steps) for name in explained.labels}
    order = sorted(explained.labels, key=lambda name: (name != explained.left.label, -tops.count(name), -total[name]))
    return order[:LINES]


def state(track: RuleTrack, step: RuleStep) -> str:
    """What keeps a rule with a memory from firing, or that it fires."""
    if not step.full:
        return f"{step.depth} of {track.size}"
    if step.fires:
        return "agrees" if track.reason in ("window", "patience") else "holds"
    against = "" if track.threshold is None else f"{track.threshold:g}"
    told = {
        "one_answer": "answers differ",
        "far_apart": f"gap ≤ {against}",
        "never_falls": "it falls",
        "still": "it moves",
        "below": f"entropy ≥ {against}",
        "near": f"moved ≥ {against}",
    }
    return next((told[name] for name, holds in step.holds.items() if not holds), "")


def share(saved: float) -> str:
    """A share saved as people read it; next to nothing keeps a decimal."""
    return f"{saved:.0%}" if abs(saved) >= 0.01 or saved == 0 else f"{saved:.1%}"


def spared(explained: Explanation) -> str:
    """What leaving there spared: counted, and where it was timed also measured."""
    cost, clock = explained.cost, explained.clock
    told = f"spared {share(cost.layers_saved)} of the layers and {share(cost.computation_saved)} of the computation"
    if explained.depth == explained.depths:
        told = "spared nothing: it went through every depth"
    if clock is None:
        return told
    runs = f"medians of {clock.rounds} runs" if clock.rounds > 1 else "one run"
    threads = f"{clock.threads} thread{'s' if clock.threads > 1 else ''}"
    return (
        f"{told}; took {clock.policy:.2f} ms, full depth {clock.full:.2f} ms "
        f"(measured on this machine, this text alone, {runs}, {clock.device}, {threads})"
    )
