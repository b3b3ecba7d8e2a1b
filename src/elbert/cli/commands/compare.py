"""``elbert compare``: accuracy and cost of every policy on labelled data, as report, figures and tables."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elbert import __version__
from elbert.cli.flags import add_model_options, check_outputs, load_classifier
from elbert.cli.inputs import add_data_options, read_data
from elbert.errors import DataError, InputError

if TYPE_CHECKING:
    from elbert.comparison import Comparison
    from elbert.evaluation import Outputs
    from elbert.exits import Policy
    from elbert.model import ModelConfig

FILES = ("report.html", "curves.png", "curves.svg", "policies.csv", "comparison.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert compare``."""
    add_data_options(parser)
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help=f"folder for {', '.join(FILES)}")
    parser.add_argument(
        "--tuning", metavar="FILE", help="file to choose dials on; --data is then used for the report only"
    )
    parser.add_argument("--families", nargs="+", metavar="F", help="families of policies to compare (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the model once, sweep all policies, and write report, figures and tables."""
    from elbert._optional import require
    from elbert.comparison import compare
    from elbert.comparison.report_data import build_report_data
    from elbert.evaluation.sweep import build_families

    require("sklearn", "train")
    require("matplotlib", "plots")
    build_families(12, arguments.families)  # rejects an unknown name before the model runs
    if arguments.output.exists() and not arguments.output.is_dir():
        raise InputError(f"--output is {arguments.output}, a file; expected the name of a folder")
    check_outputs(arguments, *(arguments.output / name for name in FILES))
    outputs, choose, default, config = collect_outputs(arguments)
    comparison = compare(outputs, default, choose=choose, named=arguments.families)
    values = build_report_data(comparison, config, describe_run(arguments))
    write(comparison, values, arguments.output)
    if arguments.json:
        sys.stdout.write(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    else:
        from elbert.cli.render.reports import print_comparison

        print_comparison(values, arguments.output / "report.html")
    return 0


def collect_outputs(arguments: argparse.Namespace) -> tuple[Outputs, Outputs | None, Policy, ModelConfig | None]:
    """Return ``(outputs, outputs to choose on, the policy whose exits are shown, the model's configuration)``."""
    from elbert.evaluation import collect, load_outputs
    from elbert.exits import policy
    from elbert.exits.policies import COMMON_SPECS

    if arguments.data.endswith(".npz"):
        if arguments.model:
            raise InputError(f"{arguments.data} contains outputs already: --model goes with texts")
        choose = load_outputs(arguments.tuning) if arguments.tuning else None
        return load_outputs(arguments.data), choose, policy(COMMON_SPECS["probabilities"][0]), None
    classifier = load_classifier(arguments)

    def collect_labelled(file: str) -> Outputs:
        texts, labels = read_data(file, arguments.skip_bad, classifier)
        if labels is None:
            raise DataError(f"{file}: no labels; expected a column 'label'")
        return collect(classifier, texts, labels)

    choose = collect_labelled(arguments.tuning) if arguments.tuning else None
    return collect_labelled(arguments.data), choose, classifier.policy, classifier.bundle.config


def describe_run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return title, model, data, date, version and command for the report."""
    model = Path(arguments.model).name if arguments.model else "the bundled model"
    return {
        "title": f"Exit policies on {Path(arguments.data).name}",
        "model": "saved outputs" if arguments.data.endswith(".npz") else model,
        "data": Path(arguments.data).name,
        "made": datetime.now(UTC).date().isoformat(),
        "version": __version__,
        "command": "elbert " + " ".join(sys.argv[1:]) if sys.argv[1:2] == ["compare"] else "elbert compare",
        "linear_baseline": None,
        "notes": [],
    }


def write(comparison: Comparison, values: dict[str, Any], folder: Path) -> None:
    """Write report, figures and tables into a folder."""
    from elbert._atomic import open_atomic
    from elbert.comparison.plots import draw_comparison
    from elbert.comparison.report_data import iterate_csv
    from elbert.exits.encoding import policy_table
    from elbert.web import render_page

    folder.mkdir(parents=True, exist_ok=True)
    with open_atomic(folder / "comparison.json") as out:
        out.write(json.dumps(values, ensure_ascii=False) + "\n")
    with open_atomic(folder / "policies.csv") as out:
        out.writelines(iterate_csv(comparison))
    draw_comparison(comparison, [folder / "curves.png", folder / "curves.svg"])
    with open_atomic(folder / "report.html") as out:
        out.write(render_page("report/report.html", values, policy_table()))
