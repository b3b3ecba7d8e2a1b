"""Pack a corpus beforehand: every document as one run of token numbers in a file that training reads as memory.

    python recipes/pack.py --corpus A.parquet B.parquet --tokenizer FOLDER --output PACKED

Writes ``tokens.npy`` (uint16, all documents one after the other), ``starts.npy`` (where each begins, and the end) and
``words.npy`` (which token numbers begin a word: masking takes whole words).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from tokenizers import Tokenizer

FEWEST = 32  # tokens; shorter documents have no two segments to put in order
BLOCK = 256  # documents tokenised at once
WORD = "▁"  # how SentencePiece marks the beginning of a word


def documents(files: list[Path]) -> Iterator[list[str]]:
    """Blocks of documents of all files."""
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(BLOCK, columns=["text"]):
            yield [text for text in batch.column(0).to_pylist() if text and text.strip()]


def pack(files: list[Path], tokenizer: Tokenizer, output: Path) -> tuple[int, int]:
    """Write the packed corpus; ``(documents, tokens)``."""
    if tokenizer.get_vocab_size() > np.iinfo(np.uint16).max:
        raise SystemExit("the packed form holds token numbers up to 65,535; this vocabulary is larger")
    output.mkdir(parents=True, exist_ok=True)
    lengths: list[int] = []
    with (output / "tokens.raw").open("wb") as raw:
        for block in documents(files):
            for encoding in tokenizer.encode_batch_fast(block, add_special_tokens=False):
                if len(encoding) >= FEWEST:
                    raw.write(np.array(encoding.ids, np.uint16).tobytes())
                    lengths.append(len(encoding))
    if not lengths:
        raise SystemExit(f"no document of at least {FEWEST} tokens in {', '.join(map(str, files))}")
    np.save(output / "tokens.npy", np.fromfile(output / "tokens.raw", np.uint16))
    (output / "tokens.raw").unlink()
    np.save(output / "starts.npy", np.concatenate(([0], np.cumsum(lengths))))
    begins = np.zeros(tokenizer.get_vocab_size(), bool)
    begins[[number for piece, number in tokenizer.get_vocab().items() if piece.startswith(WORD)]] = True
    np.save(output / "words.npy", begins)
    return len(lengths), sum(lengths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", nargs="+", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True, help="a folder with tokenizer.json")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    count, tokens = pack(args.corpus, tokenizer, args.output)
    print(f"{count:,} documents, {tokens:,} tokens")


if __name__ == "__main__":
    main()
