"""A step in native code: the arrays that it reads and writes, and the policies that it knows.

Which policies it knows is a matter of names: a policy is known if its signals, conditions and comparisons are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from elbert.exits import Policy, Trace
from elbert.exits.conditions import COMPARISONS, CONDITIONS
from elbert.exits.encoding import COLUMNS, lower_policy
from elbert.exits.signals import SIGNALS, Content
from elbert.inference.rows import Rows
from elbert.model import Backend, ModelConfig, native
from elbert.model.backend import as_advancing
from elbert.model.native import Live, NativePolicy

CACHED_POLICIES = 1024
CALL_WORK = 1e10  # multiply-adds of a call of several layers, some 0.1 s: it can be interrupted only when it returns


def run_native_step(rows: Rows, backend: Backend, layers: int = 1) -> Rows | None:
    """Take rows one layer deeper, read the exit head where it is needed and decide, in one call.

    Where all depths share their weights, a call makes up to ``layers`` such steps, and ends when a row exits. The
    depths and the trace are changed in place, and ``live`` of the result has the decisions. None where the backend,
    or the policy of a row, needs the general path.
    """
    if (advancing := as_advancing(backend)) is None:
        return None
    config, trace = backend.config, rows.trace
    if (live := rows.live) is None:
        # Depths of its own: those of ``rows`` stay as they are, and a step that fails can be tried again.
        trace = replace(trace, depth=trace.depth.copy(), tempered_traces={})
        if (live := describe_rows(rows.policies, trace, config)) is None:
            return None
    depth = int(trace.depth[0]) + 1
    live.layers = min(layers, affordable_layers(rows, config)) if layers > 1 and config.is_all_shared else 1
    hidden = advancing.advance(rows.hidden, rows.layout, config.group(depth), config.head(depth), live)
    return Rows(rows.identity, rows.policies, hidden, rows.layout, trace, live)


def affordable_layers(rows: Rows, config: ModelConfig) -> int:
    """How many layers of these rows are no more than :data:`CALL_WORK`; at least 1."""
    return max(1, int(CALL_WORK / (count_work(config) * max(rows.layout.tokens, 1))))


def count_work(config: ModelConfig) -> int:
    """The multiply-adds of one layer for one token."""
    return config.hidden_size * (4 * config.hidden_size + 2 * config.intermediate_size)


def describe_rows(policies: Sequence[Policy], trace: Trace, config: ModelConfig) -> Live | None:
    """The arrays of rows for native code; None if it does not know the policy of a row."""
    if (lowered := lower_all(policies, config, trace.content)) is None:
        return None
    return Live(
        lowered,
        trace.depth,
        trace.probabilities,
        name_task(config),
        keep_trace=trace.keep_trace,
        scale=config.scale,
    )


def lower_all(policies: Sequence[Policy], config: ModelConfig, content: Content) -> list[NativePolicy] | None:
    """The policy of each row for native code; None if it does not know one of them."""
    found = dict[int, NativePolicy]()
    for policy in {id(policy): policy for policy in policies}.values():
        lowered = lower_natively(policy, config.depths, content)
        if lowered is None:
            return None
        found[id(policy)] = lowered
    return [found[id(policy)] for policy in policies]


def name_task(config: ModelConfig) -> str:
    """What native code does with logits."""
    if config.task.content == "values":
        return "values"
    return "sigmoid" if config.multi_label else "softmax"


@lru_cache(maxsize=CACHED_POLICIES)
def lower_natively(policy: Policy, depths: int, content: Content) -> NativePolicy | None:
    """The policy for native code; None if that does not know a signal, condition or comparison, or if temperatures
    are inside others, which it would multiply."""
    lowered = lower_policy(policy, depths)
    conditions = dict(zip(COLUMNS, lowered.conditions.T, strict=True))
    fits = [name if signal.needs == content else "" for name, signal in SIGNALS.items()]
    columns = [
        conditions["rule"],
        renumber(conditions["condition"], list(CONDITIONS), native.CONDITIONS),
        renumber(conditions["signal"], fits, native.SIGNALS),
        renumber(conditions["comparison"], list(COMPARISONS), native.COMPARISONS),
        conditions["size"],
        conditions["temperatures"],
    ]
    is_known = all((column >= -1).all() for column in columns)
    if not is_known or len(columns) != len(COLUMNS) or any(len(rule.temperatures) > 1 for rule in policy.rules):
        return None
    return NativePolicy(np.stack(columns, 1), lowered.thresholds, lowered.temperatures, len(lowered.reasons))


def renumber(numbers: NDArray[np.int32], names: list[str], native_names: tuple[str, ...]) -> NDArray[np.int32]:
    """Indices of ``names`` as indices of ``native_names``; -1 stays, and what native code does not have is -2."""
    table = [native_names.index(name) if name in native_names else -2 for name in names]
    return np.array([*table, -1], np.int32)[numbers]
