"""The service: requests of texts in, items out as rows exit, for asyncio. It does not depend on HTTP."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

from elbert.classifier import Classifier
from elbert.engine import Capacity
from elbert.errors import ElbertError, InputError
from elbert.serving.admission import Admission
from elbert.serving.dispatcher import Desk, Row
from elbert.serving.errors import BackendFailure, NotReady, Overloaded
from elbert.serving.observer import Nobody, Observer, observed
from elbert.serving.point_selection import Chosen, Points
from elbert.serving.results import Answers, Item, Timings
from elbert.serving.settings import Settings
from elbert.serving.shadow import Shadow
from elbert.serving.tokenizer_pool import Tokenising
from elbert.serving.warmup import warm
from elbert.serving.worker import Engines, Step, Worker
from elbert.texts import Text
from elbert.tokenization import Tokens
from elbert.tokenization.tokenizer import Direction


@dataclass(frozen=True)
class Asked:
    """What a caller wants of each text; see :meth:`Service.classify`."""

    policy: str | None = None
    deadline_ms: float | None = None
    trace: bool = False
    truncate: bool = True
    direction: Direction = "right"
    raw: bool = False


class Reception:
    """From texts to rows at the desk. For one thread, the event loop's; tokenising has threads of its own."""

    def __init__(
        self,
        classifier: Classifier,
        settings: Settings,
        points: Points,
        desk: Desk,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        self.admission = Admission(
            settings.max_concurrent_requests, settings.max_batch_tokens * classifier.depths, clock
        )
        self.arriving = 0  # requests that are being tokenised
        self._tokenising = Tokenising(classifier.tokeniser, settings.tokenization_workers)
        self._settings = settings
        self._points = points
        self._desk = desk
        self._observer = observer
        self._clock = clock

    async def take(self, texts: Sequence[Text], asked: Asked) -> Answers:
        """A request; its items will be delivered to what is returned.

        Raises:
            NotReady, Overloaded: it is not taken now.
            PolicyError, InputError: it cannot be taken.
        """
        arrived = self._clock()
        chosen = self._chosen(texts, asked)
        deadline = None if asked.deadline_ms is None else arrived + asked.deadline_ms / 1000
        self._desk.check(deadline)  # and again when it has been tokenised; most refusals should not wait for that
        ticket = self.admission.enter(len(texts))
        self.arriving += 1
        try:
            tokens = await self._tokenising.tokens(texts, truncate=asked.truncate, direction=asked.direction)
            costs = [0 if isinstance(t, ElbertError) else self._cost(t, chosen) for t in tokens]
            ticket.charge(costs)
            rows = list[Row]()
            answers = Answers(len(texts), lambda: self._desk.cancel(rows))
            now = self._clock()
            rows += [
                Row(i, t, chosen, ticket, answers.deliver, now - arrived, now, deadline, asked.trace, asked.raw)
                for i, t in enumerate(tokens)
                if not isinstance(t, ElbertError)
            ]
            self._desk.hand_in(rows)
        except BaseException:
            ticket.close()
            raise
        finally:
            self.arriving -= 1
        for row in rows:
            observed(self._observer.admitted, len(row.tokens.ids), characters(texts[row.index]))
        for index, wrong in enumerate(tokens):
            if isinstance(wrong, ElbertError):
                ticket.leave(index)
                answers.deliver(Item(index, None, wrong, chosen.name, timings=Timings(now - arrived)))
        return answers

    def close(self) -> None:
        """No more requests come."""
        self._tokenising.close()

    def _chosen(self, texts: Sequence[Text], asked: Asked) -> Chosen:
        most, deadline = self._settings.max_client_batch_size, asked.deadline_ms
        if not 1 <= len(texts) <= most:
            raise InputError(f"{len(texts)} texts in a request, expected 1 to {most}; send the others in another")
        if deadline is not None and not (isfinite(deadline) and deadline > 0):
            raise InputError(f"deadline_ms is {deadline}, expected a number of milliseconds above 0")
        chosen = self._points.choose(asked.policy)
        under_way = self._desk.policies
        if chosen.policy not in under_way and len(under_way) >= self._settings.max_policies:
            raise Overloaded(f"{len(under_way)} different policies are under way, the most at once", 1.0)
        return chosen

    def _cost(self, tokens: Tokens, chosen: Chosen) -> int:
        return ceil(len(tokens.ids) * self._points.expected_depth(chosen))


def characters(text: Text) -> int:
    """How many a text or both of a pair have."""
    return len(text) if isinstance(text, str) else sum(map(len, text))


TICK = 0.05  # seconds between looks at the queue's delay and at the worker's health
AWHILE = 0.005  # seconds between looks at whether a start or a stop is done


class Service:
    """A classifier at work for many callers. Everything is called on one event loop.

    >>> service = Service(Classifier.load())
    >>> await service.start()
    >>> async with await service.classify(["a fine film"]) as answers:
    ...     async for item in answers:
    ...         print(item.prediction)
    """

    def __init__(
        self,
        classifier: Classifier,
        settings: Settings | None = None,
        *,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.classifier = classifier
        self.settings = settings = Settings() if settings is None else settings
        self._observer: Observer = Nobody() if observer is None else observer
        self._clock = clock
        self._worker = Worker(
            self._engines,
            self._tell,
            threads=classifier.threads,
            most_failures=settings.most_failures,
            pause=settings.pause,
            step_limit=settings.step_limit,
            clock=clock,
        )
        self._points = Points(
            classifier, clock, settings.operating_point, settings.adaptive, target_delay=settings.target_delay
        )
        config, points = classifier.bundle.config, classifier.bundle.points
        self._shadow = Shadow(
            settings.shadow,
            {c.name: points[c.name].certificate if c.name in points else None for c in self._points.ladder},
            lambda request: self._worker.submit([request], idle=True),
            multi_label=config.multi_label,
            window=settings.shadow_window,
        )
        self._desk = Desk(self._worker, config, self._points, self._shadow, self._observer, clock)
        self._reception = Reception(classifier, settings, self._points, self._desk, self._observer, clock)
        self._untold: deque[Step] = deque()  # steps that the event loop has not heard of
        self._open = False
        self._watch: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return self._open and self._worker.ready

    @property
    def healthy(self) -> bool:
        """False only when the engine cannot recover."""
        return self._worker.healthy

    async def start(self) -> None:
        """Start the engine's thread, and return when it has been tried and warmed up.

        Raises:
            BackendFailure: it does not work.
        """
        self._loop = asyncio.get_running_loop()
        self._worker.start()
        while not self._worker.ready:
            if not self._worker.healthy:
                raise BackendFailure("the engine does not start; the log says why")
            await asyncio.sleep(AWHILE)
        await asyncio.to_thread(warm, self.classifier, self.settings.warm_up)
        self._open = True
        self._watch = asyncio.create_task(self._look_again_and_again())

    async def stop(self, timeout: float | None = None) -> bool:
        """Take nothing new, finish what is under way within ``timeout`` seconds, end; whether all was finished."""
        self._open = False
        until = self._clock() + (self.settings.shutdown_timeout if timeout is None else timeout)
        while self._busy and self._clock() < until and self._worker.healthy:
            await asyncio.sleep(AWHILE)
        finished = not self._busy
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.to_thread(self._worker.stop, 1.0)
        self._hear()  # the worker's last words
        self._desk.fail_all(NotReady("the server stopped before this text was done"))
        self._reception.close()
        return finished

    async def classify(
        self,
        texts: Sequence[Text],
        *,
        policy: str | None = None,
        deadline_ms: float | None = None,
        trace: bool = False,
        truncate: bool = True,
        direction: Direction = "right",
        raw: bool = False,
    ) -> Answers:
        """Take a request in; its items come out of what is returned, each as it leaves.

        ``policy`` is a spec or an operating point's name; unsaid, the point in force. ``deadline_ms``, from now, is
        when each text leaves with the best it has. ``trace`` asks for every depth, ``raw`` for logits. A text longer
        than the model reads loses an end, by ``direction``, or, without ``truncate``, fails. Its error is its item's.

        Raises:
            NotReady, Overloaded: it is not taken now.
            PolicyError, InputError: it cannot be taken.
        """
        try:
            if not self.ready:
                raise NotReady("the server is starting, restarting or stopping; ask again in a moment")
            return await self._reception.take(texts, Asked(policy, deadline_ms, trace, truncate, direction, raw))
        except ElbertError as error:
            observed(self._observer.refused, error)
            raise

    async def gather(self, texts: Sequence[Text], **asked: Any) -> list[Item]:
        """The items of a request, in the order of its texts; takes what :meth:`classify` takes, and raises the same."""
        async with await self.classify(texts, **asked) as answers:
            return await answers.all()

    def info(self) -> dict[str, Any]:
        """The state that people ask about, as plain values; times in seconds."""
        return {
            "ready": self.ready,
            "healthy": self.healthy,
            **self._points.told(),
            "depths": self.classifier.depths,
            "dtype": self.classifier.dtype,
            "device": str(self.classifier.backend.device),
            "max_input_length": self.classifier.tokeniser.max_length,
            "waiting": self._desk.waiting,
            "under_way": len(self._desk),
            "layer_tokens_under_way": self._reception.admission.layer_tokens,
            "queue_delay": self._desk.delay,
            "shadow": self._shadow.told(),
        }

    @property
    def _busy(self) -> bool:
        return bool(self._reception.arriving or len(self._desk))

    def _engines(self) -> Engines:
        capacity, (harmless,) = self.classifier.capacity, self.classifier.tokeniser.encode(["a"])
        most = min(capacity.tokens, self.settings.max_batch_tokens)
        return Engines(self.classifier.backend, Capacity(capacity.rows, most), harmless, self._clock)

    def _tell(self, step: Step) -> None:
        self._untold.append(step)
        if step.is_news:
            self._loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        while self._untold:
            self._desk.stepped(self._untold.popleft())
        if self._points.observe(self._desk.delay):
            observed(self._observer.moved, self._points.in_force.name)
        if not self._worker.healthy:
            self._desk.fail_all(BackendFailure("the engine has failed, and does not recover"))

    async def _look_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._hear()
