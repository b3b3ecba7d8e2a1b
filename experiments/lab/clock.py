"""Operating points by wall-clock: the same texts at full depth and early, in turn; the median ratio of the rounds."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from elbert import Classifier, policy
from elbert.classifier import Dtype
from elbert.cli.commands.env import collect_facts
from elbert.data import read_examples
from elbert.exits import FULL, Policy
from elbert.tokenization.tokenizer import Text
from lab.exit_study import study_name
from lab.runs import Run
from lab.selection import OURS

SINGLES = 10  # times fewer texts one by one
HEADER = ["point", "layer speed-up", "batch", "of it realised", "single", "of it realised"]
Record = dict[str, Any]


@dataclass(frozen=True)
class ClockOptions:
    """What a measurement depends on: data type, sample of texts, rounds, device and threads."""

    dtype: Dtype
    texts: int
    rounds: int
    device: str = "cpu"
    threads: int | None = None


def clock_name(base: str, data: str) -> str:
    """The name of the record of a set's times."""
    return f"wall_clock/{base}/{data}"


def timed_policies(studied: Record) -> dict[str, str]:
    """The policies to time: ours at every speed-up, and at the goals."""
    found = {f"{s}x": cells[OURS]["policy"] for s, cells in studied["cells"].items() if OURS in cells}
    return found | {f"goal {s}x": each[OURS]["policy"] for s, each in studied["goals"].items() if OURS in each}


def time_set(run: Run, options: ClockOptions, *, again: bool) -> Record | str:
    """A set's times, measured now or earlier; or a message why there are none."""
    studied, model = run.places.records.read(study_name(run)), run.folder / "model"
    name = clock_name(run.base.key, run.prepared.data.name)
    known = run.places.records.read(name)
    if studied is None:
        return "not studied yet; exit_study.py does so" if known is None else known
    settings = {
        "run": run.name,
        "outputs": studied["of"]["outputs"],
        "points": timed_policies(studied),
        **asdict(options),
    }
    if known is not None and known.get("settings") == settings and not again:
        return known
    if not (model / "config.json").is_file():
        return "its model is not on this machine; run.py --keep-model --again makes it" if known is None else known
    found = measure(run, options, model, {name: policy(spec) for name, spec in settings["points"].items()})
    conditions = {"date": datetime.now(UTC).date().isoformat(), "machine": collect_facts()}
    record = {"set": run.prepared.data.name, "settings": settings, **found, "conditions": conditions}
    run.places.records.write(name, record)
    return record


def measure(run: Run, options: ClockOptions, model: Path, policies: Mapping[str, Policy]) -> Record:
    """Times of all policies over a sample of the test texts, in batches and one by one."""
    classifier = Classifier.load(model, "full", dtype=options.dtype, device=options.device, threads=options.threads)
    texts = [example.content() for example in read_examples(str(run.prepared.file("test")))]
    sample = random.Random(0).sample(texts, min(options.texts, len(texts)))
    few = sample[: max(len(sample) // SINGLES, 1)]

    def one_by_one(chosen: Policy) -> list[int]:
        return [classifier.predict([text], chosen)[0].depth for text in few]

    def at_once(chosen: Policy) -> list[int]:
        return [prediction.depth for prediction in classifier.predict(sample, chosen)]

    ways: dict[str, tuple[Callable[[Policy], list[int]], Sequence[Text]]] = {
        "batch": (at_once, sample),
        "single": (one_by_one, few),
    }
    return {
        way: rounds(go, policies, options.rounds, classifier.depths, len(timed_texts))
        for way, (go, timed_texts) in ways.items()
    }


def rounds(
    go: Callable[[Policy], list[int]], policies: Mapping[str, Policy], number: int, depths: int, texts: int
) -> Record:
    """Every policy beside full depth, round by round: median seconds a text and median ratio to full depth's."""
    contest: dict[str, Policy] = {"full": FULL, **policies}
    mean = {name: statistics.fmean(go(chosen)) for name, chosen in contest.items()}  # and everything is warm
    seconds: dict[str, list[float]] = {name: [] for name in contest}
    for _ in range(number):
        for name, chosen in contest.items():
            begun = time.perf_counter()
            go(chosen)
            seconds[name].append(time.perf_counter() - begun)
    found = {}
    for name, taken in seconds.items():
        ratio = statistics.median(full / own for full, own in zip(seconds["full"], taken, strict=True))
        layers = depths / mean[name]
        found[name] = {
            "texts": texts,
            "ms_per_text": round(1000 * statistics.median(taken) / texts, 4),
            "speedup": round(ratio, 4),
            "layer_speedup": round(layers, 4),
            "realised": round(ratio / layers, 4),
        }
    return found


def table_rows(found: Record) -> list[list[str]]:
    """Lines of a table."""
    return [
        [name, f"{batch['layer_speedup']:.2f}x", *ratio_cells(batch), *ratio_cells(found["single"][name])]
        for name, batch in found["batch"].items()
        if name != "full"
    ]


def ratio_cells(way: Record) -> list[str]:
    """Wall-clock speed-up and how much of the layers' it is."""
    return [f"{way['speedup']:.2f}x", f"{100 * way['realised']:.0f} %"]
