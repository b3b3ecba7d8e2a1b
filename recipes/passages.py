"""What a base learns from: a packed corpus's sentences, parts of them, passages and pairs, in batches of one length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from packed_corpus import PackedCorpus

FEWEST = 3  # tokens of a sentence that is used
STRETCH = 40  # sentences of a document that are taken at a time, so that a batch has many authors
# How often a row is a part of a sentence, a passage, two neighbours, a sentence with a foreign one, and a sentence with
# an altered copy of itself; else it is one sentence.
PART, PASSAGE, NEXT, FOREIGN, COPY = 0.15, 0.2, 0.15, 0.1, 0.2
ALIKE = 0.35  # pairs of sentences that are alike, where the corpus has them, for every other row
DROPPED = (0.05, 0.6)  # of the words of an altered copy, drawn evenly; as many of the others change places

Ids = NDArray[np.int64]
Row = tuple[Ids, Ids]
"""The token numbers of a row and their types, ``[tokens]`` each; of a labelled text its label instead of the types."""


@dataclass(frozen=True)
class Border:
    """The tokens around segments: ``[CLS] first [SEP]`` and ``[CLS] first [SEP] second [SEP]``."""

    cls: int
    sep: int


class Passages:
    """Draws rows from a packed corpus, of at most ``longest`` tokens; every source has an equal part."""

    def __init__(self, corpus: PackedCorpus, border: Border, longest: int, seed: int) -> None:
        self.corpus, self.border, self.longest = corpus, border, longest
        self.rng = np.random.default_rng(seed)
        self.of_source = [np.flatnonzero(corpus.sources == source) for source in np.unique(corpus.sources)]
        self._foreign: Ids = np.zeros(0, np.int64)  # a sentence of another document

    def rows(self) -> Iterator[Row]:
        """Without end."""
        while True:
            count = 0
            for row in self.of_document():
                yield row
                count += 1
            for _ in range(self.rng.binomial(count, ALIKE) if len(self.corpus.alike) else 0):
                yield self.of_alike()

    def of_alike(self) -> Row:
        """A pair of sentences that are alike, either one first."""
        pair = self.rng.permutation(self.corpus.alike[int(self.rng.integers(len(self.corpus.alike)))])
        first, second = (self.corpus.sentence(int(number)).astype(np.int64) for number in pair)
        return self._join(first, second)

    def of_document(self) -> Iterator[Row]:
        """The rows of a stretch of one document, in its order, each sentence in at most one."""
        rng, corpus = self.rng, self.corpus
        documents = self.of_source[rng.integers(len(self.of_source))]
        document = int(documents[rng.integers(len(documents))])
        low, high = int(corpus.documents[document]), int(corpus.documents[document + 1])
        first = int(rng.integers(low, max(low + 1, high - STRETCH + 1)))
        starts = corpus.sentences[first : min(first + STRETCH, high) + 1]
        sentences = [
            corpus.tokens[begin:end].astype(np.int64)
            for begin, end in zip(starts[:-1], starts[1:], strict=True)
            if end - begin >= FEWEST
        ]
        at = 0
        while at < len(sentences):
            row, count = self._row(sentences, at)
            yield row
            at += count
        if sentences:
            self._foreign = sentences[int(rng.integers(len(sentences)))]

    def _row(self, sentences: list[Ids], at: int) -> tuple[Row, int]:
        """The next row, and how many sentences it takes."""
        way, here = self.rng.random(), sentences[at]
        if way < PART:
            return self._join(self._part(here)), 1
        way -= PART
        if way < PASSAGE:
            count = self._passage_length(sentences, at)
            return self._join(np.concatenate(sentences[at : at + count])), count
        way -= PASSAGE
        if way < NEXT and at + 1 < len(sentences):
            pair = [here, sentences[at + 1]]
            if self.rng.random() < 0.5:
                pair.reverse()
            return self._join(*pair), 2
        way -= NEXT
        if way < FOREIGN and len(self._foreign):
            return self._join(here, self._foreign), 1
        way -= FOREIGN
        if way < COPY:
            return self._join(here, self._alter(here)), 1
        return self._join(here), 1

    def _passage_length(self, sentences: list[Ids], at: int) -> int:
        """A number of sentences whose tokens reach a length drawn evenly on a logarithmic scale."""
        target = np.exp(self.rng.uniform(np.log(16), np.log(self.longest)))
        count = tokens = 0
        while at + count < len(sentences) and tokens < target:
            tokens += len(sentences[at + count])
            count += 1
        return count

    def _words(self, ids: Ids) -> list[Ids]:
        return np.split(ids, np.flatnonzero(self.corpus.begins[ids[1:]]) + 1)

    def _part(self, ids: Ids) -> Ids:
        """Some words of a sentence, one after the other."""
        words = self._words(ids)
        length = int(self.rng.integers(1, len(words) + 1))
        first = int(self.rng.integers(0, len(words) - length + 1))
        return np.concatenate(words[first : first + length])

    def _alter(self, ids: Ids) -> Ids:
        """The sentence with some words dropped and some in other places."""
        words, dropped = self._words(ids), self.rng.uniform(*DROPPED)
        kept = [word for word in words if self.rng.random() >= dropped] or words
        order = np.arange(len(kept)) + np.where(
            self.rng.random(len(kept)) < dropped, self.rng.normal(0, 4, len(kept)), 0
        )
        return np.concatenate([kept[i] for i in np.argsort(order, kind="stable")])

    def _join(self, first: Ids, second: Ids | None = None) -> Row:
        """A row of one or two segments; the longer one is cut until the row fits."""
        cls, sep = [self.border.cls], [self.border.sep]
        if second is None:
            ids = np.concatenate((cls, first[: self.longest - 2], sep))
            return ids, np.zeros(len(ids), np.int64)
        room = self.longest - 3
        of_first = min(len(first), max(room // 2, room - len(second)))
        second = second[: room - of_first]
        ids = np.concatenate((cls, first[:of_first], sep, second, sep))
        return ids, (np.arange(len(ids)) >= of_first + 2).astype(np.int64)


def token_batches(rows: Iterator[Row], tokens: int) -> Iterator[tuple[Tensor, Tensor]]:
    """``(ids, types)``, each ``[rows, tokens of a row]``: rows of exactly one length, so that nothing is padded.

    Labels are ``[rows]``.
    """
    waiting: dict[int, list[Row]] = {}
    for row in rows:
        same = waiting.setdefault(len(row[0]), [])
        same.append(row)
        if len(same) * len(row[0]) >= tokens:
            del waiting[len(row[0])]
            ids, types = (torch.from_numpy(np.stack(part)) for part in zip(*same, strict=True))
            yield ids, types
