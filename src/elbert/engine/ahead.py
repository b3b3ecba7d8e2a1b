"""Reading ahead: an input of any length, block by block, and no further than is needed."""

from __future__ import annotations

import time
from collections.abc import Iterable

from elbert.text import Text, Tokeniser, Tokens, checked

BLOCK = 2048  # texts read and tokenised at once: enough to sort by length, and to keep all cores tokenising
PATIENCE = 0.05  # seconds for which a block is waited for before what has come is taken


class Ahead:
    """Blocks of tokenised texts; what their source raises is kept until everything before it is done."""

    def __init__(self, texts: Iterable[object], tokeniser: Tokeniser, most: int = BLOCK) -> None:
        """Read at most ``most`` texts at a time."""
        self._texts = (checked(text, number) for number, text in enumerate(texts))
        self._tokeniser = tokeniser
        self._most = most
        self._error: Exception | None = None
        self.slow = False  # texts are waited for: whoever has work should do it first
        self.ended = False

    def block(self) -> list[Tokens]:
        """The next texts: fewer than asked for where the source is slow, or ends."""
        texts: list[Text] = []
        start = time.monotonic()
        try:
            while len(texts) < self._most and (not texts or time.monotonic() - start < PATIENCE):
                texts.append(next(self._texts))
        except StopIteration:
            self.ended = True
        except Exception as error:
            self._error = error
            self.ended = True
        self.slow = len(texts) < self._most
        return self._tokeniser.encode(texts)

    def complain(self) -> None:
        """Raise what the source raised, if it did."""
        if self._error is not None:
            raise self._error
