"""Layers saved, and time saved: wall-clock speed-up divided by layer speed-up, exits scripted.

    python benchmarks/realised.py [--shapes bundled albert-base] [--rounds 5] [--dtype bfloat16]

Full depth is the policy ``full``, which does not even read the exit head before the last depth. Tokenising is left
out: both sides pay the same for it. ``shrink`` and ``wait`` are FastBERT's and PABEE's way with the same backend.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from elbert import Classifier
from elbert.classifier import REFILL
from elbert.engine import Capacity, Engine, Request, SweepQueue
from elbert.exits import Policy, policy
from elbert.model import Backend
from elbert.tokenization import Tokens
from machine import add_processor_option, keep
from others import by_shrinking, by_waiting, run
from rounds import interleaved
from scripted import POLICY, Scripted, script, script_policies
from shapes import folder_of, texts_of

CAPACITIES = (1, 4, 16, 64, 256)
TOKENS = 32  # of each text
SECONDS = 0.7  # about which a run at full depth should take


def serve(backend: Backend, tokens: Sequence[Tokens], chosen: Policy | Sequence[Policy], capacity: Capacity) -> float:
    """Classify all with the engine, under one policy or one each; return the mean exit depth."""
    engine = Engine(backend, capacity, queue=SweepQueue(), refill=REFILL, layers=backend.config.depths)
    policies = [chosen] * len(tokens) if isinstance(chosen, Policy) else chosen
    for identity, (each, own) in enumerate(zip(tokens, policies, strict=True)):
        engine.submit(Request(identity, each, own))
    depths = 0
    while len(engine):
        depths += sum(int(exits.depth.sum()) for exits in engine.step().exits)
    return depths / len(tokens)


def measure(
    classifier: Classifier, capacity: int, rounds: int, means: Sequence[float] = (), *, others: bool = True
) -> list[dict[str, Any]]:
    """Mean depths (default: six) at one capacity, against full depth in the same rounds; ``others``: their ways too."""
    deepest = classifier.depths
    number, places = texts_for(classifier, capacity), Capacity(capacity, capacity * TOKENS)
    every = classifier.tokeniser.encode(texts_of(TOKENS - 2, number))
    full, scripted_policy = policy("full"), policy(POLICY)
    found: dict[str, tuple[str, float]] = {}
    contest: dict[str, Any] = {"full": lambda: serve(classifier.backend, every, full, places)}
    texts = {"full": number}
    for mean in means or (1.5, 2.0, deepest / 4, deepest / 2, 0.75 * deepest, float(deepest)):
        depths, several = script(mean, deepest), round(number * deepest / mean)  # as many layers as at full depth
        tokens = classifier.tokeniser.encode(texts_of(TOKENS - 2, several))
        policies, backend = script_policies(tokens, depths), Scripted(classifier.backend, depths)
        ways = {"engine": lambda t=tokens, p=policies: serve(classifier.backend, t, p, places)}
        if others and mean == deepest / 4:
            ways["shrink"] = lambda t=tokens, b=backend: run(by_shrinking, t, b, scripted_policy, capacity)
            ways["wait"] = lambda t=tokens, b=backend: run(by_waiting, t, b, scripted_policy, capacity)
        for way, go in ways.items():
            name = f"{way} at {mean:g}"
            contest[name], texts[name] = go, several
            found[name] = (way, go())
    seconds = {name: taken / texts[name] for name, taken in interleaved(contest, rounds).items()}
    return [
        {
            "capacity": capacity,
            "way": way,
            "mean_depth": depth,
            "layer_speedup": deepest / depth,
            "wall_speedup": seconds["full"] / seconds[name],
            "realised": seconds["full"] / seconds[name] * depth / deepest,
            "us_per_text": seconds[name] * 1e6,
        }
        for name, (way, depth) in found.items()
    ]


def texts_for(classifier: Classifier, capacity: int) -> int:
    """How many texts take about :data:`SECONDS` at full depth, or longer: many times the capacity.

    At the end of a run places stay empty, which 16 times the capacity makes a few hundredths.
    """
    config = classifier.bundle.config
    flops = 24 * config.hidden_size**2 * TOKENS * config.depths
    return max(16 * capacity, min(4000, int(SECONDS * (1.5e11 if capacity == 1 else 4e11) / flops)))


def main() -> None:
    """Measure every shape and capacity, print a table, keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=["bundled", "albert-base"])
    parser.add_argument("--capacities", nargs="+", type=int, default=CAPACITIES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", default="bfloat16")
    add_processor_option(parser)
    args = parser.parse_args()
    name = "_".join(filter(None, ("realised", args.processor)))
    result: dict[str, Any] = {"tokens": TOKENS, "dtype": args.dtype, "rounds": args.rounds, "shapes": {}}
    with tempfile.TemporaryDirectory() as cache:
        for shape in args.shapes:
            classifier = Classifier.load(folder_of(shape, Path(cache)), dtype=args.dtype)
            result["shapes"][shape] = []
            for capacity in args.capacities:
                for row in measure(classifier, capacity, args.rounds):
                    result["shapes"][shape].append(row)
                    print(
                        f"{shape:<12} capacity {capacity:>3}  {row['way']:<6} mean depth {row['mean_depth']:5.2f}  "
                        f"layers {row['layer_speedup']:5.2f}x  time {row['wall_speedup']:5.2f}x  "
                        f"realised {row['realised']:.3f}",
                        flush=True,
                    )
                keep(name, result)  # as it comes: the whole takes minutes
    print(f"kept in benchmarks/results/{name}.json")


if __name__ == "__main__":
    main()
