"""Headers of an answer: where the time went, and under which operating point the texts ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from elbert.serving.results import TextResult

OPERATING_POINT = "x-elbert-operating-point"
TIMES = (
    "x-compute-time",
    "x-compute-tokens",
    "x-compute-characters",
    "x-total-time",
    "x-tokenization-time",
    "x-queue-time",
    "x-inference-time",
)
SAFE = " !\"#$&'()*+,-./:;<=>?@[]^_`{|}~"  # what a header may hold beside letters and digits


@dataclass(frozen=True)
class Durations:
    """Seconds, each the mean over a request's texts: tokenising, waiting for the first layer call, layer calls."""

    tokenise: float = 0.0
    queue: float = 0.0
    inference: float = 0.0

    @classmethod
    def mean(cls, items: Sequence[TextResult]) -> Durations:
        """Average the timings of all items; zeros without any."""
        n, timings = max(len(items), 1), [item.timings for item in items]
        return cls(
            sum(t.tokenise for t in timings) / n,
            sum(t.queue for t in timings) / n,
            sum(t.inference for t in timings) / n,
        )


def answer_headers(items: Sequence[TextResult], characters: int, seconds: float, durations: Durations) -> dict[str, str]:
    """Return TEI's headers, times in whole milliseconds, and the operating point."""
    total = str(round(seconds * 1000))
    values = (
        total,
        str(sum(item.tokens for item in items)),
        str(characters),
        total,
        str(round(durations.tokenise * 1000)),
        str(round(durations.queue * 1000)),
        str(round(durations.inference * 1000)),
    )
    return {**dict(zip(TIMES, values, strict=True)), OPERATING_POINT: quote_header(items[0].point)}


def quote_header(text: str) -> str:
    """Percent-encode what a header cannot hold: line ends (%0A), and everything outside ASCII."""
    return quote(text, safe=SAFE)
