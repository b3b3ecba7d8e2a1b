"""``elbert rank``: order texts by their score for a query, one list or a file of lists."""

from __future__ import annotations

import argparse
import json
from collections import deque
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from elbert._display import clean_line, plural, shorten
from elbert.cli.flags import (
    OTHER_ENDINGS,
    TABLE_ENDINGS,
    add_model_options,
    check_outputs,
    load_classifier,
    output_file,
)
from elbert.cli.inputs import SkippedRows, add_skip_bad, report_truncated
from elbert.cli.render.prediction_writers import LEAST_TEXT
from elbert.cli.render.terminal_tables import find_width
from elbert.cli.streams import open_output, open_stdin_copy, print_note
from elbert.errors import InputError

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.data import QueryList
    from elbert.prediction import RankedText


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert rank``."""
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts to rank for --query")
    parser.add_argument("--query", metavar="Q", help="the query of one list")
    parser.add_argument(
        "--input",
        metavar="FILE",
        help='with --query: the texts, in a file as elbert predict reads it; without: lists, one {"query", "texts"} a '
        "line, in a jsonl file; - is standard input",
    )
    parser.add_argument("--output", metavar="FILE", type=output_file, help="write JSON lines to this file, atomically")
    parser.add_argument("--top-k", type=int, metavar="K", help="print the K highest texts only (default: all)")
    parser.add_argument(
        "--policy",
        metavar="P",
        help="spec such as 'outranked(top=5)', which ends texts out of reach of the 5 highest, or an operating point "
        "(default: the model's)",
    )
    parser.add_argument(
        "--raw-scores",
        action="store_true",
        default=None,
        help="outputs of the model instead of the scores of sentence-transformers' CrossEncoder",
    )
    add_skip_bad(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--table", action="store_true", help="print a table, also if standard output is not a terminal")
    form.add_argument("--json", action="store_true", help="print JSON lines, also on a terminal")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Rank, and write a line for each text of one list, or for each list of a file."""
    check_arguments(arguments)
    skipped = SkippedRows()
    is_single = arguments.query is not None
    lists = read_lists(arguments, skipped)
    classifier = load_classifier(arguments, "full" if arguments.policy else None)
    total = truncated = count = 0
    with open_output(arguments.output) as out:
        is_table = arguments.output is None and not arguments.json and (arguments.table or out.isatty())
        for one, ranking in rank(arguments, classifier, lists, skipped):
            count += 1
            total, truncated = total + len(one.texts), truncated + sum(text.truncated for text in ranking)
            if is_table:
                write_table(out, one, ranking)
            else:
                write_lines(out, one, ranking, is_single=is_single)
            if arguments.input == "-":
                out.flush()
    skipped.report("the others ranked")
    if not count and not skipped.count:
        print_note(f"{'standard input' if arguments.input == '-' else arguments.input}: no lists, nothing to rank")
    report_truncated(truncated, total)
    if arguments.output is not None and count:
        print_note(f"wrote {arguments.output}: {plural(count, 'list')}, {plural(total, 'text')}")
    return 0


def check_arguments(arguments: argparse.Namespace) -> None:
    """Check the flags before the model is loaded.

    Raises:
        InputError: texts have no query, there are two sources of texts or none, or ``--output`` names another format.
    """
    if bool(arguments.texts) == bool(arguments.input):
        raise InputError("give either texts or --input FILE (- for standard input); see elbert rank -h")
    if arguments.texts and arguments.query is None:
        raise InputError("texts without a query: give --query Q")
    if arguments.table and arguments.output:
        raise InputError("--table prints a table, and --output writes a file: give one of them")
    if arguments.output is not None:
        if arguments.output.suffix.lower() in (*TABLE_ENDINGS, *OTHER_ENDINGS):
            name = arguments.output
            raise InputError(f"--output is {name}, but rank writes JSON lines; name it {name.stem}.jsonl")
        check_outputs(arguments, arguments.output)


def read_lists(arguments: argparse.Namespace, skipped: SkippedRows) -> Iterator[QueryList]:
    """Read the lists: one of the command line or of a file of texts, or those of a jsonl file."""
    from elbert.data import QueryList, read_examples, read_query_lists

    skip_bad = skipped.skip if arguments.skip_bad else None
    if arguments.query is None:
        stdin = open_stdin_copy() if arguments.input == "-" else None
        return read_query_lists(arguments.input, skip_bad=skip_bad, stdin=stdin)
    texts = list(arguments.texts)
    if arguments.input:
        texts = [example.text for example in read_examples(arguments.input, skip_bad=skip_bad, labels=False)]
    return iter([QueryList(arguments.query, texts, 1, str(arguments.input or "argument"))])


def rank(
    arguments: argparse.Namespace, classifier: Classifier, lists: Iterator[QueryList], skipped: SkippedRows
) -> Iterator[tuple[QueryList, list[RankedText]]]:
    """Yield each list with its ranking; a list that the model cannot take is a bad row.

    Raises:
        BadRow: a list cannot be ranked, and bad rows are not skipped.
        InputError: the only list cannot be ranked.
    """
    from elbert.ranking import rank_lists

    pending = deque[Any]()

    def read() -> Iterator[tuple[str, list[str]]]:
        for one in lists:
            pending.append(one)
            yield one.query, one.texts

    results = rank_lists(classifier, read(), arguments.policy, top_k=arguments.top_k, raw_scores=arguments.raw_scores)
    for result in results:
        one = pending.popleft()
        if not isinstance(result, Exception):
            yield one, result
        elif arguments.query is not None or not isinstance(result, InputError):
            raise result
        elif arguments.skip_bad:
            skipped.skip(one.bad_row(str(result)))
        else:
            raise one.bad_row(str(result)) from result


def write_lines(out: IO[str], one: QueryList, ranking: list[RankedText], *, is_single: bool) -> None:
    """Write a line for each text of a single list, else one line for the list."""
    lines: list[Any] = [text.to_dict() for text in ranking]
    if not is_single:
        lines = [{"query": one.query, "results": lines}]
    out.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def write_table(out: IO[str], one: QueryList, ranking: list[RankedText]) -> None:
    """Write a list as a table."""
    width = find_width(out)

    def fit(text: str) -> str:
        return clean_line(text) if width is None else shorten(text, max(LEAST_TEXT, width - 40))

    out.write(f"{'score':>10}  {'index':>5}  {'depth':>7}  {'reason':<12}{fit(one.query)}\n")
    for text in ranking:
        depth = f"{text.depth}/{text.depths}"
        out.write(f"{text.score:>10.4f}  {text.index:>5}  {depth:>7}  {text.reason:<12}{fit(text.text)}\n")
