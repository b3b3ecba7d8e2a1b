"""Signals: one number per row and depth, computed from the probabilities at that depth and the depth before.

A single-label model has one distribution over C options; a multi-label model has one two-way distribution per label.
Both have the shape ``[..., distributions, options]`` here, for any number of rows and depths. The signal of a row is
that of its least settled distribution: a multi-label text may exit when every one of its labels is settled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Signal = Callable[[Array, Array], Array]

TINY = 1e-38  # replaces 0 under a logarithm, where it is multiplied by 0; NaN stays NaN


def to_distributions(probabilities: Array, multi_label: bool) -> Array:
    """``[..., classes] -> [..., distributions, options]``."""
    if multi_label:
        return np.stack((1 - probabilities, probabilities), axis=-1)
    return probabilities[..., None, :]


def apply_temperatures(probabilities: Array, temperatures: Sequence[float], multi_label: bool) -> Array:
    """``[..., depths, classes]`` as if the logits of each depth were divided by its temperature (Guo et al. 2017).

    ``softmax(z / T)`` is ``softmax(z) ** (1 / T)``, normalised; for a label of its own, over its two options.
    """
    depths = probabilities.shape[-2]
    steps = np.array([*temperatures[:depths], *[temperatures[-1]] * (depths - len(temperatures))], probabilities.dtype)
    powers = to_distributions(probabilities, multi_label) ** (1 / steps)[:, None, None]
    spread = powers / np.maximum(powers.sum(-1, keepdims=True), TINY)  # depths without probabilities stay 0
    whole: Array = spread[..., 1] if multi_label else spread[..., 0, :]
    return whole


def entropy_terms(p: Array) -> Array:
    """``-p ln p``, and 0 at 0."""
    return -p * np.log(np.maximum(p, TINY))


def reduce_max(values: Array) -> Array:
    """``[..., distributions] -> [...]``: the largest; one distribution needs no search."""
    found: Array = values[..., 0] if values.shape[-1] == 1 else values.max(-1)
    return found


def reduce_min(values: Array) -> Array:
    """``[..., distributions] -> [...]``: the smallest."""
    found: Array = values[..., 0] if values.shape[-1] == 1 else values.min(-1)
    return found


def entropy(now: Array, before: Array) -> Array:
    """Normalised entropy in [0, 1], ``-sum p ln p / ln C`` with ``0 ln 0 = 0`` (ELBERT, section 2.2)."""
    options = now.shape[-1]
    scale = 1 / math.log(options) if options > 1 else 0.0
    return reduce_max(entropy_terms(now).sum(-1) * scale)


def confidence(now: Array, before: Array) -> Array:
    """The largest probability (Schwartz et al., ACL 2020)."""
    return reduce_min(now.max(-1))


def gap(now: Array, before: Array) -> Array:
    """The difference of the two largest probabilities (CALM, NeurIPS 2022)."""
    if now.shape[-1] < 2:
        now = np.concatenate((now, now - 1), -1)  # one option alone has nothing to be near to
    largest = now if now.shape[-1] == 2 else np.partition(now, -2)[..., -2:]
    return reduce_min(np.abs(largest[..., 1] - largest[..., 0]))


def same(now: Array, before: Array) -> Array:
    """1 where the predicted label is that of the depth before, else 0."""
    return reduce_min(now.argmax(-1) == before.argmax(-1))


def divergence(now: Array, before: Array) -> Array:
    """Jensen-Shannon divergence from the depth before, in nats (F-PABEE, ICASSP 2023)."""
    both = entropy_terms((now + before) / 2) - (entropy_terms(now) + entropy_terms(before)) / 2
    return reduce_max(np.maximum(both.sum(-1), 0))


SIGNALS: dict[str, Signal] = {f.__name__: f for f in (entropy, confidence, gap, same, divergence)}

# At depth 1 there is no depth before: nothing is the same yet, and nothing is near.
FIRST_DEPTH_VALUES = {"same": 0.0, "divergence": math.inf}
