"""A packed corpus: the token numbers of all documents, with where documents, sentences and words begin, in small files.

Each file (``part-00.npz``, compressed) has whole documents, so that a few of them are a corpus too. Reading needs numpy
alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PART = 12_000_000  # tokens of a file: about 18 MB
ALIKE = "neighbours.npy"  # the file of sentences that are alike


@dataclass(frozen=True)
class PackedCorpus:
    """The corpus in memory.

    tokens:    ``[tokens]`` uint16
    sentences: ``[sentences + 1]``: where each sentence begins, and the end
    documents: ``[documents + 1]``: the first sentence of each document, and the end
    sources:   ``[documents]``: the file that a document is from
    begins:    ``[vocabulary]`` bool: whether a token begins a word
    alike:     ``[pairs, 2]``: numbers of sentences that are alike in meaning (``neighbours.py``); without them, none
    """

    tokens: NDArray[np.uint16]
    sentences: NDArray[np.int64]
    documents: NDArray[np.int64]
    sources: NDArray[np.int64]
    begins: NDArray[np.bool_]
    alike: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    def sentence(self, number: int) -> NDArray[np.uint16]:
        """The tokens of a sentence."""
        return self.tokens[self.sentences[number] : self.sentences[number + 1]]

    def document_starts(self) -> NDArray[np.int64]:
        """``[documents + 1]``: where each document begins in ``tokens``, and the end."""
        return self.sentences[self.documents]

    @staticmethod
    def read(folder: Path) -> PackedCorpus:
        """Read the files of a folder.

        Raises:
            SystemExit: there are none.
        """
        files = sorted(folder.glob("part-*.npz"))
        if not files:
            raise SystemExit(f"{folder}: no packed corpus (part-00.npz); make it with recipes/pack.py")
        parts, alike = [np.load(file) for file in files], folder / ALIKE
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].files}
        return PackedCorpus(
            joined["tokens"],
            np.concatenate(([0], np.cumsum(joined["sentence_lengths"], dtype=np.int64))),
            np.concatenate(([0], np.cumsum(joined["document_lengths"], dtype=np.int64))),
            joined["sources"].astype(np.int64),
            np.load(folder / "words.npy"),
            *([np.load(alike)] if alike.exists() else []),
        )


class Packer:
    """Writes documents, ``(token numbers, lengths of the sentences)``, into the files of a folder."""

    def __init__(self, folder: Path, begins: NDArray[np.bool_], part: int = PART) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("part-*.npz"):
            old.unlink()
        np.save(folder / "words.npy", begins)
        self.folder, self.part = folder, part
        self.documents = self.tokens = self.files = 0
        self._waiting: list[tuple[NDArray[np.uint16], list[int], int]] = []
        self._waiting_tokens = 0

    def add(self, tokens: list[int], sentence_lengths: list[int], source: int) -> None:
        """Add a document; its sentences have together all of its tokens."""
        self._waiting.append((np.array(tokens, np.uint16), sentence_lengths, source))
        self._waiting_tokens += len(tokens)
        if self._waiting_tokens >= self.part:
            self.flush()

    def flush(self) -> None:
        """Write the documents that wait."""
        if not self._waiting:
            return
        tokens, lengths, sources = zip(*self._waiting, strict=True)
        file = self.folder / f"part-{self.files:02d}.npz"
        partial = file.with_name(f".{file.name}")
        np.savez_compressed(
            partial,
            tokens=np.concatenate(tokens),
            sentence_lengths=np.concatenate([np.array(each, np.uint32) for each in lengths]),
            document_lengths=np.array([len(each) for each in lengths], np.uint32),
            sources=np.array(sources, np.uint8),
        )
        partial.rename(file)
        self.files, self.documents = self.files + 1, self.documents + len(tokens)
        self.tokens += self._waiting_tokens
        self._waiting, self._waiting_tokens = [], 0
