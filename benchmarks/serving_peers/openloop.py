"""Load that does not wait: requests go out when they are due, whatever became of those before them.

A client that waits for an answer before it sends the next request measures a server that is never overloaded
("coordinated omission"). Here arrivals are a Poisson process, and latency counts from the moment at which a request
was due.

As a process of its own, so that the load does not share an interpreter with what is measured::

    python -m serving_peers.openloop < job.json > answers.json
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from serving_peers.wire import Pool, Response, get, post

PATIENCE = 20.0  # seconds after the last request was due, after which a request without an answer counts as lost
LOST = 0  # instead of a status


@dataclass(frozen=True)
class Answer:
    """What became of a request; times in seconds since the load began. ``status`` 0: no answer at all."""

    number: int
    due: float
    sent: float
    received: float
    status: int
    response: Response | None = None

    @property
    def latency(self) -> float:
        """Seconds from the moment at which it was due."""
        return self.received - self.due


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Moments of arrival, ``rate`` a second on average."""
    draw = random.Random(seed)
    gaps = (draw.expovariate(rate) for _ in range(round(10 * rate * seconds) + 100))
    return [moment for moment in accumulate(gaps) if moment < seconds]


async def open_loop(
    port: int, request: Callable[[int], bytes], moments: Sequence[float], patience: float = PATIENCE
) -> list[Answer]:
    """Send ``request(n)`` at each moment, and wait for what becomes of them; the answers are in order."""
    pool, loop = Pool(port), asyncio.get_running_loop()
    begin = loop.time() + 0.05

    async def one(number: int, due: float) -> Answer:
        sent = loop.time() - begin
        try:
            response = await asyncio.wait_for(pool.ask(request(number)), patience)
        except (OSError, TimeoutError):
            return Answer(number, due, sent, loop.time() - begin, LOST)
        return Answer(number, due, sent, loop.time() - begin, response.status, response)

    tasks = list[asyncio.Task[Answer]]()
    for number, due in enumerate(moments):
        if (wait := begin + due - loop.time()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(number, due)))
    try:
        return await asyncio.gather(*tasks)
    finally:
        pool.close()


async def closed_loop(
    port: int, request: Callable[[int], bytes], connections: int, seconds: float
) -> tuple[float, list[float]]:
    """Each connection asks again as soon as it is answered: answers (200) a second, and their latencies."""
    pool, begin = Pool(port), time.perf_counter()
    latencies, failed = list[float](), 0

    async def ask_again_and_again(first: int) -> None:
        nonlocal failed
        number = first
        while time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            response = await pool.ask(request(number))
            if response.status == 200:
                latencies.append(time.perf_counter() - start)
            else:
                failed += 1
                await asyncio.sleep(0.01)
            number += connections

    try:
        await asyncio.gather(*(ask_again_and_again(first) for first in range(connections)))
    finally:
        pool.close()
    return len(latencies) / (time.perf_counter() - begin), latencies


async def ready(port: int, path: str, patience: float = 120.0) -> None:
    """Wait until a server answers 200 there.

    Raises:
        TimeoutError: it does not.
    """
    until = time.monotonic() + patience
    while time.monotonic() < until:
        pool = Pool(port)
        try:
            if (await asyncio.wait_for(pool.ask(get(path)), 5)).status == 200:
                return
        except (OSError, TimeoutError):
            pass
        finally:
            pool.close()
        await asyncio.sleep(0.05)
    raise TimeoutError(f"nothing answers 200 on port {port} at {path}")


async def each_once(port: int, requests: Sequence[bytes], connections: int) -> list[Response]:
    """Every request once, so many at a time; the answers in order."""
    pool, places = Pool(port), asyncio.Semaphore(connections)

    async def one(request: bytes) -> Response:
        async with places:
            return await pool.ask(request)

    try:
        return await asyncio.gather(*map(one, requests))
    finally:
        pool.close()


def main() -> None:
    """Do the job on standard input, and print what came of it."""
    job = json.load(sys.stdin)
    bodies = [post("/predict", {"inputs": text}) for text in job["texts"]]

    def request(number: int) -> bytes:
        return bodies[(job["first"] + number) % len(bodies)]

    if job["kind"] == "open":
        moments = poisson(job["rate"], job["seconds"], job["seed"])
        answers = asyncio.run(open_loop(job["port"], request, moments))
        json.dump([(a.due, a.sent, a.received, a.status) for a in answers], sys.stdout)
    elif job["kind"] == "closed":
        json.dump(asyncio.run(closed_loop(job["port"], request, job["connections"], job["seconds"])), sys.stdout)
    else:
        responses = asyncio.run(each_once(job["port"], bodies, job["connections"]))
        json.dump([response.json()[0]["label"] for response in responses], sys.stdout)


if __name__ == "__main__":
    main()
