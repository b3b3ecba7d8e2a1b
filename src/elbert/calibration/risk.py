"""Risk: what may be lost by leaving early, and how sure a sample can make us of it (Learn then Test, 2110.01052)."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from elbert._extras import require
from elbert.errors import InputError
from elbert.evaluation.metrics import decided
from elbert.evaluation.sweep import Trials

Loss = Literal["harmful-flip", "inconsistency"]


def losses(exits: Trials, loss: Loss) -> NDArray[np.bool_]:
    """``[n, depths]``: whether leaving there loses.

    ``harmful-flip``: wrong there, right at the last depth. Its mean bounds the accuracy lost, and needs labels.
    ``inconsistency``: another answer than at the last depth. Its mean bounds the harmful flips, and needs none.

    Raises:
        InputError: there is no such loss.
    """
    if loss == "harmful-flip":
        return np.asarray(exits.right[:, -1:] & ~exits.right)
    if loss == "inconsistency":
        said = decided(exits.outputs.probabilities, exits.outputs)
        other = said != said[:, -1:]
        return np.asarray(other.any(-1) if exits.outputs.multi_label else other)
    raise InputError(f"loss is {loss!r}, expected one of {', '.join(get_args(Loss))}")


def p_value(flips: int, n: int, risk: float) -> float:
    """How likely so few losses among ``n`` texts are if the true risk is above ``risk``: ``P(Bin(n, risk) <= flips)``.

    Exact, for any distribution of texts: the losses are 0 or 1.
    """
    return float(require("scipy.stats", "train").binom.cdf(flips, n, risk))


def texts_needed(risk: float, error: float) -> int:
    """The fewest texts that can certify anything: with no loss at all among ``n``, the p-value is ``(1 - risk)^n``."""
    return math.ceil(math.log(error) / math.log1p(-risk))


def check_enough(n: int, risk: float, error: float) -> None:
    """Refuse to certify what no sample of this size could.

    Raises:
        InputError: risk or error is no probability, or there are too few texts.
    """
    for name, value in (("risk", risk), ("error", error)):
        if not 0 < value < 1:
            raise InputError(f"{name} is {value}, expected a probability between 0 and 1, such as 0.01")
    needed = texts_needed(risk, error)
    if n < needed:
        raise InputError(
            f"{n} texts cannot certify a risk of {risk:g} with error {error:g}, even if not one of them lost anything: "
            f"at least {needed} are needed for calibration alone; give more texts, or a higher risk or error"
        )
