"""A transformer layer in native code."""

from __future__ import annotations

import torch
from torch import Tensor

from elbert.model.native.bindings import LayerStruct, Numbers, Variant
from elbert.model.native.calls import SCRATCH, check_rows
from elbert.model.native.live_rows import Live
from elbert.model.native.native_head import NativeHead
from elbert.model.native.packing import CODES, PANEL, NativeProduct, Norm, Packed, product_mode


class NativeLayer(Packed):
    """A transformer layer.

    The result of a row is the same whatever the rest of the batch is, but for the last bits of its floats where
    another tile size of the products sums in another order.
    """

    def __init__(
        self,
        variant: Variant,
        numbers: Numbers,
        *,
        heads: int,
        qkv: NativeProduct,
        dense: NativeProduct,
        attention_norm: Norm,
        widen: NativeProduct,
        narrow: NativeProduct,
        norm: Norm,
    ) -> None:
        """Pack the weights.

        Raises:
            ValueError: a size is not supported (see :meth:`supports`), or the sizes of the parts contradict each other.
        """
        super().__init__(variant)
        width, inner = dense.weight.shape[0], widen.weight.shape[0]
        if not self.supports(width, inner, heads):
            raise ValueError(f"width {width}, inner width {inner}, {heads} heads: expected multiples of {PANEL}")
        self.dtype, self.width = variant.hidden_dtype(numbers), width
        mode = CODES if numbers == "int8" else product_mode(numbers, self.dtype)
        products = {
            "qkv": self.pack(qkv, (3 * width, width), mode),
            "dense": self.pack(dense, (width, width), mode),
            "widen": self.pack(widen, (inner, width), mode),
            "narrow": self.pack(narrow, (width, inner), mode),
        }
        self._struct = LayerStruct(
            width=width,
            inner=inner,
            heads=heads,
            mode=mode,
            half=self.dtype == torch.bfloat16,
            **products,
            attention_weight=self.keep(attention_norm[0], width),
            attention_bias=self.keep(attention_norm[1], width),
            weight=self.keep(norm[0], width),
            bias=self.keep(norm[1], width),
            attention_eps=attention_norm[2],
            eps=norm[2],
        )

    @staticmethod
    def supports(width: int, inner: int, heads: int) -> bool:
        """Whether a layer of these sizes can be packed."""
        return width % PANEL == 0 and inner % PANEL == 0 and width % heads == 0 and width // heads % 2 == 0

    def __call__(
        self, hidden: Tensor, bounds: Tensor, tokens: int, head: NativeHead | None = None, live: Live | None = None
    ) -> Tensor:
        """Apply the layer: ``hidden [size, width] -> [size, width]``; row r has the tokens ``bounds[r]`` to
        ``bounds[r + 1]``, ``tokens`` together. What follows them is filler, and is 0 in the result.

        With ``head`` and ``live``, which come together, the rows also read the exit head and decide.

        Raises:
            ValueError: a type, size, device or memory layout is not the documented one.
            MemoryError: there is no memory to compute in.
        """
        size = check_rows(hidden, self.dtype, self.width, bounds, tokens)
        if live is not None:
            if head is None or (head.width, head.dtype, head.classes) != (self.width, self.dtype, live.classes):
                raise ValueError("expected a head for hidden values of this layer and classes of these rows")
            if bounds.numel() - 1 != len(live.decision):
                raise ValueError(f"expected {len(live.decision)} rows, got {bounds.numel() - 1}")
        out = torch.empty((size, self.width), dtype=self.dtype, device="cpu")
        SCRATCH.run(
            self.variant.run_step,
            self._struct,
            None if head is None else head.struct,
            None if live is None else live.struct,
            None,
            hidden.data_ptr(),
            out.data_ptr(),
            bounds.data_ptr(),
            bounds.numel() - 1,
            tokens,
            size,
        )
        return out
