"""Prometheus metrics, with TEI's names and ours, from the events of a service and of HTTP exchanges."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from elbert.classifier import Classifier
from elbert.errors import ElbertError
from elbert.exits import POLICIES
from elbert.exits.policies import LIST_POLICIES
from elbert.inference import DEADLINE
from elbert.serving.http.errors import STATUS, error_kind
from elbert.serving.http.middleware import Exchange
from elbert.serving.results import TextResult
from elbert.serving.service import Service
from elbert.serving.worker import Step


class PlainCounter(Collector):
    """A counter without the suffix ``_total``, with ``{label="value"}`` for each of ``values``; 0 from the start.

    prometheus-client adds ``_total`` to counters, so this one is exposed as untyped; ``rate()`` works all the same.
    """

    def __init__(
        self, registry: CollectorRegistry, name: str, help: str, label: str | None = None, values: Sequence[str] = ("",)
    ) -> None:
        self._name, self._help, self._label = name, help, label
        self._counts = dict.fromkeys(values, 0)
        registry.register(self)

    def add(self, value: str = "") -> None:
        """Count one event with this value of the label."""
        self._counts[value] += 1

    def collect(self) -> Iterator[Metric]:
        """Return the current counts."""
        metric = Metric(self._name, self._help, "untyped")
        for value, count in self._counts.items():
            metric.add_sample(self._name, {self._label: value} if self._label else {}, count)
        yield metric


class PlainHistogram(Collector):
    """A histogram with the upper ``bounds`` of its buckets; prometheus-client's own tries one bound after another."""

    def __init__(self, registry: CollectorRegistry, name: str, help: str, bounds: Sequence[float]) -> None:
        self._name, self._help = name, help
        self._bounds = list(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float) -> None:
        """Count a value in its bucket."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[Metric]:
        """Return the current buckets."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        metric = HistogramMetricFamily(self._name, self._help)
        metric.add_metric([], list(zip(names, accumulate(self._counts), strict=True)), self._sum)
        yield metric


class WithoutCreated(Collector):
    """A registry's metrics without the creation time of each series, which doubles their number and is of no use."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        """Return the registry's current metrics."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class ByModel(Collector):
    """The metrics of several models, each sample with the name of its model."""

    def __init__(self, models: Mapping[str, Metrics]) -> None:
        self._models = models

    def collect(self) -> Iterable[Metric]:
        """Return the current metrics, those of one name together."""
        merged = dict[str, Metric]()
        for model, metrics in self._models.items():
            for found in WithoutCreated(metrics.registry).collect():
                metric = merged.setdefault(found.name, Metric(found.name, found.documentation, found.type))
                metric.samples += [
                    sample._replace(labels={**sample.labels, "model": model}) for sample in found.samples
                ]
        return merged.values()


def metrics_text(models: Mapping[str, Metrics]) -> bytes:
    """Return the metrics of models in Prometheus' text format; of several, with a label ``model``."""
    if len(models) == 1:
        return next(iter(models.values())).text()
    return generate_latest(ByModel(models))


class ServiceState(Collector):
    """The queue, texts in the engine, the active operating point, and the results of shadow traffic."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def collect(self) -> Iterator[Metric]:
        """Return the current state."""
        info = self.service.info()
        yield GaugeMetricFamily("te_queue_size", "Texts that wait for their first layer call", info["waiting"])
        yield GaugeMetricFamily("elbert_under_way", "Texts in the server", info["under_way"])
        expected = info["layer_tokens_under_way"]
        yield GaugeMetricFamily(
            "elbert_layer_tokens_under_way", "Layer-tokens that these texts are expected to take", expected
        )
        yield GaugeMetricFamily(
            "elbert_queue_delay_seconds", "The wait of the oldest text in the queue", info["queue_delay"]
        )
        yield GaugeMetricFamily("elbert_ready", "Whether requests are accepted", float(info["ready"]))
        yield GaugeMetricFamily("elbert_healthy", "Whether the engine can go on", float(info["healthy"]))
        active = info["operating_point"]
        names = dict.fromkeys([*info["operating_points"], *info["adaptive"], active])
        yield _by_point(
            "elbert_operating_point", "1 for the active operating point", {n: float(n == active) for n in names}
        )
        yield from _collect_shadow(info, names)
        points = self.service.classifier.bundle.points
        risks = {name: point.certificate.risk for name, point in points.items() if point.certificate is not None}
        yield _by_point("elbert_certified_risk", "The certified risk of an operating point", risks)


def _collect_shadow(info: Mapping[str, object], names: Mapping[str, None]) -> Iterator[Metric]:
    shadow = info["shadow"]
    if not isinstance(shadow, Mapping):
        return
    yield GaugeMetricFamily("elbert_shadow_share", "The share of traffic that runs to full depth", shadow["share"])
    yield GaugeMetricFamily("elbert_shadow_waiting", "Texts that wait for their full-depth run", shadow["waiting"])
    yield GaugeMetricFamily("elbert_shadow_dropped", "Texts sampled for it and not run", shadow["dropped"])
    empty = {"texts": 0, "differing": 0, "lower": 0.0, "upper": 1.0}
    results = {name: {**empty, **shadow["points"].get(name, {})} for name in names}
    for part, help in (
        ("texts", "Latest texts that ran with early exit and at full depth"),
        ("differing", "Those of them whose label differs"),
        ("lower", "Lower confidence bound of the share that differs"),
        ("upper", "Upper confidence bound of the share that differs"),
    ):
        yield _by_point(f"elbert_shadow_{part}", help, {name: float(values[part]) for name, values in results.items()})


def _by_point(name: str, help: str, values: Mapping[str, float]) -> Metric:
    metric = GaugeMetricFamily(name, help, labels=["point"])
    for point, value in values.items():
        metric.add_metric([point], value)
    return metric


SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = tuple(float(2**n) for n in range(15))
METHODS = ("single", "batch")
OTHER = "other"
FAILING_TEXTS = 16  # failures in a row after which the server is not ready
RETRY_SECONDS = 10.0  # after the last of them it is ready again: the next texts show whether it works


class Metrics:
    """Counts the events of a service (as its observer) and of HTTP (:meth:`count_exchange`).

    Every series exists from the start, at 0.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = PlainCounter(registry, "te_request_count", "Requests to classify", "method", METHODS)
        self._succeeded = PlainCounter(registry, "te_request_success", "Requests answered", "method", METHODS)
        self._failed = PlainCounter(
            registry, "te_request_failure", "Requests rejected", "err", [metric_label(kind) for kind in STATUS]
        )
        self._texts = PlainCounter(registry, "te_predict_count", "Texts accepted")
        self._answered = PlainCounter(registry, "te_predict_success", "Texts answered")

        def histogram(name: str, help: str, bounds: Sequence[float] = SECONDS) -> PlainHistogram:
            return PlainHistogram(registry, name, help, bounds)

        self._request = histogram("te_request_duration", "Seconds of a request, from its first byte to its answer")
        self._tokenise = histogram("te_request_tokenization_duration", "Seconds of tokenising a request")
        self._queue = histogram("te_request_queue_duration", "Seconds of a request's wait for its first layer")
        self._inference = histogram("te_request_inference_duration", "Seconds of a request's layer calls")
        self._predict = histogram("te_predict_duration", "Seconds of a text, from its arrival to its answer")
        self._length = histogram("te_request_input_length", "Tokens of a text", SIZES)
        self._rows = histogram("te_batch_next_size", "Rows in a layer call", SIZES)
        self._tokens = histogram("te_batch_next_tokens", "Tokens in a layer call", SIZES)
        depths = [float(depth) for depth in range(1, classifier.depths + 1)]
        self._depth = histogram("elbert_exit_depth", "The depth at which a text exited", depths)
        self._together = histogram("elbert_batch_depths", "Different depths in a layer call", depths)
        exits = Counter("elbert_exit", "Texts that exited, by reason", ["reason"], registry=registry)
        self._exits_for = {
            reason: exits.labels(reason) for reason in (*POLICIES, *LIST_POLICIES, "last", DEADLINE, OTHER)
        }
        self._layer_tokens = Counter("elbert_layer_tokens", "Tokens times layers, for requests", registry=registry)
        self._shadow_tokens = Counter("elbert_shadow_layer_tokens", "The same, for shadow traffic", registry=registry)
        self._cancelled = Counter("elbert_cancelled", "Texts whose client disconnected", registry=registry)
        self._text_failed = Counter("elbert_text_failure", "Texts accepted and not answered", registry=registry)
        self._moves = Counter("elbert_operating_point_moves", "Changes of the operating point", registry=registry)
        self._depths = Gauge("elbert_depths", "Depths of the model", registry=registry)
        self._depths.set(classifier.depths)
        self._failures, self._failed_at = 0, 0.0
        self._state: ServiceState | None = None

    @property
    def is_failing(self) -> bool:
        """Whether the model failed on each of the latest texts; after a while without texts it may try again."""
        return self._failures >= FAILING_TEXTS and monotonic() < self._failed_at + RETRY_SECONDS

    def watch(self, service: Service) -> None:
        """Add the state of a service, or replace that of an older one: queue, operating point, shadow traffic."""
        if self._state is not None:
            self._state.service = service
            return
        self._state = ServiceState(service)
        self.registry.register(self._state)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(WithoutCreated(self.registry))

    def count_exchange(self, exchange: Exchange) -> None:
        """Count a request that has ended; only those that classify count."""
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
            self._failed.add(metric_label(exchange.error))

    def on_accept(self, tokens: int, characters: int) -> None:
        """Count an accepted text."""
        self._texts.add()
        self._length.observe(tokens)

    def on_result(self, item: TextResult) -> None:
        """Count a text that exited or failed."""
        if item.prediction is None:
            self._text_failed.inc()
            if item.error is not None and error_kind(item.error) == "Backend":
                self._failures += 1
                self._failed_at = monotonic()
            return
        self._failures = 0
        reason = item.prediction.reason
        self._answered.add()
        self._depth.observe(item.prediction.depth)
        self._exits_for.get(reason, self._exits_for[OTHER]).inc()
        self._predict.observe(item.timings.tokenise + item.timings.queue + item.timings.inference)

    def on_cancel(self, texts: int) -> None:
        """Count texts whose client disconnected."""
        self._cancelled.inc(texts)

    def on_reject(self, error: ElbertError) -> None:
        """Do nothing: :meth:`count_exchange` counts it."""

    def on_step(self, step: Step) -> None:
        """Count a layer call of the engine."""
        if step.call is None:
            return
        if step.idle:
            self._shadow_tokens.inc(step.call.tokens)
            return
        self._layer_tokens.inc(step.call.tokens)
        self._rows.observe(step.call.rows)
        self._tokens.observe(step.call.tokens)
        self._together.observe(len(set(step.call.depths.tolist())))

    def on_point_change(self, point: str) -> None:
        """Count a change of the operating point."""
        self._moves.inc()


def metric_label(kind: str) -> str:
    """Return an error's kind as a label: ``payload_too_large``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()


def count_exchange(metrics: Mapping[str, Metrics], exchange: Exchange) -> None:
    """Count a request in the metrics of its model, by name; one that reached no model in those of the first."""
    first = next(iter(metrics.values()))
    metrics.get(exchange.model or "", first).count_exchange(exchange)
