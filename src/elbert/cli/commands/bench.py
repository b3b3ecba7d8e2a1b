"""``elbert bench``: how fast a model is on this machine, in batches and one text at a time."""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from elbert.cli.flags import add_model_options, load_classifier
from elbert.errors import DataError, InputError

if TYPE_CHECKING:
    from elbert.classifier import Classifier
    from elbert.evaluation import Latency, Timing
    from elbert.exits import Policy
    from elbert.texts import Text


WORDS = (
    *("the", "a", "film", "of", "and", "story", "is", "slow", "but", "warm", "it", "never", "quite", "what", "one"),
    *("hoped", "for", "with", "some", "fine", "music", "at", "its", "end"),
)
MADE_UP = 500  # texts
SHORTEST, LONGEST = 3, 40  # words of a made-up text


@dataclass(frozen=True)
class Measured:
    """One policy: how deep texts went, and how long they took."""

    mean_depth: float
    layer_speedup: float
    batch: Timing
    single: Latency


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="texts to measure on, csv, tsv, jsonl, parquet or txt (unsaid: made-up ones, at fixed depths only)",
    )
    parser.add_argument(
        "--policy", nargs="+", action="extend", metavar="P", help="specs or operating points (unsaid: the model's)"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of which the median counts")
    parser.add_argument("--json", action="store_true", help="JSON, with machine and versions, instead of a table")
    add_model_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure and tell."""
    if arguments.rounds < 1:
        raise InputError(f"--rounds is {arguments.rounds}, expected a whole number from 1")
    classifier = load_classifier(arguments)
    texts = made_up() if arguments.data is None else texts_of(arguments.data)
    policies = chosen(arguments, classifier)
    found = measured(classifier, texts, policies, arguments.rounds)
    if arguments.json:
        print_json(found, classifier, arguments.data)
    else:
        print_table(found, classifier, arguments.data)
    return 0


def texts_of(file: str) -> list[Text]:
    """The texts of a data file; labels are not asked for.

    Raises:
        DataError: there are none.
    """
    from elbert.data import read_examples

    texts = [example.content() for example in read_examples(file)]
    if not texts:
        raise DataError(f"{file}: no texts to measure on")
    return texts


def made_up() -> list[Text]:
    """Texts of common words, the same ones each time; where they would leave says nothing about real ones."""
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=draw.randint(SHORTEST, LONGEST))) for _ in range(MADE_UP)]


def chosen(arguments: argparse.Namespace, classifier: Classifier) -> dict[str, Policy]:
    """Full depth, then those asked for; unsaid, the model's points on real texts, and fixed depths in any case."""
    depths = classifier.depths
    fixed = [f"depth({k})" for k in sorted({-(-depths // 2), -(-depths // 4)}, reverse=True)]
    points = [] if arguments.data is None else list(classifier.bundle.points)
    return {spec: classifier.usable(spec) for spec in ("full", *(arguments.policy or [*points, *fixed]))}


def measured(
    classifier: Classifier, texts: Sequence[Text], policies: Mapping[str, Policy], rounds: int
) -> dict[str, Measured]:
    """Every policy's depths and times, interleaved with full depth's.

    ``full`` stands among the policies too: how far its speed-up is from 1 is the noise of all the others.
    """
    from elbert.evaluation import latencies, measure

    depth = {
        name: statistics.mean(each.depth for each in classifier.predict(texts, policy))
        for name, policy in policies.items()
    }
    batch = measure(classifier, texts, policies, rounds)
    single = latencies(classifier, texts, policies, rounds)
    return {
        name: Measured(depth[name], classifier.depths / depth[name], batch[name], single[name]) for name in policies
    }


def print_json(found: Mapping[str, Measured], classifier: Classifier, data: str | None) -> None:
    """Everything, with what it was measured on."""
    from elbert.cli.commands.env import facts

    told: dict[str, Any] = {
        "data": data,
        "dtype": classifier.dtype,
        "depths": classifier.depths,
        "policies": {name: asdict(each) for name, each in found.items()},
        "machine": facts(),
    }
    sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def print_table(found: Mapping[str, Measured], classifier: Classifier, data: str | None) -> None:
    """A line a policy, and how it was measured."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as Plain

    any_one = next(iter(found.values()))
    table = Table(title=f"{any_one.batch.texts:,} texts, {classifier.dtype}", title_justify="left")
    table.add_column("policy", overflow="fold", min_width=16)
    for name in ("depth", "layers", "texts/s", "batch", "p50 ms", "p99 ms", "single"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, each in found.items():
        table.add_row(
            Plain(name),  # a point's name may hold what rich takes for markup
            f"{each.mean_depth:.2f}",
            f"{each.layer_speedup:.2f}x",
            f"{each.batch.texts_per_second:,.0f}",
            f"{each.batch.speedup:.2f}x",
            f"{each.single.p50:.2f}",
            f"{each.single.p99:.2f}",
            f"{each.single.speedup:.2f}x",
        )
    console = Console()
    console.print(table)
    hint = "Made-up texts: give --data FILE to see operating points, whose exits need real ones. "
    console.print(
        f"{hint if data is None else ''}Medians of {any_one.batch.rounds} interleaved rounds; batch and single are "
        "speed-ups over full depth in the same rounds, tokenising included; "
        f"{any_one.single.texts} texts one by one. What full differs from 1.00x is noise.",
        highlight=False,
    )
