"""Which form of an answer a client prefers (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re

JSON = "application/json"
NDJSON = "application/x-ndjson"
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)


def prefers_lines(accept: str) -> bool:
    """Whether a client names lines of JSON in ``Accept``, and does not prefer one JSON document."""
    if NDJSON not in accept.lower():
        return False
    weights = parse_media_ranges(accept)
    document = next((weights[name] for name in (JSON, "application/*", "*/*") if name in weights), 0.0)
    lines = weights.get(NDJSON, 0.0)
    return lines > 0 and lines >= document


def parse_media_ranges(accept: str) -> dict[str, float]:
    """Return the weight of each media range, the highest where one is repeated; a weight that is none is 0."""
    weights = dict[str, float]()
    for entry in accept.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((value[2:].strip() for value in parameters if value.startswith("q=")), "1")
        weight = float(quality) if _QUALITY.fullmatch(quality) else 0.0
        weights[name] = max(weight, weights.get(name, 0.0))
    return weights
