"""Figures of the tasks that are not classification of texts: scores of pairs (STS-B), tags of words (SNIPS).

    python experiments/task_figures.py stsb MODEL [--threads N]
    python experiments/task_figures.py snips_slots MODEL [--threads N]

MODEL is a folder that `elbert train` wrote; its command stands in the result. Every policy is chosen on the
validation part; the test part is only reported: full depth, the fixed depth of the same cost, the policy, the score
that it loses, its time against full depth (interleaved, median of rounds), and a baseline without a network. Prints
the table that results/tasks/SET.md has.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from elbert import Classifier
from elbert.evaluation.labelled_data import collect_examples, read_data
from elbert.evaluation.outputs import Outputs
from elbert.evaluation.sweep import Trials, build_families
from elbert.exits import FULL, Policy, fixed_depth
from elbert.model.isolation import use_threads
from elbert.tasks.regression import spearman
from elbert.tasks.spans import NO_TAG, SpanCodes
from lab.command import build_parser, print_line, run_command
from lab.tables import table

SPEEDUPS = (1.2, 1.5, 2.0, 3.0)
ROUNDS = 5
TIMED = 300  # texts


def main(argv: list[str] | None) -> None:
    """Choose on the validation part, report on the test part."""
    parser = build_parser(__doc__)
    parser.add_argument("set", choices=sorted(BASELINES))
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(argv)
    folder = arguments.data_dir / arguments.set
    classifier = Classifier.load(arguments.model, threads=arguments.threads)
    validation, _ = collect_part(classifier, folder / "validation.parquet")
    test, texts = collect_part(classifier, folder / "test.parquet")
    rows = [describe_policy(classifier, test, texts, "full depth", FULL)]
    for speedup, chosen in choose_policies(validation).items():
        rows.append(describe_policy(classifier, test, texts, f"policy at {speedup:g}×", chosen))
        fixed = fixed_depth(max(1, math.floor(test.depths / speedup)))
        rows.append(describe_policy(classifier, test, texts, f"fixed depth at {speedup:g}×", fixed))
    name, baseline = BASELINES[arguments.set](folder)
    score = test.task.score_name
    header = ("test part", score, "lost", "mean depth", "time / full depth", "policy")
    lines = [*rows, (name, f"{100 * baseline:.2f}", "", "", "", "")]
    by_depth = " ".join(f"{100 * Trials(test).score(fixed_depth(k)):.1f}" for k in range(1, test.depths + 1))
    print_line(f"{table(header, lines)}\n\n{score} by depth: {by_depth}")


def collect_part(classifier: Classifier, file: Path) -> tuple[Outputs, list[object]]:
    """The outputs of a part at every depth, and its texts."""
    examples, targets = read_data(classifier, str(file), needs_labels=True)
    kept, outputs = collect_examples(classifier, examples, targets)
    return outputs, [example.content() for example in kept]


def choose_policies(validation: Outputs) -> dict[float, Policy]:
    """The best policy of any family at about each speed-up, on the validation part."""
    trials = Trials(validation)
    families = build_families(validation.depths, content=validation.task.content)
    policies = [policy for family in families.values() for policy in family]
    swept = trials.sweep(list(dict.fromkeys(policies)))
    return {s: swept.policies[place] for s in SPEEDUPS if (place := swept.near(s)) is not None}


def describe_policy(
    classifier: Classifier, test: Outputs, texts: Sequence[object], name: str, policy: Policy
) -> tuple[str, ...]:
    """A line of the table."""
    trials = Trials(test)
    score, full = trials.score(policy), trials.score(FULL)
    depth = trials.depth(policy).mean()
    taken = 1.0 if policy == FULL else measure_time(classifier, texts, policy)
    cells = (f"{100 * score:.2f}", f"{100 * (full - score):+.2f}", f"{depth:.2f}", f"{taken:.2f}")
    return (name, *cells, f"`{policy}`")


def measure_time(classifier: Classifier, texts: Sequence[object], policy: Policy) -> float:
    """Time under a policy divided by that at full depth, of some texts: the median of interleaved rounds."""
    ratios, some = list[float](), texts[:TIMED]
    with use_threads(1):
        for _ in range(ROUNDS):
            taken = list[float]()
            for tried in (FULL, policy):
                begin = time.perf_counter()
                classifier.predict(some, tried)
                taken.append(time.perf_counter() - begin)
            ratios.append(taken[1] / taken[0])
    return statistics.median(ratios)


def score_cosines(folder: Path) -> tuple[str, float]:
    """Spearman of the cosine of both texts' TF-IDF vectors, fitted on the training texts."""
    train, test = (pq.read_table(folder / f"{part}.parquet").to_pydict() for part in ("train", "test"))
    fitted = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit([*train["text"], *train["text_pair"]])
    first, second = (fitted.transform(test[column]) for column in ("text", "text_pair"))
    cosines = np.asarray(first.multiply(second).sum(1)).ravel()
    return "cosine of TF-IDF", spearman(cosines, np.array(test["label"], np.float64))


def score_common_tags(folder: Path) -> tuple[str, float]:
    """Span F1 of each word's most frequent tag in the training part."""
    train, test = (pq.read_table(folder / f"{part}.parquet").to_pydict() for part in ("train", "test"))
    seen: dict[str, Counter[str]] = {}
    for words, tags in zip(train["tokens"], train["tags"], strict=True):
        for word, tag in zip(words, tags, strict=True):
            seen.setdefault(word.lower(), Counter())[tag] += 1
    tags = [[seen[w.lower()].most_common(1)[0][0] if w.lower() in seen else "O" for w in row] for row in test["tokens"]]
    names = sorted({tag for row in [*train["tags"], *test["tags"]] for tag in row})
    found, true = (number_tags(rows, names) for rows in (tags, test["tags"]))
    right, ours, theirs = SpanCodes(names).count(found, true).sum(0)
    return "a word's most frequent tag", 2 * right / (ours + theirs)


def number_tags(rows: Sequence[Sequence[str]], names: Sequence[str]) -> NDArray[np.int64]:
    """``[rows, words]``: the numbers of the tags."""
    numbers = np.full((len(rows), max(map(len, rows))), NO_TAG, np.int64)
    for number, row in enumerate(rows):
        numbers[number, : len(row)] = [names.index(tag) for tag in row]
    return numbers


BASELINES = {"stsb": score_cosines, "snips_slots": score_common_tags}

if __name__ == "__main__":
    run_command(main)
