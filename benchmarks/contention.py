"""Throughput and latency where cores are shared: busy neighbours, one core, half a core, four processes of ours.

    python benchmarks/contention.py [--seconds 6] [--rounds 3] [--quick] [--only NAME …]

Every condition is measured in a process of its own, which starts within the condition: batches (texts a second),
single texts (median, p99 and longest answer) and, with the packages of the serve extra, a server under closed-loop
load. The fair share is what the processor's time allows: busy processes take turns with one thread of ours on each
core. Where no cgroup can be written, the quota of half a core is imitated on one core by stopping the process for half
of every 100 ms. Rounds go through all conditions: each share is of what the process alone reaches in the same round,
and medians count. Results go to results/contention.json. Some three minutes a round.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from serving_peers.figures import quantile

HERE = Path(__file__).parent
REVIEWS = HERE.parent / "examples" / "reviews.txt"
PERIOD = 0.1  # seconds, of a quota
CONNECTIONS = 8  # of the closed loop
SERVE_NEEDS = ("starlette", "uvicorn", "httptools", "msgspec", "prometheus_client")
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
Around = Callable[[list[int]], AbstractContextManager[object]]


@dataclass(frozen=True)
class Condition:
    """``share``: of this machine's time, what is fair for all of our processes together; ``cpus``: those they may use;
    ``around``: what goes on meanwhile, given the processes' ids."""

    name: str
    share: float
    processes: int = 1
    busy: int = 0
    cpus: int | None = None
    around: Around = lambda pids: nullcontext()


def main() -> None:
    """Measure every condition, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each of batches, single texts, server")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], help="beginnings of the conditions' names")
    parser.add_argument("--quick", action="store_true", help="half a second each, which is not kept")
    parser.add_argument("--work", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work is not None:
        work(args.work)
        return
    seconds = 0.5 if args.quick else args.seconds
    chosen = [c for c in conditions() if not args.only or c.name == "alone" or c.name.startswith(tuple(args.only))]
    load, rounds = os.getloadavg()[0], list[dict[str, Any]]()
    for _ in range(1 if args.quick else args.rounds):
        rows = dict[str, Any]()
        for condition in chosen:
            rows[condition.name] = row = measure(condition, seconds)
            row["of_fair_share"] = row["texts_per_second"] / (rows["alone"]["texts_per_second"] * condition.share)
            print_row(condition, row)
        rounds.append(rows)
    rows = {condition.name: middle([each[condition.name] for each in rounds]) for condition in chosen}
    print("medians:")
    for condition in chosen:
        print_row(condition, rows[condition.name])
    if args.quick:
        print("not kept: a quick run shows that it works, not how fast")
    else:
        from machine import keep  # here, because it imports torch, which the processes that wait do not need

        result = {"seconds": seconds, "cores": len(CPUS), "load_before": load, "rows": rows, "rounds": rounds}
        print(f"kept in {keep('contention', result)}")


def conditions() -> list[Condition]:
    """What this machine can be made to be."""
    cores = len(CPUS)
    return [
        Condition("alone", 1.0),
        Condition("1 busy process per core", 1 / 2, busy=cores),
        Condition("2 busy processes per core", 1 / 3, busy=2 * cores),
        Condition("one core", 1 / cores, cpus=1),
        Condition("half a core", 0.5 / cores, cpus=None if quota_root() else 1, around=half_a_core),
        Condition("four processes", 1.0, processes=4),
    ]


def measure(condition: Condition, seconds: float) -> dict[str, Any]:
    """The figures of all processes together under one condition."""
    with ExitStack() as stack:
        for _ in range(condition.busy):
            stack.enter_context(started([sys.executable, "-c", "while True: pass"]))
        command = [sys.executable, str(Path(__file__).resolve()), "--work", str(seconds)]
        workers = [stack.enter_context(started(command, condition.cpus)) for _ in range(condition.processes)]
        stack.enter_context(condition.around([worker.pid for worker in workers]))
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()
        found = [json.loads(answer(worker)) for worker in workers]
    single = sorted(ms for each in found for ms in each["single_ms"])
    row = {
        "share": condition.share,
        "threads": [each["threads"] for each in found],
        "texts_per_second": sum(each["texts_per_second"] for each in found),
        "single": percentiles(single),
    }
    if all(each["served_ms"] for each in found):
        row["served_per_second"] = sum(each["served_per_second"] for each in found)
        row["served"] = percentiles(sorted(ms for each in found for ms in each["served_ms"]))
    return row


def percentiles(ordered: Sequence[float]) -> dict[str, float]:
    """Of sorted milliseconds."""
    return {
        "answers": len(ordered),
        "p50_ms": quantile(ordered, 0.5),
        "p99_ms": quantile(ordered, 0.99),
        "longest_ms": ordered[-1],
    }


def middle(rows: Sequence[Any]) -> Any:
    """The medians of every number of several rounds."""
    if isinstance(rows[0], dict):
        return {key: middle([row[key] for row in rows]) for key in rows[0]}
    return median(rows) if isinstance(rows[0], float) else rows[0]


def print_row(condition: Condition, row: dict[str, Any]) -> None:
    """A condition's lines; throughput as a multiple of the fair share, and the longest answer of the median."""
    print(f"{condition.name:26} {row['texts_per_second']:7.0f} texts/s", end="")
    print(f" ({row['of_fair_share']:.2f} of the fair share)", end="")
    for name in ("single", "served"):
        if found := row.get(name):
            print(
                f"; {name} p50 {found['p50_ms']:.1f}, p99 {found['p99_ms']:.1f}, longest {found['longest_ms']:.1f} ms "
                f"({found['longest_ms'] / found['p50_ms']:.1f}x of {found['answers']})",
                end="",
            )
    print(flush=True)


@contextmanager
def started(command: Sequence[str], cpus: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own, on the first ``cpus`` processors, which ends with the block.

    All are in one session: Linux (``sched_autogroup``) divides time between sessions first, and then between threads.
    """
    pinned = ["taskset", "--cpu-list", ",".join(map(str, CPUS[:cpus]))] if cpus else []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*pinned, *command], cwd=HERE, process_group=0, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def answer(process: subprocess.Popen[str]) -> str:
    """The line that a process prints at its end."""
    assert process.stdout is not None
    if not (line := process.stdout.readline()):
        raise SystemExit(f"a measured process ended with status {process.wait()}")
    return line


CGROUP = Path("/sys/fs/cgroup")


def quota_root() -> Path | None:
    """The folder below which groups with a quota can be made, in version 1 or 2 of cgroups; None: nowhere."""
    first, second = CGROUP / "cpu", CGROUP / "cgroup.subtree_control"
    if (first / "cgroup.procs").exists():
        return first if os.access(first, os.W_OK) else None
    has_quotas = second.exists() and "cpu" in second.read_text().split()
    return CGROUP if has_quotas and os.access(CGROUP, os.W_OK) else None


@contextmanager
def half_a_core(pids: list[int]) -> Iterator[None]:
    """A quota of half a core for these processes and their children, or its imitation."""
    root = quota_root()
    if root is None:
        with stopped_by_turns(pids):
            yield
        return
    group = root / f"elbert-benchmark-{os.getpid()}"
    try:
        group.mkdir()
        period = round(PERIOD * 1e6)
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{period // 2} {period}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(period))
            (group / "cpu.cfs_quota_us").write_text(str(period // 2))
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        if group.exists():
            group.rmdir()
        print(f"no cgroup ({error}): the processes are stopped for half of the time instead")
        with stopped_by_turns(pids):
            yield
        return
    try:
        yield
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (root / "cgroup.procs").write_text(pid)
        group.rmdir()


@contextmanager
def stopped_by_turns(pids: list[int]) -> Iterator[None]:
    """The processes' groups run for half of every period."""
    is_over = threading.Event()

    def turn() -> None:
        while not is_over.is_set():
            for each, seconds in ((signal.SIGSTOP, PERIOD / 2), (signal.SIGCONT, PERIOD / 2)):
                for pid in pids:
                    os.killpg(pid, each)
                time.sleep(seconds)

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def work(seconds: float) -> None:
    """The measured process: waits until its standard input is closed, which is when the condition holds."""
    sys.stdin.read()
    import torch

    from elbert import Classifier

    classifier = Classifier.load()
    texts = REVIEWS.read_text(encoding="utf-8").splitlines()
    batch = texts * 40  # as in a file: more than share a layer
    classifier.predict(batch)
    count, begin = 0, time.perf_counter()
    while (taken := time.perf_counter() - begin) < seconds:
        classifier.predict(batch)
        count += len(batch)
    single, until = list[float](), time.perf_counter() + seconds
    while (now := time.perf_counter()) < until:
        classifier.predict([texts[len(single) % len(texts)]])
        single.append(1e3 * (time.perf_counter() - now))
    rate, served = serve(texts, seconds)
    found = {
        "threads": torch.get_num_threads(),
        "texts_per_second": count / taken,
        "single_ms": single,
        "served_per_second": rate,
        "served_ms": served,
    }
    print(json.dumps(found), flush=True)


def serve(texts: Sequence[str], seconds: float) -> tuple[float, list[float]]:
    """Answers a second and latencies (ms) of a server in a child process, from some connections that never wait."""
    if any(find_spec(name) is None for name in SERVE_NEEDS):
        return 0.0, []
    import asyncio

    from elbert import bundled_model
    from serving_peers.contest import environment, free_port
    from serving_peers.openloop import closed_loop, ready
    from serving_peers.wire import post

    port, bodies = free_port(), [post("/predict", {"inputs": text}) for text in texts]
    command = [sys.executable, "-m", "elbert", "serve", "--model", str(bundled_model()), "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=HERE, env=environment(), **quiet) as server:  # type: ignore[call-overload]
        try:
            asyncio.run(ready(port, "/health"))
            rate, latencies = asyncio.run(closed_loop(port, lambda n: bodies[n % len(bodies)], CONNECTIONS, seconds))
        finally:
            server.kill()
    return rate, [1e3 * latency for latency in latencies]


if __name__ == "__main__":
    main()
