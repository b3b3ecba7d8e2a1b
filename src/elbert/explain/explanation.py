"""An explanation of one text as plain values, with the short forms that terminal, figure and page share."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from elbert.classifier import Classifier
from elbert.exits import Depth, Full, Policy
from elbert.explain.pieces import Piece
from elbert.explain.rule_tracks import RuleStep, RuleTrack
from elbert.model.config import Problem
from elbert.texts import Text

ROUNDS = 9
FEWEST, PATIENCE = 3, 3.0  # a deep model on a slow machine gets fewer rounds, after some seconds


@dataclass(frozen=True)
class Clock:
    """Medians in milliseconds, this text alone, tokenising included: wall-clock, on this machine, now.

    ``policy`` and ``full`` are of ``rounds`` interleaved runs each; ``by_depth``, of stopping at every fixed depth,
    which reads the head once, of ``depth_rounds``.
    """

    policy: float
    full: float
    by_depth: tuple[float, ...]
    rounds: int
    depth_rounds: int
    device: str
    threads: int


def timed(classifier: Classifier, text: Text, policy: Policy, rounds: int = ROUNDS) -> Clock:
    """Time the policy against full depth, then the fixed depths, each contest interleaved round by round."""
    classifier.predict([text], Full())  # the first call pays for memory and kernels
    (policy_ms, full_ms), done = _medians(classifier, text, (policy, Full()), rounds)
    fixed = [Depth(depth) for depth in range(1, classifier.depths + 1)]
    by_depth, depth_rounds = _medians(classifier, text, fixed, rounds)
    return Clock(
        policy=policy_ms,
        full=full_ms,
        by_depth=tuple(by_depth),
        rounds=done,
        depth_rounds=depth_rounds,
        device=classifier.backend.device.type,
        threads=classifier.threads or torch.get_num_threads(),
    )


def _medians(classifier: Classifier, text: Text, contest: Sequence[Policy], rounds: int) -> tuple[list[float], int]:
    """The contestants' medians in milliseconds, and of how many rounds."""
    seconds: list[list[float]] = []
    begun = time.perf_counter()
    while len(seconds) < rounds and (len(seconds) < FEWEST or time.perf_counter() - begun < PATIENCE):
        seconds.append([_seconds(classifier, text, contestant) for contestant in contest])
    return [1000 * statistics.median(runs) for runs in zip(*seconds, strict=True)], len(seconds)


def _seconds(classifier: Classifier, text: Text, policy: Policy) -> float:
    start = time.perf_counter()
    classifier.predict([text], policy)
    return time.perf_counter() - start


@dataclass(frozen=True)
class AtDepth:
    """What the exit head said after one depth, and what policies read in it.

    ``label`` is the most probable label and ``score`` its probability; ``answer`` are the labels said (one, or for a
    multi-label model those above one half). ``since`` is the depth from which the answer has been the same.
    ``divergence`` is from the depth before, in nats; None at the first. ``attention [tokens]`` is what the head's
    token gives to every token, mean over heads; None where it was not asked for. ``flops`` counts the row so far.
    """

    depth: int
    scores: Mapping[str, float]
    label: str
    score: float
    answer: tuple[str, ...]
    since: int
    entropy: float
    confidence: float
    gap: float
    divergence: float | None
    flops: int
    attention: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Rival:
    """Where another policy would have let the text leave; ``kind`` is point, rival or oracle.

    ``depth`` is None for an oracle whose wish no depth fulfils; ``right`` is None where no label was given.
    """

    policy: str
    kind: str
    depth: int | None
    reason: str
    label: str | None
    score: float | None
    right: bool | None


@dataclass(frozen=True)
class Cost:
    """Counted, not measured: shares saved against full depth, whose head is read once."""

    layers_saved: float
    computation_saved: float
    flops: int
    flops_full: int


@dataclass(frozen=True)
class Explanation:
    """Why one text left where it did, depth by depth.

    ``policy`` is the spec and ``point`` the operating point of that policy, if it is one. ``truth`` are the labels
    that the text should have (None: not given). ``reader`` is whose attention is shown: ``[CLS]``, or ``mean`` where
    the head reads the mean of the tokens.
    """

    text: str
    text_pair: str | None
    model: str
    dtype: str
    policy: str
    point: str | None
    problem: Problem
    labels: tuple[str, ...]
    truth: tuple[str, ...] | None
    tokens: tuple[Piece, ...]
    truncated: bool
    depth: int
    depths: int
    reason: str
    why: str
    steps: tuple[AtDepth, ...]
    rules: tuple[RuleTrack, ...]
    rivals: tuple[Rival, ...]
    reader: str
    cost: Cost
    clock: Clock | None

    @property
    def left(self) -> AtDepth:
        """What was said where the text left: the answer."""
        return self.steps[self.depth - 1]

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values that JSON can hold."""
        values: dict[str, Any] = plain(asdict(self))
        return {"kind": "text", **values}


def plain(value: Any) -> Any:
    """The same with lists for tuples, and None for what is no finite number."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
