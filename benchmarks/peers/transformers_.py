"""transformers itself: the pipeline as people call it, and batched with scaled-dot-product attention."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from peers.batching import Batch, batched
from peers.workshop import Classify, Workshop


def pipeline(folder: Path, batch: int, workshop: Workshop) -> Classify:
    """``pipeline("text-classification")`` in float32, called for ``batch`` texts at a time."""
    from transformers import pipeline as transformers_pipeline

    torch.set_num_threads(workshop.threads)
    classifier: Any = transformers_pipeline(
        "text-classification", model=str(folder), top_k=None, device="cpu", dtype=torch.float32
    )
    column = {label: index for index, label in classifier.model.config.id2label.items()}

    def classify(texts: Sequence[str]) -> NDArray[np.float32]:
        found = np.empty((len(texts), len(column)), np.float32)
        for start in range(0, len(texts), batch):
            answers = classifier(list(texts[start : start + batch]), batch_size=batch, truncation=True)
            for row, answer in enumerate(answers, start):
                for option in answer:  # best label first: put each where its label belongs
                    found[row, column[option["label"]]] = option["score"]
        return found

    return classify


def float32(folder: Path, batch: int, workshop: Workshop) -> Classify:
    """The model class in float32, length-sorted batches."""
    return _batched(folder, batch, workshop, torch.float32)


def bfloat16(folder: Path, batch: int, workshop: Workshop) -> Classify:
    """The model class in bfloat16, length-sorted batches."""
    return _batched(folder, batch, workshop, torch.bfloat16)


def _batched(folder: Path, batch: int, workshop: Workshop, dtype: torch.dtype) -> Classify:
    torch.set_num_threads(workshop.threads)
    model = Probabilities(folder, dtype)

    def run(inputs: Batch) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = model(*(torch.from_numpy(values) for values in inputs.values())).numpy()
        return found

    return batched(folder, batch, run)


class Probabilities(nn.Module):
    """``AlbertForSequenceClassification`` and the softmax after it, with inputs by position."""

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32, attention: str = "sdpa") -> None:
        from transformers import AutoModelForSequenceClassification

        super().__init__()
        load = AutoModelForSequenceClassification.from_pretrained
        self.model = load(folder, dtype=dtype, attn_implementation=attention)
        self.eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Probabilities ``[rows, classes]`` in float32."""
        logits: Tensor = self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).logits
        return logits.float().softmax(-1)
