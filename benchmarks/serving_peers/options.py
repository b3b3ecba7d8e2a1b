"""The flags that every peer server takes."""

from __future__ import annotations

import argparse

BATCH = 32  # requests
WINDOW = 0.005  # seconds for which the first of a batch waits for others


def add_batching(parser: argparse.ArgumentParser) -> None:
    """How batches are made."""
    parser.add_argument("--batch", type=int, default=BATCH, help="requests in a batch, at most")
    parser.add_argument("--window", type=float, default=WINDOW, help="seconds for which the first waits for others")


def options(doc: str | None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--threads", type=int, default=2)
    add_batching(parser)
    return parser.parse_args()
