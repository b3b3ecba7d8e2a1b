"""``elbert predict``: classify texts, in this process or with ``--ray`` on a cluster."""

from __future__ import annotations

import argparse
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from elbert._display import plural
from elbert.cli.flags import (
    OTHER_ENDINGS,
    TABLE_ENDINGS,
    add_model_options,
    check_outputs,
    load_classifier,
    output_file,
)
from elbert.cli.inputs import SkippedRows, add_column_options, add_skip_bad, choose_columns, report_truncated
from elbert.cli.render.prediction_writers import JsonLines, Summary, TableLines, Writer, progress
from elbert.cli.streams import open_output, open_stdin_copy, print_note
from elbert.data.column_names import Columns
from elbert.errors import BadRow, InputError

if TYPE_CHECKING:
    from elbert.data import Example, Record
    from elbert.model import ModelConfig
    from elbert.prediction import Prediction

Predictions = tuple["ModelConfig", "Iterator[tuple[Example, Prediction]]"]  # every example's prediction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert predict``."""
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts to classify")
    parser.add_argument(
        "--input", metavar="FILE", help="csv, tsv, jsonl, parquet or txt file; - is standard input, one text a line"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=output_file,
        help="write to this file, atomically: .csv, .parquet, or JSON lines",
    )
    parser.add_argument(
        "--keep", type=split_names, default=(), metavar="A,B,…", help="columns of --input to keep in the output"
    )
    add_column_options(parser)
    parser.add_argument(
        "--policy",
        metavar="P",
        help="spec such as 'window(entropy=0.1, size=6)', or an operating point (default: the model's)",
    )
    parser.add_argument(
        "--scores", action="store_true", help="include the probability of every label, or the tag of every word"
    )
    parser.add_argument("--trace", action="store_true", help="include the probabilities at every depth")
    parser.add_argument(
        "--long",
        metavar="L",
        help="texts longer than the model: cut, windows, or windows(COMBINATION, POLICY), where the answers of windows "
        "are combined by mean, maximum or vote, until POLICY is settled (default: cut; token classifiers: windows)",
    )
    add_skip_bad(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--table", action="store_true", help="print a table, also if standard output is not a terminal")
    form.add_argument("--json", action="store_true", help="print JSON lines, also on a terminal")
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="run on a Ray cluster: HOST:PORT or ray://HOST:PORT (without ADDRESS: this machine's cluster, or a new "
        "one on this machine)",
    )
    parser.add_argument(
        "--actors", metavar="N|N-M", help="with --ray: number of processes with a model (default: from 1 to all cores)"
    )
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Classify, and print mean depth and speed at the end of a table."""
    if bool(arguments.texts) == bool(arguments.input):
        address = f"; --ray took {arguments.ray!r} as its address, give it last" if arguments.ray else ""
        raise InputError(f"give either texts or --input FILE (- for standard input){address}; see elbert predict -h")
    if arguments.table and arguments.output:
        raise InputError("--table prints a table, and --output writes a file: give one of them")
    check_columns(arguments)
    if arguments.output is not None:
        check_output_ending(arguments)
        check_outputs(arguments, arguments.output)
    if arguments.actors and arguments.ray is None:
        raise InputError("--actors is for --ray: give both, or --threads for this process")
    skipped = SkippedRows()
    is_piped = arguments.input == "-" and arguments.ray is None
    with (
        (predict_here if arguments.ray is None else predict_on_ray)(arguments, skipped) as (config, predictions),
        open_output(arguments.output) as out,
        progress(arguments.output is not None) as tick,
    ):
        writer = choose_writer(arguments, out, config)
        summary = Summary(config.depths, arguments.long or "windows")
        for example, prediction in predictions:
            writer.write(example, prediction)
            summary.add(prediction)
            tick()
            if is_piped:
                out.flush()  # the process that sends lines may wait for each answer
        writer.end(summary)
    skipped.report(f"{plural(summary.texts, 'text')} classified")
    if not summary.texts and not skipped.count:
        print_note(f"{'standard input' if arguments.input == '-' else arguments.input}: no texts, nothing to classify")
    report_truncated(summary.truncated, summary.texts)
    if summary.windows > summary.texts:
        print_note(summary.describe_windows())
    if arguments.output is not None and summary.texts:
        print_note(f"wrote {arguments.output}: {summary}")
    return 0


def split_names(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def check_columns(arguments: argparse.Namespace) -> None:
    """Check the flags of columns before the model is loaded.

    Raises:
        InputError: a flag needs ``--input``, or ``--keep`` cannot be used.
    """
    columns = choose_columns(arguments)
    if arguments.texts and (arguments.keep or columns != Columns()):
        raise InputError("columns are those of a file: give --input FILE, or leave out the flags of columns")
    if arguments.keep and arguments.ray is not None:
        raise InputError("--keep is not for --ray: elbert.ray.predict in Python keeps all columns of its dataset")


def check_output_ending(arguments: argparse.Namespace) -> None:
    """Check that the name of ``--output`` does not promise another format, and that its format can be written.

    Raises:
        InputError: it does.
        MissingExtra: the file is parquet, and pyarrow is not installed.
    """
    from elbert._optional import require

    output: Path = arguments.output
    ending = output.suffix.lower()
    if ending in OTHER_ENDINGS:
        raise InputError(
            f"--output is {output}, but predict writes .csv, .parquet or .jsonl; name it {output.stem}.jsonl"
        )
    if arguments.json and ending in TABLE_ENDINGS:
        raise InputError(f"--json is for JSON lines, and --output is {output}: leave out --json, or name it .jsonl")
    if ending == ".parquet":
        require("pyarrow", "parquet")


def choose_writer(arguments: argparse.Namespace, out: IO[Any], config: ModelConfig) -> Writer:
    """Return a writer of the format that ``--output`` names; of a table for terminals, of JSON lines for pipes.

    Raises:
        InputError: two columns of a table would have one name.
    """
    ending = "" if arguments.output is None else arguments.output.suffix.lower()
    if ending in TABLE_ENDINGS:
        from elbert.cli.render.table_files import CsvFile, ParquetFile, TableColumns
        from elbert.inference.documents import CUT

        columns = TableColumns.build(
            config.labels,
            words=config.task.per_token,
            scores=arguments.scores,
            trace=arguments.trace,
            keep=arguments.keep,
            texts=name_text_columns(arguments),
            windows=arguments.long not in (None, CUT),
        )
        return CsvFile(out, columns) if ending == ".csv" else ParquetFile(out, columns, find_kept_types(arguments))
    is_table = arguments.output is None and not arguments.json and (arguments.table or out.isatty())
    return TableLines(out, arguments.scores, config.labels) if is_table else JsonLines(out, arguments.scores)


def name_text_columns(arguments: argparse.Namespace) -> list[str]:
    """Return the input's column of the text, and of the second text where there are pairs."""
    from elbert.data import has_pairs

    columns = choose_columns(arguments)
    is_file = arguments.input is not None and arguments.input != "-"
    names = [columns.names["text"]]
    return [*names, columns.names["text_pair"]] if is_file and has_pairs(arguments.input, columns) else names


def find_kept_types(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the Arrow types of kept columns where the input has types."""
    from elbert.data import read_column_types

    has_types = bool(arguments.keep) and Path(arguments.input).suffix.lower() == ".parquet"
    return read_column_types(arguments.input, arguments.keep) if has_types else {}


@contextmanager
def predict_here(arguments: argparse.Namespace, skipped: SkippedRows) -> Iterator[Predictions]:
    """Predict with a model in this process."""
    examples = read_input(arguments, skipped)
    if arguments.input != "-":  # a wrong column is found before the model is loaded
        examples = chain(list(islice(examples, 1)), examples)
    classifier = load_classifier(arguments, arguments.policy)
    pending: deque[Example] = deque()  # examples whose prediction is not there yet, in order

    def texts() -> Iterator[str | tuple[str, str]]:
        for example in examples:
            pending.append(example)
            yield example.content()

    is_live = arguments.input == "-"
    results = classifier.stream_results(texts(), trace=arguments.trace, live=is_live, long=arguments.long)
    skip_bad = skipped.skip if arguments.skip_bad else None
    yield classifier.bundle.config, pair_results(((pending.popleft(), result) for result in results), skip_bad)


def pair_results(
    results: Iterable[tuple[Example, Prediction | Exception]], skip_bad: Callable[[BadRow], None] | None
) -> Iterator[tuple[Example, Prediction]]:
    """Yield the examples that have a prediction; one that the model cannot take is a bad row.

    Raises:
        BadRow: an example has no prediction, and there is no ``skip_bad``.
    """
    for example, result in results:
        if isinstance(result, InputError):
            bad = example.bad_row(str(result))
            if skip_bad is None:
                raise bad from result
            skip_bad(bad)
        elif isinstance(result, Exception):
            raise result
        else:
            yield example, result


def read_input(arguments: argparse.Namespace, skipped: SkippedRows) -> Iterator[Example]:
    """Read the examples of the command line or of ``--input``; bad rows are reported as they occur."""
    from elbert.data import check_records, read_examples

    skip_bad = skipped.skip if arguments.skip_bad else None
    if arguments.texts:
        return check_records(to_records(arguments.texts), "argument", skip_bad)
    stdin = open_stdin_copy() if arguments.input == "-" else None
    options: dict[str, Any] = {"columns": choose_columns(arguments), "keep": arguments.keep}
    return read_examples(arguments.input, skip_bad=skip_bad, stdin=stdin, labels=False, **options)


def to_records(texts: Sequence[str]) -> Iterator[Record]:
    """Return texts of the command line as rows, numbered from 1."""
    from elbert.data import Record

    return (Record(line, {"text": text}) for line, text in enumerate(texts, 1))


@contextmanager
def predict_on_ray(arguments: argparse.Namespace, skipped: SkippedRows) -> Iterator[Predictions]:
    """Predict with the actors of a Ray cluster.

    Raises:
        InputError: an option is invalid, or there is no cluster.
        MissingExtra: Ray is not installed.
    """
    from elbert.bundle import Bundle
    from elbert.ray.bulk import predict, results
    from elbert.ray.cluster import connected, import_ray

    # Read when Ray is imported: warnings of its C++ processes stay in its log files.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import_ray()
    actors = parse_actors(arguments.actors)
    bundle = Bundle.open(arguments.model)
    source = name_source(arguments)
    with connected(arguments.ray or None):
        predicted = predict(
            build_dataset(arguments),
            arguments.model,
            arguments.policy,
            scores=arguments.scores,
            trace=arguments.trace,
            keep_bad=True,
            long=arguments.long,
            actors=actors,
            device=arguments.device,
            threads=arguments.threads,
            dtype=arguments.dtype,
            max_rows=arguments.max_rows,
            max_tokens=arguments.max_tokens,
            strict=arguments.strict,
        )
        yield bundle.config, results(predicted, source, skipped.skip if arguments.skip_bad else None)


def name_source(arguments: argparse.Namespace) -> str:
    """Return the name of the input for messages.

    Raises:
        DataError: there is no such file. Checked here because starting a cluster can take long.
    """
    from elbert.data import list_parts

    if arguments.texts:
        return "argument"
    if arguments.input == "-":
        return "<stdin>"
    list_parts(arguments.input, 1, choose_columns(arguments))
    return str(arguments.input)


def build_dataset(arguments: argparse.Namespace) -> Any:
    """Return the input as a Ray dataset: workers read a file; arguments and standard input are sent to them."""
    from elbert.data import check_records
    from elbert.ray.dataset_files import dataset_from_rows, open_dataset, read_rows, to_rows

    if arguments.texts:
        return dataset_from_rows(to_rows(lambda skip: check_records(to_records(arguments.texts), "argument", skip)))
    if arguments.input == "-":
        return dataset_from_rows(read_rows("-", None, open_stdin_copy()))
    return open_dataset(arguments.input, choose_columns(arguments))


def parse_actors(text: str | None) -> tuple[int, int] | None:
    """Return the least and the most actors of ``N`` or ``N-M``.

    Raises:
        InputError: it is neither a number from 1 nor a range of them.
    """
    if text is None:
        return None
    least, dash, most = text.partition("-")
    most = most if dash else least
    if not least.isdecimal() or not most.isdecimal() or not 1 <= int(least) <= int(most):
        raise InputError(f"--actors {text!r:.40}: expected a number from 1, or a range such as 2-8")
    return int(least), int(most)
