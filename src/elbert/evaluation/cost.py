"""What a text costs: floating-point operations, counted, and wall-clock time, measured."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from elbert._progress import show_progress
from elbert.classifier import Classifier
from elbert.exits import FULL, Policy
from elbert.model.config import ModelConfig
from elbert.tokenization.tokens import Text, list_texts


def count_flops(config: ModelConfig, tokens: int, depth: int, reads: int | None = None) -> int:
    """Floating-point operations to run one row of ``tokens`` tokens to ``depth``; a multiply-add counts as two.

    Matrix products are counted, as in :mod:`torch.utils.flop_counter`: the embedding's projection once; per depth the
    layer's projections, attention's two products and the feed-forward part; and the exit head ``reads`` times
    (default: at every depth, as for a policy that reads signals; a fixed depth reads it once).
    """
    width, inner = config.hidden_size, config.intermediate_size
    projected = 2 * tokens * config.embedding_size * width if config.backbone.projection else 0
    products = 2 * tokens * width * (4 * width + 2 * inner)  # query, key, value, output; in and out
    attention = 2 * 2 * tokens * tokens * width  # scores, and the values they weigh, over all heads
    head = 2 * width * (width + len(config.labels))
    read = depth if reads is None else reads
    return projected + depth * config.inner_group_num * (products + attention) + read * head


SAMPLE = 1000  # texts per round: enough for a stable ratio in a short time
SINGLES = 100  # texts per round when texts are classified one by one


@dataclass(frozen=True)
class Timing:
    """Median texts per second over the rounds, tokenization included; ``speedup`` is relative to full depth."""

    texts_per_second: float
    speedup: float
    texts: int
    rounds: int


@dataclass(frozen=True)
class Latency:
    """Milliseconds per single text, tokenization included; ``speedup`` is full depth's median divided by ``p50``."""

    p50: float
    p99: float
    speedup: float
    texts: int


def measure_throughput(
    classifier: Classifier, texts: Sequence[Text], policies: Mapping[str, Policy], rounds: int
) -> dict[str, Timing]:
    """Time every policy and full depth, interleaved round by round, on at most :data:`SAMPLE` texts."""
    sample = draw_sample(texts, SAMPLE)
    timed_policies = add_full_depth(policies)
    classifier.predict(sample[:64], FULL)  # warm up: the first call allocates memory and loads kernels
    seconds: dict[str | None, list[float]] = {name: [] for name in timed_policies}
    with show_progress("timing", rounds * len(timed_policies), " runs") as advance:
        for _ in range(rounds):
            for name, policy in timed_policies.items():
                seconds[name].append(time_predict(classifier, sample, policy))
                advance(1)
    full = statistics.median(seconds[None])
    medians = {name: statistics.median(seconds[name]) for name in policies}
    return {name: Timing(len(sample) / s, full / s, len(sample), rounds) for name, s in medians.items()}


def measure_latencies(
    classifier: Classifier, texts: Sequence[Text], policies: Mapping[str, Policy], rounds: int
) -> dict[str, Latency]:
    """Time at most :data:`SINGLES` texts one by one, each under every policy and at full depth, interleaved."""
    sample = draw_sample(texts, SINGLES)
    timed_policies = add_full_depth(policies)
    for text in sample:  # warm up every length
        classifier.predict([text], FULL)
    taken: dict[str | None, list[float]] = {name: [] for name in timed_policies}
    with show_progress("timing single texts", rounds * len(sample)) as advance:
        for _ in range(rounds):
            for text in sample:
                for name, policy in timed_policies.items():
                    taken[name].append(1e3 * time_predict(classifier, [text], policy))
                advance(1)
    full = statistics.median(taken[None])
    return {
        name: Latency(
            p50 := statistics.median(taken[name]), float(np.quantile(taken[name], 0.99)), full / p50, len(sample)
        )
        for name in policies
    }


def add_full_depth(policies: Mapping[str, Policy]) -> dict[str | None, Policy]:
    """The policies, with full depth (under the name None) first, as the reference of every round."""
    timed_policies: dict[str | None, Policy] = {None: FULL}
    timed_policies.update(policies)
    return timed_policies


def draw_sample(texts: Sequence[Text], most: int) -> list[Text]:
    """All texts, or a random sample of ``most`` of them (fixed seed)."""
    checked = list_texts(texts)
    return checked if len(checked) <= most else random.Random(0).sample(checked, most)


def time_predict(classifier: Classifier, texts: Sequence[Text], policy: Policy) -> float:
    """The seconds that one call takes, without a bar of its own."""
    start = time.perf_counter()
    list(classifier.stream(texts, policy))
    return time.perf_counter() - start
