"""The time that one text takes alone, measured here by running it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from elbert.classifier import Classifier
from elbert.exits import Depth, Full, Policy
from elbert.text import Text

ROUNDS = 9
FEWEST, PATIENCE = 3, 3.0  # a deep model on a slow machine gets fewer rounds, after some seconds


@dataclass(frozen=True)
class Clock:
    """Medians in milliseconds, this text alone, tokenising included: wall-clock, on this machine, now.

    ``policy`` and ``full`` are of ``rounds`` interleaved runs each; ``by_depth``, of stopping at every fixed depth,
    which reads the head once, of ``depth_rounds``.
    """

    policy: float
    full: float
    by_depth: tuple[float, ...]
    rounds: int
    depth_rounds: int
    device: str
    threads: int


def timed(classifier: Classifier, text: Text, policy: Policy, rounds: int = ROUNDS) -> Clock:
    """Time the policy against full depth, then the fixed depths, each contest interleaved round by round."""
    classifier.predict([text], Full())  # the first call pays for memory and kernels
    (policy_ms, full_ms), done = _medians(classifier, text, (policy, Full()), rounds)
    fixed = [Depth(depth) for depth in range(1, classifier.depths + 1)]
    by_depth, depth_rounds = _medians(classifier, text, fixed, rounds)
    return Clock(
        policy=policy_ms,
        full=full_ms,
        by_depth=tuple(by_depth),
        rounds=done,
        depth_rounds=depth_rounds,
        device=classifier.backend.device.type,
        threads=classifier.threads or torch.get_num_threads(),
    )


def _medians(classifier: Classifier, text: Text, contest: Sequence[Policy], rounds: int) -> tuple[list[float], int]:
    """The contestants' medians in milliseconds, and of how many rounds."""
    seconds: list[list[float]] = []
    begun = time.perf_counter()
    while len(seconds) < rounds and (len(seconds) < FEWEST or time.perf_counter() - begun < PATIENCE):
        seconds.append([_seconds(classifier, text, contestant) for contestant in contest])
    return [1000 * statistics.median(runs) for runs in zip(*seconds, strict=True)], len(seconds)


def _seconds(classifier: Classifier, text: Text, policy: Policy) -> float:
    start = time.perf_counter()
    classifier.predict([text], policy)
    return time.perf_counter() - start
