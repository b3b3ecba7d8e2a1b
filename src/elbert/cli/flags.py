"""Options that several commands share."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elbert.classifier import Classifier


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """``--model`` and how to run it."""
    parser.add_argument(
        "--model", metavar="M", help="folder or hub id of an ALBERT or BERT-like classifier (unsaid: the bundled)"
    )
    checked = "auto: the fastest that the machine does well and that was checked on the model"
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "int8"), default="auto", help=checked)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (unsaid: torch's own choice)")
    parser.add_argument("--max-rows", type=int, metavar="N", help="rows that share a layer call")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="tokens that share a layer call")
    parser.add_argument(
        "--strict", action="store_true", help="refuse an operating point calibrated with other weights, dtype or length"
    )


def load_classifier(arguments: argparse.Namespace, policy: str | None = None) -> Classifier:
    """The classifier that the shared options describe."""
    from elbert.classifier import Classifier

    return Classifier.load(
        arguments.model,
        policy,
        dtype=arguments.dtype,
        device=arguments.device,
        threads=arguments.threads,
        max_rows=arguments.max_rows,
        max_tokens=arguments.max_tokens,
        strict=arguments.strict,
    )
