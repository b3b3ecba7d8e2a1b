"""The attention of the token that the exit head reads, by depth, from the reference model (float32)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from elbert.model import ModelConfig
from elbert.model.isolation import isolated_loading
from elbert.tokenization import Tokens

CLS, MEAN = "[CLS]", "mean"


def pooled_tokens(config: ModelConfig) -> str:
    """Whose attention is shown: that of ``[CLS]``, or ``mean`` where the exit head reads the mean of all tokens."""
    return CLS if config.pooling == "cls" else MEAN


@isolated_loading()
def compute_attention(folder: Path, config: ModelConfig, tokens: Tokens) -> NDArray[Any]:
    """``[depths, tokens]``: the attention that each token receives from the pooled token, mean over attention heads.

    Each row sums to 1. Where a depth has several inner layers, the last one is used.
    """
    from elbert.model.reference import reference_class

    with _no_progress_bar():
        model = reference_class(config.backbone).from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
    ids = torch.tensor([tokens.ids], dtype=torch.long, device="cpu")
    segments = torch.tensor([tokens.type_ids], dtype=torch.long, device="cpu")
    types = {"token_type_ids": segments} if config.backbone.segments else {}
    model.train(False)
    out = model(input_ids=ids, attention_mask=torch.ones_like(ids), **types, output_attentions=True)
    layers = out.attentions[config.inner_group_num - 1 :: config.inner_group_num]
    over_heads = [layer[0].mean(0) for layer in layers]  # [tokens, tokens]
    rows = [each[0] if pooled_tokens(config) == CLS else each.mean(0) for each in over_heads]
    found: NDArray[Any] = np.stack([row.double().numpy() for row in rows])
    return found


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Suppress transformers' progress bar: it would interrupt the printed report."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
