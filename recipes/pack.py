"""Pack a corpus beforehand: every document as one run of token numbers, cut into sentences, in small compressed files.

    python recipes/pack.py --corpus A.parquet B.parquet --tokenizer FOLDER --output PACKED

With ``--teacher`` instead of ``--tokenizer`` it is what ``carry_general.py`` needs, also on a machine that lacks MiniLM
and pyarrow. The form is described in ``packed_corpus.py``. Masking takes whole words, so ``words.npy`` says which
tokens begin one.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer

from packed_corpus import PART, Packer
from teacher import Teacher, copy_tokenizer, minilm_folder

FEWEST = 32  # tokens; shorter documents have no two segments to put in order
SHARD = "20MB"  # of a file of the teacher's weights
BLOCK = 256  # documents tokenised at once
END = re.compile(r"(?<=[.!?])\s+|\n")  # of a sentence
SENTENCE_PIECE, WORD_PIECE = "▁", "##"  # begins a word; continues one


def documents(file: Path) -> Iterator[list[str]]:
    """Blocks of the documents of a file."""
    for batch in pq.ParquetFile(file).iter_batches(BLOCK, columns=["text"]):
        yield [text.replace("<br />", "\n") for text in batch.column(0).to_pylist() if text and text.strip()]


def words_begin(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """``[vocabulary]``: which tokens begin a word."""
    vocabulary = tokenizer.get_vocab()
    continues = any(piece.startswith(WORD_PIECE) for piece in vocabulary)
    begins = np.zeros(tokenizer.get_vocab_size(), bool)
    for piece, number in vocabulary.items():
        begins[number] = not piece.startswith(WORD_PIECE) if continues else piece.startswith(SENTENCE_PIECE)
    return begins


def sentence_lengths(text: str, offsets: list[tuple[int, int]]) -> list[int]:
    """How many tokens each sentence of a text has; sentences without tokens are left out."""
    ends = np.array([match.end() for match in END.finditer(text)])
    sentence = np.searchsorted(ends, np.array([last - 1 for _, last in offsets]), side="right")
    lengths = np.bincount(sentence)
    return [int(length) for length in lengths if length]


def pack(files: list[Path], tokenizer: Tokenizer, output: Path, part: int = PART) -> tuple[int, int]:
    """Write the packed corpus; ``(documents, tokens)``."""
    if tokenizer.get_vocab_size() > np.iinfo(np.uint16).max:
        raise SystemExit("the packed form holds token numbers up to 65,535; this vocabulary is larger")
    packer = Packer(output, words_begin(tokenizer), part)
    for source, file in enumerate(files):
        for block in documents(file):
            for text, encoding in zip(block, tokenizer.encode_batch(block, add_special_tokens=False), strict=True):
                if len(encoding) >= FEWEST:
                    packer.add(encoding.ids, sentence_lengths(text, encoding.offsets), source)
    packer.flush()
    if not packer.documents:
        raise SystemExit(f"no document of at least {FEWEST} tokens in {', '.join(map(str, files))}")
    return packer.documents, packer.tokens


def export_teacher(output: Path) -> None:
    """Write MiniLM in float16, in files that are small enough to be carried to another machine."""
    Teacher(2).bert.half().save_pretrained(output, max_shard_size=SHARD)
    copy_tokenizer(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", nargs="+", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, help="a folder with tokenizer.json; without it MiniLM's is used")
    parser.add_argument("--teacher", action="store_true", help="also write MiniLM, in float16, to OUTPUT/teacher")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    if args.teacher:
        export_teacher(args.output / "teacher")
    tokenizer = Tokenizer.from_file(str((args.tokenizer or minilm_folder()) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    count, tokens = pack(args.corpus, tokenizer, args.output)
    print(f"{count:,} documents, {tokens:,} tokens")


if __name__ == "__main__":
    main()
