"""Servers under open-loop load: ours against static batches, FastAPI around a pipeline, and LitServe; same weights.

    python benchmarks/serving.py [--data FILE] [--rounds 2] [--answers 20000] [--threads N] [--quick] [--only NAME …]

Texts of ``--data`` (default: examples/reviews.txt), one in each request, arrive as a Poisson process over loopback, at
shares of each server's capacity (what it reaches when it always has work). The load generator is a separate process,
keeps its connections and never waits for an answer: latency counts from the moment at which a request was due. One
server runs at a time, the others are stopped; rounds are interleaved; medians over the rounds. All servers compute in
the same precision, but for int8, which only ours have: others then take the faster of bfloat16 and float32. Where a
server has several settings (threads, batches), the one with the greater capacity is taken, by a look before the
contest; ours run as `elbert serve` does by itself.

Every round at a rate records how much of the machine its host took away meanwhile (``stolen``, Linux) and how
long a fixed product took just before and after (``pace_ms``); over 5 % stolen, a round counts only where no other is.

These rounds are short: their percentiles, of some hundred answers, only find where to look. ``sustained`` is the rate
at which p99 passes five times the unloaded median latency (or more than 1 % is not answered), between the rates that
were run. Then every server is loaded until ``--answers`` requests are answered at each of some rates: ``limits`` has
the highest rate that keeps a p99 of 100 ms, and of 130 ms, which is MLPerf's limit for BERT in its server scenario;
``eighty`` has the percentiles at 80 % of capacity. Only these p99 are for quoting.

About eight minutes a round; then, for each server, some 5 x 20,000 answers: six minutes where it answers 300 a second,
two hours where it answers 15 (leave it out with ``--only``). With ``--quick`` two minutes in all.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from elbert import Classifier, bundled_model
from elbert.data import read_examples, resolve_label
from elbert.model.precision import Precision
from machine import Taken, add_processor_option, keep, pace
from serving_peers.contest import CONTESTANTS, Contestant, Running, running
from serving_peers.figures import (
    COMMON,
    EIGHTY,
    PASSES,
    STATICS_EIGHTY,
    STOLEN,
    medians,
    print_row,
    quantile,
    ratios,
    sustained,
)
from serving_peers.limits import ANSWERS, guess_rate, highest_rates, print_limits, sample

REVIEWS = Path(__file__).parents[1] / "examples" / "reviews.txt"
SHARES = (0.07, 0.15, 0.3, 0.6, 0.8, 1.0, 1.5)  # of a server's own capacity
QUICK_SHARES = (0.5, 0.8, 1.5)
QUICK_ANSWERS = 200
TRIES = 3  # of a slice of load that the host disturbs
CROWD = 64  # connections that never wait, to find the capacity
LEAST_ANSWERS = 400  # for a 99th percentile
MOST_SECONDS = 8.0
LOOK = 2.0  # seconds of crowd, for each way to set up a server


def main() -> None:
    """Measure, print, keep."""
    args = options()
    texts, labels = data(args.data)
    if args.quick:
        texts, labels = texts[:100], labels and labels[:100]
    folder = Path(bundled_model())
    shares = QUICK_SHARES if args.quick else SHARES
    contestants, looked_at = set_up(taking_part(args.only), folder, args.dtype, args.threads, texts)
    with running(contestants, folder, args.dtype, args.threads) as servers:
        rows = {server.contestant.name: alone(server, texts, labels) for server in servers}
        looks = [{s.contestant.name: unloaded_and_full(s, texts, quick=args.quick) for s in servers} for _ in "123"]
        for name, row in rows.items():
            found = zip(*(look[name] for look in looks), strict=True)
            row["unloaded_ms"], row["capacity"] = map(statistics.median, found)
        against = rows.get("static batches, safe", {}).get("capacity")
        for number in range(args.rounds):
            for share in shares:
                for server in servers:
                    row = rows[server.contestant.name]
                    rate = share * row["capacity"]
                    row["rounds"].append(loaded(server, texts, share, rate, number, quick=args.quick))
            for server in servers:
                if against and server.contestant.name == "elbert, safe":
                    there = loaded(server, texts, STATICS_EIGHTY, EIGHTY * against, number, quick=args.quick)
                    rows[server.contestant.name]["rounds"].append(there)
        for row in rows.values():
            row["rates"] = medians(row.pop("rounds"))
            row["sustained"], row["beyond"] = sustained(row["rates"], PASSES * row["unloaded_ms"])
            row["sustained_common"], row["beyond_common"] = sustained(row["rates"], COMMON)
            print_row(row)
        for server in servers:
            look_at_limits(server, texts, rows[server.contestant.name], args.answers)
    verdict = ratios(rows, {c.name for c in CONTESTANTS if c.full_depth})
    for name, value in verdict.items():
        print(f"{name}: {value:.2f}")
    result = {
        "texts": len(texts),
        "dtype": args.dtype,
        "threads": args.threads,
        "rounds": args.rounds,
        "answers": args.answers,
        "looked_at": looked_at,
    }
    result |= {"quick": args.quick, "rows": list(rows.values()), "ratios": verdict}
    if args.quick:
        print("not kept: a quick run shows that it works, not how fast")
    else:
        part = re.findall(r"\w+", " ".join(args.only))  # does not replace the whole
        name = "_".join(filter(None, ["serving", *part, args.processor]))
        print(f"kept in {keep(name, result)}")


def options() -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", help="labelled texts for the bundled model (default: examples/reviews.txt, no labels)"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--answers", type=int, default=ANSWERS, help="behind each p99 for quoting")
    parser.add_argument("--dtype", choices=get_args(Precision), help="default: what ours chooses on this machine")
    parser.add_argument("--threads", type=int, help="for all servers (default: each as it does best)")
    parser.add_argument("--quick", action="store_true", help="one short round, which is not kept")
    parser.add_argument("--only", nargs="+", default=[], help="names of contestants, or their beginnings")
    add_processor_option(parser)
    args = parser.parse_args()
    if args.dtype is None:
        args.dtype = Classifier.load().dtype
    if args.quick:
        args.rounds, args.answers = 1, QUICK_ANSWERS
    return args


def data(path: str | None) -> tuple[list[str], list[str] | None]:
    """Texts, in a random order, and the names of their labels where they are known."""
    if path is None:
        return REVIEWS.read_text(encoding="utf-8").splitlines(), None
    known, examples = Classifier.load().labels, list(read_examples(path))
    random.Random(0).shuffle(examples)
    return [str(e.content()) for e in examples], [known[resolve_label(e.label, known)] for e in examples]


def taking_part(names: Sequence[str]) -> list[Contestant]:
    """The named servers, or all; those with missing packages are reported and skipped."""
    chosen = [c for c in CONTESTANTS if not names or any(c.name.startswith(name) for name in names)]
    for contestant in chosen:
        if contestant.missing:
            print(f"left out: {contestant.name} needs {contestant.needs}")
    return [contestant for contestant in chosen if not contestant.missing]


def set_up(
    contestants: Sequence[Contestant], folder: Path, dtype: str, threads: int | None, texts: Sequence[str]
) -> tuple[list[Contestant], dict[str, float]]:
    """Everybody in the way that gives the greater capacity; and the capacity of each way that was looked at."""
    ways = [(c.under(way), c.name, f"{c.name} {way}") for c in contestants for way in c.choices if len(c.choices) > 1]
    best = {c.name: (0.0, c.under(c.choices[0])) for c in contestants}
    capacities = dict[str, float]()
    with running([way for way, _, _ in ways], folder, dtype, threads) as servers:
        for server, (way, name, key) in zip(servers, ways, strict=True):
            server.load(texts, "closed", connections=CROWD, seconds=1)  # warms it
            capacities[key], _ = server.load(texts, "closed", connections=CROWD, seconds=LOOK)
            best[name] = max(best[name], (capacities[key], way), key=lambda found: found[0])
    return [way for _, way in best.values()], capacities


def alone(server: Running, texts: Sequence[str], labels: Sequence[str] | None) -> dict[str, Any]:
    """Every text once: accuracy where labels are known; and it is warm then."""
    labels_found = server.load(texts, "each", connections=16)
    row = {"name": server.contestant.name}
    if labels is not None:
        row["accuracy"] = sum(map(str.__eq__, labels_found, labels)) / len(labels)
    return row | {"rounds": []}


def unloaded_and_full(server: Running, texts: Sequence[str], *, quick: bool) -> tuple[float, float]:
    """Milliseconds of one request at a time, in the middle, and answers a second when it never runs dry."""
    seconds = 0.5 if quick else 2.0
    _, latencies = server.load(texts, "closed", connections=1, seconds=seconds)
    capacity, _ = server.load(texts, "closed", connections=CROWD, seconds=seconds)
    return 1e3 * statistics.median(latencies), capacity


def loaded(
    server: Running, texts: Sequence[str], share: float | str, rate: float, number: int, *, quick: bool
) -> dict[str, Any]:
    """One round at one rate."""
    seconds = 1.0 if quick else min(max(3.0, LEAST_ANSWERS / rate), MOST_SECONDS)
    first = random.Random(number).randrange(len(texts))
    before, taken = pace(), Taken()
    answers = server.load(texts, "open", first=first, rate=rate, seconds=seconds, seed=number)
    stolen, after = taken.share, pace()
    good = sorted(1e3 * (received - due) for due, _, received, status in answers if status == 200)
    last = max((received for *_, received, _ in answers), default=seconds)
    return {
        "share": share,
        "rate": rate,
        "p50_ms": quantile(good, 0.5),
        "p99_ms": quantile(good, 0.99),
        "answered_per_second": len(good) / max(seconds, last),
        "refused": sum(status in (429, 503) for *_, status in answers) / max(1, len(answers)),
        "lost": sum(status not in (200, 429, 503) for *_, status in answers) / max(1, len(answers)),
        "sent_late_ms": quantile(sorted(1e3 * (sent - due) for due, sent, _, _ in answers), 0.99),
        "stolen": stolen,
        "pace_ms": 1e3 * (before + after) / 2,
    }


def look_at_limits(server: Running, texts: Sequence[str], row: dict[str, Any], answers: int) -> None:
    """The highest rates that keep the limits of p99, and the percentiles at 80 % of capacity."""

    def load(rate: float, seconds: float, seed: int) -> Any:
        first = random.Random(seed).randrange(len(texts))
        for _ in range(TRIES):
            taken = Taken()
            answers = server.load(texts, "open", first=first, rate=rate, seconds=seconds, seed=seed)
            if taken.share <= STOLEN:
                break
        return answers

    row["pace_ms"] = [1e3 * pace()]
    row["limits"] = highest_rates(load, guess_rate(row["sustained_common"], row["capacity"]), answers)
    row["eighty"] = sample(load, EIGHTY * row["capacity"], answers).to_dict()
    row["pace_ms"].append(1e3 * pace())
    print_limits(row)


if __name__ == "__main__":
    main()
