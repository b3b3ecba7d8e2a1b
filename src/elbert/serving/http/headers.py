"""Headers of an answer: where the time went, and under which operating point the texts ran."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from elbert.serving.http.middleware import Durations
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


def answer_headers(
    items: Sequence[TextResult], characters: int, seconds: float, durations: Durations
) -> dict[str, str]:
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


@lru_cache(256)  # for every answer, and there are few operating points
def quote_header(text: str) -> str:
    """Percent-encode what a header cannot hold: line ends (%0A), and everything outside ASCII."""
    return quote(text, safe=SAFE)
