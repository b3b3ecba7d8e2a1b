"""What a text costs: multiply-adds counted, and wall-clock time measured by running the policies."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from elbert.classifier import Classifier
from elbert.exits import Full, Policy
from elbert.model.config import ModelConfig
from elbert.texts import Text


def flops(config: ModelConfig, tokens: int, depth: int, reads: int | None = None) -> int:
    """Floating-point operations of taking one row of ``tokens`` tokens to ``depth``, two for each multiply-add.

    Counted are products, as in :mod:`torch.utils.flop_counter`: the embedding's projection once; per depth the
    layer's projections, attention's two products and the feed-forward part; and the exit head at each of ``reads``
    depths (unsaid: at every one, as a policy that reads signals has it; a fixed depth reads one).
    """
    width, inner = config.hidden_size, config.intermediate_size
    projected = 2 * tokens * config.embedding_size * width if config.backbone.projection else 0
    products = 2 * tokens * width * (4 * width + 2 * inner)  # query, key, value, output; in and out
    attention = 2 * 2 * tokens * tokens * width  # scores, and the values they weigh, over all heads
    head = 2 * width * (width + len(config.labels))
    read = depth if reads is None else reads
    return projected + depth * config.inner_group_num * (products + attention) + read * head


SAMPLE = 1000  # texts a round: enough for a ratio, little enough to wait for
SINGLES = 100  # texts a round that are classified one by one


@dataclass(frozen=True)
class Timing:
    """Median texts a second over the rounds, tokenising included, and that over full depth's in the same rounds."""

    texts_per_second: float
    speedup: float
    texts: int
    rounds: int


@dataclass(frozen=True)
class Latency:
    """Milliseconds of single texts, tokenising included, over all rounds; speed-up is full depth's median over ours."""

    p50: float
    p99: float
    speedup: float
    texts: int


def measure(
    classifier: Classifier, texts: Sequence[Text], policies: Mapping[str, Policy], rounds: int
) -> dict[str, Timing]:
    """Time every policy and full depth, interleaved round by round, on at most :data:`SAMPLE` texts."""
    sample = some(texts, SAMPLE)
    contest = with_full(policies)
    classifier.predict(sample[:64], Full())  # the first call pays for memory and kernels
    seconds: dict[str | None, list[float]] = {name: [] for name in contest}
    for _ in range(rounds):
        for name, policy in contest.items():
            seconds[name].append(seconds_of(classifier, sample, policy))
    full = statistics.median(seconds[None])
    medians = {name: statistics.median(seconds[name]) for name in policies}
    return {name: Timing(len(sample) / s, full / s, len(sample), rounds) for name, s in medians.items()}


def latencies(
    classifier: Classifier, texts: Sequence[Text], policies: Mapping[str, Policy], rounds: int
) -> dict[str, Latency]:
    """Time at most :data:`SINGLES` texts one by one, each by every policy and at full depth in turn."""
    sample = some(texts, SINGLES)
    contest = with_full(policies)
    for text in sample:  # every length once, before it counts
        classifier.predict([text], Full())
    taken: dict[str | None, list[float]] = {name: [] for name in contest}
    for _ in range(rounds):
        for text in sample:
            for name, policy in contest.items():
                taken[name].append(1e3 * seconds_of(classifier, [text], policy))
    full = statistics.median(taken[None])
    return {
        name: Latency(
            p50 := statistics.median(taken[name]), float(np.quantile(taken[name], 0.99)), full / p50, len(sample)
        )
        for name in policies
    }


def with_full(policies: Mapping[str, Policy]) -> dict[str | None, Policy]:
    """The policies behind full depth, which is what they are compared with in every round."""
    contest: dict[str | None, Policy] = {None: Full()}
    contest.update(policies)
    return contest


def some(texts: Sequence[Text], most: int) -> list[Text]:
    """All texts, or a fixed draw of many."""
    return list(texts) if len(texts) <= most else random.Random(0).sample(list(texts), most)


def seconds_of(classifier: Classifier, texts: Sequence[Text], policy: Policy) -> float:
    """How long one call of ``predict`` takes."""
    start = time.perf_counter()
    classifier.predict(texts, policy)
    return time.perf_counter() - start
