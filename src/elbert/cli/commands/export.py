"""``elbert export``: one ONNX file with the exits inside, a page for browsers, and a report on precisions."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING

from elbert.cli.flags import check_ending, output_file, output_folder
from elbert.cli.inputs import add_column_options, add_skip_bad
from elbert.cli.streams import print_note
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.export.precision_report import Precision


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert export``."""
    parser.add_argument(
        "--model", metavar="M", help="folder or hub id of an ALBERT classifier (default: the bundled model)"
    )
    parser.add_argument("--policy", metavar="P", help="spec or operating point (default: the model's)")
    parser.add_argument("--output", metavar="FILE", type=output_file, help="ONNX file to write (.onnx)")
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "int8"),
        default="float32",
        help="precision of the weights: int8 also multiplies in int8, float16 halves the file (default: float32)",
    )
    parser.add_argument(
        "--dials",
        nargs="?",
        choices=("fixed", "optional", "required"),
        default="fixed",
        const="optional",
        help="make the policy's numbers inputs, with defaults (optional) or without (required, for JavaScript)",
    )
    parser.add_argument(
        "--page",
        metavar="DIR",
        type=output_folder,
        help="write a folder with a page that classifies in the browser; with --dials it has sliders",
    )
    parser.add_argument(
        "--onnxruntime-web",
        metavar="DIR",
        default="node_modules/onnxruntime-web",
        help="npm package that the page uses (default: node_modules/onnxruntime-web)",
    )
    parser.add_argument("--extra-outputs", action="store_true", help="add the outputs depth and reason to logits")
    parser.add_argument(
        "--report",
        metavar="DATA",
        help="labelled csv, tsv, jsonl or parquet file: compare size, loading, speed, accuracy and exits by precision",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        metavar="N",
        help="with --report: rounds of timing, 0 for none (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="with --report: processor threads")
    add_skip_bad(parser)
    add_column_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a line or a table")


def run(arguments: argparse.Namespace) -> int:
    """Write the file, the page and the report that the arguments name."""
    if not arguments.output and not arguments.report and not arguments.page:
        raise InputError(
            "nothing to do: --output FILE writes the file, --page DIR a page for browsers, "
            "--report DATA compares precisions"
        )
    if arguments.output:
        check_ending("--output", arguments.output, (".onnx",))
    result: dict[str, object] = {}
    if arguments.output:
        result |= write_model(arguments)
    if arguments.page:
        result |= write_browser_page(arguments)
    if result:
        print_point_note(arguments)
    if arguments.report:
        report = build_report(arguments)
        result["precisions"] = {dtype: dataclasses.asdict(line) for dtype, line in report.items()}
        if not arguments.json:
            print_report(report)
    if arguments.json:
        sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return 0


def write_model(arguments: argparse.Namespace) -> dict[str, object]:
    """Write the ONNX file; return its path, size and precision."""
    from elbert.export import export

    path = export(
        arguments.model,
        arguments.policy,
        arguments.output,
        dtype=arguments.dtype,
        dials=arguments.dials,
        extra_outputs=arguments.extra_outputs,
    )
    size = path.stat().st_size
    if not arguments.json:
        sys.stdout.write(f"{path}: {size / 1e6:.1f} MB, {arguments.dtype}\n")
    return {"output": str(path), "size": size, "dtype": arguments.dtype}


def print_point_note(arguments: argparse.Namespace) -> None:
    """Print which conditions of the operating point what was written does not meet, if any."""
    from elbert.bundle import Bundle
    from elbert.export.onnx_file import describe_point

    bundle = Bundle.open(arguments.model)
    facts = describe_point(bundle, bundle.resolve_policy(arguments.policy), arguments.dtype)
    if "note" in facts:
        print_note(facts["note"])


def write_browser_page(arguments: argparse.Namespace) -> dict[str, object]:
    """Write the page's folder; return its path, size and precision."""
    from elbert.export.browser import write_page

    page = write_page(
        arguments.model,
        arguments.policy,
        arguments.page,
        runtime=arguments.onnxruntime_web,
        dtype=arguments.dtype,
        dials=arguments.dials,
    )
    size = sum(file.stat().st_size for file in page.parent.rglob("*") if file.is_file())
    if not arguments.json:
        sys.stdout.write(
            f"{page}: {size / 1e6:.1f} MB in total, {arguments.dtype}; "
            f"try it: python3 -m http.server --directory {page.parent}\n"
        )
    return {"page": str(page), "page_size": size, "dtype": arguments.dtype}


def build_report(arguments: argparse.Namespace) -> dict[str, Precision]:
    """Measure every precision on the data file."""
    from elbert._optional import require
    from elbert.classifier import Classifier
    from elbert.cli.inputs import read_labelled, run_examples
    from elbert.evaluation.labelled_data import name_rows
    from elbert.export.precision_report import compare_precisions

    require("sklearn", "train")  # checked before the model runs, which can take long
    if arguments.rounds < 0:
        raise InputError(f"--rounds is {arguments.rounds}, expected a whole number from 0")
    arguments.data = arguments.report
    classifier = Classifier.load(
        arguments.model, arguments.policy, dtype="float32", device="cpu", threads=arguments.threads
    )
    examples, labels = read_labelled(arguments, classifier)
    if arguments.skip_bad:  # a run before the comparison shows which rows have no output
        places = {id(example): place for place, example in enumerate(examples)}
        examples, _ = run_examples(examples, labels, True, classifier)
        labels = labels.take([places[id(example)] for example in examples])
    with name_rows(examples):
        texts = [example.content() for example in examples]
        return compare_precisions(classifier, texts, labels, rounds=arguments.rounds)


def print_report(report: dict[str, Precision]) -> None:
    """Print a line for each precision."""
    from elbert.cli.render.terminal_tables import print_lines, print_table

    first = next(iter(report.values()))
    metric = next(iter(first.metrics))
    batches = list(first.texts_per_second)
    names = ["MB", "load ms", *(f"batch {rows}" for rows in batches), metric, "mean depth", "changed", "moved"]
    rows = [
        [
            line.dtype,
            f"{line.size / 1e6:.1f}",
            f"{line.load_seconds * 1e3:.0f}",
            *(f"{line.texts_per_second[rows]:,.0f}" for rows in batches),
            f"{line.metrics[metric]:.4f}",
            f"{line.mean_depth:.2f}",
            f"{line.answers_changed:.2%}",
            f"{line.exits_moved:.2%}",
        ]
        for line in report.values()
    ]
    print_table("precisions", ["dtype", *names], rows)
    print_lines(
        ["batch: texts per second; changed: predictions, moved: exits, compared with the classifier in float32"]
    )
