"""Rows: texts inside a live batch, each at its own depth. One method, :meth:`Rows.keep`, removes rows everywhere."""

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
from elbert.exits.signals import SIGNALS
from elbert.exits.token_trace import TokenTrace
from elbert.model import Backend, Layout, ModelConfig
from elbert.model.native import Live
from elbert.tokenization import Tokens


@dataclass(frozen=True)
class Rows:
    """Live rows.

    identity: ``[rows]``, the caller's number of each row
    policies: the policy of each row
    hidden:   ``[size, width]``, packed as in ``layout``
    trace:    the depth of each row, and its probabilities so far
    """

    identity: NDArray[np.int64]
    policies: tuple[Policy, ...]
    hidden: Tensor
    layout: Layout
    trace: Trace
    live: Live | None = None  # of native code: the arrays of these rows, for all steps until one exits or joins

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.policies)

    def keep(self, index: NDArray[Any]) -> Rows:
        """Return the rows ``index [kept]``, in that order."""
        if not len(index):  # at the end of every batch, and of every single text
            empty = Layout.from_lengths([], self.layout.device)
            return Rows(self.identity[:0], (), self.hidden[:0], empty, self.trace.keep(index))
        layout, tokens = self.layout.keep(index)
        return Rows(
            identity=self.identity[index],
            policies=tuple(self.policies[i] for i in index.tolist()),
            hidden=select_tokens(self.hidden, tokens),
            layout=layout,
            trace=self.trace.keep(index),
        )

    def split(self, count: int) -> tuple[Rows, Rows]:
        """Split into the first ``count`` rows and the rest."""
        index = np.arange(len(self))
        return self.keep(index[:count]), self.keep(index[count:])

    def halve(self) -> tuple[Rows, Rows]:
        """Split into the first half and the rest."""
        return self.split(len(self) // 2)

    @staticmethod
    def join(parts: Sequence[Rows]) -> Rows:
        """Concatenate batches."""
        parts = [part for part in parts if len(part)] or parts[:1]
        if len(parts) == 1:
            return parts[0]
        layout = Layout(np.concatenate([p.layout.lengths for p in parts]), parts[0].layout.device)
        return Rows(
            identity=np.concatenate([p.identity for p in parts]),
            policies=tuple(policy for p in parts for policy in p.policies),
            hidden=join_tokens([*(p.hidden[: p.layout.tokens] for p in parts), make_filler(layout, parts[0].hidden)]),
            layout=layout,
            trace=parts[0].trace.join([p.trace for p in parts]),
        )


def select_tokens(hidden: Tensor, tokens: Tensor) -> Tensor:
    """``[size, width] -> [kept size, width]``: the hidden states of these tokens.

    On the host by numpy: torch copies with OpenMP's threads, which then occupy their cores for some milliseconds while
    they look for more work, so that the threads of native code wait for a core.
    """
    if not hidden.is_cpu:
        return hidden.index_select(0, tokens)
    return torch.from_numpy(to_array(hidden)[tokens.numpy()]).view(hidden.dtype)


def join_tokens(parts: list[Tensor]) -> Tensor:
    """Concatenate hidden states; on the host by numpy, as in :func:`select_tokens`."""
    if not parts[0].is_cpu:
        return torch.cat(parts)
    return torch.from_numpy(np.concatenate([to_array(part) for part in parts])).view(parts[0].dtype)


def to_array(hidden: Tensor) -> NDArray[Any]:
    """The memory of hidden states on the host, as numbers of a type that numpy has."""
    array: NDArray[Any] = (hidden.view(torch.int16) if hidden.dtype == torch.bfloat16 else hidden).numpy()
    return array


def make_filler(layout: Layout, hidden: Tensor) -> Tensor:
    """``[size - tokens, width]`` zeros, of the type and on the device of ``hidden``."""
    return hidden.new_zeros(layout.size - layout.tokens, hidden.shape[1])


def admit(
    tokens: Sequence[Tokens],
    identity: Sequence[int],
    backend: Backend,
    policies: Policy | Sequence[Policy],
    *,
    keep_trace: bool = False,
) -> Rows:
    """Embed tokenised texts: rows at depth 0, under one policy or one each.

    With ``keep_trace`` the exit head is read at every depth, even where no policy needs it. Tokens that come from
    outside must pass :func:`check_tokens` first.
    """
    config = backend.config
    policies = (policies,) * len(tokens) if isinstance(policies, Policy) else tuple(policies)
    layout = Layout.from_lengths([len(t.ids) for t in tokens], backend.device)
    ids = concatenate((t.ids for t in tokens), layout.tokens)
    type_ids = concatenate((t.type_ids for t in tokens), layout.tokens)
    trace = start_trace(tokens, config, policies, keep_trace=keep_trace)
    hidden = backend.embed(layout.to_device(ids), layout.to_device(type_ids), layout)
    return Rows(np.asarray(identity, np.int64), policies, hidden, layout, trace)


def start_trace(
    tokens: Sequence[Tokens], config: ModelConfig, policies: Sequence[Policy], *, keep_trace: bool
) -> Trace:
    """Return the trace of new rows."""
    if config.task.per_token:
        pieces = [row.pieces for row in tokens]
        names = [name for name, signal in SIGNALS.items() if signal.needs == config.task.content]
        return TokenTrace.begin(
            np.array([len(part) for part in pieces], np.int64),
            np.concatenate([part.positions for part in pieces]),
            np.concatenate([part.is_first for part in pieces]),
            config.depths,
            len(config.labels),
            names if keep_trace else sorted({name for policy in policies for name in policy.signals}),
            keep_trace=keep_trace,
        )
    return start_text_trace(len(tokens), config, keep_trace=keep_trace)


def start_text_trace(rows: int, config: ModelConfig, *, keep_trace: bool) -> Trace:
    """Return the empty trace of rows that have one answer each."""
    return Trace.start(
        rows,
        config.depths,
        len(config.labels),
        multi_label=config.multi_label,
        keep_trace=keep_trace,
        content=config.task.content,
        scale=config.scale,
    )


def concatenate(lists: Iterable[list[int]], total: int) -> NDArray[np.int64]:
    """Join lists of ``total`` numbers into one array ``[total]``."""
    return np.fromiter(chain.from_iterable(lists), np.int64, total)


def check_tokens(tokens: Tokens, config: ModelConfig) -> None:
    """Check that the model has an embedding for every token: on an accelerator an unknown one ends the process.

    Raises:
        InputError: a token or a segment is out of range.
    """
    if max(tokens.ids) >= config.vocab_size:
        raise InputError(f"a text has the token {max(tokens.ids)}, and the model knows only {config.vocab_size}")
    if max(tokens.type_ids) >= config.type_vocab_size:
        raise InputError(
            f"a text has the segment {max(tokens.type_ids)}, and the model knows only {config.type_vocab_size}; "
            "it takes single texts, no pairs"
        )
