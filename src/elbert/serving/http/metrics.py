"""Prometheus metrics: names of TEI and ours, made from the events of a service and of HTTP exchanges."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from elbert.classifier import Classifier
from elbert.errors import ElbertError
from elbert.exits import POLICIES
from elbert.inference import DEADLINE
from elbert.serving.http.errors import STATUS
from elbert.serving.http.middleware import Exchange
from elbert.serving.results import Item
from elbert.serving.service import Service
from elbert.serving.worker import Step


class PlainCounter(Collector):
    """A counter whose name ends as it stands, ``{label="value"}`` for each of ``values``; 0 from the start.

    prometheus-client adds ``_total`` to counters, so this is told as untyped; ``rate()`` works all the same.
    """

    def __init__(
        self, registry: CollectorRegistry, name: str, told: str, label: str | None = None, values: Sequence[str] = ("",)
    ) -> None:
        self._name, self._told, self._label = name, told, label
        self._counts = dict.fromkeys(values, 0)
        registry.register(self)

    def add(self, value: str = "") -> None:
        """One more."""
        self._counts[value] += 1

    def collect(self) -> Iterator[Metric]:
        """As they are now."""
        metric = Metric(self._name, self._told, "untyped")
        for value, count in self._counts.items():
            metric.add_sample(self._name, {self._label: value} if self._label else {}, count)
        yield metric


class PlainHistogram(Collector):
    """How many observations are at most each of ``bounds``; prometheus-client's own tries one bound after another."""

    def __init__(self, registry: CollectorRegistry, name: str, told: str, bounds: Sequence[float]) -> None:
        self._name, self._told = name, told
        self._bounds = list(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float) -> None:
        """One more."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[Metric]:
        """As it is now."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        metric = HistogramMetricFamily(self._name, self._told)
        metric.add_metric([], list(zip(names, accumulate(self._counts), strict=True)), self._sum)
        yield metric


class WithoutCreated(Collector):
    """A registry's metrics without the time at which each series was made, which is nobody's business here."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        """As they are now."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class Live(Collector):
    """The queue, what is under way, the operating point in force, what shadow traffic has seen."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """As it is now."""
        info = self._service.info()
        yield GaugeMetricFamily("te_queue_size", "Texts that have not started", info["waiting"])
        yield GaugeMetricFamily("elbert_under_way", "Texts under way", info["under_way"])
        expected = info["layer_tokens_under_way"]
        yield GaugeMetricFamily(
            "elbert_layer_tokens_under_way", "Layer-tokens that they are expected to take", expected
        )
        yield GaugeMetricFamily("elbert_queue_delay_seconds", "The wait of the oldest of them", info["queue_delay"])
        yield GaugeMetricFamily("elbert_ready", "Whether requests are taken", float(info["ready"]))
        yield GaugeMetricFamily("elbert_healthy", "Whether the engine can go on", float(info["healthy"]))
        force = info["operating_point"]
        names = dict.fromkeys([*info["operating_points"], *info["adaptive"], force])
        yield _by_point(
            "elbert_operating_point", "1 for the operating point in force", {n: float(n == force) for n in names}
        )
        yield from _shadow(info, names)
        points = self._service.classifier.bundle.points
        risks = {name: point.certificate.risk for name, point in points.items() if point.certificate is not None}
        yield _by_point("elbert_certified_risk", "The share that is certified, where one is", risks)


def _shadow(info: Mapping[str, object], names: Mapping[str, None]) -> Iterator[Metric]:
    shadow = info["shadow"]
    if not isinstance(shadow, Mapping):
        return
    yield GaugeMetricFamily("elbert_shadow_share", "The share of traffic that runs to full depth", shadow["share"])
    yield GaugeMetricFamily("elbert_shadow_waiting", "Texts that wait for it", shadow["waiting"])
    yield GaugeMetricFamily("elbert_shadow_dropped", "Texts drawn for it and not run", shadow["dropped"])
    unseen = {"texts": 0, "differing": 0, "lower": 0.0, "upper": 1.0}
    seen = {name: {**unseen, **shadow["points"].get(name, {})} for name in names}
    for part, told in (
        ("texts", "Latest texts that ran early and in full"),
        ("differing", "Those of them with another answer"),
        ("lower", "Their share is at least this, by its exact bound"),
        ("upper", "Their share is at most this, by its exact bound"),
    ):
        yield _by_point(f"elbert_shadow_{part}", told, {name: float(values[part]) for name, values in seen.items()})


def _by_point(name: str, told: str, values: Mapping[str, float]) -> Metric:
    metric = GaugeMetricFamily(name, told, labels=["point"])
    for point, value in values.items():
        metric.add_metric([point], value)
    return metric


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
