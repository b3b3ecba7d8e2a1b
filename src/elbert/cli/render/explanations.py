"""How one text's explanation is told on a terminal; the same without colours where no terminal is."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from elbert.cli.render.bars import filled, put
from elbert.cli.render.prediction_writers import brief

if TYPE_CHECKING:
    from rich.text import Text

    from elbert.explain import AtDepth, Explanation, Rival
    from elbert.explain.explanation import Gauge
    from elbert.explain.rule_tracks import RuleTrack


PIPED = 100  # columns where nobody says how wide it is
ATTENDED = 6


def print_explained(told: Explanation) -> None:
    """The depths one by one, the rivals, the words attended to, and why it left."""
    from rich.console import Console

    console = Console(highlight=False)
    width = max(60, min(120, console.width)) if console.is_terminal else PIPED
    for part in (header, depths, rivals, attended, closing):
        for line in part(told, width):
            put(console, line)


def header(told: Explanation, width: int) -> list[Text | str]:
    """The text, and what is asked of it."""
    from rich.text import Text

    from elbert.explain.explanation import short

    whole = (told.text,) if told.text_pair is None else (told.text, told.text_pair)
    wrapped = (line for part in whole for line in wrap(brief(part, 4 * width), width))
    lines: list[Text | str] = [Text(line, "bold") for line in wrapped]
    point = "" if told.point is None else f"{told.point}: "
    truth = "" if told.truth is None else f"; label {brief(', '.join(told.truth) or 'none', 40)}"
    cut = ", cut to fit" if told.truncated else ""
    lines.append(f"{point}{short(told.policy)}; {len(told.tokens)} tokens{cut}{truth}; {told.dtype}")
    return [*lines, ""]


def depths(told: Explanation, width: int) -> list[Text | str]:
    """One line a depth: answer, its probability, the signal against its threshold, the window, and the exit."""
    from rich.text import Text

    from elbert.explain.explanation import gauged, watched

    track = watched(told)
    signal = gauged(told)
    label = label_width(told)
    strip = told.depths if track is not None and told.depths <= 30 else 0
    bar = max(6, min(16, (width - 42 - label - (strip + 18 if track is not None else 0)) // 2))
    against = "" if signal.threshold is None else f" ({signal.threshold:g})"
    read = brief(signal.name + against, bar + 6)
    head = f"   depth  {'answer':<{label}}  {'probability':<{bar + 6}}  {read:<{bar + 6}}"
    head += f"  {'window':<{max(strip, 6)}}" if track is not None else ""
    lines: list[Text | str] = [Text(head, "dim")]
    for step in told.steps:
        line = Text("")
        here, after = step.depth == told.depth, step.depth > told.depth
        line.append(" ▶ " if here else "   ", "bold green")
        line.append(f"{step.depth:>5}  {brief(step.label, label):<{label}}  ", "bold" if here else "")
        line.append(filled(step.score, bar), "cyan")
        line.append(f" {step.score:.3f}  ")
        line.append(gauge(signal, step.depth, bar))
        if track is not None:
            line.append("  ").append(window(told, track, step, strip))
        if here:
            line.append(f"  ◀ left: {told.reason}", "bold green")
        if after:
            line.stylize("dim")  # where the text did not go
        lines.append(line)
    if strip:
        lines.append(Text("   window: ■ answered as at that depth, □ otherwise", "dim"))
    return [*lines, ""]


def gauge(signal: Gauge, depth: int, cells: int) -> Text:
    """The signal as a bar, with a mark where its threshold is."""
    from rich.text import Text

    value, threshold = signal.values[depth - 1], signal.threshold
    if value is None:
        return Text(" " * (cells + 6))
    bar, place = filled(value / signal.top, cells), int((threshold or 0.0) / signal.top * cells)
    if threshold is None or place >= cells:
        return Text("").append(bar, "yellow").append(f" {value:.3f}")
    marked = Text("").append(bar[:place], "yellow").append("┃", "bold red").append(bar[place + 1 :], "yellow")
    return marked.append(f" {value:.3f}")


def window(told: Explanation, track: RuleTrack, step: AtDepth, strip: int) -> Text:
    """The depths that the window covers now: filled where the answer is today's, hollow where it was another."""
    from rich.text import Text

    from elbert.explain.explanation import state

    seen = track.steps[step.depth - 1]
    colour = "green" if seen.fires else "yellow" if seen.full else "blue"
    text = Text("")
    for depth in range(1, strip + 1):
        inside = seen.first <= depth <= step.depth
        text.append(("■" if depth >= step.since else "□") if inside else "·", colour if inside else "dim")
    text.append(" " * (6 - strip if strip else 0))
    return text.append(f"  {state(track, seen):<14}", colour)


def label_width(told: Explanation) -> int:
    """Columns for the answers: as many as they need, and not more than fit."""
    return min(14, max(6, *(len(step.label) for step in told.steps)))


def rivals(told: Explanation, width: int) -> list[Text | str]:
    """Where the model's other points, the usual rivals and the oracles would have let it leave."""
    from rich.text import Text

    from elbert.explain.explanation import short

    label, strip = label_width(told), told.depths if told.depths <= 30 else 0
    name = max(12, min(max(len(short(rival.policy)) for rival in told.rivals), width - strip - label - 28))
    lines: list[Text | str] = [Text("   where others would have let it leave", "dim")]
    for rival in told.rivals:
        spec = brief(short(rival.policy), name)
        line = Text(f"   {spec:<{name}}  ", "magenta" if rival.kind == "oracle" else "")
        for depth in range(1, strip + 1):
            line.append("●" if depth == rival.depth else "│" if depth == told.depth else "·", mark(rival, depth))
        said = f"  {rival.depth:>3}  {brief(str(rival.label), label):<{label}}  "
        line.append("  never" if rival.depth is None else said)
        line.append("" if rival.score is None else f"{rival.score:.3f}  ")
        line.append(
            "" if rival.right is None else "right" if rival.right else "wrong", "green" if rival.right else "red"
        )
        lines.append(line)
    return [*lines, ""]


def mark(rival: Rival, depth: int) -> str:
    """The colour of a rival's exit, or of nothing."""
    return ("magenta" if rival.kind == "oracle" else "cyan") if depth == rival.depth else "dim"


def attended(told: Explanation, width: int) -> list[Text | str]:
    """The words that the head's token attends to most at the first depth, at the exit, and at the last."""
    from rich.text import Text

    from elbert.explain.pieces import most_attended

    if told.left.attention is None:
        return []
    whose = "[CLS]" if told.reader == "[CLS]" else "all tokens, whose mean the head reads"
    lines: list[Text | str] = [Text(f"   attention of {whose}, mean over heads", "dim")]
    names = (("first", 1), ("exit", told.depth), ("last", told.depths))
    places = {depth: ", ".join(w for w, d in names if d == depth) for depth in sorted({1, told.depth, told.depths})}
    for depth, where in places.items():
        found, special = most_attended(told.tokens, told.steps[depth - 1].attention or (), ATTENDED)
        line = Text(f"   {depth:>5}  {where:<{max(map(len, places.values()))}}  ")
        line.append(f"special tokens {special:.2f}  ", "dim")
        most = max((given for _, given in found), default=1.0)
        for word, given in found:
            told_word = brief(word, 20)
            if len(line.plain) + len(told_word) + 5 > width:
                break
            line.append(told_word, "bold" if given > most / 2 else "").append(f" {given:.2f}  ", "dim")
        lines.append(line)
    return [*lines, ""]


def closing(told: Explanation, width: int) -> list[Text | str]:
    """What it spared, what full depth says, and why it left."""
    from rich.text import Text

    from elbert.explain.explanation import spared

    last = told.steps[-1]
    same = "the same" if last.answer == told.left.answer else "otherwise"
    lines: list[Text | str] = [spared(told)]
    if told.depth < told.depths:
        lines.append(f"full depth says {same}: {brief(last.label, 40)} {last.score:.3f}")
    return [*lines, Text(f"It {told.why}.", "bold green")]
