"""An explanation of one text as lines for a terminal; the same without colours for files and pipes."""

from __future__ import annotations

from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING

from elbert._display import clean_line, plural, shorten
from elbert.cli.render.bars import draw_bar, print_parts
from elbert.cli.render.terminal_tables import measure, pad

if TYPE_CHECKING:
    from rich.text import Text

    from elbert.explain import DepthOutput, Explanation, Rival
    from elbert.explain.explanation import Gauge
    from elbert.explain.rule_tracks import RuleTrack

ATTENDED_WORDS = 6


def print_explanation(explained: Explanation) -> None:
    """Print the depths one by one, other policies, the most attended words, and the reason of the exit."""
    print_parts(
        explained,
        (format_header, format_depths, format_changes, format_rivals, format_attention, format_conclusion),
        max_width=120,
    )


def format_header(explained: Explanation, width: int) -> list[Text | str]:
    """Return the text, the policy, and the number of tokens."""
    from rich.text import Text

    from elbert.explain.explanation import shorten_spec

    whole = (explained.text,) if explained.text_pair is None else (explained.text, explained.text_pair)
    wrapped = (line for part in whole for line in wrap(shorten(part, 4 * width), width))
    lines: list[Text | str] = [Text(line, "bold") for line in wrapped]
    point = "" if explained.point is None else f"{explained.point}: "
    truth = "" if explained.truth is None else f"; label {clean_line(', '.join(explained.truth)) or 'none'}"
    cut = ", truncated" if explained.truncated else ""
    tokens = plural(len(explained.tokens), "token")
    lines.append(f"{point}{shorten_spec(explained.policy)}; {tokens}{cut}{truth}; {explained.dtype}")
    return [*lines, ""]


def format_depths(explained: Explanation, width: int) -> list[Text | str]:
    """Return a line for each depth: answer, probability, signal and threshold, window, exit."""
    from rich.text import Text

    from elbert.explain.explanation import choose_gauge, find_window_track, scale_scores

    track = find_window_track(explained)
    signal = choose_gauge(explained)
    label = choose_label_width(explained)
    strip = explained.depths if track is not None and explained.depths <= 30 else 0
    against = "" if signal.threshold is None else f" ({signal.threshold:g})"
    read, form = signal.name + against, explained.form
    room = width - 14 - label - (max(strip, 6) + 18 if track is not None else 0)
    fitting = (n for n in range(16, 5, -1) if max(len(form.unit), n + 6) + max(len(read), n + 6) <= room)
    bar = next(fitting, 0)  # beside long names there are numbers only
    scored, gauged = max(len(form.unit), bar + 6), max(len(read), bar + 6)
    head = f"   depth  {pad(form.head, label)}  {form.unit:<{scored}}  {read:<{gauged}}"
    head += f"  {'window':<{max(strip, 6)}}" if track is not None else ""
    lines: list[Text | str] = [Text(head, "dim")]
    shares = scale_scores(explained)
    for step in explained.steps:
        line = Text("")
        is_exit, is_after = step.depth == explained.depth, step.depth > explained.depth
        line.append(" ▶ " if is_exit else "   ", "bold green")
        line.append(f"{step.depth:>5}  {pad(shorten(form.name(step), label), label)}  ", "bold" if is_exit else "")
        line.append(draw_bar(shares[step.depth - 1], bar), "cyan")
        line.append(f"{f' {step.score:.3f}':<{scored - bar}}  ")
        gauge = draw_gauge(signal, step.depth, bar)
        line.append(gauge).append(" " * (gauged - len(gauge)))
        if track is not None:
            line.append("  ").append(draw_window(explained, track, step, strip))
        if is_exit:
            line.append(f"  ◀ exit: {explained.reason}", "bold green")
        if is_after:
            line.stylize("dim")  # the text exited before
        lines.append(line)
    if strip:
        lines.append(Text("   window: ■ same answer as at that depth, □ another", "dim"))
    return [*lines, ""]


def draw_gauge(signal: Gauge, depth: int, cells: int) -> Text:
    """Return the signal as a bar, with a mark at its threshold."""
    from rich.text import Text

    value, threshold = signal.values[depth - 1], signal.threshold
    if value is None:
        return Text(" " * (cells + 6))
    bar, place = draw_bar(value / signal.top, cells), int((threshold or 0.0) / signal.top * cells)
    if threshold is None or place >= cells:
        return Text("").append(bar, "yellow").append(f" {value:.3f}")
    marked = Text("").append(bar[:place], "yellow").append("┃", "bold red").append(bar[place + 1 :], "yellow")
    return marked.append(f" {value:.3f}")


def draw_window(explained: Explanation, track: RuleTrack, step: DepthOutput, strip: int) -> Text:
    """Return the depths of the window: filled where the answer equals the current one, hollow where it differs."""
    from rich.text import Text

    seen = track.steps[step.depth - 1]
    colour = "green" if seen.fires else "yellow" if seen.full else "blue"
    text = Text("")
    for depth in range(1, strip + 1):
        inside = seen.first <= depth <= step.depth
        text.append(("■" if depth >= step.since else "□") if inside else "·", colour if inside else "dim")
    text.append(" " * (6 - strip if strip else 0))
    return text.append(f"  {seen.state:<14}", colour)


def choose_label_width(explained: Explanation) -> int:
    """Return the number of columns for answers: that of the longest one, for tags of many words at most 20."""
    names = (explained.form.head, *(explained.form.name(step) for step in explained.steps))
    longest = max(6, *(measure(clean_line(name)) for name in names))
    return min(20, longest) if explained.exit_step.words else longest


def format_changes(explained: Explanation, width: int) -> list[Text | str]:
    """Return the words that have tags at the first depth, and those whose tag changes at a later one."""
    from rich.text import Text

    from elbert.explain.depth_outputs import describe_changes

    first = explained.steps[0]
    if not first.words:
        return []
    changes = [(first.depth, explained.form.write(first))]
    changes += [(step.depth, describe_changes(before.words, step.words)) for before, step in pairwise(explained.steps)]
    lines: list[Text | str] = [Text("   tags, and their changes", "dim")]
    for depth, text in changes:
        for number, part in enumerate(wrap(text, width - 11)):
            style = "dim" if depth > explained.depth else ""
            lines.append(Text(f"   {'' if number else depth:>5}  {part}", style))
    return [*lines, ""]


def format_rivals(explained: Explanation, width: int) -> list[Text | str]:
    """Return the exits of the model's points, of common policies and of the oracles."""
    from rich.text import Text

    from elbert.explain.explanation import shorten_spec

    label, strip = choose_label_width(explained), explained.depths if explained.depths <= 30 else 0
    name = max(12, min(max(len(shorten_spec(rival.policy)) for rival in explained.rivals), width - strip - label - 28))
    lines: list[Text | str] = [Text("   exits of other policies", "dim")]
    for rival in explained.rivals:
        spec, style = clean_line(shorten_spec(rival.policy)), "magenta" if rival.kind == "oracle" else ""
        if len(spec) > name:  # in a line of its own
            lines.append(Text(f"   {spec}", style))
            spec = ""
        line = Text(f"   {spec:<{name}}  ", style)
        for depth in range(1, strip + 1):
            line.append(
                "●" if depth == rival.depth else "│" if depth == explained.depth else "·", choose_colour(rival, depth)
            )
        answer = f"  {rival.depth:>3}  {pad(shorten(str(rival.label), label), label)}  "
        line.append("  never" if rival.depth is None else answer)
        line.append("" if rival.score is None else f"{rival.score:.3f}  ")
        line.append(
            "" if rival.right is None else "right" if rival.right else "wrong", "green" if rival.right else "red"
        )
        lines.append(line)
    return [*lines, ""]


def choose_colour(rival: Rival, depth: int) -> str:
    """Return the colour of a cell in a rival's row."""
    return ("magenta" if rival.kind == "oracle" else "cyan") if depth == rival.depth else "dim"


def format_attention(explained: Explanation, width: int) -> list[Text | str]:
    """Return the words with the most attention of the pooled token at the first depth, the exit and the last depth."""
    from rich.text import Text

    from elbert.explain.pieces import most_attended

    if explained.exit_step.attention is None:
        return []
    whose = "[CLS]" if explained.reader == "[CLS]" else "all tokens, whose mean the head reads"
    lines: list[Text | str] = [Text(f"   attention of {whose}, mean over heads", "dim")]
    names = (("first", 1), ("exit", explained.depth), ("last", explained.depths))
    places = {
        depth: ", ".join(w for w, d in names if d == depth) for depth in sorted({1, explained.depth, explained.depths})
    }
    for depth, where in places.items():
        found, special = most_attended(explained.tokens, explained.steps[depth - 1].attention or (), ATTENDED_WORDS)
        line = Text(f"   {depth:>5}  {where:<{max(map(len, places.values()))}}  ")
        line.append(f"special tokens {special:.2f}  ", "dim")
        most = max((attention for _, attention in found), default=1.0)
        for word, attention in found:
            shown = shorten(word, 20)
            if len(line.plain) + len(shown) + 5 > width:
                break
            line.append(shown, "bold" if attention > most / 2 else "").append(f" {attention:.2f}  ", "dim")
        lines.append(line)
    return [*lines, ""]


def format_conclusion(explained: Explanation, width: int) -> list[Text | str]:
    """Return the savings, the prediction at full depth, and the reason of the exit."""
    from rich.text import Text

    from elbert.explain.explanation import describe_savings

    comparison = explained.form.compare(explained.exit_step, explained.steps[-1])
    lines: list[Text | str] = [describe_savings(explained)]
    if explained.depth < explained.depths:
        lines.append(shorten(f"at full depth {comparison}", 2 * width))
    return [*lines, Text(f"It {explained.why}.", "bold green")]
