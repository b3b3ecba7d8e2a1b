"""What most people write first: FastAPI around transformers' pipeline, one text a request, a thread pool, no queue.

    python -m serving_peers.fastapi_pipeline --model FOLDER --port N --dtype bfloat16

A careful user's version: one model call at a time with all threads, since calls that share two cores are each slower.
"""

from __future__ import annotations

import threading
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from elbert.serving.warmup import freeze_objects
from serving_peers.options import options


class ClassifyOptions(BaseModel):
    """The body of a request."""

    inputs: str


def application(folder: str, dtype: torch.dtype) -> FastAPI:
    """The application around one pipeline."""
    from transformers import pipeline

    classifier: Any = pipeline("text-classification", model=folder, top_k=None, device="cpu", dtype=dtype)
    classifier("warm up")
    freeze_objects()  # as elbert serve does
    app, alone = FastAPI(), threading.Lock()

    @app.get("/health")
    def health() -> None:
        return None

    @app.post("/predict")
    def predict(request: ClassifyOptions) -> Any:
        with alone:
            return classifier([request.inputs], truncation=True)[0]

    return app


if __name__ == "__main__":
    args = options(__doc__)
    torch.set_num_threads(args.threads)
    uvicorn.run(application(args.model, getattr(torch, args.dtype)), port=args.port, log_level="warning")
