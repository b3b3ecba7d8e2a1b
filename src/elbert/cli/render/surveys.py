"""How a data set's exits are told on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elbert.cli.render.bars import filled, put, sparkline
from elbert.cli.render.prediction_writers import brief

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from elbert.explain import Survey
    from elbert.explain.survey import Listed


PIPED = 100
LISTED = 5
BAR = 30


def print_surveyed(told: Survey) -> None:
    """Exits, lengths, confusion, and the texts worth reading."""
    from rich.console import Console

    console = Console(highlight=False)
    width = max(60, min(140, console.width)) if console.is_terminal else PIPED
    for part in (summary, exits, lengths, confused, texts):
        for line in part(told, width):
            put(console, line)


def summary(told: Survey, width: int) -> list[Text | str]:
    """The policy and its totals."""
    from rich.text import Text

    from elbert.explain.explanation import share, short

    point = "" if told.point is None else f"{told.point}: "
    accuracy = "" if told.accuracy is None else f", accuracy {told.accuracy:.4f}"
    full = "" if told.accuracy_by_depth is None else f" ({told.accuracy_by_depth[-1]:.4f} at full depth)"
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in told.reasons.items())
    return [
        Text(f"{point}{short(told.policy)}", "bold"),
        f"{told.n:,} texts, mean depth {told.mean_depth:.2f} of {told.depths}, layer speed-up "
        f"{told.layer_speedup:.2f}x, {share(told.computation_saved)} of the computation spared{accuracy}{full}",
        f"left for {reasons}",
        "",
    ]


def exits(told: Survey, width: int) -> list[Text | str]:
    """The histogram of exits beside that of the depths from which the answers stand."""
    from rich.text import Text

    labelled = told.accuracy_by_depth is not None and told.exits_right is not None
    right = f"  {'right':>6}  {'all at it':>9}" if labelled else ""
    lines: list[Text | str] = [Text(f"   depth  {'left':>6}  {'':<{BAR}}{right}  {'settled':>7}", "dim")]
    most = max(told.exits)
    for depth, count in enumerate(told.exits, 1):
        line = Text(f"   {depth:>5}  {count:>6,}  ").append(filled(count / most, BAR), "cyan")
        if told.accuracy_by_depth is not None and told.exits_right is not None:
            of_these = f"{told.exits_right[depth - 1] / count:.3f}" if count else ""
            line.append(f"  {of_these:>6}  {told.accuracy_by_depth[depth - 1]:>9.3f}")
        lines.append(line.append(f"  {told.settled[depth - 1]:>7,}", "magenta"))
    what = "settled: from there on the answer is the last depth's"
    if labelled:
        what = f"right: share of those that left there; all at it: accuracy of stopping everything there; {what}"
    return [*lines, Text(f"   {what}", "dim"), ""]


def lengths(told: Survey, width: int) -> list[Text | str]:
    """Mean depth by length."""
    from rich.text import Text

    title = f"   depth against length (rank correlation {told.correlation:+.2f})"
    lines: list[Text | str] = [Text(title, "dim"), Text(f"   {'tokens':>11}  {'texts':>6}  mean depth", "dim")]
    for each in told.lengths:
        span = str(each.shortest) if each.shortest == each.longest else f"{each.shortest}-{each.longest}"
        line = Text(f"   {span:>11}  {each.texts:>6,}  ").append(filled(each.mean_depth / told.depths, BAR), "yellow")
        lines.append(line.append(f" {each.mean_depth:.2f}"))
    return [*lines, ""]


def confused(told: Survey, width: int) -> list[Text | str]:
    """What is taken for what most often, at the first depth, at the exits, and at the last."""
    from rich.text import Text

    if told.confusion is None:
        return []
    lines: list[Text | str] = [Text("   most confused (label taken for: texts)", "dim")]
    for name, place in (("at depth 1", 0), ("at the exits", told.depths), ("at the last depth", told.depths - 1)):
        found = [
            f"{brief(c.truth, 20) or 'extra'} > {brief(c.said, 20) or 'missed'}: {c.count:,}"
            for c in told.confusion.pairs[place][:LISTED]
        ]
        lines.append(f"   {name:<18} {'; '.join(found) or 'nothing'}")
    return [*lines, ""]


def texts(told: Survey, width: int) -> list[Text | str]:
    """The first few of every list."""
    lists: list[tuple[str, Sequence[Listed] | None]] = [
        ("easiest", told.easiest),
        ("hardest", told.hardest),
        ("wrong where they left, surest first", told.wrong),
        ("overthought: right at some depth, wrong at the last", told.overthought),
    ]
    lines: list[Text | str] = []
    for title, found in lists:
        if found is not None:
            share = f", {told.overthinking:.2%} of all" if title[0] == "o" and told.overthinking is not None else ""
            lines += listed(f"{title}{share}", found[:LISTED], width)
    return lines


def listed(title: str, found: Sequence[Listed], width: int) -> list[Text | str]:
    """One line a text: row, exit, where it settled, its probability's path, answer, label, text."""
    from rich.text import Text

    lines: list[Text | str] = [Text(f"   {title}", "dim")]
    if not found:
        lines.append("   none")
    for each in found:
        line = Text(f"   line {each.line:>6}  left {each.depth:>2}  settled {each.settled:>2}  ")
        line.append(sparkline(each.path), "cyan")
        line.append(f"  {brief(each.answer, 14):<14} ")
        if each.right is not None:
            line.append("right  " if each.right else "wrong  ", "green" if each.right else "red")
        text = each.text if each.text_pair is None else f"{each.text} / {each.text_pair}"
        lines.append(line.append(brief(text, max(20, width - len(line.plain)))))
    return [*lines, ""]
