"""``elbert explain``: why a text left where it did, depth by depth; or how a whole data set leaves."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from elbert.cli import streams
from elbert.cli.flags import add_model_options, load_classifier
from elbert.cli.inputs import drawn, targeted
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.explain import Explanation, Survey


ENDINGS = (".html", ".png", ".svg")
LIMIT = 2000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("text", nargs="?", metavar="TEXT", help="the text whose decision is explained")
    parser.add_argument("--pair", metavar="TEXT2", help="the second text of a pair")
    parser.add_argument("--label", metavar="L", help="what TEXT should be answered with: a name or an index")
    parser.add_argument(
        "--data", metavar="FILE", help="instead of TEXT: a csv, tsv, jsonl, parquet or txt file, labelled or not"
    )
    parser.add_argument("--limit", type=int, metavar="N", help=f"at most that many texts of --data (unsaid: {LIMIT:,})")
    parser.add_argument("--skip-bad", action="store_true", help="report and count bad rows of --data, do not stop")
    parser.add_argument(
        "--policy", metavar="P", help="a spec such as 'window(entropy=0.1, size=6)', or an operating point"
    )
    parser.add_argument("--output", metavar="FILE", type=Path, help="write a page (.html) or a figure (.png, .svg) too")
    parser.add_argument("--json", action="store_true", help="everything, as JSON, instead of lines to read")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain a text or a data file; tell it here, and write the page or figure that was asked for."""
    check(arguments)
    told = of_data(arguments) if arguments.text is None else of_text(arguments)
    if arguments.output is not None:
        write(told, arguments.output)
    if arguments.json:
        sys.stdout.write(json.dumps(told.as_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        tell(told)
    if arguments.output is not None:
        sys.stderr.write(f"elbert: wrote {arguments.output}\n")
    return 0


def check(arguments: argparse.Namespace) -> None:
    """Find out what cannot be served before the model is loaded.

    Raises:
        InputError: the arguments do not go together, or nothing could be written where they say.
        MissingExtra: a figure is asked for, and matplotlib is not there.
    """
    if (arguments.text is None) == (arguments.data is None):
        raise InputError("give either TEXT or --data FILE; see elbert explain -h")
    if arguments.data is not None and (arguments.pair is not None or arguments.label is not None):
        raise InputError("--pair and --label go with TEXT; a data file has them as columns text_pair and label")
    if arguments.data is None and arguments.limit is not None:
        raise InputError("--limit goes with --data FILE")
    if arguments.limit is not None and arguments.limit < 1:
        raise InputError(f"--limit is {arguments.limit}, expected a whole number from 1")
    output = arguments.output
    if output is None:
        return
    if output.suffix.lower() not in ENDINGS:
        raise InputError(f"--output is {output}, expected a name ending in {', '.join(ENDINGS)}")
    if not output.absolute().parent.is_dir():
        raise InputError(f"--output is {output}, but there is no such folder; make it first")
    if output.suffix.lower() != ".html":
        from elbert._optional import require

        require("matplotlib", "plots")


def of_text(arguments: argparse.Namespace) -> Explanation:
    """The explanation of the text or pair on the command line."""
    if not arguments.text.strip() and not (arguments.pair or "").strip():
        raise InputError("TEXT is empty: there is nothing to explain")
    from elbert.explain import explain

    classifier = load_classifier(arguments, arguments.policy)
    text = arguments.text if arguments.pair is None else (arguments.text, arguments.pair)
    return explain(classifier, text, label=arguments.label)


def of_data(arguments: argparse.Namespace) -> Survey:
    """The survey of the data file."""
    from elbert.explain import survey
    from elbert.explain.explainer import explainable

    classifier = load_classifier(arguments, arguments.policy)
    explainable(classifier, None)  # before the file is read
    limit = LIMIT if arguments.limit is None else arguments.limit
    examples, total = drawn(arguments, limit)
    texts, labels, lines = targeted(arguments, examples, classifier)
    if len(examples) < total:
        drawn_from = f"{len(examples):,} texts drawn at random of the {total:,} in {arguments.data}"
        streams.tell(f"{drawn_from} are looked at; --limit N takes more")
    return survey(classifier, texts, labels, source=Path(arguments.data).name, lines=lines, total=total)


def tell(told: Explanation | Survey) -> None:
    """Lines to read."""
    from elbert.cli.render.explanations import print_explained
    from elbert.cli.render.surveys import print_surveyed
    from elbert.explain import Explanation

    if isinstance(told, Explanation):
        print_explained(told)
    else:
        print_surveyed(told)


def write(told: Explanation | Survey, output: Path) -> None:
    """The page or the figure, by its ending."""
    if output.suffix.lower() == ".html":
        from elbert.explain.page import write_page

        write_page(told, output)
        return
    from elbert.explain.figures import write_figure

    write_figure(told, output)
