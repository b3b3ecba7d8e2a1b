"""What ``elbert train`` reaches with its defaults on few rows, against TF-IDF with a linear SVM on the same rows.

    python benchmarks/training_defaults.py --data-dir DIR [--sets trec6 cr] [--rows 500 1500] [--threads 1]
    python benchmarks/training_defaults.py --data-dir DIR --sets trec6 --rows 500 --option learning_rate=2e-4
    python benchmarks/training_defaults.py --data-dir DIR --model models/base --sets stsb --rows 1500
    python benchmarks/training_defaults.py --data-dir DIR --model models/base --sets stsb --rows 500 --tuned
    python benchmarks/training_defaults.py --table

``DIR/SET`` has ``train.parquet``, ``labels.json`` and ``test.parquet``, or ``folds.json``, whose first fold is then the
test, or ``validation.parquet``. Without ``labels.json`` labels are numbers: scores are Spearman's, and the plain
baseline is the cosine of TF-IDF. The rows are the first of a fixed random order. Nothing but model and data is set: a
tenth of the rows is held out to choose the checkpoint, while the SVM trains on all of them. ``--option`` changes a
setting; ``--tuned`` tries ten settings, one after another. Every run adds a line to the results; the last one of a
model, a set, a size and its options counts, and ``--table`` prints those of today's defaults as the documentation shows
them.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

import elbert
from elbert import Classifier
from elbert.evaluation import collect
from elbert.evaluation.sweep import Trials
from elbert.exits import fixed_depth
from elbert.tasks.regression import spearman
from elbert.training.defaults import choose_rate
from tables import draw_table

RESULTS = Path(__file__).parent / "results" / "training_defaults.jsonl"
SETS = ("trec6", "cr", "sst2", "banking77", "subj", "mrpc")
MODEL = "bundled"  # of the tables; ``models/base`` is its encoder
TITLES = {
    "sst2": "SST-2",
    "mr": "MR",
    "cr": "CR",
    "imdb": "IMDB",
    "subj": "SUBJ",
    "trec6": "TREC-6",
    "ag_news": "AG News",
    "banking77": "Banking77 (77 classes)",
    "clinc150": "CLINC150 (150 classes)",
    "cola": "CoLA",
    "mrpc": "MRPC (pairs)",
    "rte": "RTE (pairs)",
    "stsb": "STS-B (pairs, Spearman)",
}
TUNED: tuple[dict[str, Any], ...] = (  # what a person who tunes by hand would try
    {"learning_rate": 5e-5},
    {"learning_rate": 2e-4},
    {"learning_rate": 3e-4},
    {"learning_rate": 5e-4},
    {"num_train_epochs": 25.0},
    {"learning_rate": 3e-4, "num_train_epochs": 25.0},
    {"learning_rate": 3e-4, "num_train_epochs": 25.0, "head_start": "random"},
    {"pooling": "mean"},
    {"pooling": "mean", "learning_rate": 3e-4},
    {"weighting": "last-heavy"},
)
HELD_BACK, MOST_TEST, SEED = 300, 500, 0  # rows before the training rows, which other studies choose settings on


def main() -> None:
    """Run every set and size, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print what is kept, and run nothing")
    parser.add_argument("--data-dir", type=Path, help="needed for runs")
    parser.add_argument("--model", default="bundled", help="a folder, or bundled")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--rows", nargs="+", type=int, default=(500, 1500))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of elbert.train")
    parser.add_argument("--tuned", action="store_true", help="each of ten settings instead of the defaults")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.table:
        results = [json.loads(line) for line in arguments.output.read_text("utf-8").splitlines()]
        print(draw_cells(results), draw_tuned(results), sep="\n\n")
        return
    if arguments.data_dir is None:
        parser.error("runs need --data-dir")
    torch.set_num_threads(arguments.threads)
    options = dict(option.split("=", 1) for option in arguments.option)
    tried = TUNED if arguments.tuned else ({key: parse_value(value) for key, value in options.items()},)
    for rows, name, settings in product(arguments.rows, arguments.sets, tried):
        result = measure(arguments.model, arguments.data_dir / name, rows, settings)
        with arguments.output.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        print(result, flush=True)


def select_defaults(results: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """The last results of today's defaults from the bundled model, by set and size."""
    rate = choose_rate(Classifier.load().bundle.config.hidden_size)
    kept = {}
    for result in results:
        # On IMDB max_length 256 was an option before the data chose it.
        is_default = not set(result["options"]) - {"learning_rate", "max_length"} and result.get("head") == "fitted"
        if result["model"] == MODEL and is_default and result["rate"] == rate:
            kept[result["set"], result["rows"]] = result
    return kept


def draw_tuned(results: list[dict[str, Any]]) -> str:
    """A row for each cell in which settings of ``TUNED`` were tried: full depth of the defaults, and of the best."""
    defaults = select_defaults(results)
    tried: dict[tuple[str, int], dict[int, float]] = {}
    for result in results:
        is_from_model = result["model"] == MODEL and result["head"] == result["options"].get("head_start", "fitted")
        if is_from_model and result["options"] in TUNED:
            scores = tried.setdefault((result["set"], result["rows"]), {})
            scores[TUNED.index(result["options"])] = result["full_depth"]
    lines = []
    for (name, rows), scores in sorted(tried.items()):
        one = defaults[name, rows]
        best = max(scores, key=scores.__getitem__)
        setting = ", ".join(f"{key} {value}" for key, value in TUNED[best].items())
        cells = (one["svm"], one["full_depth"], scores[best])
        lines.append([f"{TITLES[name]}, {rows:,}", *(f"{100 * cell:.1f}" for cell in cells), setting, str(len(scores))])
    return draw_table(["cell", "TF-IDF", "defaults", "best tried", "its setting", "tried"], lines, words=1)


def draw_cells(results: list[dict[str, Any]]) -> str:
    """A row for each set and size: the plain baseline, and full depth of what was trained from the bundled model.

    Results of other settings than today's defaults are passed over.
    """
    kept = select_defaults(results)
    header = ["set", "rows", "TF-IDF", "majority", "`elbert train`", "best depth"]
    lines = []
    for name, title in TITLES.items():
        for (_, rows), one in sorted((cell, result) for cell, result in kept.items() if cell[0] == name):
            depths = one["by_depth"]
            majority = "–" if one["majority"] is None else f"{100 * one['majority']:.1f}"
            best = f"{100 * max(depths):.1f} ({depths.index(max(depths)) + 1})"
            lines.append([title, f"{rows:,}", f"{100 * one['svm']:.1f}", majority, f"{100 * depths[-1]:.1f}", best])
    return draw_table(header, lines, words=1)


def measure(model: str, folder: Path, rows: int, options: dict[str, Any]) -> dict[str, Any]:
    """Train on the first rows, and score both on the test."""
    train, test = read_parts(folder, rows)
    labels = folder / "labels.json"
    names = json.loads(labels.read_text("utf-8")) if labels.exists() else None
    problem = "single-label" if names else "regression"
    began, processor = time.perf_counter(), time.process_time()
    classifier = elbert.train(model, train=as_columns(train), labels=names, problem=problem, verbose=True, **options)
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    record = json.loads((classifier.bundle.folder / "training.json").read_text("utf-8"))
    truth = [row["label"] for row in test]
    outputs = collect(classifier, texts_of(test), truth)
    trials = Trials(outputs)
    by_depth = [trials.score(fixed_depth(depth)) for depth in range(1, outputs.depths + 1)]
    return {
        "model": Path(model).name,
        "set": folder.name,
        "rows": rows,
        "options": options,
        "rate": options.get("learning_rate", choose_rate(classifier.bundle.config.hidden_size)),
        "head": options.get("head_start", "fitted"),
        "test_rows": len(test),
        "majority": round(max(Counter(truth).values()) / len(truth), 4) if names else None,
        "svm": round(score_svm(train, test) if names else score_cosines(train, test), 4),
        "full_depth": round(by_depth[-1], 4),
        "by_depth": [round(score, 4) for score in by_depth],
        "validation": round(record["metrics"][f"eval_depth_{outputs.depths}"], 4),
        "steps": record["steps"],
        "seconds": round(seconds),
        "processor_seconds": round(processor),
    }


def parse_value(text: str) -> float | str:
    """The value of an option: a number, or else a word."""
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        return text


def read_parts(folder: Path, rows: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """``rows`` training rows, and the test rows, both in a fixed random order."""
    table = pq.read_table(folder / "train.parquet").to_pylist()
    order = list(range(len(table)))
    official = [file for name in ("test", "validation") if (file := folder / f"{name}.parquet").exists()]
    if official:
        test = pq.read_table(official[0]).to_pylist()
    else:
        fold = json.loads((folder / "folds.json").read_text("utf-8"))["folds"][0]
        order, test = sorted(set(order) - set(fold)), [table[i] for i in fold]
    random.Random(SEED).shuffle(order)
    random.Random(SEED + 1).shuffle(test)
    return [table[i] for i in order[HELD_BACK : HELD_BACK + rows]], test[:MOST_TEST]


def as_columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns, as ``elbert.train`` takes them."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def texts_of(rows: list[dict[str, Any]]) -> list[Any]:
    """Texts, or pairs of texts."""
    return [(row["text"], row["text_pair"]) if "text_pair" in row else row["text"] for row in rows]


def score_svm(train: list[dict[str, Any]], test: list[dict[str, Any]]) -> float:
    """The accuracy of TF-IDF of words and pairs of words with a linear SVM (C = 0.5)."""
    joined = [[" ".join(filter(None, (row["text"], row.get("text_pair")))) for row in part] for part in (train, test)]
    table = TfidfVectorizer(ngram_range=(1, 2))
    svm = LinearSVC(C=0.5, random_state=0).fit(table.fit_transform(joined[0]), [row["label"] for row in train])
    return float(svm.score(table.transform(joined[1]), [row["label"] for row in test]))


def score_cosines(train: list[dict[str, Any]], test: list[dict[str, Any]]) -> float:
    """Spearman's correlation of the labels with the cosine of both texts' TF-IDF of words and pairs of words."""
    table = TfidfVectorizer(ngram_range=(1, 2)).fit([row[name] for row in train for name in ("text", "text_pair")])
    one, other = (table.transform([row[name] for row in test]) for name in ("text", "text_pair"))
    return spearman(np.asarray(one.multiply(other).sum(1)).ravel(), np.array([row["label"] for row in test]))


if __name__ == "__main__":
    main()
