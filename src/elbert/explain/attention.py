"""Where the token that the exit head reads looks, depth by depth, in the reference model (float32)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elbert.model import ModelConfig
from elbert.tokenization import Tokens

CLS, MEAN = "[CLS]", "mean"


def reader(config: ModelConfig) -> str:
    """Whose attention says what the head could read: [CLS]'s, or where it reads the mean, that of all tokens."""
    return CLS if config.pooling == "cls" else MEAN


@torch.inference_mode()
def attention(folder: Path, config: ModelConfig, tokens: Tokens) -> NDArray[Any]:
    """``[depths, tokens]``: the attention that every token gets from the head's token, mean over heads.

    Every row sums to 1. Of a depth made of several inner layers, the last one's counts.
    """
    from elbert.model.reference import reference_class

    with _no_progress_bar():
        model = reference_class(config.backbone).from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
    ids = torch.tensor([tokens.ids])
    types = {"token_type_ids": torch.tensor([tokens.type_ids])} if config.backbone.segments else {}
    model.train(False)
    out = model(input_ids=ids, attention_mask=torch.ones_like(ids), **types, output_attentions=True)
    layers = out.attentions[config.inner_group_num - 1 :: config.inner_group_num]
    over_heads = [layer[0].mean(0) for layer in layers]  # [tokens, tokens]
    rows = [each[0] if reader(config) == CLS else each.mean(0) for each in over_heads]
    found: NDArray[Any] = np.stack([row.double().numpy() for row in rows])
    return found


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """A model of a few megabytes needs none, and it would stand between the lines of a report."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
