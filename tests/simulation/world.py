"""The world of an episode: clients, faults and restarts around the real service, on simulated time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from invariants import Violation, Watch, check_answers, check_empty
from scenario import Scenario
from table_model import NumberTokeniser, TableBackend
from virtual_loop import VirtualLoop
from virtual_threads import Scheduler, VirtualRuntime

import elbert.serving
from elbert.errors import ElbertError
from elbert.serving.errors import BackendFailure, NotReady, TokenizerFailure
from elbert.serving.results import TextResult
from elbert.serving.service import Service

SERVING = Path(elbert.serving.__file__).parent
WATCHED = frozenset(str(SERVING / name) for name in ("worker.py", "tokenizer_pool.py"))
PATIENCE = 300.0  # simulated seconds in which everything must be answered, once no new requests come
FOREVER = 1e6  # simulated seconds
MEMORY = 60.0  # simulated seconds after a failed call in which the engine may be built again
ROUNDING = 1e-9  # seconds: a shorter sleep may not advance the clock
NEARLY = 0.8  # of the limit of a step: with other delays, a call of this length may be stuck


@dataclass
class Exchange:
    """A request of a client and what came back."""

    number: int
    texts: tuple[str, ...]
    options: dict[str, object]
    service: int  # the number of the service that got it
    sent: float
    results: list[TextResult] = field(default_factory=list)
    error: BaseException | None = None  # of the whole request
    is_accepted: bool = False
    has_disconnected: bool = False  # whether the client disconnected before it had all results
    ended: float | None = None


class World:
    """Runs one episode of a scenario; :meth:`run` raises :class:`Violation` at the first broken promise."""

    def __init__(self, scenario: Scenario, *, stop_at: int | None = None, disconnect_at: int | None = None) -> None:
        """The service stops, or all clients disconnect, before this iteration of the event loop."""
        self.scenario = scenario
        self.random = Random(f"world {scenario.seed}")
        watched = WATCHED if scenario.watches_lines else frozenset()
        self.scheduler = Scheduler(
            scenario.seed,
            eagerness=scenario.eagerness,
            stalls=scenario.stalls,
            stall_seconds=scenario.stall_seconds,
            tick=scenario.tick,
            watched=watched,
        )
        self.loop = VirtualLoop(self.scheduler)
        self.loop.interruptions = {stop_at: self._stop_soon, disconnect_at: self._disconnect}
        self._requests: dict[int, asyncio.Task] = {}
        self._stopping: list[asyncio.Task] = []
        self.began = self.scheduler.now
        self.log: list[str] = []
        self.exchanges: list[Exchange] = []
        self.services: list[tuple[Service, Watch]] = []
        self.failures: list[tuple[float, float]] = []  # begin and end of calls of a backend that fail or are stuck
        self.tokenizer_failures: list[float] = []
        self.busy: list[tuple[float, float]] = []  # begin and end of each call of a backend
        self.ready: dict[int, float] = {}  # when each service was ready, and when it was stopped
        self.stopped: dict[int, float] = {}
        self._trouble = Random(f"trouble {scenario.seed}")

    def run(self) -> None:
        """Run the episode.

        Raises:
            Violation: a promise of the service is broken.
        """
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            with self.scheduler.watch_lines(), muted_logs():
                self.loop.run_until_complete(self._play())
                self._end_threads()
            check_answers(self)
        finally:
            with muted_logs():
                remaining = self.scheduler.end()
                self.loop.cancel_all()
            self.loop.close()
            asyncio._set_running_loop(before)
        if remaining:
            raise Violation(f"threads do not end: {', '.join(remaining)}")

    def list_stalls(self) -> list[tuple[float, float]]:
        """The times in which the operating system stopped a thread."""
        return [(begin - self.began, end - self.began) for begin, end in self.scheduler.stalled]

    def note(self, line: str) -> None:
        """Add a line to the episode's log."""
        self.log.append(f"{self.now:10.5f}  {line}")

    @property
    def now(self) -> float:
        """Seconds since the start of the episode."""
        return self.scheduler.now - self.began

    @property
    def current(self) -> int:
        """The number of the service that gets new requests."""
        return len(self.services) - 1

    def has_cause(self, exchange: Exchange, error: BaseException) -> bool:
        """Whether something happened that explains the error of a request or a text."""
        ended = self.now if exchange.ended is None else exchange.ended
        if isinstance(error, TokenizerFailure):
            return any(exchange.sent <= when <= ended for when in self.tokenizer_failures)
        if isinstance(error, NotReady) and (
            exchange.sent <= self.ready.get(exchange.service, FOREVER)
            or ended >= self.stopped.get(exchange.service, FOREVER)
        ):
            return True
        service, _ = self.services[exchange.service]
        memory = 0.0 if isinstance(error, BackendFailure) else FOREVER if service._worker.has_failed else MEMORY
        return any(begin <= ended and exchange.sent - memory <= end for begin, end in self.failures)

    # The service and its faults

    def _create_service(self) -> None:
        number = len(self.services)
        classifier = self.scenario.classifier(
            TableBackend(self._config, self._before_call), NumberTokeniser(self._before_tokens)
        )
        watch = Watch(self, number)
        runtime = VirtualRuntime(self.scheduler)
        service = Service(
            classifier, self.scenario.settings, observer=watch, clock=self.scheduler.clock, runtime=runtime
        )
        watch.service = service
        self.services.append((service, watch))

    def _active(self, *kinds: str) -> Iterator[tuple[str, float]]:
        for trouble in self.scenario.troubles:
            if trouble.kind in kinds and trouble.begin <= self.now < trouble.end:
                yield trouble.kind, trouble.strength

    def _before_call(self, verb: str, rows: int, tokens: int) -> None:
        capacity = self.scenario.max_rows, self.scenario.max_tokens
        idle = 8, 512  # the capacity of idle work
        if verb == "step" and rows > max(capacity[0], idle[0]):
            raise Violation(f"a call of {rows} rows, of at most {capacity[0]}")
        seconds = self.scenario.draw_call(self._trouble) if verb == "step" else 0.0
        for kind, strength in self._active("slow", "stuck", "failing"):
            if kind == "slow":
                seconds *= strength
            elif kind == "stuck" and verb == "step":
                seconds = strength
        if seconds > NEARLY * self.scenario.settings.step_limit:
            self.failures.append((self.now, self.now + seconds))
        began = self.now
        self._pass(seconds)
        self.busy.append((began, self.now))
        for _, strength in self._active("failing"):
            if self._trouble.random() < strength:
                self.failures.append((self.now, self.now))
                self.note(f"{verb} of {rows} rows fails")
                raise RuntimeError("the backend fails")

    def _before_tokens(self, texts: list) -> None:
        for _, seconds in self._active("tokenizer slow"):
            self._pass(self.scenario.round(self._trouble.uniform(0, seconds)))
        self._pass(0.0)
        for _, strength in self._active("tokenizer failing"):
            if texts != ["a"] and self._trouble.random() < strength:
                self.note("the tokenizer fails")
                self.tokenizer_failures.append(self.now)
                raise RuntimeError("the tokenizer fails")

    def _pass(self, seconds: float) -> None:
        if seconds:
            self.scheduler.wait(lambda: False, seconds)
        else:
            self.scheduler.pause()

    # The episode

    async def _play(self) -> None:
        self._config = self.scenario.classifier().bundle.config
        self._create_service()
        starting = asyncio.create_task(self._begin(0), name="start")
        clients = [asyncio.create_task(self._client(i), name=f"client {i}") for i in range(self.scenario.clients)]
        manager = asyncio.create_task(self._manage(), name="manager")
        await self._finish("the start", starting)
        await self._finish("a restart", manager)
        if self.scenario.is_quiet_at_end:
            await self._finish("the clients", *clients)
            await self._become_empty()
        await self._finish("stopping", *(self._stopping or [asyncio.create_task(self.stop(self.current))]))
        await self._finish("the clients", *clients)
        await self._finish("stopping", *self._stopping)
        for number in range(len(self.services)):
            check_empty(self, number)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            raise Violation(f"tasks do not end: {sorted(task.get_name() for task in others)}")
        if self.loop.errors:
            raise Violation(f"asyncio reports: {self.loop.errors[0]}")

    async def _begin(self, number: int) -> None:
        try:
            await self.services[number][0].start()
            self.ready[number] = self.now
            self.note("a service is ready")
        except (BackendFailure, NotReady) as error:
            if not (self.stopped if isinstance(error, NotReady) else self.failures):
                raise Violation("a service does not start although its backend works") from error
            self.note("a service does not start")

    async def stop(self, number: int) -> None:
        """Stop a service."""
        service, _ = self.services[number]
        self.note(f"service {number} stops")
        self.stopped[number] = self.now
        has_finished = await service.stop()
        self.note(f"service {number} has stopped: {has_finished}")

    def _stop_soon(self) -> None:
        """Stop the service, whatever its requests do now; an operator may also do it twice."""
        if self.services:
            self._stopping = [self.loop.create_task(self.stop(self.current), name="stop") for _ in range(2)]

    def _disconnect(self) -> None:
        """Disconnect all clients, whatever their requests do now."""
        for number, task in self._requests.items():
            self.exchanges[number].has_disconnected |= task.cancel()

    async def _manage(self) -> None:
        for when in self.scenario.restarts:
            await asyncio.sleep(max(when - self.now, 0.0))
            old = self.current
            self._create_service()
            starting = asyncio.create_task(self._begin(self.current), name="restart")
            await asyncio.sleep(self.random.choice((0.0, 0.5)))
            await self.stop(old)
            await starting
        await asyncio.sleep(max(self.scenario.seconds - self.now, 0.0))

    async def _finish(self, what: str, *tasks: asyncio.Task) -> None:
        """Wait for tasks, and raise their error; they must end within a bounded time."""
        if not tasks:
            return
        limit = max(self.scenario.seconds - self.now, 0.0) + PATIENCE
        _, pending = await asyncio.wait(tasks, timeout=limit)
        if pending and self.loop.errors:
            raise Violation(f"asyncio reports: {self.loop.errors[0]}")
        if pending:
            stuck = [e for e in self.exchanges if e.ended is None]
            raise Violation(f"{what}: {len(pending)} wait forever; requests without an answer: {stuck}")
        for task in tasks:
            task.result()

    async def _become_empty(self) -> None:
        """Wait until the engine has dropped everything, as it must without new requests."""
        service, watch = self.services[self.current]
        until = self.now + PATIENCE
        while service.is_ready and not watch.is_engine_empty():
            if self.now > until:
                raise Violation(f"rows stay in the engine: {watch.describe_engine()}")
            await asyncio.sleep(0.1)

    def _end_threads(self) -> None:
        self.loop.close()
        for thread in self.scheduler.threads[1:]:
            thread.join(PATIENCE)
        for thread in self.scheduler.ended:
            if thread.error is not None:
                raise Violation(f"thread {thread.name} ends with {thread.error!r}") from thread.error

    # Clients

    async def _client(self, number: int) -> None:
        random = Random(f"client {self.scenario.seed} {number}")
        while True:
            pause = self.scenario.draw_pause(random, self.scenario.think_seconds / 0.7)
            await asyncio.sleep(min(pause, max(self.scenario.seconds - self.now, 0.0)))
            if self.now >= self.scenario.seconds - ROUNDING:
                return
            together = random.choice((1, 1, 1, 1, 6))
            await asyncio.gather(*(self._exchange(Random(random.random())) for _ in range(together)))

    async def _exchange(self, random: Random) -> None:
        exchange = self._draw_request(random)
        self.exchanges.append(exchange)
        manner = random.choice(("gather", "gather", "iterate", "slow", "close", "cancel"))
        self.note(f"request {exchange.number}: {len(exchange.texts)} texts, {exchange.options}, {manner}")
        task = asyncio.create_task(self._consume(exchange, manner, random), name=f"request {exchange.number}")
        self._requests[exchange.number] = task
        if manner == "cancel":
            await asyncio.wait([task], timeout=self.scenario.draw_pause(random, random.choice((0.01, 0.3, 2.0))))
            exchange.has_disconnected |= task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            if not exchange.has_disconnected:
                raise Violation(f"request {exchange.number} was cancelled, and its client is still there") from None
        except ElbertError as error:
            exchange.error = error
        del self._requests[exchange.number]
        exchange.ended = self.now
        self.note(f"request {exchange.number}: {describe(exchange)}")

    def _draw_request(self, random: Random) -> Exchange:
        scenario = self.scenario
        count = random.randint(1, scenario.settings.max_client_batch_size)
        texts = [random.choice(scenario.texts) for _ in range(count)]
        if random.random() < 0.1:
            texts[random.randrange(len(texts))] = random.choice(scenario.faulty_texts)
        deadline = random.choice((1, 20, 300, 3000)) * random.uniform(0.5, 2)
        options = {
            "policy": random.choice(scenario.specs),
            "deadline_ms": None if random.random() < 0.6 else deadline,
            "trace": random.random() < 0.2,
            "raw": random.random() < 0.2,
            "truncate": random.random() < 0.8,
            "direction": random.choice(("right", "left")),
        }
        return Exchange(len(self.exchanges), tuple(texts), options, self.current, self.now)

    async def _consume(self, exchange: Exchange, manner: str, random: Random) -> None:
        service, _ = self.services[exchange.service]
        async with await service.classify(exchange.texts, **exchange.options) as stream:
            exchange.is_accepted = True
            if manner in ("gather", "cancel"):
                exchange.results += await stream.all()
                return
            async for result in stream:
                exchange.results.append(result)
                if manner == "close" and random.random() < 0.5:
                    exchange.has_disconnected = len(exchange.results) < len(exchange.texts)
                    return
                if manner == "slow":
                    await asyncio.sleep(self.scenario.draw_pause(random, 1.0))


def describe(exchange: Exchange) -> str:
    """What came back, in one line."""
    if exchange.error is not None:
        return f"{type(exchange.error).__name__}: {exchange.error}"
    answers = [
        f"{r.index}:{type(r.error).__name__ if r.prediction is None else f'{r.prediction.depth} {r.prediction.reason}'}"
        for r in exchange.results
    ]
    return f"{'disconnected, ' if exchange.has_disconnected else ''}{' '.join(answers)}"


@contextmanager
def muted_logs() -> Iterator[None]:
    """The service logs the faults that it survives; thousands of them are no news."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
