"""Find sentences of a packed corpus that are alike in meaning: the pairs from which [CLS] learns to compare.

    python recipes/neighbours.py --packed WORK/packed [--sentences 40000]

Altered copies share their words, neighbours in a text share little. Between them is what tasks of pairs are about: two
sentences with one meaning in other words. MiniLM's vectors find them: each sentence of a sample, equally many of every
source, is paired with one of its nearest, whose rank is drawn evenly on a logarithmic scale, so that all degrees of
likeness occur. ``neighbours.npy`` beside the corpus has the numbers of both sentences, ``[pairs, 2]``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from packed_corpus import ALIKE, PackedCorpus
from teacher import CLS, SEP, Teacher, mean_over, padded

SHORTEST, LONGEST = 6, 40  # tokens of a sentence that is used
FARTHEST = 64  # rank of a neighbour
ALMOST = 0.98  # cosine from which two sentences are one
BATCH, BLOCK = 256, 2048  # sentences embedded, and compared, at once


def draw_sentences(corpus: PackedCorpus, each: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The numbers of ``each`` sentences of every source, all of different tokens, in a random order."""
    lengths = np.diff(corpus.sentences)
    source = np.repeat(corpus.sources, np.diff(corpus.documents))
    fits = (lengths >= SHORTEST) & (lengths <= LONGEST)
    found: dict[bytes, int] = {}
    for one in np.unique(corpus.sources):
        numbers = rng.permutation(np.flatnonzero(fits & (source == one)))
        for number in numbers[:each].tolist():
            found.setdefault(corpus.sentence(number).tobytes(), number)
    return rng.permutation(np.array(list(found.values()), np.int64))


@torch.no_grad()
def embed(corpus: PackedCorpus, numbers: NDArray[np.int64], teacher: Teacher) -> Tensor:
    """MiniLM's vector of each sentence, of length 1: ``[sentences, width]``."""
    lengths = (corpus.sentences[numbers + 1] - corpus.sentences[numbers]).tolist()
    order = sorted(range(len(numbers)), key=lengths.__getitem__)
    vectors = torch.empty(len(numbers), teacher.bert.config.hidden_size)
    for first in range(0, len(order), BATCH):
        rows = order[first : first + BATCH]
        ids, mask = padded([[CLS, *corpus.sentence(int(numbers[row])).tolist(), SEP] for row in rows])
        states = teacher.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        vectors[rows] = torch.nn.functional.normalize(mean_over(states, mask), dim=-1)
        if first % (100 * BATCH) == 0:
            print(f"{first:,} of {len(order):,} sentences", flush=True)
    return vectors


def pair(vectors: Tensor, rng: np.random.Generator) -> NDArray[np.int64]:
    """For each vector the place of one of its nearest others, ``[vectors]``; -1 where it is almost the same."""
    partners = np.full(len(vectors), -1, np.int64)
    for first in range(0, len(vectors), BLOCK):
        cosines = vectors[first : first + BLOCK] @ vectors.T
        cosines[cosines > ALMOST] = -1.0  # itself, and copies
        nearest = cosines.topk(min(FARTHEST, len(vectors) - 1)).indices.numpy()
        ranks = np.exp(rng.uniform(0, np.log(nearest.shape[1] + 1), len(nearest))).astype(np.int64) - 1
        chosen = np.take_along_axis(nearest, ranks[:, None], 1)[:, 0]
        is_apart = cosines.numpy()[np.arange(len(nearest)), chosen] > -1.0
        partners[first : first + BLOCK] = np.where(is_apart, chosen, -1)
    return partners


def find_neighbours(packed: Path, each: int, seed: int) -> int:
    """Write the pairs beside the corpus, and return their number."""
    rng, corpus = np.random.default_rng(seed), PackedCorpus.read(packed)
    numbers = draw_sentences(corpus, each, rng)
    partners = pair(embed(corpus, numbers, Teacher(2, packed / "teacher").eval()), rng)
    kept = partners >= 0
    pairs = np.stack((numbers[kept], numbers[partners[kept]]), 1)
    partial = packed / f".{ALIKE}"
    np.save(partial, pairs)
    partial.rename(packed / ALIKE)
    return len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packed", type=Path, required=True, help="what pack.py --teacher wrote")
    parser.add_argument("--sentences", type=int, default=40_000, help="of each source")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(f"{find_neighbours(args.packed, args.sentences, args.seed):,} pairs")


if __name__ == "__main__":
    main()
