"""The service: requests of texts in, items out as they leave, for asyncio. Knows nothing of HTTP."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from elbert.classifier import Classifier
from elbert.engine import Capacity
from elbert.errors import ElbertError
from elbert.serving.answers import Answers
from elbert.serving.desk import Desk
from elbert.serving.engines import Engines, Step
from elbert.serving.errors import BackendFailure, NotReady
from elbert.serving.items import Item
from elbert.serving.observer import Nobody, Observer, observed
from elbert.serving.points import Points
from elbert.serving.reception import Asked, Reception
from elbert.serving.settings import Settings
from elbert.serving.shadow import Shadow
from elbert.serving.warming import warm
from elbert.serving.worker import Worker
from elbert.text import Text
from elbert.text.truncate import Direction

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
