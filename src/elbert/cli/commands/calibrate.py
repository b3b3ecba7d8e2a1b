"""``elbert calibrate``: choose an operating point for a goal, measure it, certify it, and store it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbert._display import plural
from elbert.cli.flags import add_model_options, load_classifier, output_folder
from elbert.cli.inputs import SkippedRows, add_data_options, check_data_files
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.bundle import OperatingPoint
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
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="T",
        help="with --risk, for a regression: a value has a loss where it is more than T from that of full depth",
    )
    parser.add_argument(
        "--top-k",
        type=int,
        metavar="K",
        help="--data has lists to rank, jsonl with query and texts: the policy keeps their K highest texts, and with "
        "--risk the share of lists whose K highest change is certified",
    )
    parser.add_argument(
        "--long",
        metavar="L",
        help="measure with long texts in windows, as elbert predict --long reads them: a loss is one against all "
        "windows at full depth, and the point holds for this --long only (default: cut)",
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
        "--output",
        type=output_folder,
        metavar="DIR",
        help="copy the model to this folder, and store the operating point there",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Choose, measure and certify an operating point; write it and print it."""
    if arguments.top_k is not None:
        return run_lists(arguments)
    check_data_files(arguments, arguments.data, arguments.tuning)  # before slow modules and the model
    from elbert._optional import require
    from elbert.bundle import check_point_name
    from elbert.calibration import calibrate, check_seen, hash_data, make_goal, resolve_windows, store_point
    from elbert.cli.calibration_inputs import load_precisions, read_parts
    from elbert.evaluation.sweep import build_families

    require("scipy", "train")  # all arguments are checked before the model runs, which can take long
    check_point_name(arguments.name)
    classifier = load_classifier(arguments, "full")
    build_families(classifier.depths, arguments.families, classifier.bundle.config.task.content)
    policies = [classifier.resolve_policy(p) for p in arguments.policies] if arguments.policies else None
    windows = resolve_windows(classifier, arguments.long)
    folder = choose_folder(arguments, classifier)
    parts = read_parts(arguments, classifier)
    goal = make_goal(
        speedup=arguments.speedup,
        max_drop=arguments.max_drop,
        risk=arguments.risk,
        error=arguments.error,
        loss=arguments.loss,
        tolerance=arguments.tolerance,
        labelled=parts.has_labels,
        depths=classifier.depths,
        task=classifier.bundle.config.task,
    )
    parts.check_enough(goal)
    data = hash_data(arguments.data, parts.measured)
    contents = [example.content() for example in parts.measured.examples]
    seen = check_seen(classifier, contents, data, certifies=arguments.risk is not None)
    skipped = SkippedRows()
    precisions = load_precisions(arguments, classifier)
    tuning, measured = parts.collect_outputs(precisions, skipped.skip if arguments.skip_bad else None, windows)
    skipped.report(f"{plural(len(measured[classifier.dtype]), 'text')} measured")
    point = calibrate(
        goal,
        tuning,
        measured,
        family_names=arguments.families,
        policies=policies,
        temperature=arguments.temperature,
        labelled=parts.has_labels,
    )
    point = store_point(
        point,
        arguments.name,
        classifier,
        data=data,
        dtypes=tuple(measured),
        folder=folder,
        seen=seen,
        default=arguments.default,
        windows=windows,
    )
    print_point(arguments, point, folder)
    return 0


def run_lists(arguments: argparse.Namespace) -> int:
    """Choose, measure and certify an operating point for rankings; write it and print it.

    Raises:
        InputError: a flag does not fit lists, or the goal cannot be met.
    """
    from elbert.data import read_query_lists

    flags = ("max_drop", "loss", "tolerance", "long", "families", "policies", "temperature", "also_dtype", "default")
    for flag in flags:
        if getattr(arguments, flag):
            raise InputError(f"--{flag.replace('_', '-')} does not fit lists (--top-k): leave it out")
    if arguments.data == "-":
        raise InputError("calibration stores the hash of its data file: use a file, not standard input")
    skipped = SkippedRows()
    skip_bad = skipped.skip if arguments.skip_bad else None
    lists, tuning = (
        None if path is None else [(one.query, one.texts) for one in read_query_lists(path, skip_bad=skip_bad)]
        for path in (arguments.data, arguments.tuning)
    )
    classifier = load_classifier(arguments, "full")
    folder = choose_folder(arguments, classifier)
    point = classifier.calibrate_ranking(
        lists or [],
        name=arguments.name,
        top_k=arguments.top_k,
        risk=arguments.risk,
        error=arguments.error,
        speedup=arguments.speedup,
        tuning=tuning,
        tuning_share=arguments.tuning_share,
        output=arguments.output,
    )
    skipped.report(f"{plural(len(lists or []) + len(tuning or []), 'list')} used")
    print_point(arguments, point, folder)
    return 0


def choose_folder(arguments: argparse.Namespace, classifier: Classifier) -> Path:
    """Return the folder to write the operating point into.

    Raises:
        InputError: the model is not in a local folder, or ``--output`` exists.
    """
    from elbert.bundle.publishing import check_new_folder

    output: Path | None = arguments.output
    if output is None:
        if arguments.model is None or not Path(arguments.model).expanduser().is_dir():
            raise InputError("this model is not in a local folder: --output DIR makes a copy to write to")
        return classifier.bundle.folder
    check_new_folder(output)
    return output


def print_point(arguments: argparse.Namespace, point: OperatingPoint, folder: Path) -> None:
    """Print the point: its policy, measurements and certificate."""
    from elbert.bundle import EXITS_FILE

    if arguments.json:
        entry = {"name": arguments.name, **point.to_dict()}
        sys.stdout.write(json.dumps(entry, indent=2, ensure_ascii=False) + "\n")
        return
    chosen_on, units = point.measured.get("chosen_on"), "texts" if arguments.top_k is None else "lists"
    lines = [
        f"{arguments.name}: {point.policy}",
        f"goal       {point.measured['goal']}",
        *format_figures("measured", point.measured, MEASURED_ON if chosen_on else MEASURED_ALL),
        *(format_figures("chosen", chosen_on, "texts, an optimistic estimate") if chosen_on else []),
        f"certified  {point.certificate}, for {units} from the same distribution" if point.certificate else ESTIMATE,
        f"written    {folder / EXITS_FILE}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


MEASURED_ON = "texts not used for choosing"
MEASURED_ALL = "texts (this holds only if they did not choose --policies)"
ESTIMATE = "certified  no: these are estimates; --risk A --error E certifies a bound"


def format_figures(title: str, figures: dict[str, Any] | Any, texts: str) -> list[str]:
    """Return the line with the figures of one part of the data."""
    if "changed" in figures:
        return [
            f"{title:<11}on {figures['n']:,} {texts.replace('texts', 'lists')}: the top {figures['top']} changed in "
            f"{figures['changed']:.2%}, mean depth {figures['mean_depth']:.2f}, "
            f"layer speed-up {figures['layer_speedup']:.2f}x"
        ]
    score = (
        next(name.removesuffix("_full") for name in figures if name.endswith("_full"))
        if "agreement" not in figures
        else ""
    )
    accuracy = (
        f"agreement with full depth {figures['agreement']:.2%}"
        if "agreement" in figures
        else f"{score} {figures[score]:.2%} (full depth {figures[f'{score}_full']:.2%})"
    )
    return [
        f"{title:<11}on {figures['n']:,} {texts}: {accuracy}, {describe_loss(figures['points_lost'])}, "
        f"mean depth {figures['mean_depth']:.2f}, layer speed-up {figures['layer_speedup']:.2f}x"
        + (
            f", {figures['windows_read']:,} of {plural(figures['windows'], 'window')} read"
            if "windows" in figures
            else ""
        )
    ]


def describe_loss(lost: dict[str, float]) -> str:
    """Return the points that are lost, or gained where fewer than none are lost, with their interval."""
    value, low, high = (round(lost[name], 2) for name in ("value", "low", "high"))
    verb = "gained" if value < 0 else "lost"
    if verb == "gained":
        value, low, high = -value, 0.0 - high, 0.0 - low  # 0.0 - 0.0 is not negative
    return f"{verb} {value:.2f} points ({lost['confidence']:.0%} interval {low:.2f} to {high:.2f})"
