"""Metrics: TEI's names and ours, in a registry of its own, made of a service's events and of HTTP exchanges."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from elbert.classifier import Classifier
from elbert.depth import DEADLINE
from elbert.errors import ElbertError
from elbert.exits import POLICIES
from elbert.serving.engines import Step
from elbert.serving.http.exchange import Exchange
from elbert.serving.http.live import Live
from elbert.serving.http.plain import PlainCounter, PlainHistogram, WithoutCreated
from elbert.serving.http.refusals import STATUS
from elbert.serving.items import Item
from elbert.serving.service import Service

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = tuple(float(2**n) for n in range(15))
METHODS = ("single", "batch")
OTHER = "other"


class Metrics:
    """Watches a service (as its observer) and the front (:meth:`ended`); every series is there from the start."""

    def __init__(self, classifier: Classifier) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = PlainCounter(registry, "te_request_count", "Requests to classify", "method", METHODS)
        self._succeeded = PlainCounter(registry, "te_request_success", "Requests answered", "method", METHODS)
        self._failed = PlainCounter(
            registry, "te_request_failure", "Requests refused", "err", [label_of(kind) for kind in STATUS]
        )
        self._texts = PlainCounter(registry, "te_predict_count", "Texts accepted")
        self._answered = PlainCounter(registry, "te_predict_success", "Texts answered")

        def histogram(name: str, told: str, bounds: Sequence[float] = SECONDS) -> PlainHistogram:
            return PlainHistogram(registry, name, told, bounds)

        self._request = histogram("te_request_duration", "Seconds of a request, from its first byte to its answer")
        self._tokenise = histogram("te_request_tokenization_duration", "Seconds of tokenising a request")
        self._queue = histogram("te_request_queue_duration", "Seconds of a request's wait for its first layer")
        self._inference = histogram("te_request_inference_duration", "Seconds of a request's layer calls")
        self._predict = histogram("te_predict_duration", "Seconds of a text, from its arrival to its answer")
        self._length = histogram("te_request_input_length", "Tokens of a text", SIZES)
        self._rows = histogram("te_batch_next_size", "Rows in a layer call", SIZES)
        self._tokens = histogram("te_batch_next_tokens", "Tokens in a layer call", SIZES)
        depths = [float(depth) for depth in range(1, classifier.depths + 1)]
        self._depth = histogram("elbert_exit_depth", "The depth where a text left", depths)
        self._together = histogram("elbert_batch_depths", "Different depths in a layer call", depths)
        exits = Counter("elbert_exit", "Texts that left, by reason", ["reason"], registry=registry)
        self._exits_for = {reason: exits.labels(reason) for reason in (*POLICIES, "last", DEADLINE, OTHER)}
        self._layer_tokens = Counter("elbert_layer_tokens", "Tokens times layers, for requests", registry=registry)
        self._shadow_tokens = Counter("elbert_shadow_layer_tokens", "The same, for shadows", registry=registry)
        self._cancelled = Counter("elbert_cancelled", "Texts whose client went away", registry=registry)
        self._text_failed = Counter("elbert_text_failure", "Texts accepted and not answered", registry=registry)
        self._moves = Counter("elbert_operating_point_moves", "Changes of the operating point", registry=registry)
        self._seen = Gauge("elbert_depths", "How deep a text can go", registry=registry)
        self._seen.set(classifier.depths)

    def watch(self, service: Service) -> None:
        """Tell of a service's state too: its queue, its operating point, its shadow traffic."""
        self.registry.register(Live(service))

    def text(self) -> bytes:
        """As Prometheus reads it."""
        return generate_latest(WithoutCreated(self.registry))

    def ended(self, exchange: Exchange) -> None:
        """A request has ended; only those that classify count."""
        if not exchange.classifies:
            return
        method = "batch" if exchange.batch else "single"
        self._requests.add(method)
        if exchange.error is None:
            self._succeeded.add(method)
            self._request.observe(exchange.seconds)
            self._tokenise.observe(exchange.durations.tokenise)
            self._queue.observe(exchange.durations.queue)
            self._inference.observe(exchange.durations.inference)
        elif exchange.error in STATUS:
            self._failed.add(label_of(exchange.error))

    def admitted(self, tokens: int, characters: int) -> None:
        """A text was accepted."""
        self._texts.add()
        self._length.observe(tokens)

    def left(self, item: Item) -> None:
        """A text left."""
        if item.prediction is None:
            self._text_failed.inc()
            return
        reason = item.prediction.reason
        self._answered.add()
        self._depth.observe(item.prediction.depth)
        self._exits_for.get(reason, self._exits_for[OTHER]).inc()
        self._predict.observe(item.timings.tokenise + item.timings.queue + item.timings.inference)

    def cancelled(self, texts: int) -> None:
        """Their client went away."""
        self._cancelled.inc(texts)

    def refused(self, error: ElbertError) -> None:
        """The front hears of it too, and counts it."""

    def stepped(self, step: Step) -> None:
        """The engine made a layer call."""
        if step.call is None:
            return
        if step.idle:
            self._shadow_tokens.inc(step.call.tokens)
            return
        self._layer_tokens.inc(step.call.tokens)
        self._rows.observe(step.call.rows)
        self._tokens.observe(step.call.tokens)
        self._together.observe(len(set(step.call.depths.tolist())))

    def moved(self, point: str) -> None:
        """Another operating point is in force."""
        self._moves.inc()


def label_of(kind: str) -> str:
    """A kind of error as metrics name it: ``payload_too_large``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
