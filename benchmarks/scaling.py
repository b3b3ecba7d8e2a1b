"""What the simulator predicts where one machine is not enough: a thousand replicas, lengths, mixes of exits.

    python benchmarks/scaling.py [--costs benchmarks/results/simulator.json] [--replicas 1000] [--price 0.10]

Costs are those that ``simulated.py`` measured. No model is run: the answers are the same on every machine, and hold for
the one whose costs they are. Two minutes.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from elbert.classifier import REFILL
from elbert.engine import ArrivalQueue, Capacity, Queue, SweepQueue
from machine import RESULTS, keep
from scripted import script
from simulator import Costs, Replica, Served, Text, fewest_of, random_one, serve, shrinking, turn_by_turn, waiting
from simulator.mixes import all_or_nothing, poisson, skewed
from simulator.ways import in_batches

DEEPEST = 12
TOKENS = 32
LONG = Capacity(128, 2048)  # the classifier's own
MIXES = {
    "all alike": [3],
    "most early, some late": script(3.0, DEEPEST),
    "all or nothing": all_or_nothing(3.0, DEEPEST),
}
LOADS = (0.5, 0.7, 0.9)  # of what one replica does in bulk


def drawn(number: int, depths: Sequence[int], lengths: Sequence[int] = (TOKENS,), seed: int = 0) -> list[Text]:
    """Texts of these lengths, in turn, with depths drawn."""
    depth = random.Random(seed).choices(depths, k=number)
    return [Text(lengths[i % len(lengths)], depth[i]) for i in range(number)]


def replica(costs: Costs, capacity: Capacity, queue: Queue, refill: float = 0.0) -> Replica:
    """One whose depths all share a layer."""
    return Replica(capacity, costs, ["shared"] * DEEPEST, queue=queue, refill=refill)


def bulk(costs: Costs, texts: Sequence[Text], capacity: Capacity, queue: Queue | None = None) -> Served:
    """Everything there at once, as the classifier runs it."""
    return serve(
        texts, [0.0] * len(texts), [replica(costs, capacity, SweepQueue() if queue is None else queue, REFILL)]
    )


def money(costs: Costs, price: float) -> list[dict[str, Any]]:
    """A million texts by mean depth, with a price for an hour of this machine."""
    rows = list[dict[str, Any]]()
    for depth in (1.5, 2.0, 3.0, 6.0, 12.0):
        texts = drawn(4000, script(depth, DEEPEST))
        hours = bulk(costs, texts, LONG).seconds / len(texts) * 1e6 / 3600
        rows.append({"mean_depth": mean(t.depth for t in texts), "hours": hours, "cost": hours * price})
        print(
            f"mean depth {rows[-1]['mean_depth']:5.2f}: {hours:6.3f} machine hours a million texts, {hours * price:.4f}"
        )
    return rows


def mixes(costs: Costs) -> list[dict[str, Any]]:
    """Speed-ups over full depth at one mean depth, by how exits are spread and by what becomes of free places."""
    rows = list[dict[str, Any]]()
    for rows_a_call, (mix, depths) in product((1, 4, 16, 64, 256), MIXES.items()):
        most, number = Capacity(rows_a_call, rows_a_call * TOKENS), 24 * max(rows_a_call, 8)
        texts, full = drawn(number, depths), [Text(TOKENS, DEEPEST)] * number
        whole = bulk(replace(costs, reads_head=False), full, most).seconds  # `full` reads no head on its way
        seconds = {
            "refill": bulk(costs, texts, most).seconds,
            "shrink": in_batches(shrinking, texts, rows_a_call, costs),
            "wait": in_batches(waiting, texts, rows_a_call, costs),
        }
        layers = DEEPEST / mean(text.depth for text in texts)
        speedups = {way: whole / taken for way, taken in seconds.items()}
        rows.append({"rows": rows_a_call, "mix": mix, "layer_speedup": layers} | speedups)
        speeds = "  ".join(f"{way} {speedup:4.2f}x" for way, speedup in speedups.items())
        print(f"{rows_a_call:>3} rows a call, {mix:<22} layers {layers:4.2f}x  {speeds}", flush=True)
    return rows


def lengths(costs: Costs, number: int = 6000) -> list[dict[str, Any]]:
    """Lengths that are alike and lengths that are not: bulk, and at 0.7 of its load how long each stays."""
    rows = list[dict[str, Any]]()
    spread = skewed(number)
    even = round(mean(spread))
    for name, found in {"alike": [even], "skewed": spread}.items():
        texts = drawn(number, script(3.0, DEEPEST), found)
        sweeps, comes_first = (bulk(costs, texts, LONG, queue) for queue in (SweepQueue(), ArrivalQueue()))
        rate = 0.7 * number / comes_first.seconds
        live = serve(texts, poisson(number, rate), [replica(costs, LONG, ArrivalQueue())])
        size = np.array([text.length for text in texts])
        short, long = size <= np.percentile(size, 50), size >= np.percentile(size, 95)
        row = {"lengths": name, "mean": float(size.mean()), "longest": int(size.max())}
        row |= {"texts_a_second": number / sweeps.seconds, "by_arrival": number / comes_first.seconds}
        row |= {"short_stay": float(live.stay[short].mean()), "long_stay": float(live.stay[long].mean())}
        rows.append(row | {"p99": live.latency(99)})
        print(" ".join(f"{key} {value:.5g}" if isinstance(value, float) else f"{value}" for key, value in row.items()))
    return rows


def fleet(costs: Costs, replicas: int, each: int) -> list[dict[str, Any]]:
    """Many replicas behind a balancer: how long texts stay, by load and by which replica takes the next one."""
    number = replicas * each
    texts = drawn(number, script(3.0, DEEPEST), skewed(number))
    most = 4000 / bulk(costs, texts[:4000], LONG).seconds
    rows = list[dict[str, Any]]()
    for load in LOADS:
        comes = poisson(number, load * most * replicas)
        routes = {
            "any": random_one(replicas),
            "in turn": turn_by_turn(replicas),
            "fewer of two": fewest_of(2, replicas),
        }
        for name, route in routes.items():
            served = serve(texts, comes, [replica(costs, LONG, ArrivalQueue()) for _ in range(replicas)], route)
            stay = served.stay[number // 4 :]  # the first ones find everything empty
            p50, p99 = np.percentile(stay, (50, 99)) * 1e3
            row = {"load": load, "route": name, "texts_a_second": load * most * replicas, "mean_ms": stay.mean() * 1e3}
            rows.append(row | {"p50_ms": p50, "p99_ms": p99, "rows_a_call": served.rows_a_call})
            print(
                f"load {load}, {replicas} replicas, {name:<12} {row['texts_a_second']:9.0f} texts a second: "
                f"p50 {p50:5.2f} ms, p99 {p99:6.2f} ms, {served.rows_a_call:4.1f} rows a call",
                flush=True,
            )
    return rows


def main() -> None:
    """Answer every question, keep the answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--costs", type=Path, default=RESULTS / "simulator.json")
    parser.add_argument("--replicas", type=int, default=1000)
    parser.add_argument("--each", type=int, default=200, help="texts for each replica")
    parser.add_argument("--price", type=float, default=0.10, help="of an hour of the machine, in any currency")
    args = parser.parse_args()
    found = json.loads(args.costs.read_text(encoding="utf-8"))
    costs = Costs.read(found["result"]["costs"])
    result = {"costs_of": {"date": found["date"], "processor": found["machine"]["processor"]}, "price": args.price}
    result |= {"money": money(costs, args.price), "mixes": mixes(costs), "lengths": lengths(costs)}
    result |= {"fleet": fleet(costs, args.replicas, args.each)}
    keep("scaling", result)
    print("kept in benchmarks/results/scaling.json")


if __name__ == "__main__":
    main()
