"""Signals: one number per row and depth, computed from what the exit head said there and one depth before.

A single-label model asks one question with C options; a multi-label model asks one two-option question per label.
Both are ``[..., questions, options]`` here, for any number of rows and depths, and a row's signal is that of its
least settled question: a multi-label text may leave when every one of its labels is settled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Signal = Callable[[Array, Array], Array]

TINY = 1e-38  # stands for 0 under a logarithm, where it is multiplied by 0; and NaN stays NaN


def questions(probabilities: Array, multi_label: bool) -> Array:
    """``[..., classes] -> [..., questions, options]``."""
    if multi_label:
        return np.stack((1 - probabilities, probabilities), axis=-1)
    return probabilities[..., None, :]


def at_temperatures(said: Array, temperatures: Sequence[float], multi_label: bool) -> Array:
    """``[..., depths, classes]`` as if the logits of each depth were divided by its temperature (Guo et al. 2017).

    ``softmax(z / T)`` is ``softmax(z) ** (1 / T)``, normalised; for a label of its own, over its two options.
    """
    depths = said.shape[-2]
    steps = np.array([*temperatures[:depths], *[temperatures[-1]] * (depths - len(temperatures))], said.dtype)
    asked = questions(said, multi_label) ** (1 / steps)[:, None, None]
    spread = asked / np.maximum(asked.sum(-1, keepdims=True), TINY)  # depths that nothing was said at stay 0
    whole: Array = spread[..., 1] if multi_label else spread[..., 0, :]
    return whole


def entr(p: Array) -> Array:
    """``-p ln p``, and 0 at 0."""
    return -p * np.log(np.maximum(p, TINY))


def most(values: Array) -> Array:
    """``[..., questions] -> [...]``: the largest; a single question is not worth a search."""
    found: Array = values[..., 0] if values.shape[-1] == 1 else values.max(-1)
    return found


def least(values: Array) -> Array:
    """``[..., questions] -> [...]``: the smallest."""
    found: Array = values[..., 0] if values.shape[-1] == 1 else values.min(-1)
    return found


def entropy(now: Array, before: Array) -> Array:
    """Normalised entropy in [0, 1], ``-sum p ln p / ln C`` with ``0 ln 0 = 0`` (ELBERT, section 2.2)."""
    options = now.shape[-1]
    scale = 1 / math.log(options) if options > 1 else 0.0
    return most(entr(now).sum(-1) * scale)


def confidence(now: Array, before: Array) -> Array:
    """The largest probability (Schwartz et al., ACL 2020)."""
    return least(now.max(-1))


def gap(now: Array, before: Array) -> Array:
    """The difference of the two largest probabilities (CALM, NeurIPS 2022)."""
    if now.shape[-1] < 2:
        now = np.concatenate((now, now - 1), -1)  # one option alone has nothing to be near to
    largest = now if now.shape[-1] == 2 else np.partition(now, -2)[..., -2:]
    return least(np.abs(largest[..., 1] - largest[..., 0]))


def same(now: Array, before: Array) -> Array:
    """1 where the answer is that of the depth before, else 0."""
    return least(now.argmax(-1) == before.argmax(-1))


def divergence(now: Array, before: Array) -> Array:
    """Jensen-Shannon divergence from the depth before, in nats (F-PABEE, ICASSP 2023)."""
    both = entr((now + before) / 2) - (entr(now) + entr(before)) / 2
    return most(np.maximum(both.sum(-1), 0))


SIGNALS: dict[str, Signal] = {f.__name__: f for f in (entropy, confidence, gap, same, divergence)}

# At depth 1 there is no depth before: nothing is the same yet, and nothing is near.
AT_FIRST = {"same": 0.0, "divergence": math.inf}
