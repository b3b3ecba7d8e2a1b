"""The same functions in forms that a processor trains faster: a third off a step on short rows."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import PreTrainedModel

SHORT = 128  # tokens; the fused attention's backward is slow on rows up to here, and saves memory on longer ones


def quicken(network: PreTrainedModel, longest: int) -> None:
    """Let a shared-layer ``network`` train fast on a processor, on rows of at most ``longest`` tokens.

    Attention is written out, and gelu_new, which transformers writes as eight operations, is one. Values differ by
    rounding only, and nothing of it is saved.
    """
    if longest <= SHORT:
        network.set_attn_implementation("eager")
    if network.config.hidden_act == "gelu_new":
        albert: Any = network.get_submodule("albert")
        for group in albert.encoder.albert_layer_groups:
            for layer in group.albert_layers:
                layer.activation = nn.GELU(approximate="tanh")
