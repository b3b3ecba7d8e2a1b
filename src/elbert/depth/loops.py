"""The plain loop: the twin that the engine is tested against, and the way others go."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from elbert.depth.advance import Exits, advance
from elbert.depth.rows import Rows
from elbert.model import Backend


@torch.inference_mode()
def shrink(rows: Rows, backend: Backend) -> Iterator[Exits]:
    """Take a batch deeper until nobody is left; the places of those that leave stay empty (FastBERT, ACL 2020)."""
    while len(rows):
        rows, exits = advance(rows, backend)
        yield exits
