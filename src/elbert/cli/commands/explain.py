"""``elbert explain``: why a text exits at its depth, depth by depth; or the exits of a whole data set."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from elbert.cli.flags import add_model_options, check_outputs, load_classifier, output_file
from elbert.cli.inputs import (
    add_column_options,
    add_skip_bad,
    check_data_files,
    choose_columns,
    read_sample,
    run_examples,
    sample_examples,
)
from elbert.cli.streams import print_note
from elbert.data.column_names import Columns
from elbert.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from elbert.explain import Explanation, Survey

ENDINGS = (".html", ".png", ".svg")
DEFAULT_LIMIT = 2000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert explain``."""
    parser.add_argument("text", nargs="?", metavar="TEXT", help="text whose exit is explained")
    parser.add_argument("--pair", metavar="TEXT2", help="second text of a pair")
    parser.add_argument("--label", metavar="L", help="true label of TEXT: a name or an index")
    parser.add_argument(
        "--data", metavar="FILE", help="instead of TEXT: csv, tsv, jsonl, parquet or txt file, with or without labels"
    )
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help=f"use a random sample of at most N texts of --data (default: {DEFAULT_LIMIT:,})",
    )
    add_skip_bad(parser)
    add_column_options(parser)
    parser.add_argument(
        "--policy",
        metavar="P",
        help="spec such as 'window(entropy=0.1, size=6)', or an operating point (default: the model's)",
    )
    parser.add_argument(
        "--output", metavar="FILE", type=output_file, help="also write a page (.html) or a figure (.png, .svg)"
    )
    parser.add_argument("--json", action="store_true", help="print the whole explanation as JSON instead of text")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain a text or a data file: print the explanation, and write it to ``--output``."""
    check_arguments(arguments)
    check_data_files(arguments, arguments.data)  # before slow modules and the model
    found = explain_data(arguments) if arguments.text is None else explain_text(arguments)
    if arguments.output is not None:
        write(found, arguments.output)
    if arguments.json:
        sys.stdout.write(json.dumps(found.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        print_text(found)
    if arguments.output is not None:
        print_note(f"wrote {arguments.output}")
    return 0


def check_arguments(arguments: argparse.Namespace) -> None:
    """Check the arguments before the model is loaded.

    Raises:
        InputError: the arguments contradict each other, or ``--output`` cannot be written.
        MissingExtra: ``--output`` is a figure, and matplotlib is not installed.
    """
    if (arguments.text is None) == (arguments.data is None):
        raise InputError("give either TEXT or --data FILE; see elbert explain -h")
    if arguments.data is not None and (arguments.pair is not None or arguments.label is not None):
        raise InputError("--pair and --label go with TEXT; a data file has them as columns text_pair and label")
    if arguments.data is None and (arguments.limit is not None or choose_columns(arguments) != Columns()):
        raise InputError(f"{'--limit goes' if arguments.limit is not None else 'columns go'} with --data FILE")
    if arguments.limit is not None and arguments.limit < 1:
        raise InputError(f"--limit is {arguments.limit}, expected a whole number from 1")
    output = arguments.output
    if output is None:
        return
    if output.suffix.lower() not in ENDINGS:
        raise InputError(f"--output is {output}, expected a name ending in {', '.join(ENDINGS)}")
    check_outputs(arguments, output)
    if output.suffix.lower() != ".html":
        from elbert._optional import require

        require("matplotlib", "plots")


def explain_text(arguments: argparse.Namespace) -> Explanation:
    """Explain the text or pair of the command line; without attention if transformers is not installed."""
    if not arguments.text.strip() and not (arguments.pair or "").strip():
        raise InputError("TEXT is empty: there is nothing to explain")
    from elbert.explain import explain

    classifier = load_classifier(arguments, arguments.policy)
    task = classifier.bundle.config.task
    text = arguments.text if arguments.pair is None else (arguments.text, arguments.pair)
    return explain(classifier, text, label=arguments.label, attention=not task.per_token and has_reference_model())


def has_reference_model() -> bool:
    """Whether transformers is installed, whose model computes attention; if not, print how to install it."""
    from elbert._optional import require

    try:
        require("transformers", "train")
    except MissingExtra as missing:
        print_note(f"attention is omitted: {missing}")
        return False
    return True


def explain_data(arguments: argparse.Namespace) -> Survey:
    """Survey the exits of the data file."""
    from elbert.explain import survey

    classifier = load_classifier(arguments, arguments.policy)
    limit = DEFAULT_LIMIT if arguments.limit is None else arguments.limit
    examples, total = sample_examples(arguments, limit)
    usable, labels = read_sample(arguments, examples, classifier)
    if len(examples) < total:
        print_note(f"a random sample of {len(examples):,} of {total:,} texts in {arguments.data} is used; see --limit")
    kept, outputs = run_examples(usable, labels, arguments.skip_bad, classifier)
    return survey(
        classifier,
        [example.content() for example in kept],
        labels,
        source=Path(arguments.data).name,
        lines=[example.line for example in kept],
        total=total,
        outputs=outputs,
    )


def print_text(found: Explanation | Survey) -> None:
    """Print the explanation as text for people."""
    from elbert.cli.render.explanations import print_explanation
    from elbert.cli.render.surveys import print_survey
    from elbert.explain import Explanation

    if isinstance(found, Explanation):
        print_explanation(found)
    else:
        print_survey(found)


def write(found: Explanation | Survey, output: Path) -> None:
    """Write a page or a figure, by the file's ending."""
    if output.suffix.lower() == ".html":
        from elbert.explain.page import write_page

        write_page(found, output)
        return
    from elbert.explain.figures import write_figure

    write_figure(found, output)
