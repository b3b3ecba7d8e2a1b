"""An explanation of one text as plain values, with the short texts that terminal, figure and page share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from elbert import _html
from elbert.exits import POLICIES
from elbert.exits.signals import SIGNALS
from elbert.explain.depth_outputs import FORMS, AnswerForm, DepthOutput
from elbert.explain.pieces import Piece
from elbert.explain.rule_tracks import RuleTrack
from elbert.explain.wall_clock import WallClock
from elbert.tasks import TASKS


@dataclass(frozen=True)
class Rival:
    """Where another policy would exit; ``kind`` is "point", "rival" or "oracle".

    ``depth`` is None for an oracle whose condition holds at no depth; ``right`` is None without a true label. Of a
    token classifier ``label`` is how many tags differ from those of the policy, and ``score`` None.
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
    """Counted, not measured: shares saved against full depth, which runs the exit head once."""

    layers_saved: float
    computation_saved: float
    flops: int
    flops_full: int


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why one text exited at its depth, with the output of every depth.

    ``policy`` is the spec; ``point`` is the operating point with that policy, if there is one. ``truth`` holds the true
    labels, None if unknown. ``reader`` is whose attention is shown: ``[CLS]``, or ``mean`` where the exit head reads
    the mean of the tokens, or ``""`` where it reads each token. ``unit`` is the unit of ``change`` and of the other
    signals of values.
    """

    text: str
    text_pair: str | None
    model: str
    dtype: str
    policy: str
    point: str | None
    problem: str
    labels: tuple[str, ...]
    truth: tuple[str, ...] | None
    tokens: tuple[Piece, ...]
    truncated: bool
    depth: int
    depths: int
    reason: str
    why: str
    steps: tuple[DepthOutput, ...]
    rules: tuple[RuleTrack, ...]
    rivals: tuple[Rival, ...]
    reader: str
    cost: Cost
    clock: WallClock | None
    unit: float = 1.0

    @property
    def form(self) -> AnswerForm:
        """How the answers of the task are written."""
        return FORMS[TASKS[self.problem].answer_kind]

    @property
    def exit_step(self) -> DepthOutput:
        """The output of the depth at which the text exited."""
        return self.steps[self.depth - 1]

    def __repr__(self) -> str:
        """The answer and the reason in one line; :meth:`to_dict` has everything."""
        step = self.exit_step
        return (
            f"<Explanation: {self.form.name(step)} {step.score:.3f} at depth {self.depth} of {self.depths}: {self.why}>"
        )

    def _repr_html_(self) -> str:
        """The table that notebooks show: the output of every depth, and where the text exits."""
        signal = read_own_signal(self)
        rows = [
            (
                _html.Html(f"<b>{step.depth} exit</b>") if step.depth == self.depth else step.depth,
                self.form.write(step),
                _html.bar(share, step.score),
                "" if gauge is None else _html.bar(gauge / signal.top, gauge),
            )
            for step, share, gauge in zip(self.steps, scale_scores(self), signal.values, strict=True)
        ]
        text = self.text if self.text_pair is None else f"{self.text} / {self.text_pair}"
        return _html.table(
            ("depth", "answer", self.form.unit, signal.name),
            rows,
            caption=text,
            note=f"{self.why} Policy: {self.policy}",
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values for JSON."""
        values: dict[str, Any] = to_plain(asdict(self))
        task = TASKS[self.problem]
        return {"kind": "text", "answers": task.answer_kind, "multi_label": task.multi_label, **values}


def to_plain(value: Any) -> Any:
    """Make a value JSON-ready: lists for tuples, None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(name): to_plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


LINES = 4  # most labels that a chart can distinguish


def shorten_spec(spec: str) -> str:
    """A spec without default dials at its end; the first two dials and unions stay as they are."""
    kind = POLICIES.get(spec.partition("(")[0])
    if "|" in spec or kind is None or not kind.dials:
        return spec
    inner = spec.removesuffix(")")
    for dial in reversed(kind.dials[2:]):
        inner = inner.removesuffix(f", {dial.name}={dial.default}")
    return f"{inner})"


def find_window_track(explained: Explanation) -> RuleTrack | None:
    """The first rule that looks at several depths, shown as a sliding window; None if there is none."""
    return next((track for track in explained.rules if track.size > 1), None)


@dataclass(frozen=True)
class Gauge:
    """A signal drawn as bars: ``values [depths]``, its threshold if any, and ``top``, the end of the scale."""

    name: str
    values: tuple[float | None, ...]
    threshold: float | None
    top: float


def choose_gauge(explained: Explanation) -> Gauge:
    """The signal that the policy compares first with a threshold; entropy without one if it compares none."""
    chosen = next((track for track in explained.rules if track.signal is not None), None)
    if chosen is None or chosen.signal is None:
        return read_own_signal(explained)
    name = f"{chosen.signal}{', tempered' if chosen.tempered else ''}"
    top = SIGNALS[chosen.signal].scale
    if top is None:  # without a fixed scale it ends at the largest value, or at twice the threshold
        there = [value for value in chosen.values if value is not None]
        top = max([*there, 2 * (chosen.threshold or 0.0), 1e-9])
    return Gauge(name, chosen.values, chosen.threshold, top)


def read_own_signal(explained: Explanation) -> Gauge:
    """The signal that shows how settled the text is under any policy: the entropy, or of values the change."""
    name = explained.form.own_signal
    values = tuple(getattr(step, name) for step in explained.steps)
    top = SIGNALS[name].scale or max([1e-9, *(value for value in values if value is not None)])
    return Gauge(name, values, None, top)


def scale_scores(explained: Explanation) -> list[float]:
    """``[depths]``: scores on a scale from 0 to 1: probabilities as they are, values from the least to the largest."""
    return explained.form.scale([step.score for step in explained.steps])


def choose_labels(explained: Explanation) -> list[str]:
    """The labels drawn as lines: the prediction, then labels that are most probable at some depth, then by total.

    None where depths have no scores of labels.
    """
    if not explained.exit_step.scores:
        return []
    tops = [step.label for step in explained.steps]
    total = {name: sum(step.scores[name] for step in explained.steps) for name in explained.labels}
    order = sorted(
        explained.labels, key=lambda name: (name != explained.exit_step.label, -tops.count(name), -total[name])
    )
    return order[:LINES]


def format_share(saved: float) -> str:
    """A share as a percentage; below 1 % with one decimal."""
    return f"{saved:.0%}" if abs(saved) >= 0.01 or saved == 0 else f"{saved:.1%}"


def describe_savings(explained: Explanation) -> str:
    """What the exit saved: counted, and measured too if the text was timed."""
    cost, clock = explained.cost, explained.clock
    layers, computation = format_share(cost.layers_saved), format_share(cost.computation_saved)
    savings = f"saved {layers} of the layers and {computation} of the computation"
    if explained.depth == explained.depths:
        savings = "saved nothing: the text ran to the last depth"
    if clock is None:
        return savings
    runs = f"medians of {clock.rounds} runs" if clock.rounds > 1 else "one run"
    threads = f"{clock.threads} thread{'s' if clock.threads > 1 else ''}"
    return (
        f"{savings}; took {clock.policy:.2f} ms, full depth {clock.full:.2f} ms "
        f"(measured on this machine, this text alone, {runs}, {clock.device}, {threads})"
    )
