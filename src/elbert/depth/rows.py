"""Rows: texts inside a live batch, each at its own depth. What belongs to a row leaves together, by one verb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elbert.errors import InputError
from elbert.exits import Policy, Trace
from elbert.model import Backend, Layout
from elbert.text import Tokens


@dataclass(frozen=True)
class Rows:
    """Live rows.

    identity: ``[rows]``, the caller's number of each row
    hidden:   ``[tokens, width]``, packed as ``layout`` says
    trace:    the depth of each row, and what its heads have said
    """

    identity: Tensor
    hidden: Tensor
    layout: Layout
    trace: Trace

    def __len__(self) -> int:
        """How many rows are live."""
        return len(self.layout)

    def keep(self, index: Tensor) -> Rows:
        """Some of the rows, in the order of ``index [kept]``."""
        layout, tokens = self.layout.keep(index)
        return Rows(self.identity[index], self.hidden[tokens], layout, self.trace.keep(index))

    @staticmethod
    def join(parts: Sequence[Rows]) -> Rows:
        """The rows of several batches in one, in order."""
        if len(parts) == 1:
            return parts[0]
        return Rows(
            identity=torch.cat([p.identity for p in parts]),
            hidden=torch.cat([p.hidden for p in parts]),
            layout=Layout(torch.cat([p.layout.lengths for p in parts])),
            trace=Trace.join([p.trace for p in parts]),
        )


def admit(
    tokens: Sequence[Tokens], identity: Sequence[int], backend: Backend, policy: Policy, *, remember: bool = False
) -> Rows:
    """Rows at depth 0 for tokenised texts; ``remember`` keeps the probabilities of every depth in the trace.

    Raises:
        InputError: a row holds a token or a segment that the model has no embedding of.
    """
    device, config = backend.device, backend.config
    layout = Layout.of([len(t.ids) for t in tokens], device)
    ids = embeddable([i for t in tokens for i in t.ids], config.vocab_size, "token").to(device)
    type_ids = embeddable([i for t in tokens for i in t.type_ids], config.type_vocab_size, "segment").to(device)
    trace = Trace.start(
        len(tokens),
        config.depths,
        len(config.labels),
        policy.signals,
        multi_label=config.multi_label,
        remember=remember,
        device=device,
    )
    return Rows(torch.tensor(identity, device=device), backend.embed(ids, type_ids, layout), layout, trace)


def embeddable(ids: Sequence[int], known: int, what: str) -> Tensor:
    """``[tokens]``, each below ``known``.

    Raises:
        InputError: one is not. On an accelerator it would take the whole process down.
    """
    found = torch.tensor(ids, dtype=torch.long)
    if len(found) and int(found.max()) >= known:
        pairs = "; it takes single texts, no pairs" if what == "segment" else ""
        raise InputError(f"a text has the {what} {int(found.max())}, and the model knows only {known}{pairs}")
    return found
