"""The parts of a model in native code, and their calls: embedding, layer, head.

Sizes, types, devices and memory layouts are checked before an address goes to C.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import torch
from torch import Tensor

from elbert.model.native.bindings import LONG, EmbeddingStruct, HeadStruct, LayerStruct, Numbers, Variant
from elbert.model.native.live_rows import Live
from elbert.model.native.packing import CODES, HALVES, PANEL, SINGLE, NativeProduct, Norm, Packed, product_mode

ERRORS = {  # the library's return codes
    1: (MemoryError, "no memory to compute in"),
    2: (ValueError, "bounds must rise from 0 to the number of tokens, and depths be below the last"),
    3: (ValueError, "a token or a segment has no embedding"),
}
NO_MEMORY = 1


class Scratch(threading.local):
    """Memory of each thread, kept between calls: fresh memory would cost a page fault for every 4 kB."""

    def __init__(self) -> None:
        self.needed = LONG(0)
        self.reserve(1 << 20)

    def reserve(self, size: int) -> None:
        """Keep so many bytes."""
        self._memory = torch.empty(size, dtype=torch.uint8, device="cpu")
        self.place = self._memory.data_ptr(), size, ctypes.byref(self.needed)

    def run(self, call: Any, *arguments: Any) -> None:
        """Make a call, again if the memory was too small.

        Raises:
            ValueError: the library refuses an argument.
            MemoryError: there is no memory to compute in.
        """
        threads = torch.get_num_threads()
        code = call(*arguments, threads, *self.place)
        while code == NO_MEMORY and self.needed.value > self.place[1]:
            self.reserve(self.needed.value)
            code = call(*arguments, threads, *self.place)
        if code:
            error, message = ERRORS[code]
            raise error(message)


SCRATCH = Scratch()


def check_rows(hidden: Tensor, dtype: torch.dtype, width: int, bounds: Tensor, tokens: int) -> int:
    """Check packed rows, and return their size with filler.

    Raises:
        ValueError: a type, size, memory layout or device is wrong.
    """
    size, rows = hidden.shape[0], bounds.numel() - 1
    check_tensor(hidden, dtype, size * width)
    check_tensor(bounds, torch.int64, rows + 1)
    if rows < 0 or not 0 <= tokens <= size:
        raise ValueError(f"expected bounds and at most {size} tokens, got {rows + 1} bounds and {tokens} tokens")
    return size


def check_tensor(tensor: Tensor, dtype: torch.dtype, size: int) -> None:
    """Check a tensor before its address goes to C, which would otherwise read or write outside the tensor.

    Raises:
        ValueError: type, size, memory layout or device is wrong.
    """
    if tensor.dtype is not dtype or tensor.numel() != size or not tensor.is_contiguous() or not tensor.is_cpu:
        raise ValueError(
            f"expected {size} contiguous {dtype} values on the CPU, "
            f"got {list(tensor.shape)} {tensor.dtype} with strides {tensor.stride()} on {tensor.device}"
        )


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
        self.struct = EmbeddingStruct(
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
            self.struct.map = self.pack(map, (self.width, inner), mode)

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
        SCRATCH.run(self.variant.run_embed, self.struct, *places, rows, tokens, size)
        return out


class NativeHead(Packed):
    """An exit head: ``classifier(pooler(x))``, where ``x`` is a row's first token or the mean of its tokens."""

    def __init__(
        self, variant: Variant, numbers: Numbers, *, pooler: NativeProduct, classifier: NativeProduct, is_mean: bool
    ) -> None:
        """Pack the weights.

        Raises:
            ValueError: a size is not supported (see :meth:`supports`), or the sizes of the parts contradict each other.
        """
        super().__init__(variant)
        (inner, self.width), self.classes = pooler.weight.shape, classifier.weight.shape[0]
        if not self.supports(self.width, inner):
            raise ValueError(f"widths {self.width} and {inner}: expected multiples of {PANEL}")
        self.dtype = variant.hidden_dtype(numbers)
        # Weights of 16 bits where those of the layers have no more: reading them takes longer than multiplying.
        mode = product_mode(numbers, self.dtype)
        self.struct = HeadStruct(
            width=self.width,
            classes=self.classes,
            mean=is_mean,
            half=self.dtype == torch.bfloat16,
            mode=mode,
            pooler=self.pack(pooler, (inner, self.width), mode),
            classifier=self.pack(classifier, (self.classes, inner), SINGLE),
        )

    @staticmethod
    def supports(width: int, inner: int) -> bool:
        """Whether a head of these sizes can be packed."""
        return width % PANEL == 0 and inner % PANEL == 0

    def __call__(self, hidden: Tensor, bounds: Tensor, tokens: int) -> Tensor:
        """Read every row: ``hidden [size, width] -> [rows, classes]``, logits in float32; arguments as of a layer."""
        size, rows = check_rows(hidden, self.dtype, self.width, bounds, tokens), bounds.numel() - 1
        logits = torch.empty((rows, self.classes), dtype=torch.float32, device="cpu")
        places = logits.data_ptr(), hidden.data_ptr(), None, bounds.data_ptr()
        SCRATCH.run(self.variant.run_step, None, self.struct, None, *places, rows, tokens, size)
        return logits


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
        parts = {
            "qkv": (qkv, (3 * width, width)),
            "dense": (dense, (width, width)),
            "widen": (widen, (inner, width)),
            "narrow": (narrow, (width, inner)),
        }
        products = {name: self.pack(*part, mode, splits=variant.splits) for name, part in parts.items()}
        self.struct = LayerStruct(
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
            self.struct,
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
