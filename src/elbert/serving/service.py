"""The service: texts in, results out as rows exit, for many asyncio tasks. It does not depend on HTTP."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, isfinite
from typing import Any

from elbert._display import plural
from elbert.classifier import Classifier
from elbert.engine import Capacity
from elbert.errors import ElbertError, InputError
from elbert.exits import Policy
from elbert.inference import Document, Windows, build_documents
from elbert.ranking import check_ranker
from elbert.serving.admission import Admission
from elbert.serving.dispatcher import Dispatcher, NullObserver, Observer, OpenDocument, Row, notify
from elbert.serving.errors import BackendFailure, NotReady, Overloaded, TooLong, to_client_error
from elbert.serving.point_selection import PointSelector, PolicyChoice
from elbert.serving.results import ResultStream, TextResult, Timings
from elbert.serving.runtime import Runtime
from elbert.serving.settings import Settings
from elbert.serving.shadow import Shadow
from elbert.serving.tokenizer_pool import TokenizerPool
from elbert.serving.warmup import warm_up
from elbert.serving.worker import Engines, Step, Worker
from elbert.tokenization import Tokens
from elbert.tokenization.tokens import Direction, Text, check_texts, count_characters

CHECK_SECONDS = 0.05  # between checks of the queue's delay and the worker's health
POLL_SECONDS = 0.005  # between checks of whether a start or a stop is done
STOP_SECONDS = 1.0  # for the step in progress to end, when all requests are done or have an error
TOKENIZER_RETRY = 1.0  # seconds after which a request whose deadline passed during tokenization may be tried again
SPARSE_TEXT = 8  # characters of each token in a text of long words; most have about 5


@dataclass(frozen=True)
class ClassifyOptions:
    """The options of a request; see :meth:`Service.classify`."""

    policy: str | None = None
    deadline_ms: float | None = None
    trace: bool = False
    truncate: bool = True
    direction: Direction | None = None
    raw: bool = False
    max_tokens: int | None = None
    long: str | Windows | None = None
    ranked: bool = False


class Service:
    """A classifier for many concurrent requests. All methods are called on one event loop.

    >>> service = Service(Classifier.load())
    >>> await service.start()
    >>> async with await service.classify(["a fine film"]) as results:
    ...     async for result in results:
    ...         print(result.prediction)

    Services that share an ``admission`` share its bounds on work in progress.
    """

    def __init__(
        self,
        classifier: Classifier,
        settings: Settings | None = None,
        *,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
        runtime: Runtime | None = None,
        admission: Admission | None = None,
    ) -> None:
        self.classifier = classifier
        self.settings = settings = Settings() if settings is None else settings
        self._observer: Observer = NullObserver() if observer is None else observer
        self._clock = clock
        runtime = Runtime() if runtime is None else runtime
        self._worker = Worker(
            self._build_engines,
            self._on_step,
            threads=classifier.threads,
            most_failures=settings.most_failures,
            pause=settings.pause,
            step_limit=settings.step_limit,
            clock=clock,
            runtime=runtime,
        )
        self._points = PointSelector(
            classifier, clock, settings.operating_point, settings.adaptive, target_delay=settings.target_delay
        )
        config, points = classifier.bundle.config, classifier.bundle.points
        if settings.rank_policy is not None:
            check_ranker(config)
            self._points.choose(settings.rank_policy, is_ranked=True)
        self._shadow = Shadow(
            settings.shadow,
            {c.name: points[c.name].text_certificate if c.name in points else None for c in self._points.choices},
            lambda requests: self._worker.submit(requests, idle=True),
            config.task,
            tolerance=None if config.task.is_exact else config.task.tolerance * config.scale,
            window=settings.shadow_window,
            random=runtime.create_random(),
        )
        self._dispatcher = Dispatcher(
            self._worker, config, self._points, self._shadow, self._observer, clock, classifier.tokeniser
        )
        self._pipeline = RequestPipeline(
            classifier, settings, self._points, self._dispatcher, self._observer, clock, runtime, admission
        )
        self._steps: deque[Step] = deque()  # made by the worker's thread, not yet processed on the event loop
        self._is_open = self._is_stopped = False
        self._checks: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether requests are accepted."""
        return self._is_open and self._worker.is_ready

    @property
    def is_healthy(self) -> bool:
        """False only when the engine cannot recover."""
        return self._worker.is_healthy

    async def start(self) -> None:
        """Start the engine's thread; return after the engine has been tested and warmed up.

        Raises:
            BackendFailure: the engine does not work.
            NotReady: the service was stopped meanwhile.
        """
        self._loop = asyncio.get_running_loop()
        self._worker.start()
        while not self._worker.is_ready:
            self._check_start()
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.to_thread(warm_up, self.classifier, self.settings.warm_up, self._clock)
        self._check_start()
        self._is_open = True
        self._checks = asyncio.create_task(self._check_repeatedly())

    async def stop(self, timeout: float | None = None) -> bool:
        """Reject new requests, finish those in progress, and stop.

        Texts that are not done after ``timeout`` seconds (default: the setting ``shutdown_timeout``) get an error.
        Return whether all were done.
        """
        self._is_open, self._is_stopped = False, True
        until = self._clock() + (self.settings.shutdown_timeout if timeout is None else timeout)
        while self._is_busy and self._clock() < until and self._worker.is_healthy:
            await asyncio.sleep(POLL_SECONDS)
        finished = not self._is_busy
        if self._checks is not None:
            self._checks.cancel()
        self._worker.stop(0)
        # Not `join` in another thread: that one refers to this service a moment longer, and a reload that excludes all
        # objects from garbage collection in that moment keeps the memory of the replaced model.
        until = self._clock() + STOP_SECONDS
        while self._worker.is_running and self._clock() < until:
            await asyncio.sleep(POLL_SECONDS)
        self._process_steps()
        self._dispatcher.fail_all(NotReady("the server stopped before this text was done"))
        self._pipeline.close()
        return finished

    async def classify(
        self,
        texts: Sequence[Text],
        *,
        policy: str | None = None,
        deadline_ms: float | None = None,
        trace: bool = False,
        truncate: bool = True,
        direction: Direction | None = None,
        raw: bool = False,
        max_tokens: int | None = None,
        long: str | Windows | None = None,
        ranked: bool = False,
    ) -> ResultStream:
        """Submit a request; return a stream of its results, each available as soon as its row exits.

        ``policy`` is an operating point or a policy spec (None: the server's default). At the deadline,
        ``deadline_ms`` from now, a text exits with the prediction of its depth so far. ``trace`` adds the
        probabilities of each depth, ``raw`` the logits. A text longer than the model reads is truncated at the end
        that ``direction`` names, or without ``truncate`` gets an error; ``max_tokens`` truncates to fewer tokens. With
        ``long="windows"`` it is read in windows instead, as :meth:`Classifier.predict` does; None is the server's
        setting, which requests for traces or logits do not follow. ``ranked``: the texts are ranked, so a policy may
        compare their scores. An error of one text is in its result.

        Raises:
            NotReady, Overloaded: the request is rejected now.
            PolicyError, InputError: the request is not valid.
        """
        try:
            if not self.is_ready:
                raise NotReady("the server is starting, restarting or stopping; try again in a moment")
            options = ClassifyOptions(policy, deadline_ms, trace, truncate, direction, raw, max_tokens, long, ranked)
            return await self._pipeline.submit(list(check_texts(texts)), options)
        except ElbertError as error:
            notify(self._observer.on_reject, error)
            raise

    async def gather(self, texts: Sequence[Text], **options: Any) -> list[TextResult]:
        """The results of a request, in the order of its texts; options and errors are those of :meth:`classify`."""
        async with await self.classify(texts, **options) as results:
            return await results.all()

    def ranking_policy(self, spec: str | None) -> Policy:
        """The policy of a request that ranks its texts; ``spec`` is as for :meth:`classify`.

        Raises:
            PolicyError: the spec is not valid.
        """
        return self._points.choose(spec or self.settings.rank_policy, is_ranked=True).policy

    def info(self) -> dict[str, Any]:
        """The state of the service, as plain values; times in seconds."""
        return {
            "ready": self.is_ready,
            "healthy": self.is_healthy,
            **self._points.to_dict(),
            "depths": self.classifier.depths,
            "dtype": self.classifier.dtype,
            "device": str(self.classifier.backend.device),
            "max_input_length": self.classifier.tokeniser.max_length,
            "long": self.settings.long,
            "waiting": self._dispatcher.waiting,
            "under_way": len(self._dispatcher),
            "layer_tokens_under_way": self._pipeline.admission.layer_tokens,
            "queue_delay": self._dispatcher.delay,
            "shadow": self._shadow.to_dict(),
        }

    def _check_start(self) -> None:
        if self._is_stopped:
            raise NotReady("the service was stopped before it was ready")
        if not self._worker.is_healthy:
            raise BackendFailure("the engine does not start; see the log")

    @property
    def _is_busy(self) -> bool:
        return bool(self._pipeline.tokenizing or len(self._dispatcher))

    def _build_engines(self) -> Engines:
        capacity, (probe,) = self.classifier.capacity, self.classifier.tokeniser.encode(["a"])
        max_tokens = min(capacity.tokens, self.settings.max_batch_tokens)
        return Engines(self.classifier.backend, Capacity(capacity.rows, max_tokens), probe, self._clock)

    def _on_step(self, step: Step) -> None:
        """Called on the worker's thread."""
        self._steps.append(step)
        if step.has_changes:
            self._loop.call_soon_threadsafe(self._process_steps)

    def _process_steps(self) -> None:
        while self._steps:
            step = self._steps.popleft()
            try:
                self._dispatcher.process(step)
            except Exception as error:  # whatever cannot be delivered, the texts of the step get an answer
                self._dispatcher.fail(step.result.identities, to_client_error(error))
        if self._points.update(self._dispatcher.delay):
            notify(self._observer.on_point_change, self._points.current.name)
        if not self._worker.is_healthy:
            self._dispatcher.fail_all(BackendFailure("the engine has failed, and does not recover"))

    async def _check_repeatedly(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self._process_steps()


class RequestPipeline:
    """Takes a request from texts to rows in the dispatcher: policy, admission, tokens. Used on the event loop only."""

    def __init__(
        self,
        classifier: Classifier,
        settings: Settings,
        points: PointSelector,
        dispatcher: Dispatcher,
        observer: Observer,
        clock: Callable[[], float],
        runtime: Runtime,
        admission: Admission | None = None,
    ) -> None:
        max_layer_tokens = settings.max_batch_tokens * classifier.depths
        self.admission = admission or Admission(settings.max_concurrent_requests, max_layer_tokens, clock)
        self.tokenizing = 0  # requests whose tokens are not yet known
        self._tokenizers = TokenizerPool(classifier.tokeniser, settings.tokenization_workers, runtime)
        self._classifier = classifier
        self._settings = settings
        self._windows = classifier.resolve_long(settings.long)
        for choice in points.choices:
            classifier.check_long(choice.policy, self._windows)
        self._points = points
        self._dispatcher = dispatcher
        self._observer = observer
        self._clock = clock

    async def submit(self, texts: Sequence[Text], options: ClassifyOptions) -> ResultStream:
        """Submit a request; return the stream to which its results are delivered.

        Raises:
            NotReady, Overloaded: the request is rejected now.
            PolicyError, InputError: the request is not valid.
        """
        # The event loop's time first: where the thread is stopped between the two, its timer is early rather than late.
        arrived_on_loop, arrived = asyncio.get_running_loop().time(), self._clock()
        choice = self._choose_policy(texts, options)
        windows = self._choose_windows(options)
        if windows is not self._windows or options.policy is not None:  # the others were compared at the start
            self._classifier.check_long(choice.policy, windows)
        seconds = None if options.deadline_ms is None else options.deadline_ms / 1000
        deadline = None if seconds is None else arrived + seconds
        # Checked again when rows are submitted; most rejections should not wait for the tokens.
        self._dispatcher.check_deadline(deadline)
        ticket = self.admission.admit(len(texts), self._estimate_cost(texts, choice, windows))
        self.tokenizing += 1
        try:
            async with asyncio.timeout_at(None if seconds is None else arrived_on_loop + seconds):
                tokenized = await self._tokenize(texts, options, choice, windows)
            ticket.charge([self._cost_of(item, choice) for item in tokenized])
            rows = list[Row]()
            results = ResultStream(len(texts), lambda: self._dispatcher.cancel(rows))
            now = self._clock()
            for i, item in enumerate(tokenized):
                if isinstance(item, ElbertError):
                    continue
                document, tokens = (None, item) if isinstance(item, Tokens) else (item, item.windows[0])
                row = Row(
                    *(i, tokens, choice, ticket, results.deliver, now - arrived, now, deadline),
                    *(options.trace, options.raw),
                    text=str(texts[i]) if len(tokens.pieces) else "",
                )
                if document is None:
                    rows.append(row)
                else:
                    owner = OpenDocument(document, now, str(windows))
                    rows += self._dispatcher.build_windows(row, owner, document.take_windows())
            self._dispatcher.submit(rows)
        except TimeoutError as error:
            ticket.close()
            raise Overloaded("the deadline passed before the texts were tokenized", TOKENIZER_RETRY) from error
        except BaseException:
            ticket.close()
            raise
        finally:
            self.tokenizing -= 1
        for index, item in enumerate(tokenized):
            if isinstance(item, ElbertError):
                ticket.release(index)
                results.deliver(TextResult(index, None, item, choice.name, timings=Timings(now - arrived)))
            else:
                notify(self._observer.on_accept, count_tokens(item), count_characters(texts[index]))
        return results

    async def _tokenize(
        self, texts: Sequence[Text], options: ClassifyOptions, choice: PolicyChoice, windows: Windows | None
    ) -> Sequence[Tokens | Document | ElbertError]:
        if windows is None:
            return await self._tokenizers.tokenize(
                texts, truncate=options.truncate, direction=options.direction, max_tokens=options.max_tokens
            )
        build = partial(
            build_documents,
            tokeniser=self._classifier.tokeniser,
            config=self._classifier.bundle.config,
            options=windows,
            policy=choice.policy,
        )
        documents = await self._tokenizers.build_documents(texts, build)
        if options.truncate:
            return documents
        too_long = TooLong("the shorter text of a pair takes over half of the model; shorten it, or allow truncation")
        return [too_long if isinstance(d, Document) and d.truncated else d for d in documents]

    def _choose_windows(self, options: ClassifyOptions) -> Windows | None:
        """Return how long texts are read.

        Raises:
            InputError: the option cannot be read, or contradicts another one.
        """
        if options.long is None:
            return None if options.trace or options.raw or options.max_tokens else self._windows
        windows = self._classifier.resolve_long(options.long)
        for name, value in (("trace", options.trace), ("raw", options.raw), ("max_tokens", options.max_tokens)):
            if windows is not None and value:
                raise InputError(
                    f"{name} is for one row, and a text in windows has several rows: leave {name} or long out"
                )
        return windows

    def close(self) -> None:
        """Accept no more requests."""
        self._tokenizers.close()

    def _choose_policy(self, texts: Sequence[Text], options: ClassifyOptions) -> PolicyChoice:
        limit, deadline = self._settings.max_client_batch_size, options.deadline_ms
        if not 1 <= len(texts) <= limit:
            raise InputError(
                f"{plural(len(texts), 'text')} in a request, expected 1 to {limit}; send the others in another"
            )
        if deadline is not None and not (isfinite(deadline) and deadline > 0):
            raise InputError(f"deadline_ms is {deadline}, expected a number of milliseconds above 0")
        spec = self._settings.rank_policy if options.ranked and options.policy is None else options.policy
        return self._points.choose(spec, is_ranked=options.ranked)

    def _cost_of(self, item: Tokens | Document | ElbertError, choice: PolicyChoice) -> int:
        return ceil(count_tokens(item) * self._points.expected_depth(choice))

    def _estimate_cost(self, texts: Sequence[Text], choice: PolicyChoice, windows: Windows | None) -> int:
        """The layer-tokens of texts that are not yet tokenized, so that large requests are rejected before they are."""
        most = self._classifier.tokeniser.max_length if windows is None else None
        sizes = [1 + count_characters(text) // SPARSE_TEXT for text in texts]
        tokens = sum(sizes if most is None else (min(most, size) for size in sizes))
        return int(tokens * self._points.expected_depth(choice))


def count_tokens(item: Tokens | Document | ElbertError) -> int:
    """Return the tokens of a row, or of all windows of a document; 0 for an error."""
    rows = () if isinstance(item, ElbertError) else (item,) if isinstance(item, Tokens) else item.windows
    return sum(map(len, rows))
