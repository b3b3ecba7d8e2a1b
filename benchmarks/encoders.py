"""One shared layer against a layer for every depth: how much of the layers saved is time saved, and by which schedule.

    python benchmarks/encoders.py [--capacities 1 16 64] [--rounds 3] [--dtype bfloat16] [--models bundled minilm]

``albert`` and ``bert`` are of one width (MiniLM's: 6 depths, width 384), random weights; ``bundled`` is the model in
the package, and ``minilm`` MiniLM's real weights (the recipes extra). All in the same rounds, the fastest of which
counts (what disturbs a machine only adds); exits by one script. In ALBERT, rows of all depths share a call; in BERT,
rows at one depth do, and wait in pools until a call is worth it.
``shrink`` is FastBERT's way: a batch goes through together and shrinks. Schedules say which pool goes next; besides
bulk, they are compared under arriving texts on a clock of their own, where a call of n rows takes 8 + n: that part, and
the rows a call, are the same on every machine. Five minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from elbert import Classifier
from elbert.classifier import REFILL
from elbert.engine import Capacity, Engine, Request, SweepQueue
from elbert.exits import Policy, policy
from elbert.model import Backend
from elbert.tokenization import Tokens
from families import SIZES, families, folder_of
from machine import keep
from others import by_shrinking, run
from rounds import interleaved
from schedules import LOADS, PICKS, arriving, scheduler
from scripted import POLICY, Scripted, script
from shapes import texts_of

TOKENS = 32  # of each text


class Served(NamedTuple):
    """What a run came to: how deep texts went on average, and how many rows shared a call, if that was counted."""

    depth: float
    rows: float | None


def serve(backend: Backend, tokens: list[Tokens], chosen: Policy, capacity: int, schedule: str = "now") -> Served:
    """All texts in bulk by the engine."""
    most, config = Capacity(capacity, capacity * TOKENS), backend.config
    engine = Engine(backend, most, queue=SweepQueue(), refill=REFILL)
    weights_keys = [config.weights_key(depth) for depth in range(config.depths)]
    engine._scheduler = scheduler(schedule, most, weights_keys, REFILL)  # before any submission, so it has no row yet
    for identity, each in enumerate(tokens):
        engine.submit(Request(identity, each, chosen))
    depths, calls = 0, 0
    while len(engine):
        depths += sum(int(exits.depth.sum()) for exits in engine.step().exits)
        calls += engine.last_call is not None
    return Served(depths / len(tokens), depths / calls)


def contest_of(family: str, classifier: Classifier, capacity: int, number: int) -> dict[str, Callable[[], Served]]:
    """What one model does at one capacity, by ``way mean-depth``."""
    deepest, leaving = classifier.depths, policy(POLICY)
    tokens = classifier.tokeniser.encode(texts_of(TOKENS - 2, number))
    quarter, half = (Scripted(classifier.backend, script(deepest / share, deepest)) for share in (4, 2))

    def bulk(backend: Backend, chosen: Policy, schedule: str = "now") -> Callable[[], Served]:
        return lambda: serve(backend, tokens, chosen, capacity, schedule)

    ways = {"full L": bulk(Scripted(classifier.backend, [deepest]), policy("full"))}
    ways |= {f"{name} L/4": bulk(quarter, leaving, name) for name in ("now", *(PICKS if family == "bert" else ()))}
    ways["shrink L/4"] = lambda: Served(run(by_shrinking, tokens, quarter, leaving, capacity), None)
    ways["now L/2"] = bulk(half, leaving)
    return {f"{family} {way}": go for way, go in ways.items()}


def measure(models: dict[str, Classifier], capacity: int, rounds: int) -> list[dict[str, Any]]:
    """Every way of every model at one capacity, in the same rounds, each against its own model's full depth."""
    number = 16 * capacity + 64
    contest = {k: v for f, model in models.items() for k, v in contest_of(f, model, capacity, number).items()}
    served = {name: go() for name, go in contest.items()}
    seconds = interleaved(contest, rounds, warm=False, of=min)
    rows = []
    for name, (mean, rows_a_call) in served.items():
        family, way, at = name.split()
        speedup = seconds[f"{family} full L"] / seconds[name]
        row: dict[str, Any] = {"capacity": capacity, "model": family, "way": way, "at": at, "mean_depth": mean}
        row |= {"rows_a_call": rows_a_call, "wall_speedup": speedup}
        realised = speedup * mean / models[family].depths
        rows.append(row | {"realised": realised, "us_per_text": seconds[name] / number * 1e6})
    return rows


def line(row: dict[str, Any]) -> str:
    """One line of the table."""
    shared = "" if row["rows_a_call"] is None else f"{row['rows_a_call']:5.1f} rows a call"
    return (
        f"capacity {row['capacity']:>3}  {row['model']:<6} {row['way']:<8} {row['at']:<3} "
        f"mean depth {row['mean_depth']:4.2f}  time {row['wall_speedup']:4.2f}x  realised {row['realised']:.3f}  "
        f"{row['us_per_text']:6.0f} us a text  {shared}"
    )


def main() -> None:
    """Measure every capacity, print tables, keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--capacities", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--models", nargs="+", default=families())
    args = parser.parse_args()
    result: dict[str, Any] = {"tokens": TOKENS, "dtype": args.dtype, "rounds": args.rounds, "sizes": SIZES}
    result |= {"bulk": [], "arriving": []}
    with tempfile.TemporaryDirectory() as cache:
        models = {f: Classifier.load(folder_of(f, Path(cache)), dtype=args.dtype) for f in args.models}
        for capacity in args.capacities:
            for row in measure(models, capacity, args.rounds):
                result["bulk"].append(row)
                print(line(row), flush=True)
    ways = [("albert", "aaaaaa", "now"), *(("bert", "abcdef", name) for name in ("now", *PICKS))]
    for load, capacity, (model, weights_keys, name) in product(LOADS, args.capacities, ways):
        found = arriving(name, capacity, weights_keys, script(1.5, SIZES["num_hidden_layers"]), load)
        result["arriving"].append({"load": load, "capacity": capacity, "model": model, "schedule": name} | found)
        print(
            f"load {load}, capacity {capacity:>3}  {model:<6} {name:<8} {found['rows_a_call']:5.1f} rows a call, "
            f"stay {found['mean_stay']:5.2f} full calls, p99 {found['p99_stay']:6.2f}"
        )
    keep("encoders", result)
    print("kept in benchmarks/results/encoders.json")


if __name__ == "__main__":
    main()
