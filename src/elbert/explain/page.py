"""The HTML page of an explanation or a survey: one file that opens from disk."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from elbert._atomic import open_atomic
from elbert.explain.explanation import (
    Explanation,
    choose_gauge,
    choose_labels,
    describe_savings,
    find_window_track,
    shorten_spec,
)
from elbert.explain.pieces import Word, join_words
from elbert.explain.survey import Survey
from elbert.web import render_page

TEMPLATES = {Explanation: "explanation/explanation.html", Survey: "explanation/survey.html"}


def write_page(explained: Explanation | Survey, path: Path) -> None:
    """Write the page atomically.

    Raises:
        InputError: the file cannot be written.
    """
    page = render_explanation(explained)
    with open_atomic(path) as out:
        out.write(page)


def render_explanation(explained: Explanation | Survey) -> str:
    """The page as HTML."""
    values = explained.to_dict()
    values["short"] = shorten_spec(explained.policy)
    if isinstance(explained, Explanation):
        values |= _display_data(explained)
    else:
        values |= {"lists": explained.list_texts(), "counted": explained.counted}
    return render_page(TEMPLATES[type(explained)], values)


def _display_data(explained: Explanation) -> dict[str, object]:
    """Texts and choices computed here, so that page, terminal and figure agree."""
    track = find_window_track(explained)
    return {
        "words": [_word_to_dict(word, explained) for word in join_words(explained.tokens)],
        "shown": choose_labels(explained),
        "gauge": asdict(choose_gauge(explained)),
        "watched": None if track is None else explained.rules.index(track),
        "states": None if track is None else [step.state for step in track.steps],
        "spared": describe_savings(explained),
        "rivals_short": [shorten_spec(rival.policy) for rival in explained.rivals],
    }


def _word_to_dict(word: Word, explained: Explanation) -> dict[str, object]:
    part = explained.tokens[word.tokens[0]].part
    return {"shown": word.shown, "special": word.special, "glued": word.glued, "tokens": word.tokens, "part": part}
