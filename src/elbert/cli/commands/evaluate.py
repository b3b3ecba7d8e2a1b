"""``elbert evaluate``: accuracy, depth and time of every depth and policy on labelled data."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from elbert.cli.flags import add_model_options, check_outputs, load_classifier, output_file
from elbert.cli.inputs import add_column_options, add_skip_bad, check_data_files, read_labelled, run_examples
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.evaluation import Outputs, Timing
    from elbert.exits import Policy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert evaluate``."""
    parser.add_argument(
        "--data",
        required=True,
        metavar="FILE",
        help="labelled csv, tsv, jsonl or parquet file, or saved outputs (.npz)",
    )
    parser.add_argument(
        "--policy",
        nargs="+",
        action="extend",
        metavar="P",
        help="specs or operating points (default: the model's points and some common policies)",
    )
    parser.add_argument(
        "--outputs", type=output_file, metavar="FILE", help="save the probabilities of every depth (.npz)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="rounds of timing, 0 for none (default: %(default)s)"
    )
    add_skip_bad(parser)
    add_column_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate a model on a data file, or saved outputs without a model."""
    check_data_files(arguments, arguments.data)  # before slow modules and the model
    from elbert._optional import require
    from elbert.cli.render.reports import as_json, print_report
    from elbert.evaluation import evaluate

    require("sklearn", "train")  # checked before the model runs, which can take long
    if arguments.rounds < 0:
        raise InputError(f"--rounds is {arguments.rounds}, expected a whole number from 0")
    if arguments.outputs:
        check_outputs_path(arguments.outputs)
        check_outputs(arguments, arguments.outputs)
    if arguments.data.endswith(".npz"):
        outputs, policies, timings = load_saved(arguments)
    else:
        outputs, policies, timings = run_model(arguments)
    report = evaluate(outputs, policies)
    if arguments.json:
        sys.stdout.write(json.dumps(as_json(report, timings), indent=2, ensure_ascii=False) + "\n")
    else:
        print_report(report, timings)
    return 0


def load_saved(arguments: argparse.Namespace) -> tuple[Outputs, dict[str, Policy], dict[str, Timing]]:
    """Return outputs from a file and policies by their specs; without a model there are no timings."""
    from elbert.evaluation import load_outputs
    from elbert.exits import policy
    from elbert.exits.policies import COMMON_SPECS

    if arguments.outputs or arguments.model:
        raise InputError(f"{arguments.data} contains outputs already: --model and --outputs go with texts")
    outputs = load_outputs(arguments.data)
    specs = arguments.policy or COMMON_SPECS[outputs.task.content]
    return outputs, {spec: policy(spec) for spec in specs}, {}


def run_model(arguments: argparse.Namespace) -> tuple[Outputs, dict[str, Policy], dict[str, Timing]]:
    """Run the model once at full depth, save ``--outputs``, and time the policies by running them."""
    from elbert.classifier_methods import choose_policies
    from elbert.evaluation import measure_throughput

    classifier = load_classifier(arguments)
    policies = choose_policies(classifier, arguments.policy)
    examples, labels = read_labelled(arguments, classifier)
    examples, outputs = run_examples(examples, labels, arguments.skip_bad, classifier)
    if arguments.outputs:
        outputs.save(arguments.outputs)
    if not (arguments.rounds and policies):
        return outputs, policies, {}
    texts = [example.content() for example in examples]
    return outputs, policies, measure_throughput(classifier, texts, policies, arguments.rounds)


def check_outputs_path(outputs: Path) -> None:
    """Check the path of ``--outputs`` before the model runs.

    Raises:
        InputError: ``--data`` would not recognise it.
    """
    if outputs.suffix != ".npz":
        raise InputError(f"--outputs is {outputs}, expected a name ending in .npz, by which --data recognises it")
