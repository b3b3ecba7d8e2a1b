"""Certify: the fastest policy whose risk is bounded, by fixed-sequence testing (Learn then Test, arXiv 2110.01052)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from elbert._display import plural
from elbert._optional import require
from elbert.bundle import Certificate
from elbert.errors import InputError
from elbert.evaluation.document_outputs import DocumentTrials
from elbert.evaluation.sweep import Trials
from elbert.exits import FULL, Policy
from elbert.tasks import Task

Loss = Literal["harmful-flip", "inconsistency"]
AnyTrials = Trials | DocumentTrials
FindLosses = Callable[[Policy], NDArray[np.bool_]]  # ``[n]``: which texts have a loss under a policy

STEPS_A_DEPTH = 4


@dataclass(frozen=True)
class CertifiedPolicy:
    """The last policy that passed its test, its certificate, and its place in the sequence of candidates."""

    policy: Policy
    certificate: Certificate
    place: int
    candidates: int


def certify(
    ordered: Sequence[Policy],
    parts: Sequence[AnyTrials],
    loss: Loss,
    risk: float,
    error: float,
    tolerance: float | None = None,
) -> CertifiedPolicy:
    """Return the fastest policy of a sequence that is certified on every one of ``parts``.

    ``parts`` are outputs of the same calibration texts, one for each precision that the certificate covers. For each,
    the probability that the policy's risk is above ``risk`` is at most ``error``, over the draw of the calibration
    texts. Policies are tested in order until one fails; the result is the one before it.

    Raises:
        InputError: there are too few texts to certify any policy, or with texts in windows the stop over windows alone
            has too many losses.
        MissingExtra: scipy is not installed.
    """
    n, long = len(parts[0].outputs), name_long(parts[0])
    check_enough(n, risk, error)
    finders = [prepare_losses(part, loss, tolerance) for part in parts]

    def test(policy: Policy) -> tuple[int, float]:
        flips = max(int(find(policy).sum()) for find in finders)
        return flips, compute_p_value(flips, n, risk)

    passed = FULL, *test(FULL), 0
    if passed[2] > error:
        raise InputError(
            f"{long} is settled too early: even with windows at full depth {passed[1]} of {plural(n, 'text')} lose, "
            f"too many for a risk of {risk:g}; use a slower policy over the windows, or a higher risk"
        )
    for place, policy in enumerate(ordered):
        flips, p = test(policy)
        if p > error:
            break
        passed = policy, flips, p, place
    policy, flips, p, place = passed
    certificate = Certificate(loss, risk, error, n, flips, p, tolerance, long=long)
    return CertifiedPolicy(policy, certificate, place, len(ordered))


def name_long(trials: AnyTrials) -> str | None:
    """Return how long texts are read, where they are read in windows."""
    return str(trials.outputs.windows) if isinstance(trials, DocumentTrials) else None


def prepare_losses(trials: AnyTrials, loss: Loss, tolerance: float | None) -> FindLosses:
    """Return the function that finds the losses of a policy (:func:`compute_losses`).

    Raises:
        InputError: as for :func:`compute_losses`.
    """
    if isinstance(trials, DocumentTrials):
        check_loss(loss, tolerance, trials.outputs.task)
        return lambda policy: trials.find_losses(policy, tolerance, harmful=loss == "harmful-flip")
    lost = compute_losses(trials, loss, tolerance)
    return lambda policy: trials.look_up(lost, trials.depth(policy))


def order_candidates(
    tuning: AnyTrials, candidates: Sequence[Policy], loss: Loss, tolerance: float | None = None
) -> list[Policy]:
    """Return the candidates to test in sequence, from ``full`` to the fastest, ordered on the tuning part.

    One candidate for each step of cost: that with the least loss, unless a cheaper step has one with less. So the cost
    falls in small steps even where the tuning part is too small to show any loss, and a policy that only seemed
    harmless ends the sequence late. Any order keeps the guarantee, if the calibration part does not influence it.
    """
    find = prepare_losses(tuning, loss, tolerance)
    measured = [(tuning.mean_depth(policy), find(policy).mean()) for policy in candidates]
    cost, share = np.array(measured).reshape(-1, 2).T
    step = np.floor(cost * STEPS_A_DEPTH)
    best = {
        step[i]: i for i in np.lexsort((-cost, -share)).tolist()
    }  # later entries overwrite: the best of its step remains
    kept: list[int] = []
    for _, i in sorted(best.items()):  # cheapest first
        if not kept or share[i] <= share[kept[-1]]:
            kept.append(i)
    return [FULL, *(candidates[i] for i in reversed(kept) if candidates[i].rules)]


def compute_losses(exits: Trials, loss: Loss, tolerance: float | None = None) -> NDArray[np.bool_]:
    """Return ``[n, depths]``: whether an exit at that depth has a loss.

    ``harmful-flip``: wrong there, right at the last depth. Its mean bounds the lost accuracy; it needs labels.
    ``inconsistency``: another prediction than at the last depth, a value more than ``tolerance`` from it. Its mean
    bounds the harmful flips; it needs no labels.

    Raises:
        InputError: there is no such loss, or it does not fit the task.
    """
    check_loss(loss, tolerance, exits.outputs.task)
    if loss == "harmful-flip" and exits.right is not None:
        return np.asarray(exits.right[:, -1:] & ~exits.right)
    answers = exits.outputs.probabilities
    return exits.outputs.task.differ(answers, answers[:, -1:], tolerance or 0.0)


def check_loss(loss: str, tolerance: float | None, task: Task) -> None:
    """Check that a loss is one that answers of the task can have.

    Raises:
        InputError: there is no such loss, it does not fit the task, or the tolerance of values is missing.
    """
    if loss not in get_args(Loss):
        raise InputError(f"loss is {loss!r:.80}, expected one of {', '.join(get_args(Loss))}")
    has_values = task.content == "values"
    if not has_values and tolerance is not None:
        raise InputError(
            f"a tolerance is for values, and the predictions of {task.title} are equal or not: leave it out"
        )
    if not task.is_graded and loss == "harmful-flip":
        tolerance_too = " with a tolerance" if has_values else ""
        raise InputError(f"answers of {task.title} are not right or wrong: use the loss inconsistency{tolerance_too}")
    if has_values and (tolerance is None or not 0 < tolerance < math.inf):
        got = "none" if tolerance is None else f"{tolerance:g}"
        raise InputError(
            f"a risk for {task.title} needs a tolerance, a number above 0 in the unit of the values; got {got}"
        )


def compute_p_value(flips: int, n: int, risk: float) -> float:
    """Return the probability of so few losses among ``n`` texts if the true risk is ``risk``: P(Bin(n, risk) <= flips).

    Exact for any distribution of texts, because losses are 0 or 1; smaller still for a higher risk.

    Raises:
        MissingExtra: scipy is not installed.
    """
    return float(require("scipy.stats", "train").binom.cdf(flips, n, risk))


def check_enough(n: int, risk: float, error: float, units: str = "texts") -> None:
    """Check that a sample of this size can certify a policy at all; ``units`` is what it consists of.

    Raises:
        InputError: risk or error is not a probability, or there are too few texts.
    """
    for name, value in (("risk", risk), ("error", error)):
        if not 0 < value < 1:
            raise InputError(f"{name} is {value}, expected a probability between 0 and 1, such as 0.01")
    needed = min_texts(risk, error)
    if n < needed:
        raise InputError(
            f"{plural(n, units.removesuffix('s'))} cannot certify a risk of {risk:g} with error {error:g}, even if "
            "none of them has a loss: "
            f"at least {needed} are needed for calibration alone; give more {units}, or a higher risk or error"
        )


def min_texts(risk: float, error: float) -> int:
    """Return the fewest texts that can certify a policy: without a loss the p-value is ``(1 - risk)^n``."""
    return math.ceil(math.log(error) / math.log1p(-risk))
