"""A sketch of the texts of a data set: enough to estimate which share of other texts are among them."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass

SIZE = 2048  # hashes that are kept: 24 kB in hexadecimal digits, whatever the size of the data
BYTES = 6  # of a hash: two different texts of a sketch's size have the same one with a probability below 1e-10

Content = str | tuple[str, str]  # a text or a pair


@dataclass(frozen=True)
class TextSketch:
    """The smallest hashes of the texts of a data set, at most :data:`SIZE` (bottom-k sketch: Cohen and Kaplan 2007).

    They are a random sample of the distinct texts, the same one for every data set. So of other texts, those with a
    hash below :attr:`bound` are in the data set exactly if their hash is in the sketch.
    """

    hashes: frozenset[int]
    bound: int

    @classmethod
    def of(cls, contents: Iterable[Content]) -> TextSketch:
        """Return the sketch of texts."""
        return cls.of_hashes(map(hash_content, contents))

    @classmethod
    def of_hashes(cls, hashes: Iterable[int]) -> TextSketch:
        """Return the sketch of texts with these hashes (:func:`hash_content`)."""
        kept = heapq.nsmallest(SIZE, set(hashes))
        return cls(frozenset(kept), kept[-1] + 1 if len(kept) == SIZE else 1 << 8 * BYTES)

    @classmethod
    def from_hex(cls, digits: str) -> TextSketch:
        """Read a sketch from its digits (:meth:`to_hex`).

        Raises:
            ValueError: they are no hexadecimal digits of a sketch.
        """
        data = bytes.fromhex(digits)
        if len(data) % BYTES or len(data) > SIZE * BYTES:
            raise ValueError(f"{len(digits)} digits, expected at most {SIZE} times {2 * BYTES}")
        return cls.of_hashes(int.from_bytes(data[i : i + BYTES]) for i in range(0, len(data), BYTES))

    def to_hex(self) -> str:
        """Return the hashes as hexadecimal digits, in order."""
        return b"".join(value.to_bytes(BYTES) for value in sorted(self.hashes)).hex()

    def share(self, contents: Iterable[Content]) -> float:
        """Return the share of these texts that are in the data set: exact for one of at most :data:`SIZE` texts.

        Of a larger one it is an estimate, 0 where no text has a hash below the bound.
        """
        return self.share_of_hashes(map(hash_content, contents))

    def share_of_hashes(self, hashes: Iterable[int]) -> float:
        """Return the share of the texts with these hashes (:meth:`share`)."""
        compared = [value for value in hashes if value < self.bound]
        return sum(value in self.hashes for value in compared) / len(compared) if compared else 0.0


def hash_content(content: Content) -> int:
    """Return a hash of a text or a pair; upper and lower case and runs of spaces make no difference."""
    parts = (content,) if isinstance(content, str) else content
    text = "\0".join(" ".join(part.split()).casefold() for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=BYTES).digest())
