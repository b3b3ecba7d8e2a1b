"""Temperature scaling: one temperature per depth, fitted to the labels (Guo et al., ICML 2017)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from elbert._optional import require
from elbert.errors import InputError
from elbert.evaluation.outputs import Outputs
from elbert.exits.rules import TEMPERATURE
from elbert.exits.trace import apply_temperatures

LEAST = 1e-12  # the smallest probability: bounds the loss of a label that a depth gives probability 0


def fit_temperatures(outputs: Outputs) -> tuple[float, ...]:
    """One temperature per depth: the one that minimizes the negative log-likelihood of the labels.

    Raises:
        InputError: the outputs are no probabilities.
    """
    if outputs.task.per_token:
        raise InputError("temperatures do not fit token classification: leave them out")
    if outputs.task.content != "probabilities":
        raise InputError(f"{outputs.task.title} has {outputs.task.content}, and a temperature changes probabilities")
    return tuple(_fit_depth(outputs, depth) for depth in range(outputs.depths))


def _fit_depth(outputs: Outputs, depth: int) -> float:
    optimize = require("scipy.optimize", "train")
    probabilities = outputs.probabilities[:, depth : depth + 1].astype(float)

    def loss(log_temperature: float) -> float:
        tempered = apply_temperatures(probabilities, (math.exp(log_temperature),), outputs.multi_label)[:, 0]
        return negative_log_likelihood(tempered, outputs)

    found = optimize.minimize_scalar(
        loss, bounds=(math.log(TEMPERATURE.low), math.log(TEMPERATURE.high)), method="bounded"
    )
    return float(f"{min(max(math.exp(found.x), TEMPERATURE.low), TEMPERATURE.high):.3g}")


def negative_log_likelihood(answers: NDArray[np.float64], outputs: Outputs) -> float:
    """The mean of ``-ln`` of the true label's probability, over texts (and over labels, for multi-label)."""
    if outputs.multi_label:
        true = np.where(outputs.labels == 1, answers, 1 - answers)
    else:
        true = answers[np.arange(len(outputs)), outputs.labels.astype(int)]
    return float(-np.log(np.maximum(true, LEAST)).mean())
