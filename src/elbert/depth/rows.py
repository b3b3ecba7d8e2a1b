"""Rows: texts inside a live batch, each at its own depth. What belongs to a row leaves together, by one verb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elbert.errors import InputError
from elbert.exits import Policy, Trace
from elbert.model import Backend, Layout, ModelConfig
from elbert.text import Tokens


@dataclass(frozen=True)
class Rows:
    """Live rows.

    identity: ``[rows]``, the caller's number of each row
    policies: the policy of each row
    hidden:   ``[tokens, width]``, packed as ``layout`` says
    trace:    the depth of each row, and what its heads have said
    """

    identity: NDArray[np.int64]
    policies: tuple[Policy, ...]
    hidden: Tensor
    layout: Layout
    trace: Trace

    def __len__(self) -> int:
        """How many rows are live."""
        return len(self.layout)

    def keep(self, index: NDArray[Any]) -> Rows:
        """Some of the rows, in the order of ``index [kept]``."""
        layout, tokens = self.layout.keep(index)
        return Rows(
            identity=self.identity[index],
            policies=tuple(self.policies[i] for i in index.tolist()),
            hidden=self.hidden.index_select(0, tokens),
            layout=layout,
            trace=self.trace.keep(index),
        )

    def cut(self, count: int) -> tuple[Rows, Rows]:
        """The first ``count`` rows, and the rest."""
        index = np.arange(len(self))
        return (self if count >= len(self) else self.keep(index[:count])), self.keep(index[count:])

    def halves(self) -> tuple[Rows, Rows]:
        """The first half and the rest."""
        return self.cut(len(self) // 2)

    @staticmethod
    def join(parts: Sequence[Rows]) -> Rows:
        """The rows of several batches in one, in order."""
        parts = [part for part in parts if len(part)] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        return Rows(
            identity=np.concatenate([p.identity for p in parts]),
            policies=tuple(policy for p in parts for policy in p.policies),
            hidden=torch.cat([p.hidden for p in parts]),
            layout=Layout(np.concatenate([p.layout.lengths for p in parts]), parts[0].layout.device),
            trace=Trace.join([p.trace for p in parts]),
        )


def admit(
    tokens: Sequence[Tokens],
    identity: Sequence[int],
    backend: Backend,
    policies: Policy | Sequence[Policy],
    *,
    signals: frozenset[str] | None = None,
    remember: bool = False,
) -> Rows:
    """Rows at depth 0 for tokenised texts, under one policy or one each.

    ``signals`` are those that the trace keeps, by default the policies' own; rows that are to be joined must keep the
    same. ``remember`` keeps the probabilities of every depth in the trace.

    Raises:
        InputError: a row holds a token or a segment that the model has no embedding of.
    """
    config = backend.config
    policies = (policies,) * len(tokens) if isinstance(policies, Policy) else tuple(policies)
    layout = Layout.of([len(t.ids) for t in tokens], backend.device)
    ids = embeddable([i for t in tokens for i in t.ids], config.vocab_size, "token")
    type_ids = embeddable([i for t in tokens for i in t.type_ids], config.type_vocab_size, "segment")
    trace = Trace.start(
        len(tokens),
        config.depths,
        len(config.labels),
        frozenset[str]().union(*(p.signals for p in policies)) if signals is None else signals,
        multi_label=config.multi_label,
        remember=remember,
    )
    hidden = backend.embed(layout.placed(ids), layout.placed(type_ids), layout)
    return Rows(np.asarray(identity, np.int64), policies, hidden, layout, trace)


def check_tokens(tokens: Tokens, config: ModelConfig) -> None:
    """Look at one text's tokens before it joins others.

    Raises:
        InputError: it holds a token or a segment that the model has no embedding of.
    """
    embeddable(tokens.ids, config.vocab_size, "token")
    embeddable(tokens.type_ids, config.type_vocab_size, "segment")


def embeddable(ids: Sequence[int], known: int, what: str) -> NDArray[np.int64]:
    """``[tokens]``, each below ``known``.

    Raises:
        InputError: one is not. On an accelerator it would take the whole process down.
    """
    found = np.array(ids, np.int64)
    if len(found) and int(found.max()) >= known:
        pairs = "; it takes single texts, no pairs" if what == "segment" else ""
        raise InputError(f"a text has the {what} {int(found.max())}, and the model knows only {known}{pairs}")
    return found
