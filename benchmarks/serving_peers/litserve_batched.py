"""LitServe with its own batching, in a worker process: up to --batch requests or --window seconds, padded.

python -m serving_peers.litserve_batched --model FOLDER --port N --dtype bfloat16
"""

from __future__ import annotations

from argparse import Namespace
from importlib.util import find_spec
from typing import Any

import litserve
import torch

from elbert.serving.warmup import freeze_objects
from serving_peers.options import options


class Classify(litserve.LitAPI):
    """Texts to labels by the model class in length-padded batches."""

    def __init__(self, args: Namespace) -> None:
        super().__init__(max_batch_size=args.batch, batch_timeout=args.window)
        self.folder, self.dtype, self.threads = args.model, args.dtype, args.threads

    def setup(self, device: str) -> None:
        """In the worker: load the model."""
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        torch.set_num_threads(self.threads)
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder)
        self.model: Any = AutoModelForSequenceClassification.from_pretrained(
            self.folder, dtype=getattr(torch, self.dtype), attn_implementation="sdpa"
        ).eval()
        self.predict(["warm up"])
        freeze_objects()  # as elbert serve does

    def decode_request(self, request, **more: Any) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """The text of a request; LitServe takes an annotation of it for what FastAPI should read."""
        return str(request["inputs"])

    def batch(self, inputs: list[str]) -> list[str]:
        """Texts of several requests together."""
        return list(inputs)

    def predict(self, x: list[str], **more: Any) -> list[list[float]]:
        """Probabilities of a batch."""
        inputs = self.tokenizer(x, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            probabilities: list[list[float]] = self.model(**inputs).logits.float().softmax(-1).tolist()
        return probabilities

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        """One entry per request."""
        return output

    def encode_response(self, output: list[float], **more: Any) -> list[dict[str, Any]]:
        """Labels with their scores, the best first."""
        labels = self.model.config.id2label
        options = [{"label": labels[i], "score": score} for i, score in enumerate(output)]
        return sorted(options, key=lambda option: -option["score"])


if __name__ == "__main__":
    args = options(__doc__)
    server = litserve.LitServer(
        Classify(args),
        accelerator="cpu",
        workers_per_device=1,
        timeout=120,
        fast_queue=find_spec("zmq") is not None,  # its own remedy for slow queues between its processes
    )
    server.run(host="127.0.0.1", port=args.port, num_api_servers=1, log_level="warning", generate_client_file=False)
