"""Certify: the fastest policy whose risk is bounded, by fixed-sequence testing (Learn then Test, arXiv 2110.01052)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from elbert._optional import require
from elbert.bundle import Certificate
from elbert.errors import InputError
from elbert.evaluation.metrics import decided
from elbert.evaluation.sweep import Trials
from elbert.exits import Full, Policy

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


STEPS_A_DEPTH = 4


@dataclass(frozen=True)
class Certified:
    """The last policy that passed, its certificate, and its place in the sequence that was fixed beforehand."""

    policy: Policy
    certificate: Certificate
    place: int
    candidates: int


def sequence(tuning: Trials, candidates: Sequence[Policy], loss: Loss) -> list[Policy]:
    """The candidates worth testing, from ``full`` to the most eager, by what the tuning part says of them.

    One for each step of cost: that with the least loss, unless a cheaper step has one with less. So the sequence goes
    down in small steps even where the tuning part is too small to see any loss, and a policy that only looked harmless
    ends it late. Any order keeps the promise, as long as the calibration part has no say in it.
    """
    lost = losses(tuning, loss)
    exits = [tuning.depth(policy) for policy in candidates]
    cost = np.array([depth.mean() for depth in exits])
    share = np.array([tuning.look_up(lost, depth).mean() for depth in exits])
    step = np.floor(cost * STEPS_A_DEPTH)
    best = {step[i]: i for i in np.lexsort((-cost, -share)).tolist()}  # the last to come is the best of its step
    kept: list[int] = []
    for _, i in sorted(best.items()):  # cheapest first
        if not kept or share[i] <= share[kept[-1]]:
            kept.append(i)
    return [Full(), *(candidates[i] for i in reversed(kept) if candidates[i].rules)]


def certify(ordered: Sequence[Policy], parts: Sequence[Trials], loss: Loss, risk: float, error: float) -> Certified:
    """The fastest policy of a sequence that is certified on every one of ``parts``.

    ``parts`` are outputs of the same calibration texts in each precision that the certificate is to hold for. In each,
    the chance that the policy's risk is above ``risk`` is at most ``error``, over the draw of the calibration texts.
    Policies are tested in order until one fails; the answer is the one before it.

    Raises:
        InputError: there are too few texts to certify anything.
    """
    n = len(parts[0].outputs)
    check_enough(n, risk, error)
    lost = [losses(part, loss) for part in parts]
    passed: tuple[Policy, int, float, int] = (Full(), 0, p_value(0, n, risk), 0)
    for place, policy in enumerate(ordered):
        flips = max(flipped(part, there, policy) for part, there in zip(parts, lost, strict=True))
        p = p_value(flips, n, risk)
        if p > error:
            break
        passed = (policy, flips, p, place)
    policy, flips, p, place = passed
    return Certified(policy, Certificate(loss, risk, error, n, flips, p), place, len(ordered))


def flipped(part: Trials, lost: NDArray[np.bool_], policy: Policy) -> int:
    """How many texts lose under a policy."""
    return int(part.look_up(lost, part.depth(policy)).sum())
