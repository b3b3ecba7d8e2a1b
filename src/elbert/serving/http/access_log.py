"""Logs: plain lines of warnings, or one JSON object a line, requests included."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from elbert.serving.http.middleware import Exchange

log = logging.getLogger(__name__)

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


def configure_logging(stream: TextIO, *, as_json: bool) -> logging.Handler:
    """Log to a stream: everything as JSON, or warnings as plain lines; return the handler, to remove it."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter(PLAIN))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO if as_json else logging.WARNING)
    logging.captureWarnings(True)
    return handler


def log_exchange(exchange: Exchange) -> None:
    """Log one line about a request that has ended."""
    if not log.isEnabledFor(logging.INFO):
        return
    depths = [item.prediction.depth for item in exchange.items if item.prediction is not None]
    fields = {
        "request_id": exchange.request_id,
        "route": exchange.route[:200],
        "method": exchange.method,
        "status": exchange.status or None,  # null: the client disconnected first
        "error_type": exchange.error,
        "ms": round(exchange.seconds * 1000, 3),
        "texts": exchange.texts,
        "tokens": sum(item.tokens for item in exchange.items),
        "depths": depths,
    }
    log.info("request", extra={FIELDS: fields})


def _replace_surrogates(fields: dict[str, object]) -> dict[str, object]:
    return {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in fields.items()
    }
