"""What a text costs in multiply-adds: every product counted, none measured."""

from __future__ import annotations

from elbert.model.config import ModelConfig


def flops(config: ModelConfig, tokens: int, depth: int, reads: int | None = None) -> int:
    """Floating-point operations of taking one row of ``tokens`` tokens to ``depth``, two for each multiply-add.

    Counted are products, as in :mod:`torch.utils.flop_counter`: the embedding's projection once; per depth the
    layer's projections, attention's two products and the feed-forward part; and the exit head at each of ``reads``
    depths (unsaid: at every one, as a policy that reads signals has it; a fixed depth reads one).
    """
    width, inner = config.hidden_size, config.intermediate_size
    projected = 2 * tokens * config.embedding_size * width if config.backbone.projection else 0
    products = 2 * tokens * width * (4 * width + 2 * inner)  # query, key, value, output; in and out
    attention = 2 * 2 * tokens * tokens * width  # scores, and the values they weigh, over all heads
    head = 2 * width * (width + len(config.labels))
    read = depth if reads is None else reads
    return projected + depth * config.inner_group_num * (products + attention) + read * head
