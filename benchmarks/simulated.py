"""Does the simulator say what the engine does? Both run the same texts; its costs come from measurements of their own.

    python benchmarks/simulated.py [--dtype bfloat16] [--rounds 5] [--threads 2]

The bundled model, exits scripted. In every round: the probes of ``simulator/probes.py`` (layer, head, embedding, host,
copies, each by itself), then all the runs: bulk at several capacities, depths and lengths, texts that arrive at random
at several rates, and batches that shrink or wait. What disturbs a machine only adds, so of all rounds the fastest
counts, of probes as of runs; the others are kept beside it. Five minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from elbert import Classifier
from elbert.engine import Capacity
from elbert.exits import policy
from elbert.model.threads import threads
from machine import keep
from others import by_shrinking, by_waiting
from scripted import POLICY, script
from simulator import shrinking, waiting, ways
from simulator.mixes import all_or_nothing, poisson, skewed
from simulator.probes import USUAL, Probes
from simulator.runs import Work, as_they_come, foretold, in_batches, in_bulk

LOADS = (0.3, 0.6, 0.8, 0.9)  # of what the simulator says of bulk
BULK = (
    (1, 3.0),
    (4, 3.0),
    (16, 3.0),
    (64, 3.0),
    (16, 1.5),
    (64, 1.5),
    (16, 6.0),
    (64, 6.0),
)  # rows of a call, mean depth
LONG = Capacity(128, 2048)  # the classifier's own
Told = dict[str, float]  # figures by name: seconds, or texts
Run = tuple[str, Callable[[], Told], Callable[[], Told]]  # name, measured, foretold


def bulk_runs(classifier: Classifier, costs: Callable[[], Any]) -> list[Run]:
    """Everything there at once."""
    deepest, chosen = classifier.depths, policy(POLICY)
    found = list[Run]()

    def add(name: str, work: Work, capacity: Capacity) -> None:
        def told(served: Any) -> Told:
            return {"texts a second": len(work.texts) / served.seconds, "rows a call": served.rows_a_call}

        found.append(
            (
                f"bulk, {name}, mean depth {work.mean_depth:.2f}",
                lambda: told(in_bulk(work, chosen, capacity)),
                lambda: told(foretold(work, costs(), capacity)),
            )
        )

    for rows, mean in BULK:
        number = max(8 * rows, min(1200, int(300 + 30 * rows / mean)))
        work = Work.of(classifier, [USUAL] * number, script(mean, deepest))
        add(f"{rows} rows a call", work, Capacity(rows, rows * USUAL))
    add(
        "64 rows, all or nothing",
        Work.of(classifier, [USUAL] * 800, all_or_nothing(3.0, deepest)),
        Capacity(64, 64 * USUAL),
    )
    add("lengths skewed", Work.of(classifier, skewed(1500), script(3.0, deepest)), LONG)
    return found


def batch_runs(classifier: Classifier, costs: Callable[[], Any], size: int = 32) -> list[Run]:
    """Batches that shrink, and batches that wait."""
    work, chosen = Work.of(classifier, [USUAL] * 480, script(3.0, classifier.depths)), policy(POLICY)

    def run(name: str, measured: Any, simulated: Any) -> Run:
        def told(seconds: float) -> Told:
            return {"texts a second": len(work.texts) / seconds}

        return (
            f"{name}, {size} rows, mean depth {work.mean_depth:.2f}",
            lambda: told(in_batches(work, chosen, size, measured)),
            lambda: told(ways.in_batches(simulated, work.texts, size, costs())),
        )

    return [run("the batch shrinks", by_shrinking, shrinking), run("the batch waits", by_waiting, waiting)]


def open_runs(classifier: Classifier, costs: Callable[[], Any], number: int = 1500) -> list[Run]:
    """Texts that come at random, in the classifier's own calls, lengths skewed."""
    chosen, work = policy(POLICY), Work.of(classifier, skewed(number), script(3.0, classifier.depths))
    most = number / foretold(work, costs(), LONG).seconds

    def run(load: float) -> Run:
        comes = poisson(number, load * most)

        def told(served: Any) -> Told:
            stay = {"mean stay": float(served.stay.mean()), "median": served.latency(50), "p99": served.latency(99)}
            return {"texts a second": number / served.seconds, "rows a call": served.rows_a_call} | stay

        return (
            f"open loop at {load:.0%} of {most:.0f} texts a second",
            lambda: told(as_they_come(work, chosen, LONG, comes)),
            lambda: told(foretold(work, costs(), LONG, comes)),
        )

    return [run(load) for load in LOADS]


def compared(runs: Sequence[Run], measured: dict[str, list[Told]]) -> list[dict[str, Any]]:
    """Each figure of each run: measured (in its fastest round), foretold, and how far that is off."""
    rows = list[dict[str, Any]]()
    for name, _, say in runs:
        said, best = say(), min(measured[name], key=lambda told: told.get("mean stay", -told["texts a second"]))
        for figure, foretold_ in said.items():
            real, spread = best[figure], [told[figure] for told in measured[name]]
            rows.append(
                {"run": name, "figure": figure, "measured": real, "least": min(spread), "most": max(spread)}
                | {"foretold": foretold_, "off": foretold_ / real - 1}
            )
    return rows


def line(costs: Any, rows: Sequence[int] = (1, 4, 16, 64)) -> dict[str, float]:
    """The best ``a + b n`` through the layer's calls, in relative terms, and how far it is off at worst."""
    from simulator.probes import priced

    seconds = [costs.call(n * USUAL, n * USUAL**2) for n in rows]
    a, b = priced([[1.0, n] for n in rows], seconds)
    return {"a": a, "b": b, "worst": max(abs((a + b * n) / s - 1) for n, s in zip(rows, seconds, strict=True))}


def main() -> None:
    """Probe and run, round by round; print what was said beside what was; keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--name", default="simulator", help="of the file in results/")
    args = parser.parse_args()
    classifier = Classifier.load(dtype=args.dtype)
    with threads(args.threads):
        probes = Probes(classifier.backend, policy(POLICY))
        probes.round()
        runs = [*bulk_runs(classifier, probes.costs), *batch_runs(classifier, probes.costs)]
        runs += open_runs(classifier, probes.costs)
        measured: dict[str, list[Told]] = {name: [] for name, _, _ in runs}
        for _ in range(args.rounds):
            probes.round()
            for name, go, _ in runs:
                measured[name].append(go())
    rows, costs = compared(runs, measured), probes.costs()
    for row in rows:
        print(
            f"{row['run']:<50} {row['figure']:<15} measured {row['measured']:10.4f} "
            f"({row['least']:.4f} to {row['most']:.4f})  foretold {row['foretold']:10.4f}  {row['off']:+7.1%}"
        )
    print(f"within 10 %: {sum(abs(row['off']) <= 0.1 for row in rows)} of {len(rows)}; line {line(costs)}")
    result = {"dtype": args.dtype, "rounds": args.rounds, "rows": rows, "line": line(costs), "costs": costs.told()}
    keep(args.name, result)
    print(f"kept in benchmarks/results/{args.name}.json")


if __name__ == "__main__":
    main()
