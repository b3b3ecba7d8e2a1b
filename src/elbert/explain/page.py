"""The page of an explanation or of a survey: one file that works from disk."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from elbert._atomic import replaced
from elbert.explain.explanation import Explanation, gauged, short, shown, spared, state, watched
from elbert.explain.pieces import Word, words
from elbert.explain.survey import Survey
from elbert.web import page

TEMPLATES = {Explanation: "explain.html", Survey: "explain_data.html"}


def write_page(told: Explanation | Survey, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        InputError: nothing can be written there.
    """
    with replaced(path) as out:
        out.write(as_page(told))


def as_page(told: Explanation | Survey) -> str:
    """The page as text."""
    values = told.as_json()
    values["short"] = short(told.policy)
    if isinstance(told, Explanation):
        values |= _shown(told)
    return page(TEMPLATES[type(told)], values)


def _shown(told: Explanation) -> dict[str, object]:
    """What the page shows and Python knows already, so that it is said in one way everywhere."""
    track = watched(told)
    return {
        "words": [_word(word, told) for word in words(told.tokens)],
        "shown": shown(told),
        "gauge": asdict(gauged(told)),
        "watched": None if track is None else told.rules.index(track),
        "states": None if track is None else [state(track, step) for step in track.steps],
        "spared": spared(told),
        "rivals_short": [short(rival.policy) for rival in told.rivals],
    }


def _word(word: Word, told: Explanation) -> dict[str, object]:
    part = told.tokens[word.tokens[0]].part
    return {"shown": word.shown, "special": word.special, "glued": word.glued, "tokens": word.tokens, "part": part}
