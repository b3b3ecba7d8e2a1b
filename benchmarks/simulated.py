"""Does the simulator agree with the engine? Both run the same texts; its costs come from measurements of their own.

    python benchmarks/simulated.py --threads 1 [--dtype bfloat16] [--rounds 5]

The bundled model, exits scripted. In every round: the probes of ``simulator/probes.py`` (layer, head, embedding, host,
copies, each by itself), then all the runs: bulk at several capacities, depths and lengths, texts that arrive at random
at several rates, and batches that shrink or wait. The costs are those of the fastest round of each probe. A machine's
speed changes from minute to minute: before and after every run one layer call is timed, and the costs are taken at that
pace. It changes from second to second too, and a queue magnifies that; so runs with random arrivals are predicted once
more at the pace that the run itself had in every quarter of a second; arrival times are known too. Medians
over the rounds. Four minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from statistics import mean, median
from typing import Any, NamedTuple

from elbert import Classifier
from elbert.engine import Capacity
from elbert.exits import policy
from elbert.model.isolation import use_threads
from elbert.serving.warmup import enlarge_primitive_cache, warm_up
from machine import keep
from others import Way, by_shrinking, by_waiting
from scripted import POLICY, script
from simulator import Clock, Costs, Paced, Served, Timed, shrinking, waiting, ways
from simulator.mixes import all_or_nothing, poisson, skewed
from simulator.probes import ALWAYS, USUAL, Probes, priced
from simulator.runs import Work, as_they_come, in_batches, in_bulk, predicted

LOADS = (0.3, 0.5, 0.7, 0.85)  # of the bulk throughput of the simulator
# rows of a call, mean depth
BULK = ((1, 3.0), (4, 3.0), (16, 3.0), (64, 3.0), (16, 1.5), (64, 1.5), (16, 6.0), (64, 6.0))
LONG = Capacity(128, 2048)  # the classifier's own
WARM_UP = 20.0  # seconds at most
WINDOW = 0.25  # seconds in which a machine has one speed
Figures = dict[str, float]  # figures by name: seconds, or texts


class Run(NamedTuple):
    """Something the engine does, and what the simulator predicts for it on a clock."""

    name: str
    measure: Callable[[], tuple[Figures, Sequence[Timed]]]
    predict: Callable[[Clock], Figures]


class Seen(NamedTuple):
    """What a run came to in one round, the seconds of a layer call around it, and its steps where they are known."""

    figures: Figures
    pace: float
    steps: Sequence[Timed]


def bulk_runs(classifier: Classifier) -> list[Run]:
    """Everything there at once."""
    deepest = classifier.depths
    runs = list[Run]()
    for rows, depth in BULK:
        number = max(8 * rows, min(1200, int(300 + 30 * rows / depth)))
        work = Work.of(classifier, [USUAL] * number, script(depth, deepest))
        runs.append(bulk_run(f"{rows} rows a call", work, Capacity(rows, rows * USUAL)))
    work = Work.of(classifier, [USUAL] * 800, all_or_nothing(3.0, deepest))
    runs.append(bulk_run("64 rows, all or nothing", work, Capacity(64, 64 * USUAL)))
    return [*runs, bulk_run("lengths skewed", Work.of(classifier, skewed(1500), script(3.0, deepest)), LONG)]


def bulk_run(name: str, work: Work, capacity: Capacity) -> Run:
    """One of them."""

    def figures(served: Served) -> Figures:
        return {"texts a second": len(work.texts) / served.seconds, "rows a call": served.rows_a_call}

    return Run(
        f"bulk, {name}, mean depth {work.mean_depth:.2f}",
        lambda: (figures(in_bulk(work, policy(POLICY), capacity)), ()),
        lambda clock: figures(predicted(work, clock, capacity)),
    )


def batch_runs(classifier: Classifier, size: int = 32) -> list[Run]:
    """Batches that shrink, and batches that wait."""
    work = Work.of(classifier, [USUAL] * 480, script(3.0, classifier.depths))

    def run(name: str, measured: Way, simulated: ways.Way) -> Run:
        def figures(seconds: float) -> Figures:
            return {"texts a second": len(work.texts) / seconds}

        return Run(
            f"{name}, {size} rows, mean depth {work.mean_depth:.2f}",
            lambda: (figures(in_batches(work, policy(POLICY), size, measured)), ()),
            lambda clock: figures(ways.in_batches(simulated, work.texts, size, clock)),
        )

    return [run("the batch shrinks", by_shrinking, shrinking), run("the batch waits", by_waiting, waiting)]


def open_runs(classifier: Classifier, clock: Clock, number: int = 1200) -> list[Run]:
    """Texts that come at random, in the classifier's own calls, lengths skewed."""
    work = Work.of(classifier, skewed(number), script(3.0, classifier.depths))
    most = number / predicted(work, clock, LONG).seconds

    def run(load: float) -> Run:
        comes = poisson(number, load * most)

        def figures(served: Served) -> Figures:
            stay = {"mean stay": float(served.stay.mean()), "median": served.latency(50), "p99": served.latency(99)}
            return {"texts a second": number / served.seconds, "rows a call": served.rows_a_call} | stay

        def measure() -> tuple[Figures, Sequence[Timed]]:
            served, steps = as_they_come(work, policy(POLICY), LONG, comes)
            return figures(served), steps

        return Run(
            f"open loop, {load * most:.0f} texts a second",
            measure,
            lambda clock: figures(predicted(work, clock, LONG, comes)),
        )

    return [run(load) for load in LOADS]


def compared(run: Run, rounds: Sequence[Seen], costs: Costs) -> list[dict[str, Any]]:
    """Each figure of a run: measured, predicted, and how far that is off, round by round at the pace of the round."""
    usual = pace_of(costs)
    paces = [seen.pace / usual for seen in rounds]
    predictions = [run.predict(Paced(costs, (pace,))) for pace in paces]
    followed = [run.predict(Paced.following(costs, seen.steps, WINDOW)) for seen in rounds if seen.steps]
    rows = list[dict[str, Any]]()
    for figure in predictions[0]:
        real = [seen.figures[figure] for seen in rounds]
        row = {"run": run.name, "figure": figure, "measured": median(real), "pace": paces}
        row |= against(real, [figures[figure] for figures in predictions])
        if followed:
            row["at_its_pace"] = against(real, [figures[figure] for figures in followed])
        rows.append(row)
    return rows


def against(real: Sequence[float], predicted_values: Sequence[float]) -> dict[str, Any]:
    """The prediction beside the measurement, round by round."""
    off = [f / r - 1 for f, r in zip(predicted_values, real, strict=True)]
    return {"predicted": median(predicted_values), "off": median(off), "off_by_round": off}


def pace_of(costs: Costs) -> float:
    """Seconds of the layer call that measures the pace."""
    ((rows, length),) = ALWAYS
    return costs.call(rows * length, rows * length**2)


def line(costs: Costs, rows: Sequence[int] = (1, 4, 16, 64)) -> dict[str, float]:
    """The best ``a + b n`` through the layer's calls, in relative terms, and how far it is off at worst."""
    seconds = [costs.call(n * USUAL, n * USUAL**2) for n in rows]
    a, b = priced([[1.0, n] for n in rows], seconds)
    return {"a": a, "b": b, "worst": max(abs((a + b * n) / s - 1) for n, s in zip(rows, seconds, strict=True))}


def main() -> None:
    """Probe and run, round by round; print prediction and measurement; keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None)
    args = parser.parse_args()
    enlarge_primitive_cache()
    classifier = Classifier.load(dtype=args.dtype, threads=args.threads)
    warm_up(classifier, WARM_UP)
    with use_threads(args.threads):
        probes = Probes(classifier.backend, policy(POLICY))
        probes.round()
        runs = [*bulk_runs(classifier), *batch_runs(classifier), *open_runs(classifier, probes.costs())]
        seen: dict[str, list[Seen]] = {run.name: [] for run in runs}
        for _ in range(args.rounds):
            probes.round()
            for run in runs:
                before, (figures, steps) = probes.pace(), run.measure()
                seen[run.name].append(Seen(figures, mean((before, probes.pace())), steps))
    costs = probes.costs()
    rows = [row for run in runs for row in compared(run, seen[run.name], costs)]
    for row in rows:
        print(
            f"{row['run']:<46} {row['figure']:<15} measured {row['measured']:10.4f}  "
            f"predicted {row['predicted']:10.4f}  "
            f"{row['off']:+7.1%} ({min(row['off_by_round']):+.0%} to {max(row['off_by_round']):+.0%})"
            + (f"  at its own pace {row['at_its_pace']['off']:+7.1%}" if "at_its_pace" in row else "")
        )
    errors = [row.get("at_its_pace", row)["off"] for row in rows]
    print(f"within 10 %: {sum(abs(row['off']) <= 0.1 for row in rows)} of {len(rows)}")
    print(f"with the measured pace where texts arrive: {sum(abs(off) <= 0.1 for off in errors)}; line {line(costs)}")
    result = {"dtype": args.dtype, "rounds": args.rounds, "threads": args.threads, "rows": rows}
    keep("simulator", result | {"line": line(costs), "costs": costs.to_dict()})
    print("kept in benchmarks/results/simulator.json")


if __name__ == "__main__":
    main()
