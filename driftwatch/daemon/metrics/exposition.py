"""Renders samples in Prometheus' text formats; the only importer of ``prometheus_client``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import (
    CONTENT_TYPE_PLAIN_0_0_4,
    choose_encoder,
    generate_latest,
    gzip_accepted,
)
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from driftwatch.daemon.metrics.families import BY_NAME, Family
from driftwatch.daemon.metrics.series import Sample

#: The last line of OpenMetrics.
EOF = b"# EOF\n"
#: Sample lines by family.
Lines = dict[str, bytes]

__all__ = [
    "EOF",
    "Lines",
    "ProcessLines",
    "content_type",
    "gzip_accepted",
    "header",
    "lines",
    "open_metrics_wanted",
]


class _Single(Collector):
    # The encoders require a registry; this one has a single family.
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


def _metric(family: Family, samples: Iterable[tuple[tuple[str, ...], float]] = ()) -> Metric:
    if family.kind == "counter":
        counter = CounterMetricFamily(family.name, family.help, labels=family.labels)
        for labels, value in samples:
            counter.add_metric(labels, value)
        return counter
    if family.kind == "info":
        info = InfoMetricFamily(family.name.removesuffix("_info"), family.help, labels=family.labels[:0])
        for labels, value in samples:
            info.add_sample(family.name, dict(zip(family.labels, labels, strict=True)), value)
        return info
    gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
    for labels, value in samples:
        gauge.add_metric(labels, value)
    return gauge


def open_metrics_wanted(accept: str) -> bool:
    return choose_encoder(accept)[1].startswith("application/openmetrics-text")


def content_type(*, open_metrics: bool) -> str:
    return openmetrics.CONTENT_TYPE_LATEST if open_metrics else CONTENT_TYPE_PLAIN_0_0_4


def header(family: Family, *, open_metrics: bool) -> bytes:
    """Render the HELP and TYPE lines of a family."""
    single = _Single(_metric(family))
    if not open_metrics:
        return generate_latest(single)
    # prometheus_client has no annotations here.
    text: bytes = openmetrics.generate_latest(single)  # type: ignore[no-untyped-call]
    return text.removesuffix(EOF)


def lines(samples: Iterable[Sample]) -> tuple[Lines, list[str]]:
    """Return the sample lines by family, and the family of each sample in order.

    The lines are equal in both formats. Of samples with equal labels the first is used. Costs about 9 us per
    sample.
    """
    grouped: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    order: list[str] = []
    for name, labels, value in samples:
        if labels not in grouped[name]:
            grouped[name][labels] = float(value)
            order.append(name)
    texts: Lines = {}
    for name, values in grouped.items():
        text = generate_latest(_Single(_metric(BY_NAME[name], values.items())))
        texts[name] = text.split(b"\n", 2)[2]
    return texts, order


class ProcessLines:
    """Renders the metric families ``process_*``, read from the kernel at each call."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)

    def read(self, *, open_metrics: bool) -> bytes:
        if not open_metrics:
            return generate_latest(self._registry)
        text: bytes = openmetrics.generate_latest(self._registry)  # type: ignore[no-untyped-call]
        return text.removesuffix(EOF)
