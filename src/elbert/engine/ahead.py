"""Reading ahead: an input of any length, block by block, and no further than is needed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from elbert.engine.live import End, Live
from elbert.text import Text, Tokeniser, Tokens, checked

BLOCK = 2048  # texts read and tokenised at once: enough to sort by length, and to keep all cores tokenising


class Ahead:
    """Blocks of tokenised texts; what their source raises is kept until everything before it is done.

    A ``live`` source may itself wait for answers before it gives the next text, as a person or a program at the other
    end of a pipe does: it is read in a thread, and what has come is taken.
    """

    def __init__(self, texts: Iterable[object], tokeniser: Tokeniser, *, live: bool = False) -> None:
        source = (checked(text, number) for number, text in enumerate(texts))
        self._source: Iterable[Text] = Live(source, BLOCK) if live else source
        self._tokeniser = tokeniser
        self._error: Exception | None = None
        self.slow = live  # whoever has work should do it before a block is waited for
        self.ended = False

    def block(self) -> list[Tokens]:
        """The next texts: as many as a block holds, or as a live source has ready; none at the end."""
        texts: list[Text] = []
        try:
            for text in islice(self._source, BLOCK):
                texts.append(text)
            self.ended = not texts
        except End:
            self.ended = True
        except Exception as error:
            self._error = error
            self.ended = True
        return self._tokeniser.encode(texts)

    def complain(self) -> None:
        """Raise what the source raised, if it did."""
        if self._error is not None:
            raise self._error
