"""The server's log: plain lines or JSON, one a line, and bounded when the same thing goes wrong again and again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

import msgspec

FIELDS = "elbert_fields"  # the attribute of a log record with the fields beside its message
PLAIN = "elbert: %(levelname)s: %(message)s"


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; a line end in what a client sent stays inside the line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        # What JSON cannot hold is logged as text: a log must not fail on the record that it is for.
        return msgspec.json.encode(_replace_surrogates(fields), enc_hook=str).decode()


REPEATS = 5  # records of one kind that are logged in full ...
PERIOD = 60.0  # ... in so many seconds


class RepeatLimit(logging.Filter):
    """Drops warnings and errors of one kind beyond ``REPEATS`` in ``PERIOD``; the next one says how many there were.

    A kind is a place in the code and a type of exception, so there are few. ``clock`` returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}  # start of the period, records in it

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged."""
        if record.levelno < logging.WARNING:
            return True
        kind = (record.pathname, record.lineno, record.exc_info[0] if record.exc_info else None)
        now = self._clock()
        began, seen = self._seen.get(kind, (now, 0))
        if now - began < PERIOD:
            self._seen[kind] = (began, seen + 1)
            return seen < REPEATS
        self._seen[kind] = (now, 1)
        if seen > REPEATS:
            record.msg = f"{record.getMessage()} ({seen - REPEATS:,} more like this one were not logged)"
            record.args = ()
        return True


def configure_logging(stream: TextIO, *, as_json: bool) -> logging.Handler:
    """Log to a stream: everything as JSON, or warnings as plain lines; return the handler, to remove it."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter(PLAIN))
    handler.addFilter(RepeatLimit())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO if as_json else logging.WARNING)
    logging.captureWarnings(True)
    return handler


def _replace_surrogates(fields: dict[str, object]) -> dict[str, object]:
    return {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in fields.items()
    }
