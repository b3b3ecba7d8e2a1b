"""Flags that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from elbert._atomic import check_not_input

if TYPE_CHECKING:
    from elbert.classifier import Classifier


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--model`` and the flags of how to run it."""
    parser.add_argument(
        "--model",
        metavar="M",
        help="folder or hub id of an ALBERT or BERT-like classifier (default: the bundled model)",
    )
    parser.add_argument(
        "--dtype",
        choices=("auto", "float32", "bfloat16", "int8"),
        default="auto",
        help="precision (default: auto, the fastest on this machine that keeps this model's accuracy)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: torch's choice)")
    parser.add_argument("--max-rows", type=int, metavar="N", help="maximum number of rows in a batch")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="maximum number of tokens in a batch")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="reject an operating point that was calibrated with other weights, dtype or length",
    )


def load_classifier(arguments: argparse.Namespace, policy: str | None = None) -> Classifier:
    """Load the classifier that the shared flags describe."""
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


def check_outputs(arguments: argparse.Namespace, *outputs: Path) -> None:
    """Check that no file that a command writes replaces a file that it reads: data or the model's files.

    Raises:
        InputError: one of them would.
    """
    inputs = [getattr(arguments, name, None) for name in ("input", "data", "tuning", "report")]
    model = None if arguments.model is None else Path(arguments.model).expanduser()
    for output in outputs:
        check_not_input(output, [*inputs, *(model.iterdir() if model is not None and model.is_dir() else ())])
