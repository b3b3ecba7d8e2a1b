"""The linear baseline that every transformer should beat: TF-IDF of words and pairs of words, and a linear SVM.

``published`` are the figures of the data's own README, on all training rows; ``baselines`` are ours, on the very parts
that the networks get.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elbert._optional import require
from elbert.data import read_examples
from lab.parts import Prepared
from lab.places import ROOT, Places

PUBLISHED = ROOT / "experiments" / "linear_published.csv"


def published() -> dict[str, dict[str, str]]:
    """By set: what it was scored on, training rows, accuracy, macro F1, share of the largest class."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return {row["set"]: row for row in csv.DictReader(file)}


def best_simple(ours: Mapping[str, Any] | None, theirs: Mapping[str, str] | None) -> float | None:
    """The better of the linear SVM on our rows and the largest class: what needs no network."""
    known = [] if ours is None else [float(ours["accuracy"])]
    known += [] if theirs is None else [float(theirs["majority"])]
    return max(known, default=None)


LINEAR = "linear"  # the record of the baselines on our own parts


def measure(prepared: Prepared) -> dict[str, Any]:
    """Train the baseline on the training part and score it on the test part: seconds, no dial to choose."""
    text, svm = require("sklearn.feature_extraction.text", "train"), require("sklearn.svm", "train")
    (train, labels), (test, truth) = (read_texts(prepared.file(part)) for part in ("train", "test"))
    table = text.TfidfVectorizer(ngram_range=(1, 2))
    model = svm.LinearSVC(C=0.5, random_state=0).fit(table.fit_transform(train), labels)
    predicted = model.predict(table.transform(test))
    right = sum(int(a == b) for a, b in zip(predicted.tolist(), truth, strict=True))
    return {"accuracy": round(right / len(truth), 4), "train": len(train), "test": len(test), "data": prepared.hashes}


def read_texts(file: Path) -> tuple[list[str], list[Any]]:
    """Texts, both of a pair in one, and labels."""
    examples = list(read_examples(str(file)))
    return [" ".join(filter(None, (e.text, e.text_pair))) for e in examples], [e.label for e in examples]


def measure_baselines(places: Places, sets: Sequence[Prepared]) -> dict[str, dict[str, Any]]:
    """The baselines on our parts, measured where they are not known yet."""
    known = places.records.read(LINEAR) or {}
    for prepared in sets:
        if known.get(prepared.data.name, {}).get("data") != prepared.hashes:
            known[prepared.data.name] = measure(prepared)
            places.records.write(LINEAR, dict(sorted(known.items())))
    return known
