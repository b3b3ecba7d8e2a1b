"""The prediction for one text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any


def show_fields(value: Any) -> str:
    """Return the repr of a dataclass without the fields that have their default."""
    shown = [one.name for one in fields(value) if one.repr]
    defaults = {one.name: one.default for one in fields(value) if one.default is not MISSING}
    there = [name for name in shown if name not in defaults or getattr(value, name) != defaults[name]]
    return f"{type(value).__name__}({', '.join(f'{name}={getattr(value, name)!r}' for name in there)})"


@dataclass(frozen=True, slots=True)
class TraceStep:
    """Output of the exit head at one depth: the probability of each label, and their normalised entropy."""

    depth: int
    scores: Mapping[str, float]
    entropy: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return {"depth": self.depth, "scores": dict(self.scores), "entropy": self.entropy}


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predicted label of one text, and where and why the text exited.

    ``label`` is the most probable label and ``score`` its probability. A multi-label model gives every label a
    probability of its own in ``scores``; a regression model has its value in ``score``. ``depth``, from 1 to
    ``depths``, is the depth of the exit, and ``reason`` the rule (``entropy``, ``window``, …) or ``last``.
    ``truncated`` is whether the text is longer than the model reads, so that only a part of it was read.

    Of a text that was read in windows, ``windows`` is their number, ``window_depths`` has the depth of each that was
    read, in order, and ``depth`` is the largest of these; of other texts ``windows`` is None.
    """

    label: str
    score: float
    depth: int
    depths: int
    reason: str
    scores: Mapping[str, float] = field(repr=False, default_factory=dict)
    trace: tuple[TraceStep, ...] | None = field(repr=False, default=None)
    truncated: bool = False
    windows: int | None = None
    window_depths: tuple[int, ...] = ()

    def __repr__(self) -> str:
        """Return the fields that are set."""
        return show_fields(self)

    @property
    def windows_read(self) -> int:
        """The number of windows that were read before the answer was settled; 1 for other texts."""
        return len(self.window_depths) or 1

    def to_dict(self, *, scores: bool = True) -> dict[str, Any]:
        """Return the fields as plain values for JSON; ``scores``, ``trace`` and windows only if there are any."""
        values: dict[str, Any] = {
            "label": self.label,
            "score": self.score,
            "depth": self.depth,
            "depths": self.depths,
            "reason": self.reason,
            "truncated": self.truncated,
            **self._describe_windows(),
        }
        if scores and self.scores:
            values["scores"] = dict(self.scores)
        if self.trace is not None:
            values["trace"] = [step.to_dict() for step in self.trace]
        return values

    def _describe_windows(self) -> dict[str, int]:
        return {} if self.windows is None else {"windows": self.windows, "windows_read": self.windows_read}

    def _repr_html_(self) -> str:
        """Return the table that notebooks show."""
        return Predictions([self])._repr_html_()


@dataclass(frozen=True, slots=True)
class Entity:
    """A span of a text: its label, the mean probability of its tags, its characters, and its words.

    It has the values that transformers' pipeline calls ``entity_group, score, start, end, word``.
    """

    label: str
    score: float
    start: int
    end: int
    word: str

    def shift(self, characters: int) -> Entity:
        """Return the same entity, so many characters further in the text."""
        return replace(self, start=self.start + characters, end=self.end + characters)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return {"label": self.label, "score": self.score, "start": self.start, "end": self.end, "word": self.word}


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text, its tag with the probability, and its characters."""

    word: str
    tag: str
    score: float
    start: int
    end: int

    def shift(self, characters: int) -> Word:
        """Return the same word, so many characters further in the text."""
        return replace(self, start=self.start + characters, end=self.end + characters)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return {"word": self.word, "tag": self.tag, "score": self.score, "start": self.start, "end": self.end}


@dataclass(frozen=True, slots=True)
class TokenTraceStep(TraceStep):
    """The tags of the words at one depth, and the entropy of the least settled word; it has no ``scores``.

    ``least_settled`` is the index of the word with the highest entropy, None without words; ``signals`` are what
    policies read, each that of its least settled word.
    """

    words: tuple[Word, ...] = ()
    least_settled: int | None = None
    signals: Mapping[str, float] = field(repr=False, default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        words = [{"word": word.word, "tag": word.tag, "score": word.score} for word in self.words]
        return {"depth": self.depth, "words": words, "entropy": self.entropy}


@dataclass(frozen=True, slots=True, repr=False)
class TokenPrediction(Prediction):
    """The entities of one text and the tags of its words, from a token classifier.

    ``label`` and ``score`` are the tag of the least certain word and its probability: the text exits when that word is
    settled.
    """

    entities: tuple[Entity, ...] = ()
    words: tuple[Word, ...] = field(repr=False, default=())

    def to_dict(self, *, scores: bool = True) -> dict[str, Any]:
        """Return the fields as plain values for JSON; ``scores`` adds the tag of every word."""
        values: dict[str, Any] = {
            "entities": [entity.to_dict() for entity in self.entities],
            "depth": self.depth,
            "depths": self.depths,
            "reason": self.reason,
            "truncated": self.truncated,
            **self._describe_windows(),
        }
        if scores:
            values["words"] = [word.to_dict() for word in self.words]
        if self.trace is not None:
            values["trace"] = [step.to_dict() for step in self.trace]
        return values


@dataclass(frozen=True, slots=True)
class RankedText:
    """A text of a ranking: its position in the list, its score for the query, and where and why it exited.

    ``reason`` is as for :class:`Prediction`. With ``outranked`` other texts are certainly above it: its score is then
    that of its depth, at most that of the lowest text which the policy keeps in order.
    """

    index: int
    score: float
    text: str = field(repr=False)
    depth: int
    depths: int
    reason: str
    truncated: bool = False

    def __repr__(self) -> str:
        """Return the fields that are set."""
        return show_fields(self)

    def to_dict(self, *, text: bool = True) -> dict[str, Any]:
        """Return the fields as plain values for JSON; ``text`` includes the text."""
        values = {name: getattr(self, name) for name in ("index", "score", "depth", "depths", "reason", "truncated")}
        return values | ({"text": self.text} if text else {})


class Predictions(list[Prediction]):
    """A list of predictions, which notebooks show as a table."""

    def _repr_html_(self) -> str:
        from elbert import _html

        rows = [
            (number, p.label, _html.bar(p.score, p.score), f"{p.depth} of {p.depths}", p.reason)
            for number, p in enumerate(self[: _html.MAX_ROWS])
        ]
        hidden = len(self) - len(rows)
        note = f"and {hidden:,} more" if hidden else ""
        return _html.table(("", "label", "score", "depth", "reason"), rows, note=note)
