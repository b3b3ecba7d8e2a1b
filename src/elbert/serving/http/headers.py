"""What an answer's headers tell: where the time went, and under which operating point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from elbert.serving.results import Item

SAFE = " !\"#$&'()*+,-./:;<=>?@[]^_`{|}~"  # what a header may hold beside letters and digits


@dataclass(frozen=True)
class Durations:
    """Seconds: the mean over a request's texts of tokenising, waiting and layer calls."""

    tokenise: float = 0.0
    queue: float = 0.0
    inference: float = 0.0

    @classmethod
    def of(cls, items: Sequence[Item]) -> Durations:
        """Of what came of each text."""
        n, timings = max(len(items), 1), [item.timings for item in items]
        return cls(
            sum(t.tokenise for t in timings) / n,
            sum(t.queue for t in timings) / n,
            sum(t.inference for t in timings) / n,
        )


def headers(items: Sequence[Item], characters: int, seconds: float, durations: Durations) -> dict[str, str]:
    """TEI's headers, in whole milliseconds, and ours."""
    total = str(round(seconds * 1000))
    return {
        "x-compute-time": total,
        "x-compute-tokens": str(sum(item.tokens for item in items)),
        "x-compute-characters": str(characters),
        "x-total-time": total,
        "x-tokenization-time": str(round(durations.tokenise * 1000)),
        "x-queue-time": str(round(durations.queue * 1000)),
        "x-inference-time": str(round(durations.inference * 1000)),
        "x-elbert-operating-point": header_text(items[0].point),
    }


def header_text(text: str) -> str:
    """A text that may stand in a header: whatever could end the line, or is no ASCII, as in an address (%0A)."""
    return quote(text, safe=SAFE)
