"""A survey of a data set's exits as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elbert._display import clean_line, plural, shorten
from elbert.cli.render.bars import NO_LIMIT, draw_bar, draw_sparkline, print_parts
from elbert.cli.render.terminal_tables import measure, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from elbert.explain import Survey
    from elbert.explain.survey_texts import ListedText

LISTED_TEXTS = 5
BAR_WIDTH = 30
LEAST_TEXT = 40  # columns of a text beside its figures; where a terminal has fewer, it stands below them
MOST_ANSWER = 60  # characters of an answer, which can be tags of many words
INDENT = 6


def print_survey(survey: Survey) -> None:
    """Print exits, lengths, confusions, and the most notable texts."""
    parts = (format_summary, format_exits, format_lengths, format_confusions, format_texts)
    print_parts(survey, parts, piped_width=NO_LIMIT)


def format_summary(survey: Survey, width: int) -> list[Text | str]:
    """Return the policy and its totals."""
    from rich.text import Text

    from elbert.explain.explanation import format_share, shorten_spec

    point = "" if survey.point is None else f"{survey.point}: "
    score = "" if survey.score is None else f", {survey.score_name} {survey.score:.4f}"
    full = "" if survey.score_by_depth is None else f" ({survey.score_by_depth[-1]:.4f} at full depth)"
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in survey.reasons.items())
    return [
        Text(f"{point}{shorten_spec(survey.policy)}", "bold"),
        f"{plural(survey.n, 'text')}, mean depth {survey.mean_depth:.2f} of {survey.depths}, layer speed-up "
        f"{survey.layer_speedup:.2f}x, {format_share(survey.computation_saved)} of the computation saved"
        f"{score}{full}",
        f"exits by reason: {reasons}",
        "",
    ]


def format_exits(survey: Survey, width: int) -> list[Text | str]:
    """Return a histogram of exits, and beside it of the depths since which the prediction is final."""
    from rich.text import Text

    columns, notes = "", ["settled: since that depth the prediction equals the last depth's"]
    if survey.score_by_depth is not None:
        columns, notes = f"  {'fixed':>9}", [f"fixed: {survey.score_name} of that depth for all texts", *notes]
    if survey.exits_right is not None:
        columns, notes = f"  {'right':>6}{columns}", ["right: share of right predictions among the exits", *notes]
    lines: list[Text | str] = [Text(f"   depth  {'exits':>6}  {'':<{BAR_WIDTH}}{columns}  {'settled':>7}", "dim")]
    most = max(survey.exits)
    for depth, count in enumerate(survey.exits, 1):
        line = Text(f"   {depth:>5}  {count:>6,}  ").append(draw_bar(count / most, BAR_WIDTH), "cyan")
        if survey.exits_right is not None:
            of_these = f"{survey.exits_right[depth - 1] / count:.3f}" if count else ""
            line.append(f"  {of_these:>6}")
        if survey.score_by_depth is not None:
            line.append(f"  {survey.score_by_depth[depth - 1]:>9.3f}")
        lines.append(line.append(f"  {survey.settled[depth - 1]:>7,}", "magenta"))
    return [*lines, Text(f"   {'; '.join(notes)}", "dim"), ""]


def format_lengths(survey: Survey, width: int) -> list[Text | str]:
    """Return the mean depth by length."""
    from rich.text import Text

    title = f"   depth by length (rank correlation {survey.correlation:+.2f})"
    lines: list[Text | str] = [Text(title, "dim"), Text(f"   {'tokens':>11}  {'texts':>6}  mean depth", "dim")]
    for each in survey.lengths:
        span = str(each.shortest) if each.shortest == each.longest else f"{each.shortest}-{each.longest}"
        line = Text(f"   {span:>11}  {each.texts:>6,}  ").append(
            draw_bar(each.mean_depth / survey.depths, BAR_WIDTH), "yellow"
        )
        lines.append(line.append(f" {each.mean_depth:.2f}"))
    return [*lines, ""]


def format_confusions(survey: Survey, width: int) -> list[Text | str]:
    """Return the most frequent confusions at the first depth, at the exits, and at the last depth."""
    from rich.text import Text

    if survey.confusion is None:
        return []
    lines: list[Text | str] = [Text(f"   most confused (label > prediction: {survey.counted})", "dim")]
    for name, place in (("at depth 1", 0), ("at the exits", survey.depths), ("at the last depth", survey.depths - 1)):
        found = [
            f"{clean_line(c.truth) or 'extra'} > {clean_line(c.prediction) or 'missed'}: {c.count:,}"
            for c in survey.confusion.pairs[place][:LISTED_TEXTS]
        ]
        lines.append(f"   {name:<18} {'; '.join(found) or 'nothing'}")
    return [*lines, ""]


def format_texts(survey: Survey, width: int) -> list[Text | str]:
    """Return the first texts of every list."""
    lines: list[Text | str] = []
    for field, title, what in survey.list_texts():
        lines += format_list(f"{title.lower()}: {what}", getattr(survey, field)[:LISTED_TEXTS], survey.bounds, width)
    return lines


def format_list(title: str, found: Sequence[ListedText], bounds: tuple[float, float], width: int) -> list[Text | str]:
    """Return a line for each text: line number, exit, settled depth, its path by depth, answer, text."""
    from rich.text import Text

    lines: list[Text | str] = [Text(f"   {title}", "dim")]
    if not found:
        lines.append("   none")
    low, span = bounds[0], (bounds[1] - bounds[0]) or 1.0
    answers = [shorten(each.answer, MOST_ANSWER) for each in found]
    size = max(map(measure, answers), default=0)
    for each, answer in zip(found, answers, strict=True):
        line = Text(f"   line {each.line:>6}  exit {each.depth:>2}  settled {each.settled:>2}  ")
        line.append(draw_sparkline([(step - low) / span for step in each.path]), "cyan")
        line.append(f"  {pad(answer, size)}  ")
        if each.right is not None:
            line.append("right  " if each.right else "wrong  ", "green" if each.right else "red")
        elif each.truth is not None:
            line.append(f"label {shorten(each.truth, MOST_ANSWER)}  ")
        text = each.text if each.text_pair is None else f"{each.text} / {each.text_pair}"
        room = width - len(line.plain)
        if room >= LEAST_TEXT:
            lines.append(line.append(shorten(text, room)))
        else:
            lines += [line, Text(" " * INDENT).append(shorten(text, width - INDENT))]
    return [*lines, ""]
