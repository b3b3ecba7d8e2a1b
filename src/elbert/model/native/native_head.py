"""An exit head in native code: pooler and classifier."""

from __future__ import annotations

import torch
from torch import Tensor

from elbert.model.native.bindings import HeadStruct, Numbers, Variant
from elbert.model.native.calls import SCRATCH, check_rows
from elbert.model.native.packing import PANEL, SINGLE, NativeProduct, Packed, product_mode


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
