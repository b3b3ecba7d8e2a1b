"""Headers of an answer: where the time went, and under which operating point the texts ran."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from elbert.serving.http.middleware import Durations
from elbert.serving.results import TextResult

OPERATING_POINT = "x-elbert-operating-point"
TIMES = {  # TEI's names, and what each has
    "x-compute-time": "milliseconds from the arrival of the request to its answer",
    "x-compute-tokens": "tokens of all texts",
    "x-compute-characters": "characters of all texts",
    "x-total-time": "the same as x-compute-time",
    "x-tokenization-time": "milliseconds in which a text was tokenized, the mean over the texts",
    "x-queue-time": "milliseconds before a text's first layer call, the mean over the texts",
    "x-inference-time": "milliseconds of a text's layer calls, the mean over the texts",
}
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
