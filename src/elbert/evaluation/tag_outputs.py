"""Outputs of token classification: the predicted tags of every word at every depth, and the signals of each text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from elbert._display import plural
from elbert.errors import InputError
from elbert.exits.signals import SIGNALS
from elbert.exits.token_trace import read_signals
from elbert.inference import Exits
from elbert.model import ModelConfig
from elbert.tasks.spans import NO_TAG
from elbert.tokenization import Tokens
from elbert.tokenization.tokens import Text
from elbert.tokenization.word_pieces import find_word_pieces


class TagCollector:
    """Collects tags ``[n, depths, words]`` and signals ``[n, depths]`` from texts that exit at full depth.

    Words are those of a data file, separated by one space each; a word without a piece, or beyond the model's length,
    has no tag.
    """

    def __init__(self, config: ModelConfig, texts: Sequence[Text], rows: Mapping[int, Tokens]) -> None:
        self._places = {number: find_word_pieces(str(texts[number]), row.pieces) for number, row in rows.items()}
        self._rows = rows
        longest = max(map(len, self._places.values()), default=0)
        shape = len(texts), config.depths
        self.tags = np.full((*shape, longest), NO_TAG, np.int64)
        self.signals = {
            name: np.zeros(shape, np.float32) for name, signal in SIGNALS.items() if signal.needs == "probabilities"
        }

    def add(self, numbers: NDArray[np.int64], exits: Exits) -> None:
        """Add texts, by their numbers, that exited with their whole trace."""
        if exits.trace is None or exits.counts is None:
            return
        pieces = [self._rows[number].pieces for number in numbers.tolist()]
        is_first = np.concatenate([part.is_first for part in pieces])
        for name, values in read_signals(exits.trace, exits.counts, is_first, self.signals).items():
            self.signals[name][numbers] = values
        best, end = exits.trace.argmax(-1), 0
        for number, part in zip(numbers.tolist(), pieces, strict=True):
            answer = {position: end + index for index, position in enumerate(part.positions.tolist())}
            for word, position in enumerate(self._places[number]):
                if position >= 0:
                    self.tags[number, :, word] = best[answer[position]]
            end += len(part)

    def pad_labels(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the labels ``[n, words]`` as wide as the tags.

        Raises:
            InputError: a text has not as many words as tags.
        """
        for number, places in self._places.items():
            if (count := int((labels[number] != NO_TAG).sum())) != len(places):
                raise InputError(
                    f"text {number}: {plural(count, 'tag')} for {plural(len(places), 'word')}; expected one for each"
                )
        padded = np.full((len(labels), self.tags.shape[2]), NO_TAG, np.int64)
        width = min(labels.shape[1], padded.shape[1])
        padded[:, :width] = labels[:, :width]
        return padded
