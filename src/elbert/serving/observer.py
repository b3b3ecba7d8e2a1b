"""Observers: metrics and logs are made from a service's events. All events come on the event loop's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from elbert.errors import ElbertError
from elbert.serving.results import TextResult
from elbert.serving.worker import Step

log = logging.getLogger(__name__)


class Observer(Protocol):
    """The events of a service."""

    def on_accept(self, tokens: int, characters: int) -> None:
        """A text was accepted. It ends in exactly one :meth:`on_result` or is counted in one :meth:`on_cancel`."""

    def on_result(self, result: TextResult) -> None:
        """An accepted text has its prediction or its error."""

    def on_cancel(self, texts: int) -> None:
        """The client of this many accepted texts disconnected."""

    def on_reject(self, error: ElbertError) -> None:
        """A whole request was rejected."""

    def on_step(self, step: Step) -> None:
        """The engine made a step."""

    def on_point_change(self, point: str) -> None:
        """The default operating point changed with the load."""


class NullObserver:
    """Ignores every event; a base class for observers of a few events."""

    def on_accept(self, tokens: int, characters: int) -> None:
        """Do nothing."""

    def on_result(self, result: TextResult) -> None:
        """Do nothing."""

    def on_cancel(self, texts: int) -> None:
        """Do nothing."""

    def on_reject(self, error: ElbertError) -> None:
        """Do nothing."""

    def on_step(self, step: Step) -> None:
        """Do nothing."""

    def on_point_change(self, point: str) -> None:
        """Do nothing."""


def notify(event: Callable[..., None], *arguments: object) -> None:
    """Call an observer's method. Its failure is logged: it must not affect the text's result."""
    try:
        event(*arguments)
    except Exception as error:
        log.error("an observer failed", exc_info=error)
