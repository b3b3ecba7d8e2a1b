"""Rows: texts inside a live batch, each at its own depth. What belongs to a row leaves together, by one verb."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elbert.errors import InputError
from elbert.exits import Policy, Trace
from elbert.model import Backend, Layout, ModelConfig
from elbert.tokenization import Tokens


@dataclass(frozen=True)
class Rows:
    """Live rows.

    identity: ``[rows]``, the caller's number of each row
    policies: the policy of each row
    hidden:   ``[room, width]``, packed as ``layout`` says
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
        if not len(index):  # the end of every batch, and of every text served alone
            nothing = Layout.of([], self.layout.device)
            return Rows(self.identity[:0], (), self.hidden[:0], nothing, self.trace.keep(index))
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
        return self.keep(index[:count]), self.keep(index[count:])

    def halves(self) -> tuple[Rows, Rows]:
        """The first half and the rest."""
        return self.cut(len(self) // 2)

    @staticmethod
    def join(parts: Sequence[Rows]) -> Rows:
        """The rows of several batches in one, in order."""
        parts = [part for part in parts if len(part)] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        layout = Layout(np.concatenate([p.layout.lengths for p in parts]), parts[0].layout.device)
        return Rows(
            identity=np.concatenate([p.identity for p in parts]),
            policies=tuple(policy for p in parts for policy in p.policies),
            hidden=torch.cat([*(p.hidden[: p.layout.tokens] for p in parts), filler(layout, parts[0].hidden)]),
            layout=layout,
            trace=Trace.join([p.trace for p in parts]),
        )


def filler(layout: Layout, hidden: Tensor) -> Tensor:
    """``[room - tokens, width]``, of the kind that ``hidden`` is."""
    return hidden.new_zeros(layout.room - layout.tokens, hidden.shape[1])


def admit(
    tokens: Sequence[Tokens],
    identity: Sequence[int],
    backend: Backend,
    policies: Policy | Sequence[Policy],
    *,
    remember: bool = False,
) -> Rows:
    """Rows at depth 0 for tokenised texts, under one policy or one each.

    ``remember`` asks for what every depth said, so that it is read even where no policy needs it. Strangers' tokens
    are to be seen by :func:`check_tokens` first.
    """
    config = backend.config
    policies = (policies,) * len(tokens) if isinstance(policies, Policy) else tuple(policies)
    layout = Layout.of([len(t.ids) for t in tokens], backend.device)
    ids = flat((t.ids for t in tokens), layout.tokens)
    type_ids = flat((t.type_ids for t in tokens), layout.tokens)
    trace = Trace.start(
        len(tokens),
        config.depths,
        len(config.labels),
        multi_label=config.multi_label,
        remember=remember,
    )
    hidden = backend.embed(layout.placed(ids), layout.placed(type_ids), layout)
    return Rows(np.asarray(identity, np.int64), policies, hidden, layout, trace)


def flat(lists: Iterable[list[int]], total: int) -> NDArray[np.int64]:
    """``[total]``: one list after another."""
    return np.fromiter(chain.from_iterable(lists), np.int64, total)


def check_tokens(tokens: Tokens, config: ModelConfig) -> None:
    """Look at one text's tokens before it joins others: on an accelerator they would take the whole process down.

    Raises:
        InputError: it holds a token or a segment that the model has no embedding of.
    """
    if max(tokens.ids) >= config.vocab_size:
        raise InputError(f"a text has the token {max(tokens.ids)}, and the model knows only {config.vocab_size}")
    if max(tokens.type_ids) >= config.type_vocab_size:
        raise InputError(
            f"a text has the segment {max(tokens.type_ids)}, and the model knows only {config.type_vocab_size}; "
            "it takes single texts, no pairs"
        )
