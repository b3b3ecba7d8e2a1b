"""Live state as metrics: read from the service when somebody asks, so that it cannot be stale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from elbert.serving.service import Service


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
