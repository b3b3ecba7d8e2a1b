"""IMDB's labelled training reviews in a random order, without tags of line breaks.

Those that are in the test part too are left out, so that figures on it hold.

    python recipes/reviews.py IMDB_DIR OUT_DIR
"""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SEED = 0
BREAK = "<br />"


def main(source: Path, target: Path) -> None:
    """Write ``train.parquet`` with its ``labels.json`` into ``target``."""
    tested = set(pq.read_table(source / "test.parquet", columns=["text"])["text"].to_pylist())
    rows = pq.read_table(source / "train.parquet", columns=["text", "label"]).to_pylist()
    kept = [(row["text"].replace(BREAK, " "), row["label"]) for row in rows if row["text"] not in tested]
    random.Random(SEED).shuffle(kept)
    target.mkdir(parents=True, exist_ok=True)
    table = pa.table({"text": [text for text, _ in kept], "label": pa.array([label for _, label in kept], pa.int32())})
    pq.write_table(table, target / "train.parquet")
    shutil.copy(source / "labels.json", target)
    print(f"{len(rows):,} reviews, {len(rows) - len(kept):,} are in the test part too")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
