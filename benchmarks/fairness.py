"""A light client of `elbert serve` beside others: its latency and rejections, by what the others send.

    python benchmarks/fairness.py [--rounds 3] [--seconds 3] [--quick]

One server runs. A light client sends one short text at a time, and pauses 20 ms between its requests; beside it run
clients of one kind at a time, each of which sends its next request when it has the answer to the last. Rounds are
interleaved. Latencies are medians over all rounds; ratios are against ordinary clients (four, with 32 short texts each)
under the same policy. The others run in a process of their own, on the server's processors.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import count
from multiprocessing import get_context
from typing import Any

JSON = {"content-type": "application/json"}
LIGHT = {"inputs": ["a warm, funny, engaging film"]}
SHORT = [f"good film number {number}" for number in range(32)]
LONG = ["a warm funny engaging film that never drags " * 60] * 32  # 480 tokens each
COSTLY = "window(entropy=0, size=11, rule=stable, margin=0.5, range=0) | divergence(11, 0) | patience(11)"
NUMBERS = count()


@dataclass(frozen=True)
class Crowd:
    """Clients of one kind: how many, what each sends next, and the ordinary crowd that they are compared with."""

    clients: int
    request: Callable[[], dict[str, Any]]
    against: str | None = None


CROWDS = {
    "none": Crowd(0, dict),
    "4 with 32 short texts": Crowd(4, lambda: {"inputs": SHORT}),
    "4 with 32 short texts, full": Crowd(4, lambda: {"inputs": SHORT, "policy": "full"}),
    "4 with 32 short texts, a costly policy": Crowd(
        4, lambda: {"inputs": SHORT, "policy": COSTLY}, "4 with 32 short texts, full"
    ),
    "4 with 32 short texts, 100 policies": Crowd(
        4,
        lambda: {"inputs": SHORT, "policy": f"entropy({next(NUMBERS) % 100 / 1e6:.6f})"},
        "4 with 32 short texts, full",
    ),
    "24 with one long text, each its own policy": Crowd(
        24, lambda: {"inputs": LONG[:1], "policy": f"entropy({next(NUMBERS) % 24 / 1e6:.6f})"}, "4 with 32 short texts"
    ),
    "1 with 32 long texts, full": Crowd(1, lambda: {"inputs": LONG, "policy": "full"}, "4 with 32 short texts, full"),
    "4 with 32 long texts": Crowd(4, lambda: {"inputs": LONG}, "4 with 32 short texts"),
    "4 with 32 long texts, full": Crowd(4, lambda: {"inputs": LONG, "policy": "full"}, "4 with 32 short texts, full"),
    "16 with 32 long texts, full": Crowd(16, lambda: {"inputs": LONG, "policy": "full"}, "4 with 32 short texts, full"),
}


@dataclass
class Measured:
    """What the light client saw beside one crowd, and what the crowd was answered."""

    seconds: list[float] = field(default_factory=list)
    light: Counter[int] = field(default_factory=Counter)
    crowd: Counter[int] = field(default_factory=Counter)

    def to_dict(self) -> dict[str, Any]:
        """Latencies of accepted requests in milliseconds, and the statuses of all."""
        ordered = sorted(1e3 * s for s in self.seconds)
        return {
            "p50_ms": statistics.median(ordered) if ordered else None,
            "p99_ms": ordered[int(0.99 * (len(ordered) - 1))] if ordered else None,
            "light": dict(self.light),
            "crowd": dict(self.crowd),
        }


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="beside each crowd, in each round")
    parser.add_argument("--quick", action="store_true", help="one short round, which is not kept")
    args = parser.parse_args()
    rounds, seconds = (1, 1.0) if args.quick else (args.rounds, args.seconds)
    load = os.getloadavg()[0]  # what other work there is beside ours
    measured = {name: Measured() for name in CROWDS}
    with serving() as port:
        for _ in range(rounds):
            for name in CROWDS:
                observe(port, name, seconds, measured[name])
    rows = {name: found.to_dict() for name, found in measured.items()}
    for name, row in rows.items():
        against = CROWDS[name].against
        if against and row["p50_ms"] and rows[against]["p50_ms"]:
            row["against"], row["ratio"] = against, row["p50_ms"] / rows[against]["p50_ms"]
        print(
            f"{name:44} p50 {row['p50_ms'] or float('nan'):7.1f} ms, p99 {row['p99_ms'] or float('nan'):7.1f} ms, "
            f"ratio {row.get('ratio', float('nan')):5.2f}, light {row['light']}, crowd {row['crowd']}"
        )
    if args.quick:
        print("not kept: a quick run shows that it works, not how fast")
    else:
        from machine import keep  # here, because it imports torch, which the processes of the others do not need

        print(f"kept in {keep('fairness', {'rounds': rounds, 'seconds': seconds, 'load_before': load, 'rows': rows})}")


@contextmanager
def serving() -> Iterator[int]:
    """The port of a server that runs meanwhile."""
    command = [sys.executable, "-m", "elbert", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
            if found is None:
                raise SystemExit("the server does not start")
            yield int(found[1])
        finally:
            process.terminate()


def observe(port: int, name: str, seconds: float, measured: Measured) -> None:
    """Run the light client beside a crowd for some seconds."""
    processes = get_context("spawn")
    is_started, is_over, statuses = processes.Event(), processes.Event(), processes.Queue()
    others = processes.Process(target=run_crowd, args=(name, port, is_started, is_over, statuses), daemon=True)
    others.start()
    is_started.wait(60)
    time.sleep(min(1.0, seconds))
    connection, end = HTTPConnection("127.0.0.1", port, timeout=120), time.monotonic() + seconds
    while time.monotonic() < end:
        status, taken = send(connection, LIGHT)
        measured.light[status] += 1
        if status == 200:
            measured.seconds.append(taken)
        time.sleep(0.02)
    is_over.set()
    measured.crowd.update(statuses.get(timeout=120))
    others.join(60)


def run_crowd(name: str, port: int, is_started: Any, is_over: Any, statuses: Any) -> None:
    """The process of a crowd: a thread for each client."""
    counted, crowd = Counter[int](), CROWDS[name]

    def run() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        while not is_over.is_set():
            status, _ = send(connection, crowd.request())
            counted[status] += 1
            if status != 200:
                time.sleep(0.05)  # less than Retry-After: these clients are not polite

    threads = [threading.Thread(target=run, daemon=True) for _ in range(crowd.clients)]
    for thread in threads:
        thread.start()
    is_started.set()
    is_over.wait()
    for thread in threads:
        thread.join(100)
    statuses.put(counted)


def send(connection: HTTPConnection, body: dict[str, Any]) -> tuple[int, float]:
    """The status of the answer (0: none came), and the seconds until it was there."""
    begin = time.perf_counter()
    try:
        connection.request("POST", "/v1/classify", json.dumps(body), JSON)
        answer = connection.getresponse()
        answer.read()
    except (OSError, HTTPException):
        connection.close()
        return 0, 0.0
    return answer.status, time.perf_counter() - begin


if __name__ == "__main__":
    main()
