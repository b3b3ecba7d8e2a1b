"""``elbert calibrate``: an operating point for what is asked, told with what it is worth."""

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
    from elbert.calibration import Loss, Wish
    from elbert.classifier import Classifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_data_options(parser)
    parser.add_argument("--name", required=True, help="what the operating point is called")
    wish = parser.add_mutually_exclusive_group(required=True)
    wish.add_argument("--speedup", type=float, metavar="X", help="the most accurate with at least this layer speed-up")
    wish.add_argument("--max-drop", type=float, metavar="P", help="the fastest that loses at most P points of accuracy")
    wish.add_argument("--risk", type=float, metavar="A", help="the fastest whose risk is certified to be at most A, …")
    parser.add_argument("--error", type=float, default=0.05, metavar="E", help="… but for a chance of E (0.05)")
    parser.add_argument(
        "--loss",
        choices=("harmful-flip", "inconsistency"),
        help="what the risk is of: harmful-flip (wrong early, right at the last depth; the default where there are "
        "labels) or inconsistency (another answer than at the last depth; needs no labels)",
    )
    parser.add_argument("--families", nargs="+", metavar="F", help="families of policies to search (unsaid: all)")
    parser.add_argument(
        "--policies",
        nargs="+",
        metavar="P",
        help="search only these specs or operating points; with --risk they are tested in this order, on all of --data",
    )
    parser.add_argument("--temperature", action="store_true", help="fit a temperature per depth on the tuning part")
    parser.add_argument("--tuning", metavar="FILE", help="choose on this file, measure on all of --data")
    parser.add_argument(
        "--tuning-share",
        type=float,
        default=0.5,
        metavar="S",
        help="without --tuning: the share of --data to choose on",
    )
    parser.add_argument(
        "--also-dtype", nargs="+", default=[], choices=("float32", "bfloat16", "int8"), help="hold in these too"
    )
    parser.add_argument("--default", action="store_true", help="make it the model's default operating point")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="copy the model there, and write into the copy's exits.json"
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of lines")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Choose, measure, write, tell."""
    from elbert._optional import require
    from elbert.bundle import check_name
    from elbert.calibration import calibrate
    from elbert.cli.inputs import read_parts
    from elbert.evaluation.sweep import families

    require("scipy", "train")  # this and all that can be wrong is found out before the model runs, not after
    check_name(arguments.name)
    classifier = load_classifier(arguments, "full")
    if classifier.bundle.config.problem == "regression":
        raise InputError("this model predicts a number and has no exits: there is nothing to calibrate")
    families(classifier.depths, arguments.families)
    policies = [classifier.usable(p) for p in arguments.policies] if arguments.policies else None
    folder = place(arguments, classifier)
    texts = read_parts(arguments, classifier)
    wish = wish_of(arguments, texts.labelled, classifier.depths)
    texts.check_enough(wish)
    tuning, parts = texts.outputs(arguments, classifier)
    point = calibrate(
        wish,
        tuning,
        parts,
        named=arguments.families,
        policies=policies,
        temperature=arguments.temperature,
        labelled=texts.labelled,
    )
    point = under_conditions(point, arguments.data, classifier, tuple(parts))
    write(arguments, point, classifier, folder)
    tell(arguments, point, folder)
    return 0


def place(arguments: argparse.Namespace, classifier: Classifier) -> Path:
    """Where the operating point is written.

    Raises:
        InputError: the model is not the user's to write to, or the place is taken.
    """
    output: Path | None = arguments.output
    if output is None:
        if arguments.model is None or not Path(arguments.model).expanduser().is_dir():
            raise InputError("this model is not in a folder of yours: --output DIR makes a copy to write to")
        return classifier.bundle.folder
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"--output is {output}, which is there already; name a new folder")
    return output


def wish_of(arguments: argparse.Namespace, labelled: bool, depths: int) -> Wish:
    """What was asked for."""
    from elbert.calibration import AsGood, Faster, Promised

    if arguments.speedup is not None:
        return Faster(arguments.speedup).possible(depths)
    if arguments.max_drop is not None:
        return AsGood(arguments.max_drop)
    loss: Loss = arguments.loss or ("harmful-flip" if labelled else "inconsistency")
    if loss == "harmful-flip" and not labelled:
        raise InputError("a harmful flip is seen with labels only, and this data has none: use --loss inconsistency")
    return Promised(arguments.risk, arguments.error, loss)


def under_conditions(
    point: OperatingPoint, data: str, classifier: Classifier, dtypes: tuple[str, ...]
) -> OperatingPoint:
    """The point, with what its figures hold for."""
    from elbert.bundle import Conditions, files_hash

    conditions = Conditions(
        weights=classifier.bundle.weights_hash,
        dtypes=dtypes,
        max_length=classifier.tokeniser.max_length,
        data=files_hash([Path(data)]),
        made=datetime.now(UTC).date().isoformat(),
    )
    return replace(point, conditions=conditions)


def write(arguments: argparse.Namespace, point: OperatingPoint, classifier: Classifier, folder: Path) -> None:
    """Put the point beside those that are there."""
    from elbert.bundle import EXITS_FILE, write_points

    bundle = classifier.bundle
    if folder != bundle.folder:
        shutil.copytree(bundle.folder, folder, dirs_exist_ok=True)
    before = bundle.points.get(arguments.name)
    if before is not None and before.policy == point.policy:  # what was known of it stays true
        point = replace(point, measured={**before.measured, **point.measured})
    default = arguments.name if arguments.default else bundle.default
    write_points(folder / EXITS_FILE, bundle.points | {arguments.name: point}, default)


def tell(arguments: argparse.Namespace, point: OperatingPoint, folder: Path) -> None:
    """What was chosen, what it is worth, and how far to trust that."""
    from elbert.bundle import EXITS_FILE, entry_of

    if arguments.json:
        entry = {"name": arguments.name, **entry_of(point)}
        sys.stdout.write(json.dumps(entry, indent=2, ensure_ascii=False) + "\n")
        return
    chosen_on = point.measured.get("chosen_on")
    lines = [
        f"{arguments.name}: {point.policy}",
        f"asked      {point.measured['asked']}",
        *figure_lines("measured", point.measured, "texts that chose nothing"),
        *(figure_lines("chosen", chosen_on, "texts, which flatter it") if chosen_on else []),
        f"certified  {point.certificate}, for texts like these" if point.certificate else ESTIMATE,
        f"written    {folder / EXITS_FILE}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


ESTIMATE = "certified  no: these are estimates, not promises; --risk A --error E makes a promise"


def figure_lines(title: str, figures: dict[str, Any] | Any, texts: str) -> list[str]:
    """The figures of one part of the data."""
    lost = figures["points_lost"]
    answers = (
        f"agreement with full depth {figures['agreement']:.2%}"
        if "agreement" in figures
        else f"accuracy {figures['accuracy']:.2%} (full depth {figures['accuracy_full']:.2%})"
    )
    return [
        f"{title:<11}on {figures['n']:,} {texts}: {answers}, lost {lost['value']:.2f} points "
        f"({lost['confidence']:.0%} interval {lost['low']:.2f} to {lost['high']:.2f}), "
        f"mean depth {figures['mean_depth']:.2f}, layer speed-up {figures['layer_speedup']:.2f}x"
    ]
