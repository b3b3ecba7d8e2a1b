"""Cut a held-out part from SST-2's training split, sentence by sentence.

SST-2's training rows are phrases of the same sentences, so a random cut would put a phrase on one side and
its sentence on the other. Here whole sentences are drawn, and every row that is a run of words of a drawn
sentence, and of no other, leaves the training part. What is held out chooses checkpoints and dials; validation and
test stay untouched for reporting.

    python recipes/held_out.py SST2_DIR OUT_DIR
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SENTENCES = 800
SHORTEST = 6  # words; shorter maximal rows are mostly stray phrases
SEED = 0


def word_runs(text: str) -> set[str]:
    """Every contiguous run of words of ``text``."""
    words = text.split()
    return {" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}


def maximal(texts: list[str]) -> list[str]:
    """The rows that are no part of another row: the sentences."""
    parts: set[str] = set()
    sentences = []
    for text in sorted(set(texts), key=lambda t: (-len(t.split()), t)):
        if text not in parts:
            sentences.append(text)
            parts |= word_runs(text)
    return sentences


def main(source: Path, target: Path) -> None:
    """Write ``train.parquet`` and ``held_out.parquet`` with their ``labels.json`` into ``target``."""
    rows = pq.read_table(source / "train.parquet").to_pylist()
    clean = [(row["text"].strip(), row["label"]) for row in rows]
    sentences = maximal([text for text, _ in clean])
    long_enough = [s for s in sentences if len(s.split()) >= SHORTEST]
    drawn = set(random.Random(SEED).sample(long_enough, SENTENCES))
    kept = set().union(*(word_runs(s) for s in sentences if s not in drawn))
    gone = set().union(*(word_runs(s) for s in drawn)) - kept
    parts = {
        "held_out": [(t, y) for t, y in dict(clean).items() if t in drawn],
        "train": [(t, y) for t, y in clean if t not in gone],
    }
    target.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        random.Random(SEED).shuffle(part)
        table = pa.table({"text": [t for t, _ in part], "label": pa.array([y for _, y in part], pa.int32())})
        pq.write_table(table, target / f"{name}.parquet")
    (target / "labels.json").write_text((source / "labels.json").read_text())
    print(f"{len(rows)} rows, {len(sentences)} sentences -> " + str({k: len(v) for k, v in parts.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
