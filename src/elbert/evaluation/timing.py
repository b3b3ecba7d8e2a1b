"""Wall-clock time of policies, measured by running them; never derived from depths."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from elbert.classifier import Classifier
from elbert.exits import Full, Policy
from elbert.text import Text

SAMPLE = 1000  # texts a round: enough for a ratio, little enough to wait for


@dataclass(frozen=True)
class Timing:
    """Median texts a second over the rounds, tokenising included, and that over full depth's in the same rounds."""

    texts_per_second: float
    speedup: float
    texts: int
    rounds: int


def measure(
    classifier: Classifier, texts: Sequence[Text], policies: Mapping[str, Policy], rounds: int
) -> dict[str, Timing]:
    """Time every policy and full depth, interleaved round by round, on at most :data:`SAMPLE` texts."""
    sample = texts if len(texts) <= SAMPLE else random.Random(0).sample(list(texts), SAMPLE)
    contest: list[tuple[str | None, Policy]] = [(None, Full()), *policies.items()]
    classifier.predict(sample[:64], Full())  # the first call pays for memory and kernels
    seconds: dict[str | None, list[float]] = {name: [] for name, _ in contest}
    for _ in range(rounds):
        for name, policy in contest:
            start = time.perf_counter()
            classifier.predict(sample, policy)
            seconds[name].append(time.perf_counter() - start)
    full = statistics.median(seconds[None])
    medians = {name: statistics.median(seconds[name]) for name in policies}
    return {name: Timing(len(sample) / s, full / s, len(sample), rounds) for name, s in medians.items()}
