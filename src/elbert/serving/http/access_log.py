"""Logs: one JSON object a line on demand, or plain lines of what is out of the ordinary."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TextIO

import orjson

from elbert.serving.http.middleware import Exchange

log = logging.getLogger(__name__)

FIELDS = "elbert_fields"  # the attribute of a record that carries what stands beside its message
PLAIN = "elbert: %(levelname)s: %(message)s"


class JsonLines(logging.Formatter):
    """A record as one line of JSON; what a stranger sent cannot end the line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        # What cannot be encoded is told all the same: a log must not fail on what it is for.
        return orjson.dumps(_sound(told), default=str).decode()


def prepared(stream: TextIO, *, as_json: bool) -> logging.Handler:
    """Log to a stream: everything as JSON, or warnings as plain lines; the handler, for who wants to undo it."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter(PLAIN))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO if as_json else logging.WARNING)
    logging.captureWarnings(True)
    return handler


def journal(exchange: Exchange) -> None:
    """One line for a request that has ended."""
    if not log.isEnabledFor(logging.INFO):
        return
    depths = [item.prediction.depth for item in exchange.items if item.prediction is not None]
    fields = {
        "request_id": exchange.request_id,
        "route": exchange.route[:200],
        "method": exchange.method,
        "status": exchange.status or None,  # none: the client had gone
        "error_type": exchange.error,
        "ms": round(exchange.seconds * 1000, 3),
        "texts": exchange.texts,
        "tokens": sum(item.tokens for item in exchange.items),
        "depths": depths,
    }
    log.info("request", extra={FIELDS: fields})


def _sound(told: dict[str, object]) -> dict[str, object]:
    return {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in told.items()
    }
