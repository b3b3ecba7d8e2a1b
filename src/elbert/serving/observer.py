"""Who watches a service: metrics and logs are made of these events. All come on the event loop's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from elbert.errors import ElbertError
from elbert.serving.results import Item
from elbert.serving.worker import Step

log = logging.getLogger(__name__)


class Observer(Protocol):
    """What a service tells of."""

    def admitted(self, tokens: int, characters: int) -> None:
        """A text was accepted."""

    def left(self, item: Item) -> None:
        """An accepted text left, with an answer or an error; every accepted one does once, or is cancelled."""

    def cancelled(self, texts: int) -> None:
        """Nobody waits for so many accepted texts any more."""

    def refused(self, error: ElbertError) -> None:
        """A whole request was refused."""

    def stepped(self, step: Step) -> None:
        """The engine made a layer call."""

    def moved(self, point: str) -> None:
        """Another operating point is in force."""


class Nobody:
    """Watches nothing; also a base for who watches a part."""

    def admitted(self, tokens: int, characters: int) -> None:
        """Say nothing."""

    def left(self, item: Item) -> None:
        """Say nothing."""

    def cancelled(self, texts: int) -> None:
        """Say nothing."""

    def refused(self, error: ElbertError) -> None:
        """Say nothing."""

    def stepped(self, step: Step) -> None:
        """Say nothing."""

    def moved(self, point: str) -> None:
        """Say nothing."""


def observed(event: Callable[..., None], *about: object) -> None:
    """Tell of an event; an observer that fails must not come between a text and its answer."""
    try:
        event(*about)
    except Exception as error:
        log.error("an observer failed", exc_info=error)
