"""The embedding in native code: hidden values at depth 0."""

from __future__ import annotations

import torch
from torch import Tensor

from elbert.model.native.bindings import EmbeddingStruct, Numbers, Variant
from elbert.model.native.calls import SCRATCH, check_tensor
from elbert.model.native.packing import HALVES, PANEL, SINGLE, NativeProduct, Norm, Packed


class NativeEmbedding(Packed):
    """Hidden values at depth 0: the norm of the sum of a token's embeddings and, in ALBERT, a product with ``map``."""

    def __init__(
        self,
        variant: Variant,
        numbers: Numbers,
        *,
        words: Tensor,
        positions: Tensor,
        segments: Tensor | None,
        norm: Norm,
        map: NativeProduct | None,
        padding: int | None,
    ) -> None:
        """Pack the weights; the tables are not copied, and have the type of hidden values.

        Raises:
            ValueError: a size is not supported (see :meth:`supports`), or the sizes of the parts contradict each other.
        """
        super().__init__(variant)
        self.dtype, inner = variant.hidden_dtype(numbers), words.shape[1]
        self.width = inner if map is None else map.weight.shape[0]
        if not self.supports(self.width, inner):
            raise ValueError(f"widths {inner} and {self.width}: expected multiples of {PANEL}")
        tables = [table for table in (words, positions, segments) if table is not None]
        for table in tables:
            check_tensor(table, self.dtype, len(table) * inner)
        self._kept += tables
        self._struct = EmbeddingStruct(
            inner=inner,
            width=self.width,
            half=self.dtype == torch.bfloat16,
            words=len(words),
            positions=len(positions),
            segments=0 if segments is None else len(segments),
            padding=-1 if padding is None else padding,
            word_table=words.data_ptr(),
            position_table=positions.data_ptr(),
            segment_table=None if segments is None else segments.data_ptr(),
            weight=self.keep(norm[0], inner),
            bias=self.keep(norm[1], inner),
            eps=norm[2],
        )
        if map is not None:
            mode = HALVES if self.dtype == torch.bfloat16 else SINGLE
            self._struct.map = self.pack(map, (self.width, inner), mode)

    @staticmethod
    def supports(width: int, inner: int) -> bool:
        """Whether an embedding of these sizes can be packed."""
        return width % PANEL == 0 and inner % PANEL == 0

    def __call__(self, ids: Tensor, type_ids: Tensor, bounds: Tensor, size: int) -> Tensor:
        """``ids, type_ids [tokens] -> [size, width]``, int64; ``bounds`` as of a layer.

        Raises:
            ValueError: a type, size, device or memory layout is not the documented one, or a number has no embedding.
        """
        tokens, rows = ids.numel(), bounds.numel() - 1
        check_tensor(ids, torch.int64, tokens)
        check_tensor(type_ids, torch.int64, tokens)
        check_tensor(bounds, torch.int64, rows + 1)
        if rows < 0 or tokens > size:
            raise ValueError(f"expected bounds and at most {size} tokens, got {rows + 1} bounds and {tokens} tokens")
        out = torch.empty((size, self.width), dtype=self.dtype, device="cpu")
        places = ids.data_ptr(), type_ids.data_ptr(), out.data_ptr(), bounds.data_ptr()
        SCRATCH.run(self.variant.run_embed, self._struct, *places, rows, tokens, size)
        return out
