"""Counters under the names that TEI gives them, and histograms that cost little, for one thread: the event loop's."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


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
