"""Decisions about rows of many policies at once: the conditions of all policies as arrays, evaluated together.

The policies of a server's clients may all differ. One after the other they would cost as many numpy calls as there are
policies; here they cost as many as there are kinds of conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from elbert.exits.conditions import COMPARISONS, CONDITIONS, compare_window
from elbert.exits.encoding import COLUMNS, lower_policy
from elbert.exits.rules import STAY, Policy
from elbert.exits.signals import SIGNALS, Array
from elbert.exits.token_trace import TokenTrace
from elbert.exits.trace import Trace, divide_logits, pad_temperatures

Ints = NDArray[np.int64]
RULE, CONDITION, SIGNAL, COMPARISON, SIZE, TEMPERATURES = map(COLUMNS.index, COLUMNS)
CACHED_POLICIES = 1024


def decide_jointly(
    trace: Trace, policies: Sequence[Policy], policy_of_row: Ints, depths: int
) -> tuple[Ints, tuple[str, ...]]:
    """``decision [rows]``, an index into the returned reasons or STAY, where rows follow ``policies[policy_of_row]``.

    Rows at the last depth, which exit anyway, get any decision. The same as :meth:`Policy.decide` of each policy on its
    rows.
    """
    lowered = [lower_conditions(policy, depths) for policy in policies]
    conditions = Conditions.join(lowered).of_rows(policy_of_row, [len(part.numbers) for part in lowered])
    reasons = tuple(reason for policy in policies for reason in policy.reasons)
    decision = np.full(len(policy_of_row), len(reasons))
    if len(conditions.numbers):
        reached = conditions.keep(conditions.size <= trace.depth[conditions.row])
        # A rule fires where as many of its conditions hold as it has; those whose depth is not reached do not.
        needed = np.bincount(conditions.rule_of_row)
        held = np.bincount(reached.rule_of_row[evaluate(reached, trace)], minlength=len(needed))
        row, rule = np.divmod(np.flatnonzero((needed > 0) & (held == needed)), conditions.rules)
        np.minimum.at(decision, row, rule)  # the first of several rules is the reason
    decision[decision == len(reasons)] = STAY
    return decision, reasons


@dataclass(frozen=True)
class Conditions:
    """Conditions as arrays: of a policy, of several, or of rows, which then repeat for each row of a policy.

    numbers:      ``[conditions, 6]``, the columns :data:`COLUMNS`
    thresholds:   ``[conditions]``
    temperatures: ``[distinct, levels, depths]``: temperatures inside temperatures, outermost first, 1 where there are
                  none
    levels:       ``[distinct]``: how many there are
    row:          ``[conditions]``: the row, where the conditions are those of rows; else zeros
    rules:        how many rules there are
    """

    numbers: Ints
    thresholds: NDArray[np.float32]
    temperatures: Array
    levels: Ints
    row: Ints
    rules: int

    @staticmethod
    def join(parts: Sequence[Conditions]) -> Conditions:
        """Those of several policies; rules and temperatures are numbered through."""
        rules = np.cumsum([0, *(part.rules for part in parts)])
        distinct = np.cumsum([0, *(len(part.levels) for part in parts)])
        lengths = [len(part.numbers) for part in parts]
        numbers = np.concatenate([part.numbers for part in parts])
        numbers[:, RULE] += np.repeat(rules[:-1], lengths)
        numbers[:, TEMPERATURES] += np.where(numbers[:, TEMPERATURES] < 0, 0, np.repeat(distinct[:-1], lengths))
        deepest = max(part.temperatures.shape[1] for part in parts)
        return Conditions(
            numbers,
            np.concatenate([part.thresholds for part in parts]),
            np.concatenate([add_levels(part.temperatures, deepest) for part in parts]),
            np.concatenate([part.levels for part in parts]),
            np.concatenate([part.row for part in parts]),
            int(rules[-1]),
        )

    def of_rows(self, policy_of_row: Ints, lengths: Sequence[int]) -> Conditions:
        """The conditions of each row, for policies that have so many conditions."""
        each = np.array(lengths, np.int64)
        starts, counts = (np.cumsum(each) - each)[policy_of_row], each[policy_of_row]
        index = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        row = np.repeat(np.arange(len(policy_of_row)), counts)
        return replace(self, numbers=self.numbers[index], thresholds=self.thresholds[index], row=row)

    @property
    def size(self) -> Ints:
        """``[conditions]``: the number of depths that each needs."""
        return self.numbers[:, SIZE]

    def keep(self, mask: NDArray[np.bool_]) -> Conditions:
        """The conditions where ``mask`` is true."""
        return replace(self, numbers=self.numbers[mask], thresholds=self.thresholds[mask], row=self.row[mask])

    @property
    def rule_of_row(self) -> Ints:
        """``[conditions]``: a number for each rule of each row."""
        numbers: Ints = self.row * self.rules + self.numbers[:, RULE]
        return numbers


@lru_cache(maxsize=CACHED_POLICIES)
def lower_conditions(policy: Policy, depths: int) -> Conditions:
    """The conditions of one policy."""
    lowered = lower_policy(policy, depths)
    chains = list(dict.fromkeys(rule.temperatures for rule in policy.rules if rule.size < depths and rule.temperatures))
    padded = [np.array([pad_temperatures(level, depths) for level in chain], np.float32) for chain in chains]
    levels = np.array([len(chain) for chain in chains], np.int64)
    deepest = int(levels.max(initial=0))
    temperatures = [add_levels(chain[None], deepest) for chain in padded] or [np.ones((0, deepest, depths), np.float32)]
    numbers = lowered.conditions.astype(np.int64)
    row = np.zeros(len(numbers), np.int64)
    return Conditions(numbers, lowered.thresholds, np.concatenate(temperatures), levels, row, len(policy.reasons))


def add_levels(temperatures: Array, levels: int) -> Array:
    """``[distinct, levels, depths]`` with more levels, of 1."""
    missing = levels - temperatures.shape[1]
    return np.pad(temperatures, ((0, 0), (0, missing), (0, 0)), constant_values=1) if missing else temperatures


def evaluate(conditions: Conditions, trace: Trace) -> NDArray[np.bool_]:
    """``[conditions]``: whether each holds of its row; all rows are deep enough."""
    numbers = conditions.numbers
    holds: NDArray[np.bool_] = (numbers[:, SIGNAL] < 0) | (conditions.size == 0)  # these need a depth only, or nothing
    if not len(numbers) or holds.all():
        return holds
    tempered, place = temper_rows(conditions, trace)
    names, comparisons = list(SIGNALS), list(COMPARISONS)
    shape = len(CONDITIONS), len(names), len(comparisons)
    has_signal = np.flatnonzero(~holds)
    kind = np.ravel_multi_index(numbers[has_signal][:, [CONDITION, SIGNAL, COMPARISON]].T, shape)
    for one in np.flatnonzero(np.bincount(kind)):
        condition, signal, comparison = np.unravel_index(one, shape)
        own = has_signal[kind == one]
        row, size = place[own][:, None], conditions.size[own][:, None]
        depth = tempered.depth[row]
        # Windows are as long as the longest: shorter ones repeat their first value, which changes no condition.
        steps = np.maximum(depth + np.arange(-size.max(), 0), depth - size)
        window = tempered.at_all_depths(names[signal])[row, steps]
        threshold = conditions.thresholds[own][:, None]
        holds[own] = compare_window(CONDITIONS[condition], comparisons[comparison], window, threshold)
    return holds


def temper_rows(conditions: Conditions, trace: Trace) -> tuple[Trace, Ints]:
    """A trace with a row for each row and temperatures that occur, and the row of each condition in it."""
    distinct = len(conditions.levels) + 1
    found, place = np.unique(conditions.row * distinct + conditions.numbers[:, TEMPERATURES] + 1, return_inverse=True)
    row, chain = found // distinct, found % distinct - 1
    depth = trace.depth[row]
    if isinstance(trace, TokenTrace):  # temperatures do not fit its rows, so there is one row for each
        return trace.keep(row), place.reshape(-1)
    deepest = int(depth.max())
    probabilities = trace.probabilities[row, :deepest]
    for level in range(conditions.temperatures.shape[1]):
        own = np.flatnonzero(chain >= 0)
        own = own[conditions.levels[chain[own]] > level]
        steps = conditions.temperatures[chain[own], level, :deepest]
        probabilities[own] = divide_logits(probabilities[own], steps, trace.multi_label)
    return replace(trace, depth=depth, probabilities=probabilities, signals={}, common_depth=None), place.reshape(-1)
