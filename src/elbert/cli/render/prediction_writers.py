"""Writers of predictions: JSON lines, a table, the summary, and a progress counter."""

from __future__ import annotations

import json
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from elbert._display import clean_line, plural, shorten
from elbert.cli.render.terminal_tables import find_width, measure, pad

if TYPE_CHECKING:
    from elbert.data import Example
    from elbert.prediction import Prediction

LEAST_LABEL = 13  # columns of the shortest column of labels
LEAST_TEXT = 20  # columns of a text beside long labels


@dataclass
class Summary:
    """Number and mean depth of the texts of a run, and its speed."""

    depths: int
    long: str = "windows"
    texts: int = 0
    depth_total: int = 0
    truncated: int = 0
    windows: int = 0
    windows_read: int = 0
    start: float = field(default_factory=time.perf_counter)

    def add(self, prediction: Prediction) -> None:
        """Count one prediction."""
        self.texts += 1
        self.depth_total += prediction.depth
        self.truncated += prediction.truncated
        self.windows += prediction.windows or 1
        self.windows_read += prediction.windows_read

    def describe_windows(self) -> str:
        """How long texts were read."""
        return f"long texts read as {self.long}: {self.windows_read:,} of {plural(self.windows, 'window')}"

    def __str__(self) -> str:
        if not self.texts:
            return "no texts"
        mean = self.depth_total / self.texts
        rate = self.texts / (time.perf_counter() - self.start)
        return (
            f"{plural(self.texts, 'text')}, mean depth {mean:.2f} of {self.depths}, "
            f"layer speed-up {self.depths / mean:.2f}x, {rate:,.0f} texts per second"
        )


class Writer(ABC):
    """Writes predictions one by one."""

    def __init__(self, out: IO[Any]) -> None:
        self.out = out

    @abstractmethod
    def write(self, example: Example, prediction: Prediction) -> None:
        """Write one prediction."""

    @abstractmethod
    def end(self, summary: Summary) -> None:
        """Write the summary, if the format has a place for it."""


class JsonLines(Writer):
    """Writes one JSON object a line, in the order of the input."""

    def __init__(self, out: IO[str], scores: bool) -> None:
        super().__init__(out)
        self.scores = scores

    def write(self, example: Example, prediction: Prediction) -> None:
        """Write the texts and the prediction, with its scores and its trace if they are enabled."""
        line: dict[str, Any] = {"text": example.text}
        if example.text_pair is not None:
            line["text_pair"] = example.text_pair
        line |= prediction.to_dict(scores=self.scores)
        if example.kept:
            line = {(f"input_{name}" if name in line else name): value for name, value in example.kept.items()} | line
        self.out.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")

    def end(self, summary: Summary) -> None:
        """Write nothing: every line is a prediction."""


class TableLines(Writer):
    """Writes a table with fixed columns, line by line."""

    def __init__(self, out: IO[str], scores: bool, labels: Sequence[str]) -> None:
        super().__init__(out)
        self.scores = scores
        self.label = max(LEAST_LABEL, *(measure(clean_line(name)) for name in labels)) + 1
        width = find_width(out)
        self.width = None if width is None else max(LEAST_TEXT, width - self.label - 37)
        self.out.write(f"{pad('label', self.label)}{'score':>6}  {'depth':>7}  {'reason':<20}text\n")

    def write(self, example: Example, prediction: Prediction) -> None:
        """Write one line, and further lines for scores and for each depth of the trace if enabled."""
        text = example.text if example.text_pair is None else f"{example.text} / {example.text_pair}"
        label, depth = pad(clean_line(prediction.label), self.label), f"{prediction.depth}/{prediction.depths}"
        cells = f"{label}{prediction.score:>6.3f}  {depth:>7}  {prediction.reason:<20}"
        self.out.write(f"{cells}{self._fit(text)}\n")
        for entity in getattr(prediction, "entities", ()):
            self.out.write(f"  {clean_line(entity.label)} {entity.score:.3f}  {self._fit(entity.word)}\n")
        if self.scores:
            scores = (f"{clean_line(name)} {score:.3f}" for name, score in prediction.scores.items())
            self.out.write(f"  {', '.join(scores)}\n")
        for step in prediction.trace or ():
            if words := getattr(step, "words", ()):
                tags = " ".join(f"{word.word}/{word.tag}" for word in words)
                self.out.write(f"  depth {step.depth:>2}  {self._fit(tags)}  entropy {step.entropy:.3f}\n")
                continue
            best = max(step.scores, key=lambda name: step.scores[name])
            answer = f"{clean_line(best)} {step.scores[best]:.3f}"
            self.out.write(f"  depth {step.depth:>2}  {answer}  entropy {step.entropy:.3f}\n")

    def _fit(self, text: str) -> str:
        """Return a text as one line, shortened where a terminal is too narrow for it."""
        return clean_line(text) if self.width is None else shorten(text, self.width)

    def end(self, summary: Summary) -> None:
        """Write the summary line."""
        self.out.write(f"{summary}\n")


@contextmanager
def progress(to_file: bool) -> Iterator[Callable[[], None]]:
    """Show a counter on standard error if that is a terminal and predictions are not printed on one."""
    if not sys.stderr.isatty() or (sys.stdout.isatty() and not to_file):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("texts"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("texts", total=None)
        yield lambda: bar.advance(task)
