"""A source of windows: each text is a document, whose next windows are read when its answer is not yet settled."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from elbert.engine.offline import BLOCK, TextReader
from elbert.errors import ElbertError
from elbert.inference import Document
from elbert.prediction import Prediction
from elbert.tokenization import Tokeniser, Tokens
from elbert.tokenization.tokens import Text

READ_AHEAD = 4 * BLOCK  # texts
NO_WINDOW = -1  # of what is no text
BuildDocuments = Callable[[Sequence[Text]], Sequence[Document | ElbertError]]


class WindowReader(TextReader):
    """A source whose rows are the windows of texts; results of rows become results of texts in :meth:`collect`.

    Further windows of documents go before new texts. Rows are numbered on their own, from 0.
    """

    def __init__(
        self, texts: Iterable[object], tokeniser: Tokeniser, build: BuildDocuments, *, live: bool = False
    ) -> None:
        super().__init__(texts, tokeniser, live=live)
        self._build = build
        self._documents: dict[int, Document] = {}  # those that are not complete, by the number of the text
        self._ready = deque[tuple[int, int]]()  # (text, window) to read next
        self._windows: dict[int, tuple[int, int]] = {}  # text and window of each row
        self._num_rows = 0

    @property
    def is_live(self) -> bool:
        """Whether :meth:`read_block` may have to wait."""
        return self._is_live and not self._ready

    @property
    def has_ended(self) -> bool:
        """Whether there are no more windows."""
        return self._has_ended and not self._documents

    def read_block(self) -> list[Tokens | ElbertError]:
        """Return further windows of documents, else the first windows of the next texts."""
        rows = list[Tokens | ElbertError]()
        if not self._ready and not self._has_ended and not self._is_far_ahead():
            first, items = self._num_texts, self.read_items()
            documents = iter(self._build([item for item in items if not isinstance(item, ElbertError)]))
            for number, item in enumerate(items, first):
                document = item if isinstance(item, ElbertError) else next(documents)
                if isinstance(document, ElbertError):
                    rows.append(self._number_row(number, NO_WINDOW, document))
                else:
                    self._documents[number] = document
                    self._take_windows(number)
        while self._ready:
            number, window = self._ready.popleft()
            rows.append(self._number_row(number, window, self._documents[number].windows[window]))
        return rows

    def collect(self, number: int, result: Prediction | Exception) -> tuple[int, Prediction | Exception] | None:
        """Return the number of a text and its result, once it is known, from the result of a window."""
        text, window = self._windows[number]
        document = self._documents.get(text)
        if isinstance(result, Exception):
            is_first = self._documents.pop(text, None) is not None or window == NO_WINDOW
            return (text, result) if is_first else None
        if document is None:  # another window of it failed
            return None
        complete = document.add(window, result)
        if complete is None:
            self._take_windows(text)
            return None
        del self._documents[text]
        return text, complete

    def forget(self, numbers: Iterable[int]) -> None:
        """Keep nothing about rows whose results have been read."""
        for number in numbers:
            self.truncated.discard(number)
            self.sources.pop(number, None)
            del self._windows[number]

    def _is_far_ahead(self) -> bool:
        """Whether enough texts have been read behind the oldest document: their results wait for it, in memory."""
        oldest = next(iter(self._documents), self._num_texts)
        return self._num_texts - oldest > READ_AHEAD

    def _take_windows(self, text: int) -> None:
        self._ready.extend((text, window) for window in self._documents[text].take_windows())

    def _number_row(self, text: int, window: int, row: Tokens | ElbertError) -> Tokens | ElbertError:
        number = self._num_rows
        self._num_rows += 1
        self._windows[number] = text, window
        if isinstance(row, Tokens):
            if row.truncated:
                self.truncated.add(number)
            if texts := self._documents[text].texts:
                self.sources[number] = texts[window], row
        return row
