"""The promises of the service, checked while an episode runs and at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import TYPE_CHECKING

from scenario import POINTS
from table_model import BROKEN, MAX_LENGTH, NAN, PANIC, REFUSED, UNEMBEDDABLE, UNKNOWN_TOKEN, NumberTokeniser

from elbert.engine.scheduler import URGENT_SHARE
from elbert.errors import InputError
from elbert.inference import DEADLINE
from elbert.prediction import Prediction
from elbert.serving.admission import EXCESS
from elbert.serving.errors import BackendFailure, Overloaded, TokenizerFailure, TooLong
from elbert.serving.results import TextResult
from elbert.serving.worker import LARGE_CALL

if TYPE_CHECKING:
    from world import Exchange, World

TOLERANCE = 1e-6
IDLE_SECONDS = 0.02  # in which nothing works while a text waits: only the readings of the clock take time
FAULTS = {NAN, BROKEN, UNEMBEDDABLE, UNKNOWN_TOKEN}
POINT_NAMES = {name for name, _, _ in POINTS}


class Violation(AssertionError):
    """A promise is broken."""


class Watch:
    """Observes one service: counts its events, and compares the counts with its state."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.service = None  # set by the world
        self.under_way = 0
        self.steps: list[tuple[float, float]] = []  # begin and end of the layer calls for requests
        self.violations: list[str] = []

    def on_accept(self, tokens: int, characters: int) -> None:
        self.under_way += 1
        self._check_bounds()

    def on_result(self, result) -> None:
        self.under_way -= 1
        self._check_bounds()

    def on_cancel(self, texts: int) -> None:
        self.under_way -= texts
        self._check_bounds()

    def on_reject(self, error) -> None:
        is_alone = not self.service._pipeline.admission.texts
        if is_alone and isinstance(error, Overloaded) and "deadline passed" not in str(error):
            self._report(f"rejected although nothing is in progress: {error}")
        self._check_bounds()

    def on_step(self, step) -> None:
        if step.call is not None:
            if not step.idle:
                self.steps.append((step.began, step.ended))
            capacity = (8, 512) if step.idle else (self.world.scenario.max_rows, self.world.scenario.max_tokens)
            if step.call.rows > 1 and (step.call.rows > capacity[0] or step.call.tokens > capacity[1]):
                self._report(f"a call of {step.call.rows} rows and {step.call.tokens} tokens, of at most {capacity}")
        self._check_bounds()

    def on_point_change(self, point: str) -> None:
        self.world.note(f"service {self.number}: point {point}")

    def _report(self, what: str) -> None:
        # Not raised: the service logs the failure of an observer, and continues.
        self.violations.append(f"{self.world.now:.5f} s, service {self.number}: {what}")

    def _check_bounds(self) -> None:
        service, settings = self.service, self.world.scenario.settings
        admission, dispatcher = service._pipeline.admission, service._dispatcher
        largest = settings.max_client_batch_size
        most = EXCESS * settings.max_concurrent_requests + max(largest - settings.max_concurrent_requests, 0)
        if not 0 <= admission.texts <= most:
            self._report(f"{admission.texts} texts in progress, of at most {most}")
        request = largest * MAX_LENGTH * self.world.scenario.depths
        most = EXCESS * admission.max_layer_tokens + max(request - admission.max_layer_tokens, 0)
        if not 0 <= admission.layer_tokens <= most:
            self._report(f"{admission.layer_tokens} layer-tokens in progress, of at most {most}")
        if admission.texts < len(dispatcher):
            self._report(f"{admission.texts} texts are counted, and {len(dispatcher)} are in progress")
        self._check_engine()

    def _check_engine(self) -> None:
        engines = self.service._worker._engines
        for engine in engines.all if engines is not None else ():
            scheduler = engine._scheduler
            live, tokens = list(scheduler._live.values()), scheduler._live_tokens
            if sum(live) != tokens:
                self._report(f"rows with {sum(live)} tokens are live, and {tokens} are counted")

    def is_engine_empty(self) -> bool:
        """Whether the engines hold nothing, and nothing waits for them or for its answer."""
        return not any(self.describe_engine().values())

    def describe_engine(self) -> dict[str, int]:
        """What remains, by place."""
        service = self.service
        worker, engines = service._worker, service._worker._engines
        remaining = {
            "commands": len(worker._commands),
            "unreported": len(worker._unreported),
            "shadow": len(service._shadow._waiting),
            "rows": len(service._dispatcher),
        }
        for engine in engines.all if engines is not None else ():
            scheduler = engine._scheduler
            for name, size in {
                "requests": len(engine),
                "cancelled": len(engine._cancelled),
                "calls": len(engine._calls),
                "queued": scheduler.num_waiting,
                "live": scheduler.num_live,
                "live tokens": abs(scheduler._live_tokens),
                "pooled": sum(len(pool.rows) + abs(pool.tokens) for pool in scheduler._pools.values()),
                "pools": len(engine._pools),
                "due": len(engine._deadlines._due) + len(engine._deadlines._waiting),
            }.items():
                remaining[name] = remaining.get(name, 0) + size
        return remaining


def check_empty(world: World, number: int) -> None:
    """Nothing remains in a service that has stopped."""
    service, watch = world.services[number]
    admission, dispatcher = service._pipeline.admission, service._dispatcher
    remaining = {
        "texts": admission.texts,
        "layer-tokens": admission.layer_tokens,
        "requests that tokenize": service._pipeline.tokenizing,
        "rows": len(dispatcher),
        "waiting rows": dispatcher.waiting,
        "texts by the events": watch.under_way,
        "shadow texts": len(service._shadow._waiting),
    }
    if watch.violations:
        raise Violation(watch.violations[0])
    if any(remaining.values()):
        raise Violation(f"service {number} has stopped and holds {remaining}")


def check_answers(world: World) -> None:
    """Every request got what it must get; the answers are those of the offline classifier."""
    offline = Offline(world)
    for exchange in world.exchanges:
        try:
            check_exchange(world, offline, exchange)
        except Violation as violation:
            raise Violation(f"request {exchange.number}, sent at {exchange.sent:.5f} s: {violation}") from None


class Offline:
    """Predictions of the classifier without a server, for all texts of an episode and each policy that occurred."""

    def __init__(self, world: World) -> None:
        self._classifier = world.scenario.classifier()
        self._tokeniser = NumberTokeniser()
        self._texts: dict[tuple[int, ...], str] = {}  # what the model reads of a text, as a text
        for exchange in world.exchanges:
            for text in exchange.texts:
                for direction in ("right", "left"):
                    ids = self.ids(text, direction)
                    if ids is not None and not FAULTS & set(ids):
                        self._texts[ids] = " ".join(map(str, ids[1:-1]))
        self._predictions: dict[str, dict[tuple[int, ...], Prediction]] = {}

    def ids(self, text: str, direction: str) -> tuple[int, ...] | None:
        """The tokens of a text; None if the tokenizer fails on it."""
        return None if PANIC in text or REFUSED in text else tuple(self._tokeniser.encode([text], direction)[0].ids)

    def predict(self, ids: tuple[int, ...], spec: str) -> Prediction:
        """The prediction under an operating point or a policy spec."""
        if spec not in self._predictions:
            found = self._classifier.predict(self._texts.values(), spec, trace=True)
            self._predictions[spec] = dict(zip(self._texts, found, strict=True))
        return self._predictions[spec][ids]


def check_exchange(world: World, offline: Offline, exchange: Exchange) -> None:
    """Each text of a request has one right answer, or an error with a cause."""
    if exchange.error is not None:
        if exchange.results:
            raise Violation(f"results and then {exchange.error!r}")
        check_rejection(world, exchange)
        return
    indices = sorted(result.index for result in exchange.results)
    if len(set(indices)) < len(indices):
        raise Violation(f"a text has two answers: {indices}")
    if not exchange.has_disconnected and indices != list(range(len(exchange.texts))):
        raise Violation(f"{len(exchange.texts)} texts, and answers to {indices}")
    for result in exchange.results:
        text, options = exchange.texts[result.index], exchange.options
        ids = offline.ids(text, options["direction"])
        if ids is None:
            if not isinstance(result.error, TokenizerFailure):
                raise Violation(f"the tokenizer fails on {text!r}, and it has the answer {result}")
            continue
        is_long = len(text.split()) > MAX_LENGTH - 2
        expected = TooLong if is_long and not options["truncate"] else None
        if expected is None and UNKNOWN_TOKEN in ids:
            expected = InputError
        if expected is None and FAULTS & set(ids):
            expected = BackendFailure
        if expected is not None:
            if not isinstance(result.error, expected) and not (
                result.error and world.has_cause(exchange, result.error)
            ):
                raise Violation(f"{text!r}: expected {expected.__name__}, received {result}")
        elif result.prediction is not None:
            check_prediction(offline, ids, result, options)
            check_progress(world, exchange, result)
        elif not world.has_cause(exchange, result.error):
            raise Violation(f"{result.error!r} for {text!r}, and nothing has failed")
        check_deadline(world, exchange, result)


def check_rejection(world: World, exchange: Exchange) -> None:
    """A whole request is rejected for a reason."""
    error = exchange.error
    if isinstance(error, TokenizerFailure):
        is_expected = any(PANIC in text for text in exchange.texts) or world.has_cause(exchange, error)
    else:
        is_expected = isinstance(error, Overloaded) or world.has_cause(exchange, error)
    if not is_expected:
        raise Violation(f"rejected with {error!r}, and nothing has failed") from error
    if exchange.options["deadline_ms"] is not None:
        due = exchange.sent + exchange.options["deadline_ms"] / 1000
        stalled = measure_overlap(world.list_stalls(), due, exchange.ended)
        if exchange.ended - due - stalled > IDLE_SECONDS:
            raise Violation(f"due at {due:.5f} s, rejected at {exchange.ended:.5f} s: {error!r}") from error


def check_prediction(offline: Offline, ids: tuple[int, ...], result: TextResult, options: dict) -> None:
    """The answer is that of the offline classifier; at a deadline, its answer at the depth that was reached."""
    found, expected = result.prediction, offline.predict(ids, result.point)
    if options["policy"] in POINT_NAMES and result.point != options["policy"]:
        raise Violation(f"asks for {options['policy']}, and is answered by {result.point}")
    steps = offline.predict(ids, "full").trace
    if found.reason == DEADLINE:
        if options["deadline_ms"] is None:
            raise Violation(f"exits at a deadline that it does not have: {found}")
        if found.depth > expected.depth:
            raise Violation(f"exits at depth {found.depth}, after its policy's depth {expected.depth}")
        scores = steps[found.depth - 1].scores
    else:
        scores = expected.scores
        if (found.depth, found.reason, found.label) != (expected.depth, expected.reason, expected.label):
            raise Violation(f"expected {expected}, received {found}")
    if found.label != max(scores, key=scores.__getitem__) or not is_near(found.scores, scores):
        raise Violation(f"expected the scores {scores}, received {found}")
    if options["trace"] != (found.trace is not None) or options["raw"] != (result.logits is not None):
        raise Violation(f"the trace or the logits are not as requested: {result}")
    if found.trace is not None and (
        len(found.trace) != found.depth
        or not all(is_near(a.scores, b.scores) for a, b in zip(found.trace, steps, strict=False))
    ):
        raise Violation(f"expected the trace {steps}, received {found.trace}")


def is_near(found: Mapping[str, float], expected: Mapping[str, float]) -> bool:
    """Whether the scores are equal within 1e-6."""
    return found.keys() == expected.keys() and all(abs(found[k] - expected[k]) <= TOLERANCE for k in found)


def measure_overlap(intervals: Iterable[tuple[float, float]], begin: float, end: float) -> float:
    """The seconds between ``begin`` and ``end`` that are in the intervals, which overlap if several threads work."""
    return sum(max(min(b, end) - max(a, begin), 0.0) for a, b in intervals)


def check_progress(world: World, exchange: Exchange, result: TextResult) -> None:
    """While a text waits for its answer, the backend works: the time until then is that of its calls.

    Where the thread is stopped between the client's call and the service's first look at the clock, both ends of the
    text's times are later by up to that pause.
    """
    begin = exchange.sent + result.timings.tokenise
    end = begin + result.timings.queue + result.timings.inference
    later = measure_overlap(world.list_stalls(), exchange.sent, begin)
    work = measure_overlap((*world.busy, *world.list_stalls()), begin, end + later)
    if end - begin - work > IDLE_SECONDS + later:
        raise Violation(f"from {begin:.5f} s to {end:.5f} s the worker works for {work:.5f} s only: {result}")


def check_deadline(world: World, exchange: Exchange, result: TextResult) -> None:
    """A text has its answer at its deadline, or after few layer calls more.

    The rows that are due share the calls, so it takes as many as these rows fill, and the call in which it came. Calls
    of large requests are shorter than others, and urgent rows leave a share of each to rows without a deadline.
    """
    if exchange.options["deadline_ms"] is None:
        return
    scenario, timings = world.scenario, result.timings
    arrived = exchange.sent + timings.tokenise
    ended = arrived + timings.queue + timings.inference
    due = max(exchange.sent + exchange.options["deadline_ms"] / 1000, arrived)
    settings = scenario.settings
    rows = max(settings.max_concurrent_requests, settings.max_client_batch_size)
    tokens_in_call = int(LARGE_CALL * scenario.max_tokens)
    rows_in_call = max(int(URGENT_SHARE * min(scenario.max_rows, tokens_in_call // MAX_LENGTH)), 1)
    most = 2 + ceil(rows / rows_in_call) * scenario.groups
    _, watch = world.services[exchange.service]
    stalls = world.list_stalls()  # a request whose thread is stopped is not submitted, and others' calls go on
    calls = sum(
        due <= began - world.began
        and end <= ended + world.began
        and not measure_overlap(stalls, began - world.began, end - world.began)
        for began, end in watch.steps
    )
    if calls > most:
        raise Violation(f"due at {due:.5f} s, answered at {ended:.5f} s after {calls} calls more, of at most {most}")
