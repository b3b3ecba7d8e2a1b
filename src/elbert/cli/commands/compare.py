"""``elbert compare``: accuracy and cost of every policy on labelled data, as report, figures and tables."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from elbert.cli.flags import add_model_options, check_outputs, load_classifier, output_folder
from elbert.cli.inputs import add_data_options, check_data_files, list_column_flags, read_labelled_file, run_examples
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.evaluation import Outputs
    from elbert.exits import Policy
    from elbert.model import ModelConfig

FILES = ("report.html", "curves.png", "curves.svg", "policies.csv", "comparison.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert compare``."""
    add_data_options(parser)
    parser.add_argument(
        "--output", required=True, type=output_folder, metavar="DIR", help=f"folder for {', '.join(FILES)}"
    )
    parser.add_argument(
        "--tuning", metavar="FILE", help="file to choose dials on; --data is then used for the report only"
    )
    parser.add_argument("--families", nargs="+", metavar="F", help="families of policies to compare (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the model once, sweep all policies, and write report, figures and tables."""
    check_data_files(arguments, arguments.data, arguments.tuning)  # before slow modules and the model
    from elbert._optional import require
    from elbert.comparison import compare
    from elbert.comparison.report_files import describe_run, write_report
    from elbert.evaluation.sweep import build_families

    require("sklearn", "train")
    require("matplotlib", "plots")
    build_families(12, arguments.families, None)  # rejects an unknown name before the model runs
    check_outputs(arguments, *(arguments.output / name for name in FILES))
    outputs, choose, default, config = collect_outputs(arguments)
    comparison = compare(outputs, default, choose=choose, named=arguments.families)
    is_saved = arguments.data.endswith(".npz")
    model = Path(arguments.model).name if arguments.model else "the bundled model"
    command = "elbert " + " ".join(sys.argv[1:]) if sys.argv[1:2] == ["compare"] else "elbert compare"
    about = describe_run("saved outputs" if is_saved else model, Path(arguments.data).name, command)
    about["model_path"] = arguments.model  # for the command at the end of the report, as the next
    about["column_flags"] = list_column_flags(arguments)
    values = write_report(comparison, config, about, arguments.output)
    if arguments.json:
        sys.stdout.write(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    else:
        from elbert.cli.render.reports import print_comparison

        print_comparison(values, arguments.output / "report.html")
    return 0


def collect_outputs(arguments: argparse.Namespace) -> tuple[Outputs, Outputs | None, Policy, ModelConfig | None]:
    """Return ``(outputs, outputs to choose on, the policy whose exits are shown, the model's configuration)``."""
    from elbert.evaluation import load_outputs
    from elbert.exits import policy
    from elbert.exits.policies import COMMON_SPECS

    if arguments.data.endswith(".npz"):
        if arguments.model:
            raise InputError(f"{arguments.data} contains outputs already: --model goes with texts")
        choose = load_outputs(arguments.tuning) if arguments.tuning else None
        outputs = load_outputs(arguments.data)
        return outputs, choose, policy(COMMON_SPECS[outputs.task.content][0]), None
    classifier = load_classifier(arguments)

    def collect_labelled(file: str) -> Outputs:
        examples, labels = read_labelled_file(file, arguments, classifier)
        return run_examples(examples, labels, arguments.skip_bad, classifier)[1]

    choose = collect_labelled(arguments.tuning) if arguments.tuning else None
    return collect_labelled(arguments.data), choose, classifier.policy, classifier.bundle.config
