"""Temperatures: each depth's probabilities made as sure as they are right (Guo et al., ICML 2017)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from elbert._optional import require
from elbert.errors import InputError
from elbert.evaluation.outputs import Outputs
from elbert.exits.policies import COLDEST, HOTTEST
from elbert.exits.signals import at_temperatures

LEAST = 1e-12  # a label that a depth holds impossible costs this much, not everything


def fitted_temperatures(outputs: Outputs) -> tuple[float, ...]:
    """One temperature per depth, each that under which the labels are likeliest.

    Raises:
        InputError: they are outputs of a regression.
    """
    if outputs.problem == "regression":
        raise InputError("a regression has no probabilities to be made right by a temperature")
    return tuple(_fitted(outputs, depth) for depth in range(outputs.depths))


def _fitted(outputs: Outputs, depth: int) -> float:
    optimize = require("scipy.optimize", "train")
    said = outputs.probabilities[:, depth : depth + 1].astype(float)

    def loss(log_temperature: float) -> float:
        tempered = at_temperatures(said, (math.exp(log_temperature),), outputs.multi_label)[:, 0]
        return negative_log_likelihood(tempered, outputs)

    found = optimize.minimize_scalar(loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded")
    return float(f"{min(max(math.exp(found.x), COLDEST), HOTTEST):.3g}")


def negative_log_likelihood(answers: NDArray[np.float64], outputs: Outputs) -> float:
    """The mean over texts (and labels of their own) of ``-ln`` of the probability of what is so."""
    if outputs.multi_label:
        so = np.where(outputs.labels == 1, answers, 1 - answers)
    else:
        so = answers[np.arange(len(outputs)), outputs.labels.astype(int)]
    return float(-np.log(np.maximum(so, LEAST)).mean())
