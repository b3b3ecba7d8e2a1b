"""Flags that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from elbert._atomic import check_not_input, names_folder
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.classifier import Classifier

TABLE_ENDINGS = (".csv", ".parquet")
OTHER_ENDINGS = (  # of files that are no JSON lines
    *(
        ".tsv",
        ".txt",
        ".json",
        ".npz",
        ".npy",
        ".arrow",
        ".feather",
        ".orc",
        ".avro",
        ".xls",
        ".xlsx",
        ".ods",
        ".conll",
    ),
    *(".html", ".xml", ".yaml", ".md", ".pdf", ".docx", ".png", ".svg", ".onnx", ".safetensors", ".pkl", ".db"),
    *(".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".7z"),
)
FILE_ENDINGS = (*TABLE_ENDINGS, *OTHER_ENDINGS, ".jsonl", ".ndjson")  # of no folder


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


def output_file(text: str) -> Path:
    """Return the path of a file to write, checked before anything runs; a type of argparse.

    Raises:
        argparse.ArgumentTypeError: it names a folder, as a name that ends in a slash does, or its folder is missing.
    """
    path = Path(text)
    if names_folder(text):
        raise argparse.ArgumentTypeError(f"{text or 'empty'}: a folder; expected the name of a file to write")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: this folder does not exist; create it first")
    return path


def output_folder(text: str) -> Path:
    """Return the path of a folder to write to, checked before anything runs; a type of argparse.

    Raises:
        argparse.ArgumentTypeError: it is a file, or inside of one, or empty.
    """
    path = Path(text)
    existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if os.path.lexists(folder))
    if not text or not existing.is_dir():
        found = f"{existing} is a file" if text else "empty"
        raise argparse.ArgumentTypeError(f"{text}: {found}; expected the name of a folder".removeprefix(": "))
    if path.suffix.lower() in FILE_ENDINGS and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text}: the name of a file; expected that of a folder, such as {path.stem}")
    return path


def check_ending(flag: str, output: Path, endings: Sequence[str]) -> None:
    """Check that the name of a file to write ends as its format does.

    Raises:
        InputError: it does not.
    """
    if output.suffix.lower() not in endings:
        named = ", ".join(ending for ending in endings if ending)
        raise InputError(f"{flag} is {output}, expected a name ending in {named}; name it {output.stem}{endings[0]}")


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
