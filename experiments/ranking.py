"""Rankings that stop early: the list-wise policy beside full depth and fixed depths, on lists made from two data sets.

    python experiments/ranking.py --model FOLDER [--lists 200] [--timed 60]

FOLDER is a regression on STS-B (``elbert train --problem regression``). The lists: each first sentence of STS-B's test
part with its own second sentence and 19 others, drawn at random; and of MRPC's test part, each first sentence of a
paraphrase with its paraphrase and the 19 sentences that share most words with it, which are hard. Lists of the
validation parts choose the dials. Time is measured in turns: every policy runs once in each round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elbert import Classifier
from elbert.calibration.rankings import build_policies, measure_ranking
from elbert.exits import FULL, Policy, fixed_depth
from elbert.ranking.replay import RankingOutputs, collect_rankings
from lab.command import print_line
from lab.places import Places

QueryLists = list[tuple[str, list[str]]]
OTHERS = 19
TOPS = (1, 5)
ALLOWED = (0.0, 0.01, 0.05)  # shares of changed lists on the validation part, for each of which a policy is chosen


def read_pairs(file: Path) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """The first and second texts of a part, and their labels."""
    import pyarrow.parquet as parquet

    columns = parquet.read_table(file).to_pydict()
    return columns["text"], columns["text_pair"], np.array(columns["label"], float)


def make_random_lists(file: Path, count: int, seed: int = 0) -> QueryLists:
    """Each first text with its own second text and others at random."""
    first, second, _ = read_pairs(file)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(first))[:count]
    lists = []
    for i in chosen.tolist():
        others = [second[j] for j in rng.permutation(len(second)).tolist() if second[j] != second[i]][:OTHERS]
        lists.append((first[i], [second[i], *others]))
    return lists


def make_hard_lists(file: Path, count: int, seed: int = 0) -> QueryLists:
    """Each first text of a paraphrase with its paraphrase and the second texts that share most words with it."""
    first, second, labels = read_pairs(file)
    rng = np.random.default_rng(seed)
    paraphrases = np.flatnonzero(labels == 1)
    words = [set(text.lower().split()) for text in second]
    lists = []
    for i in rng.permutation(paraphrases)[:count].tolist():
        own = set(first[i].lower().split())
        shared = [-len(own & found) / len(own | found) for found in words]
        others = [j for j in np.argsort(shared, kind="stable").tolist() if second[j] != second[i]]
        lists.append((first[i], [second[i], *(second[j] for j in others[:OTHERS])]))
    return lists


def choose(tuning: RankingOutputs, top: int, allowed: float) -> Policy:
    """The fastest list-wise policy that changes at most so many lists of the tuning part."""
    figures = [(measure_ranking(tuning, policy, top), policy) for policy in build_policies(top)]
    fits = [(found["mean_depth"], str(policy), policy) for found, policy in figures if found["changed"] <= allowed]
    return min(fits, key=lambda fit: fit[:2])[2] if fits else FULL


def describe(outputs: RankingOutputs, policy: Policy) -> str:
    """One row of the table."""
    replayed = outputs.replay(policy)
    cells = [f"{float(replayed.depth.mean()):.2f}", f"{outputs.config.depths / float(replayed.depth.mean()):.2f}x"]
    for top in TOPS:
        pairs = list(zip(replayed.tops(top), outputs.full_tops(top), strict=True))
        cells.append(f"{np.mean([found == full for found, full in pairs]):.1%}")
        if top > 1:
            cells.append(f"{np.mean([set(found) == set(full) for found, full in pairs]):.1%}")
    is_first = [found[0] == 0 for found in replayed.tops(1)]
    cells.append(f"{np.mean(is_first):.1%}")
    return f"| `{policy}` | {' | '.join(cells)} |"


HEADER = (
    "| policy | mean depth | layer speed-up | same top 1 | same top 5 in order | same top 5 | own text first |\n"
    "|---|--:|--:|--:|--:|--:|--:|"
)


def measure_time(
    classifier: Classifier, lists: QueryLists, policies: Sequence[Policy], rounds: int
) -> dict[str, float]:
    """Seconds of each policy: the median over rounds, in each of which every policy runs once."""
    seconds: dict[str, list[float]] = {str(policy): [] for policy in policies}
    for number in range(rounds + 1):
        for policy in policies:
            start = time.perf_counter()
            for _ in classifier.rank_each(lists, policy=policy):
                pass
            if number:  # the first round prepares
                seconds[str(policy)].append(time.perf_counter() - start)
    return {name: float(np.median(found)) for name, found in seconds.items()}


def study(name: str, classifier: Classifier, tuning: QueryLists, test: QueryLists, timed: int, rounds: int) -> None:
    """Print the tables of one set."""
    chosen_on, measured = collect_rankings(classifier, tuning), collect_rankings(classifier, test)
    texts = sum(measured.sizes)
    print_line(f"\n## {name}\n\n{len(test)} test lists, {texts:,} texts; {len(tuning)} other lists chose the dials.\n")
    print_line(HEADER)
    for policy in (FULL, *(fixed_depth(depth) for depth in range(2, classifier.depths))):
        print_line(describe(measured, policy))
    found = {top: [choose(chosen_on, top, allowed) for allowed in ALLOWED] for top in TOPS}
    for top in TOPS:
        for policy in dict.fromkeys(found[top]):
            print_line(describe(measured, policy))
    picked = [found[top][1] for top in TOPS]
    depths = [max(1, round(float(measured.replay(policy).depth.mean()))) for policy in picked]
    policies = list(dict.fromkeys([FULL, *map(fixed_depth, depths), *picked]))
    seconds = measure_time(classifier, test[:timed], policies, rounds)
    print_line(
        f"\nTime for {timed} lists, median of {rounds} rounds in turns:\n\n"
        "| policy | seconds | speed-up |\n|---|--:|--:|"
    )
    for policy_name, value in seconds.items():
        print_line(f"| `{policy_name}` | {value:.2f} | {seconds[str(FULL)] / value:.2f}x |")


def main() -> None:
    """Print the tables of both sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of a regression on STS-B")
    parser.add_argument("--data-dir", type=Path, default=Places().data, help="folder with stsb and mrpc")
    parser.add_argument("--lists", type=int, default=200, help="lists of each part (default: %(default)s)")
    parser.add_argument("--timed", type=int, default=60, help="lists that are timed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of timing (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (default: %(default)s)")
    arguments = parser.parse_args()
    classifier = Classifier.load(arguments.model, "full", dtype="float32", threads=arguments.threads)
    for name, make, part in (("stsb", make_random_lists, "stsb"), ("mrpc, hard lists", make_hard_lists, "mrpc")):
        tuning = make(arguments.data_dir / part / "validation.parquet", arguments.lists, 1)
        test = make(arguments.data_dir / part / "test.parquet", arguments.lists)
        study(name, classifier, tuning, test, arguments.timed, arguments.rounds)


if __name__ == "__main__":
    main()
