"""The server's log: plain lines or JSON, one a line, and bounded when the same thing goes wrong again and again."""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from elbert._display import clean_line

ACCESS = "elbert.access"  # the logger of requests
OPERATIONS = "elbert.operations"  # the logger of what an operator did, such as a reload
FIELDS = "elbert_fields"  # the attribute of a log record with the fields beside its message
PLAIN = "elbert: %(levelname)s: %(message)s"


def to_json_line(level: str, message: str, logger: str, fields: Mapping[str, object], created: float) -> str:
    """Return one line of JSON; all lines that the server writes as JSON are made here.

    A line end in what a client sent stays inside the line. What JSON cannot hold is text: a log must not fail on the
    record that it is for.
    """
    line = {"time": to_time(created), "level": level, "message": message, "logger": logger, **fields}
    return msgspec.json.encode(_replace_surrogates(line), enc_hook=str).decode()


def to_time(seconds: float) -> str:
    """Return a time as ISO 8601 has it, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        fields = dict(getattr(record, FIELDS, {}))
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return to_json_line(record.levelname.lower(), record.getMessage(), record.name, fields, record.created)


class PlainLines(logging.Formatter):
    """Formats a record for people; one with fields, such as a request, as its time, message and ``name=value``."""

    def __init__(self) -> None:
        super().__init__(PLAIN)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        fields: Mapping[str, object] = getattr(record, FIELDS, {})
        if not fields:
            return super().format(record)
        shown = " ".join(f"{name}={_to_word(value)}" for name, value in fields.items() if value not in (None, []))
        return f"elbert: {to_time(record.created)} {clean_line(record.getMessage())} {shown}"


def _to_word(value: object) -> str:
    """Return a value as one word: quoted where a client's text has spaces or quotes, which could look like fields."""
    text = clean_line(",".join(map(str, value)) if isinstance(value, list) else str(value))
    return text if re.fullmatch(r"[^\s\"=\\]+", text) else msgspec.json.encode(text).decode()


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


@contextmanager
def logging_to(stream: TextIO, *, as_json: bool, access: bool | None = None) -> Iterator[None]:
    """While inside, log to a stream: everything as JSON, or warnings as plain lines.

    ``access`` is whether each request has a line; by default where the log is JSON.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if as_json else PlainLines())
    handler.addFilter(RepeatLimit())
    root, has_access = logging.getLogger(), as_json if access is None else access
    levels = {
        root: logging.INFO if as_json else logging.WARNING,
        logging.getLogger(ACCESS): logging.INFO if has_access else logging.WARNING,
        logging.getLogger(OPERATIONS): logging.INFO,
    }
    before = {logger: logger.level for logger in levels}
    for logger, level in levels.items():
        logger.setLevel(level)
    root.addHandler(handler)
    logging.captureWarnings(True)
    formatted, warnings.formatwarning = warnings.formatwarning, _format_warning
    try:
        yield
    finally:
        warnings.formatwarning = formatted
        logging.captureWarnings(False)
        root.removeHandler(handler)
        for logger, level in before.items():
            logger.setLevel(level)


def _format_warning(message: Warning | str, *_: object, **__: object) -> str:
    """Return the message alone: a line of source code is no help to an operator."""
    return str(message)


def _replace_surrogates(fields: dict[str, object]) -> dict[str, object]:
    return {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in fields.items()
    }
