"""Wall-clock time of one text: a policy against full depth, and against every fixed depth."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from elbert.classifier import Classifier
from elbert.evaluation.cost import time_predict
from elbert.exits import FULL, Policy, fixed_depth
from elbert.tokenization.tokens import Text

ROUNDS = 9
FEWEST, PATIENCE = 3, 3.0  # fewest rounds; seconds after which a slow model gets no more rounds


@dataclass(frozen=True)
class WallClock:
    """Medians in milliseconds on this machine, for this text alone, tokenization included.

    ``policy`` and ``full`` come from ``rounds`` interleaved runs; ``by_depth``, for every fixed depth (one run of the
    exit head), from ``depth_rounds``.
    """

    policy: float
    full: float
    by_depth: tuple[float, ...]
    rounds: int
    depth_rounds: int
    device: str
    threads: int


def measure_wall_clock(classifier: Classifier, text: Text, policy: Policy, rounds: int = ROUNDS) -> WallClock:
    """Time the policy against full depth, then all fixed depths, each group interleaved round by round."""
    classifier.predict([text], FULL)  # warm up: the first call allocates memory and loads kernels
    (policy_ms, full_ms), done = _measure_medians(classifier, text, (policy, FULL), rounds)
    fixed = [fixed_depth(depth) for depth in range(1, classifier.depths + 1)]
    by_depth, depth_rounds = _measure_medians(classifier, text, fixed, rounds)
    return WallClock(
        policy=policy_ms,
        full=full_ms,
        by_depth=tuple(by_depth),
        rounds=done,
        depth_rounds=depth_rounds,
        device=classifier.backend.device.type,
        threads=classifier.threads or torch.get_num_threads(),
    )


def _measure_medians(
    classifier: Classifier, text: Text, policies: Sequence[Policy], rounds: int
) -> tuple[list[float], int]:
    """The medians of the policies in milliseconds, and the number of rounds."""
    seconds: list[list[float]] = []
    start = time.perf_counter()
    while len(seconds) < rounds and (len(seconds) < FEWEST or time.perf_counter() - start < PATIENCE):
        seconds.append([time_predict(classifier, [text], policy) for policy in policies])
    return [1000 * statistics.median(runs) for runs in zip(*seconds, strict=True)], len(seconds)
