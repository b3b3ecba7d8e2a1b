"""Spans of tags: what BIO and BIOES tags mean, as arrays, so that thousands of policies can be scored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NO_TAG = -1  # after a text's last word, and of words without a prediction
OUTSIDE = 0  # the code of words outside all spans
Codes = NDArray[np.int64]


def split_tag(name: str) -> tuple[str, str]:
    """The prefix of a tag (B, I, E, S, or O outside) and its type; a name without a prefix continues its type."""
    if name == "O":
        return "O", ""
    return (name[0], name[2:]) if name[:2] in ("B-", "I-", "E-", "S-") else ("I", name)


class SpanCodes:
    """The spans of tag sequences, by the rules of conlleval and seqeval.

    A span begins at B or S, after another type, and after E or S. The code of a word is 0 outside, else twice its
    type's number, and one more where a span begins: two sequences have the same spans where their codes are equal.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        tags = [split_tag(name) for name in labels]
        types = {kind: number for number, kind in enumerate(dict.fromkeys(kind for _, kind in tags), 1)}
        # The last entry is that of NO_TAG, -1.
        self._type = np.array([0 if prefix == "O" else types[kind] for prefix, kind in tags] + [0], np.int64)
        self._begins = np.array([prefix in "BS" for prefix, _ in tags] + [False])
        self._ends = np.array([prefix in "ES" for prefix, _ in tags] + [False])

    def of(self, tags: NDArray[np.integer]) -> Codes:
        """``[..., words]``: the code of each word."""
        kind = self._type[tags]
        before = np.zeros_like(kind)
        before[..., 1:] = kind[..., :-1]
        begins = self._begins[tags] | (kind != before)
        begins[..., 1:] |= self._ends[tags][..., :-1]
        return np.asarray(np.where(kind == OUTSIDE, OUTSIDE, 2 * kind + begins))

    def count(self, tags: NDArray[np.integer], labels: NDArray[np.integer]) -> NDArray[np.int64]:
        """``[..., 3]`` from ``[..., words]``: predicted spans that are true, predicted and true spans of each text."""
        found, true = self.of(tags), self.of(labels)
        right = (found & 1 == 1) & (found == true) & (find_ends(found) == find_ends(true))
        shape = np.broadcast_shapes(found.shape, true.shape)[:-1]
        counts = (right.sum(-1), (found & 1).sum(-1), (true & 1).sum(-1))
        return np.stack([np.broadcast_to(part, shape) for part in counts], -1)


def find_ends(codes: Codes) -> Codes:
    """``[..., words]``: the next word, or the end, at which a span that includes this word does not continue."""
    words = codes.shape[-1]
    ends = np.full((*codes.shape[:-1], words), words, np.int64)
    is_boundary = (codes == OUTSIDE) | (codes & 1 == 1)
    position = np.where(is_boundary, np.arange(words), words)
    nearest = np.flip(np.minimum.accumulate(np.flip(position, -1), -1), -1)
    ends[..., :-1] = nearest[..., 1:]
    return ends
