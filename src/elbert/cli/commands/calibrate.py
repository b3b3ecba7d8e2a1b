"""``elbert calibrate``: choose an operating point for a goal, measure it, certify it, and store it."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbert.cli.flags import add_model_options, load_classifier
from elbert.cli.inputs import add_data_options
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.bundle import OperatingPoint
    from elbert.calibration import Goal, Loss
    from elbert.classifier import Classifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert calibrate``."""
    add_data_options(parser)
    parser.add_argument("--name", required=True, help="name of the operating point")
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument(
        "--speedup", type=float, metavar="X", help="goal: the most accurate policy with a layer speed-up of at least X"
    )
    goal.add_argument(
        "--max-drop", type=float, metavar="P", help="goal: the fastest policy that loses at most P points of accuracy"
    )
    goal.add_argument(
        "--risk", type=float, metavar="A", help="goal: the fastest policy with a certified risk of at most A"
    )
    parser.add_argument(
        "--error",
        type=float,
        default=0.05,
        metavar="E",
        help="with --risk: probability that the certificate is wrong (default: 0.05)",
    )
    parser.add_argument(
        "--loss",
        choices=("harmful-flip", "inconsistency"),
        help="with --risk: loss, harmful-flip (wrong at the exit, right at the last depth; the default with labels) "
        "or inconsistency (another prediction than at the last depth; needs no labels)",
    )
    parser.add_argument("--families", nargs="+", metavar="F", help="families of policies to search (default: all)")
    parser.add_argument(
        "--policies",
        nargs="+",
        metavar="P",
        help="search only these specs or operating points; with --risk they are tested in this order on all of --data",
    )
    parser.add_argument(
        "--temperature", action="store_true", help="fit a temperature for each depth on the tuning part"
    )
    parser.add_argument(
        "--tuning", metavar="FILE", help="file to choose the policy on; --data is then used for measuring only"
    )
    parser.add_argument(
        "--tuning-share",
        type=float,
        default=0.5,
        metavar="S",
        help="without --tuning: share of --data to choose the policy on (default: %(default)s)",
    )
    parser.add_argument(
        "--also-dtype",
        nargs="+",
        default=[],
        choices=("float32", "bfloat16", "int8"),
        help="precisions to measure in too; a certificate then covers them all",
    )
    parser.add_argument("--default", action="store_true", help="make it the model's default operating point")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="copy the model to this folder, and store the operating point there"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Choose, measure and certify an operating point; write it and print it."""
    from elbert._optional import require
    from elbert.bundle import check_point_name
    from elbert.calibration import calibrate
    from elbert.cli.calibration_inputs import read_parts
    from elbert.evaluation.sweep import build_families

    require("scipy", "train")  # all arguments are checked before the model runs, which can take long
    check_point_name(arguments.name)
    classifier = load_classifier(arguments, "full")
    if classifier.bundle.config.problem == "regression":
        raise InputError("this model predicts a number and has no exits: there is nothing to calibrate")
    build_families(classifier.depths, arguments.families)
    policies = [classifier.resolve_policy(p) for p in arguments.policies] if arguments.policies else None
    folder = choose_folder(arguments, classifier)
    parts = read_parts(arguments, classifier)
    goal = parse_goal(arguments, parts.has_labels, classifier.depths)
    parts.check_enough(goal)
    tuning, measured = parts.collect_outputs(arguments, classifier)
    point = calibrate(
        goal,
        tuning,
        measured,
        family_names=arguments.families,
        policies=policies,
        temperature=arguments.temperature,
        labelled=parts.has_labels,
    )
    point = add_conditions(point, arguments.data, classifier, tuple(measured))
    point = write(arguments, point, classifier, folder)
    print_point(arguments, point, folder)
    return 0


def choose_folder(arguments: argparse.Namespace, classifier: Classifier) -> Path:
    """Return the folder to write the operating point into.

    Raises:
        InputError: the model is not in a local folder, or ``--output`` exists.
    """
    output: Path | None = arguments.output
    if output is None:
        if arguments.model is None or not Path(arguments.model).expanduser().is_dir():
            raise InputError("this model is not in a local folder: --output DIR makes a copy to write to")
        return classifier.bundle.folder
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"--output is {output}, which exists already; name a new folder")
    return output


def parse_goal(arguments: argparse.Namespace, labelled: bool, depths: int) -> Goal:
    """Return the goal that the arguments name.

    Raises:
        InputError: the goal is out of range, or needs labels that the data does not have.
    """
    from elbert.calibration import CertifiedRisk, MaxDrop, MinSpeedup

    if arguments.speedup is not None:
        return MinSpeedup(arguments.speedup).check_depths(depths)
    if arguments.max_drop is not None:
        return MaxDrop(arguments.max_drop)
    loss: Loss = arguments.loss or ("harmful-flip" if labelled else "inconsistency")
    if loss == "harmful-flip" and not labelled:
        raise InputError("harmful flips need labels, and this data has none: use --loss inconsistency")
    return CertifiedRisk(arguments.risk, arguments.error, loss)


def add_conditions(point: OperatingPoint, data: str, classifier: Classifier, dtypes: tuple[str, ...]) -> OperatingPoint:
    """Return the point with the conditions of its measurement."""
    from elbert.bundle import Conditions, files_hash

    conditions = Conditions(
        weights=classifier.bundle.weights_hash,
        dtypes=dtypes,
        max_length=classifier.tokeniser.max_length,
        data=files_hash([Path(data)]),
        made=datetime.now(UTC).date().isoformat(),
    )
    return replace(point, conditions=conditions)


def write(arguments: argparse.Namespace, point: OperatingPoint, classifier: Classifier, folder: Path) -> OperatingPoint:
    """Add the point to the folder's ``exits.json``; return it with the earlier measurements of the same policy."""
    from elbert.bundle import EXITS_FILE, add_point

    if folder != classifier.bundle.folder:
        # Only the contents are copied: permissions of a read-only installation would make the copy read-only.
        shutil.copytree(
            classifier.bundle.folder,
            folder,
            dirs_exist_ok=True,
            copy_function=shutil.copyfile,
            ignore=shutil.ignore_patterns(".*"),
        )
    return add_point(folder / EXITS_FILE, arguments.name, point, default=arguments.default)


def print_point(arguments: argparse.Namespace, point: OperatingPoint, folder: Path) -> None:
    """Print the point: its policy, measurements and certificate."""
    from elbert.bundle import EXITS_FILE

    if arguments.json:
        entry = {"name": arguments.name, **point.to_dict()}
        sys.stdout.write(json.dumps(entry, indent=2, ensure_ascii=False) + "\n")
        return
    chosen_on = point.measured.get("chosen_on")
    lines = [
        f"{arguments.name}: {point.policy}",
        f"goal       {point.measured['goal']}",
        *format_figures("measured", point.measured, "texts not used for choosing"),
        *(format_figures("chosen", chosen_on, "texts, an optimistic estimate") if chosen_on else []),
        f"certified  {point.certificate}, for texts from the same distribution" if point.certificate else ESTIMATE,
        f"written    {folder / EXITS_FILE}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


ESTIMATE = "certified  no: these are estimates; --risk A --error E certifies a bound"


def format_figures(title: str, figures: dict[str, Any] | Any, texts: str) -> list[str]:
    """Return the line with the figures of one part of the data."""
    lost = figures["points_lost"]
    accuracy = (
        f"agreement with full depth {figures['agreement']:.2%}"
        if "agreement" in figures
        else f"accuracy {figures['accuracy']:.2%} (full depth {figures['accuracy_full']:.2%})"
    )
    return [
        f"{title:<11}on {figures['n']:,} {texts}: {accuracy}, lost {lost['value']:.2f} points "
        f"({lost['confidence']:.0%} interval {lost['low']:.2f} to {lost['high']:.2f}), "
        f"mean depth {figures['mean_depth']:.2f}, layer speed-up {figures['layer_speedup']:.2f}x"
    ]
