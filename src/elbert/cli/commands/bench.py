"""``elbert bench``: the speed of a model on this machine, in batches and one text at a time."""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from elbert._display import plural
from elbert.cli.flags import add_model_options, load_classifier
from elbert.cli.inputs import add_column_options, choose_columns
from elbert.errors import DataError, InputError

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.data import Columns, Example
    from elbert.evaluation import Latency, Timing
    from elbert.exits import Policy
    from elbert.tokenization.tokens import Text

COMMON_WORDS = (
    *("the", "a", "film", "of", "and", "story", "is", "slow", "but", "warm", "it", "never", "quite", "what", "one"),
    *("hoped", "for", "with", "some", "fine", "music", "at", "its", "end"),
)
SYNTHETIC_TEXTS = 500
MIN_WORDS, MAX_WORDS = 3, 40  # of a synthetic text
COLUMNS = ("policy", "mean depth", "layer speed-up", "texts/s", "speed-up", "p50 ms", "p99 ms", "single speed-up")


@dataclass(frozen=True)
class Measurement:
    """Depth and time of the texts under one policy."""

    mean_depth: float
    layer_speedup: float
    batch: Timing
    single: Latency


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``elbert bench``."""
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="texts to measure on: csv, tsv, jsonl, parquet or txt (default: synthetic texts, at fixed depths only)",
    )
    parser.add_argument(
        "--policy",
        nargs="+",
        action="extend",
        metavar="P",
        help="specs or operating points (default: the model's points)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        metavar="N",
        help="rounds, of which the median is reported (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with machine and versions, instead of a table")
    add_column_options(parser)
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print a table or JSON."""
    from elbert.evaluation.labelled_data import name_rows

    if arguments.rounds < 1:
        raise InputError(f"--rounds is {arguments.rounds}, expected a whole number from 1")
    classifier = load_classifier(arguments)
    policies = select_policies(arguments, classifier)
    if arguments.data is None:
        measurements = measure_policies(classifier, synthetic_texts(), policies, arguments.rounds)
    else:
        examples = read_texts(arguments.data, choose_columns(arguments))
        with name_rows(examples):
            texts = [example.content() for example in examples]
            measurements = measure_policies(classifier, texts, policies, arguments.rounds)
    if arguments.json:
        print_json(measurements, classifier, arguments.data)
    else:
        print_measurements(measurements, classifier, arguments.data)
    return 0


def read_texts(file: str, columns: Columns) -> list[Example]:
    """Return the examples of a data file, which needs no labels.

    Raises:
        DataError: there are no texts.
    """
    from elbert.data import read_examples

    examples = list(read_examples(file, labels=False, columns=columns))
    if not examples:
        raise DataError(f"{file}: no texts to measure on")
    return examples


def synthetic_texts() -> list[Text]:
    """Return the same random texts of common words each time; their exits say nothing about those of real texts."""
    generator = random.Random(0)
    return [
        " ".join(generator.choices(COMMON_WORDS, k=generator.randint(MIN_WORDS, MAX_WORDS)))
        for _ in range(SYNTHETIC_TEXTS)
    ]


def select_policies(arguments: argparse.Namespace, classifier: Classifier) -> dict[str, Policy]:
    """Return full depth and ``--policy``; by default the model's points (on real texts) and fixed depths."""
    from elbert.classifier_methods import choose_policies
    from elbert.exits import FULL, fixed_depth

    depths = classifier.depths
    fixed = [str(fixed_depth(k)) for k in sorted({-(-depths // 2), -(-depths // 4)}, reverse=True)]
    points = [] if arguments.data is None else list(classifier.bundle.text_points)
    return choose_policies(classifier, (str(FULL), *(arguments.policy or [*points, *fixed])))


def measure_policies(
    classifier: Classifier, texts: Sequence[Text], policies: Mapping[str, Policy], rounds: int
) -> dict[str, Measurement]:
    """Measure every policy, interleaved with full depth.

    ``full`` is measured as one of the policies too: its difference from a speed-up of 1 is the noise of the others.
    """
    from elbert.evaluation import measure_latencies, measure_throughput

    depth = {
        name: statistics.mean(each.depth for each in classifier.predict(texts, policy))
        for name, policy in policies.items()
    }
    batch = measure_throughput(classifier, texts, policies, rounds)
    single = measure_latencies(classifier, texts, policies, rounds)
    return {
        name: Measurement(depth[name], classifier.depths / depth[name], batch[name], single[name]) for name in policies
    }


def print_json(measurements: Mapping[str, Measurement], classifier: Classifier, data: str | None) -> None:
    """Print the measurements with data file, precision and machine as JSON."""
    from elbert.cli.commands.env import collect_facts

    report: dict[str, Any] = {
        "data": data,
        "dtype": classifier.dtype,
        "depths": classifier.depths,
        "policies": {name: asdict(each) for name, each in measurements.items()},
        "machine": collect_facts(),
    }
    sys.stdout.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def print_measurements(measurements: Mapping[str, Measurement], classifier: Classifier, data: str | None) -> None:
    """Print a line for each policy, and how it was measured."""
    from elbert.cli.render.terminal_tables import print_lines, print_table

    first = next(iter(measurements.values()))
    rows = [
        [
            name,
            f"{each.mean_depth:.2f}",
            f"{each.layer_speedup:.2f}x",
            f"{each.batch.texts_per_second:,.0f}",
            f"{each.batch.speedup:.2f}x",
            f"{each.single.p50:.2f}",
            f"{each.single.p99:.2f}",
            f"{each.single.speedup:.2f}x",
        ]
        for name, each in measurements.items()
    ]
    print_table(f"{plural(first.batch.texts, 'text')}, {classifier.dtype}", COLUMNS, rows)
    hint = "Synthetic texts: use --data FILE to measure operating points, whose exits need real texts. "
    print_lines(
        [
            f"{hint if data is None else ''}Medians of {first.batch.rounds} interleaved rounds. Both speed-ups are "
            "over full depth in the same rounds, tokenising included: speed-up in batches, single speed-up with "
            f"{plural(first.single.texts, 'text')} one by one. The difference of full from 1.00x is noise."
        ]
    )
