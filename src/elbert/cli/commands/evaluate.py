"""``elbert evaluate``: what every depth and every policy is worth, on labelled data."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from elbert.cli.flags import add_model_options, load_classifier
from elbert.cli.inputs import labelled
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.evaluation import Outputs, Timing
    from elbert.exits import Policy


USUAL = ("window(entropy=0.1, size=6)", "window(entropy=0.1, size=3)", "entropy(0.1)", "entropy(0.3)", "patience(3)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--data", required=True, metavar="FILE", help="labelled csv, tsv, jsonl or parquet; or saved outputs, .npz"
    )
    parser.add_argument(
        "--policy",
        nargs="+",
        action="extend",
        metavar="P",
        help="specs or operating points (unsaid: the model's points and a usual few)",
    )
    parser.add_argument("--outputs", type=Path, metavar="FILE", help="save every depth's probabilities there (.npz)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of timing (0: none)")
    parser.add_argument("--skip-bad", action="store_true", help="report and count bad rows instead of stopping")
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate a model on a data file, or saved outputs without a model."""
    from elbert._optional import require
    from elbert.cli.render.reports import as_json, print_report
    from elbert.evaluation import evaluate

    require("sklearn", "train")  # its metrics come after the model has run, which can take long
    if arguments.rounds < 0:
        raise InputError(f"--rounds is {arguments.rounds}, expected a whole number from 0")
    if arguments.outputs:
        check_place(arguments.outputs)
    if arguments.data.endswith(".npz"):
        outputs, policies, timings = saved(arguments)
    else:
        outputs, policies, timings = live(arguments)
    report = evaluate(outputs, policies)
    if arguments.json:
        sys.stdout.write(json.dumps(as_json(report, timings), indent=2, ensure_ascii=False) + "\n")
    else:
        print_report(report, timings)
    return 0


def saved(arguments: argparse.Namespace) -> tuple[Outputs, dict[str, Policy], dict[str, Timing]]:
    """Outputs from a file, and policies by their specs; there is nothing to time."""
    from elbert.evaluation import load_outputs
    from elbert.exits import policy

    if arguments.outputs or arguments.model:
        raise InputError(f"{arguments.data} holds outputs already: --model and --outputs go with texts")
    outputs = load_outputs(arguments.data)
    wanted = arguments.policy or ([] if outputs.problem == "regression" else USUAL)
    return outputs, {spec: policy(spec) for spec in wanted}, {}


def live(arguments: argparse.Namespace) -> tuple[Outputs, dict[str, Policy], dict[str, Timing]]:
    """Run the model once at full depth, save what was asked for, and time the policies by running them."""
    from elbert.evaluation import collect, measure

    classifier = load_classifier(arguments)
    policies = chosen(arguments, classifier)
    texts, labels = labelled(arguments, classifier)
    outputs = collect(classifier, texts, labels)
    if arguments.outputs:
        outputs.save(arguments.outputs)
    timed = arguments.rounds and policies
    return outputs, policies, measure(classifier, texts, policies, arguments.rounds) if timed else {}


def check_place(outputs: Path) -> None:
    """Find out before the model runs, not after.

    Raises:
        InputError: saved outputs could not be written there, or not be known again.
    """
    if outputs.suffix != ".npz":
        raise InputError(f"--outputs is {outputs}, expected a name ending in .npz, by which --data knows it again")
    if not outputs.absolute().parent.is_dir():
        raise InputError(f"--outputs is {outputs}, but there is no such folder; make it first")


def chosen(arguments: argparse.Namespace, classifier: Classifier) -> dict[str, Policy]:
    """The policies to evaluate, each one that this model can follow."""
    wanted = arguments.policy
    if wanted is None:
        wanted = [] if classifier.bundle.config.problem == "regression" else [*classifier.bundle.points, *USUAL]
    return {spec: classifier.usable(spec) for spec in wanted}
