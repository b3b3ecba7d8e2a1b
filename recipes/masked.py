"""The tasks of pretraining: masked words in n-grams, and whether two segments are in their order (Lan et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from packed_corpus import PackedCorpus

SHARE = 0.15  # of the tokens are masked
LONGEST = 3  # words in an n-gram; n is drawn in proportion to 1/n
IGNORED = -100

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """A batch: ``ids, types, labels [rows, tokens]`` (:data:`IGNORED` where nothing is masked), ``swapped [rows]``."""

    ids: Ints
    types: Ints
    labels: Ints
    swapped: Ints


@dataclass(frozen=True)
class Specials:
    """Token numbers with a meaning of their own."""

    cls: int
    sep: int
    mask: int
    pad: int


class Corpus:
    """A packed corpus (``pack.py``), from which batches are drawn at random."""

    def __init__(self, folder: Path, specials: Specials, tokens: int, seed: int) -> None:
        packed = PackedCorpus.read(folder)
        self.tokens, self.starts, self.begins = packed.tokens, packed.document_starts(), packed.begins
        self.specials, self.room = specials, tokens - 3  # [CLS] first [SEP] second [SEP]
        self.rng = np.random.default_rng(seed)

    def batch(self, rows: int) -> Batch:
        """Rows of equal length; a document that is too short is filled up, and its filling asks nothing."""
        drawn = [self._row() for _ in range(rows)]
        return Batch(*(np.stack([row[part] for row in drawn]) for part in range(4)))

    def _row(self) -> tuple[Ints, Ints, Ints, Ints]:
        first, second, swapped = self._segments()
        s, width = self.specials, self.room + 3
        ids = np.full(width, s.pad, np.int64)
        types, labels = np.zeros(width, np.int64), np.full(width, IGNORED, np.int64)
        end = 2 + len(first)
        ids[0], ids[1 : end - 1], ids[end - 1] = s.cls, first, s.sep
        ids[end : end + len(second)], ids[end + len(second)] = second, s.sep
        types[end : end + len(second) + 1] = 1
        spoken = np.r_[1 : end - 1, end : end + len(second)]
        self._mask(ids, labels, spoken)
        return ids, types, labels, np.array(int(swapped))

    def _segments(self) -> tuple[Ints, Ints, bool]:
        # A place in the corpus, not a document, is drawn: long documents are read as often as they are long.
        place = self.rng.integers(len(self.tokens))
        document = int(np.searchsorted(self.starts, place, side="right")) - 1
        low, high = int(self.starts[document]), int(self.starts[document + 1])
        start = max(low, min(int(place), high - self.room))
        run = np.asarray(self.tokens[start : min(start + self.room, high)], np.int64)
        cut = int(self.rng.integers(len(run) // 4, len(run) * 3 // 4 + 1))
        cut = max(1, min(cut, len(run) - 1))
        swapped = bool(self.rng.random() < 0.5)
        return (run[cut:], run[:cut], True) if swapped else (run[:cut], run[cut:], False)

    def _mask(self, ids: Ints, labels: Ints, spoken: Ints) -> None:
        words = np.split(spoken, np.flatnonzero(self.begins[ids[spoken]][1:]) + 1)
        remaining = max(1, round(SHARE * len(spoken)))
        odds = 1 / np.arange(1, LONGEST + 1)
        for first in self.rng.permutation(len(words)):
            if remaining <= 0:
                break
            n = int(self.rng.choice(LONGEST, p=odds / odds.sum())) + 1
            gram = np.concatenate(words[first : first + n])
            gram = gram[labels[gram] == IGNORED]
            if not len(gram) or (len(gram) > remaining and (labels != IGNORED).any()):
                continue
            remaining -= len(gram)
            labels[gram] = ids[gram]
            fate = self.rng.random()  # of the whole n-gram: 80 % masked, 10 % others, 10 % as they are
            if fate < 0.8:
                ids[gram] = self.specials.mask
            elif fate < 0.9:
                ids[gram] = self.rng.integers(len(self.begins), size=len(gram))
