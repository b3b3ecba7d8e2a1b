"""Rankings that stop early: the list-wise policy beside full depth and fixed depths, on lists made from data sets.

    python experiments/ranking.py --set stsb --model FOLDER [--lists 200] [--timed 60]
    python experiments/ranking.py --set sst2 --write-ranker --model FOLDER    # from the bundled model, without training

FOLDER is a regression that ``elbert train --problem regression`` made on STS-B, for ``stsb`` and ``mrpc``. Lists have
one query and 20 texts:

- ``stsb``: a first sentence, its own second sentence, and 19 others at random;
- ``mrpc``: a first sentence, its paraphrase, and the 19 sentences that share most words with it, which are hard;
- ``sst2``: a constant query and 20 sentences at random, the most positive first.

Lists of another part choose the dials. Time is measured in turns: every policy runs once in each round. Sets with
queries have a baseline without a network: the cosine of TF-IDF vectors, fitted on the training part.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer

from elbert import Classifier
from elbert.bundle import Bundle
from elbert.bundle.folder import read_config_file
from elbert.calibration.rankings import build_policies, measure_ranking
from elbert.exits import FULL, Policy, fixed_depth
from elbert.ranking.ranking_outputs import RankingOutputs, collect_rankings
from lab.command import print_line
from lab.places import Places

QueryLists = list[tuple[str, list[str], set[int]]]  # query, texts, and which of them are relevant
OTHERS = 19
TOPS = (1, 5)
ALLOWED = (0.0, 0.02, 0.05)  # shares of changed lists on the tuning part, for each of which a policy is chosen
REVIEW = "a film review"
SENTIMENT_DEVIATION = 4.0  # of the difference of the bundled model's logits over SST-2's validation part, about


def read_columns(file: Path) -> dict[str, list[Any]]:
    """The columns of a part."""
    import pyarrow.parquet as parquet

    columns: dict[str, list[Any]] = parquet.read_table(file).to_pydict()
    return columns


def make_random_lists(folder: Path, part: str, count: int) -> QueryLists:
    """Each first text with its own second text and others at random."""
    columns = read_columns(folder / "stsb" / f"{part}.parquet")
    first, second = columns["text"], columns["text_pair"]
    rng = np.random.default_rng(0)
    lists = QueryLists()
    for i in rng.permutation(len(first))[:count].tolist():
        others = [second[j] for j in rng.permutation(len(second)).tolist() if second[j] != second[i]]
        lists.append((first[i], [second[i], *others[:OTHERS]], {0}))
    return lists


def make_hard_lists(folder: Path, part: str, count: int) -> QueryLists:
    """Each first text of a paraphrase with its paraphrase and the second texts that share most words with it."""
    columns = read_columns(folder / "mrpc" / f"{part}.parquet")
    first, second = columns["text"], columns["text_pair"]
    words = [set(text.lower().split()) for text in second]
    lists = QueryLists()
    for i in np.random.default_rng(0).permutation(np.flatnonzero(np.array(columns["label"]) == 1))[:count].tolist():
        own = set(first[i].lower().split())
        shared = [-len(own & found) / len(own | found) for found in words]
        others = [j for j in np.argsort(shared, kind="stable").tolist() if second[j] != second[i]]
        lists.append((first[i], [second[i], *(second[j] for j in others[:OTHERS])], {0}))
    return lists


def make_sentiment_lists(folder: Path, part: str, count: int) -> QueryLists:
    """A constant query with sentences at random, of which the positive ones are relevant."""
    columns = read_columns(folder / "sst2" / f"{part}.parquet")
    rng = np.random.default_rng(0)
    lists = QueryLists()
    for _ in range(count):
        chosen = rng.choice(len(columns["text"]), OTHERS + 1, replace=False).tolist()
        relevant = {place for place, row in enumerate(chosen) if columns["label"][row] == 1}
        lists.append((REVIEW, [columns["text"][row] for row in chosen], relevant))
    return lists


def find_first_by_cosine(columns: dict[str, list[Any]], lists: QueryLists) -> list[int]:
    """The text of each list that is closest to its query, by TF-IDF vectors fitted on both texts of training pairs."""
    fitted = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit([*columns["text"], *columns["text_pair"]])
    first = list[int]()
    for query, texts, _ in lists:
        cosines = (fitted.transform(texts) @ fitted.transform([query]).T).toarray()[:, 0]
        first.append(int(cosines.argmax()))
    return first


def write_sentiment_ranker(output: Path) -> None:
    """Write the bundled model as a ranker: its one output is the difference of its two logits.

    Its unit is the standard deviation of that output over some reviews at full depth.
    """
    bundle = Bundle.open()
    bundle.load_tokeniser().save(output)
    weights = load_file(bundle.folder / "model.safetensors")
    weights |= {name: weights[name][1:] - weights[name][:1] for name in ("classifier.weight", "classifier.bias")}
    save_file(weights, output / "model.safetensors", {"format": "pt"})
    labels = {"id2label": {"0": "value"}, "label2id": {"value": 0}, "problem_type": "regression"}
    config = read_config_file(bundle.folder) | labels | {"label_deviation": SENTIMENT_DEVIATION}
    (output / "config.json").write_text(json.dumps(config, indent=2))


SETS = {"stsb": make_random_lists, "mrpc": make_hard_lists, "sst2": make_sentiment_lists}


def choose(tuning: RankingOutputs, top: int) -> list[Policy]:
    """For each of ``ALLOWED``, the fastest list-wise policy that changes at most so many lists of the tuning part."""
    figures = [(measure_ranking(tuning, policy, top), policy) for policy in build_policies(top)]
    chosen = list[Policy]()
    for allowed in ALLOWED:
        fits = [(found["mean_depth"], str(policy), policy) for found, policy in figures if found["changed"] <= allowed]
        chosen.append(min(fits, key=lambda fit: fit[:2])[2] if fits else FULL)
    return chosen


HEADER = (
    "| policy | mean depth | layer speed-up | same top 1 | same top 5 in order | same top 5 | first is relevant |\n"
    "|---|--:|--:|--:|--:|--:|--:|"
)


def describe(outputs: RankingOutputs, policy: Policy, relevant: Sequence[set[int]]) -> str:
    """One row of the table."""
    replayed = outputs.replay(policy)
    mean = float(replayed.depth.mean())
    cells = [f"{mean:.2f}", f"{outputs.config.depths / mean:.2f}x"]
    for top in TOPS:
        pairs = list(zip(replayed.tops(top), outputs.full_tops(top), strict=True))
        cells.append(f"{np.mean([found == full for found, full in pairs]):.1%}")
        if top > 1:
            cells.append(f"{np.mean([set(found) == set(full) for found, full in pairs]):.1%}")
    first = [found[0] in right for found, right in zip(replayed.tops(1), relevant, strict=True)]
    return f"| `{policy}` | {' | '.join([*cells, f'{np.mean(first):.1%}'])} |"


def measure_time(
    classifier: Classifier, lists: QueryLists, policies: Sequence[Policy], rounds: int
) -> dict[str, float]:
    """Seconds of each policy: the median over rounds, in each of which every policy runs once."""
    seconds: dict[str, list[float]] = {str(policy): [] for policy in policies}
    pairs = [(query, texts) for query, texts, _ in lists]
    for number in range(rounds + 1):
        for policy in policies:
            start = time.perf_counter()
            for _ in classifier.rank_each(pairs, policy=policy):
                pass
            if number:  # the first round prepares
                seconds[str(policy)].append(time.perf_counter() - start)
    return {name: float(np.median(found)) for name, found in seconds.items()}


def study(
    classifier: Classifier, tuning: QueryLists, test: QueryLists, baseline: Sequence[int], timed: int, rounds: int
) -> None:
    """Print the tables of a set; ``baseline`` has the first text of each list, or is empty."""
    chosen_on, measured = (collect_rankings(classifier, [part[:2] for part in lists]) for lists in (tuning, test))
    relevant = [part[2] for part in test]
    print_line(f"{len(test)} lists, {sum(measured.sizes):,} texts; {len(tuning)} other lists chose the dials.\n")
    print_line(HEADER)
    for policy in (*(fixed_depth(depth) for depth in range(2, classifier.depths)), FULL):
        print_line(describe(measured, policy, relevant))
    found = {top: choose(chosen_on, top) for top in TOPS}
    for top in TOPS:
        for policy in dict.fromkeys(found[top]):
            print_line(describe(measured, policy, relevant))
    if baseline:
        share = np.mean([first in right for first, right in zip(baseline, relevant, strict=True)])
        print_line(f"| cosine of TF-IDF | – | – | – | – | – | {share:.1%} |")
    picked = [found[top][-1] for top in TOPS]
    depths = [max(1, round(float(measured.replay(policy).depth.mean()))) for policy in picked]
    seconds = measure_time(
        classifier, test[:timed], list(dict.fromkeys([FULL, *map(fixed_depth, depths), *picked])), rounds
    )
    print_line(f"\nTime for {timed} lists, median of {rounds} rounds in turns:\n")
    print_line("| policy | seconds | speed-up |\n|---|--:|--:|")
    for name, value in seconds.items():
        print_line(f"| `{name}` | {value:.2f} | {seconds[str(FULL)] / value:.2f}x |")


def main() -> None:
    """Print the tables of a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", required=True, choices=SETS, dest="name")
    parser.add_argument("--model", type=Path, required=True, help="folder of a regression")
    parser.add_argument("--data-dir", type=Path, default=Places().data, help="folder of the sets")
    parser.add_argument("--lists", type=int, default=200, help="lists of each part (default: %(default)s)")
    parser.add_argument("--timed", type=int, default=60, help="lists that are timed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of timing (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (default: %(default)s)")
    parser.add_argument("--write-ranker", action="store_true", help="write the ranker of sst2 to --model first")
    arguments = parser.parse_args()
    if arguments.write_ranker:
        write_sentiment_ranker(arguments.model)
    classifier = Classifier.load(arguments.model, "full", dtype="float32", threads=arguments.threads)
    make = SETS[arguments.name]
    tuning, test = (make(arguments.data_dir, part, arguments.lists) for part in ("validation", "test"))
    baseline = list[int]()
    if arguments.name != "sst2":  # whose one query has no words of its texts
        baseline = find_first_by_cosine(read_columns(arguments.data_dir / arguments.name / "train.parquet"), test)
    study(classifier, tuning, test, baseline, arguments.timed, arguments.rounds)


if __name__ == "__main__":
    main()
