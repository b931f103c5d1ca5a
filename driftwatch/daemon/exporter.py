"""``/metrics`` from one snapshot. The only file that imports ``prometheus_client``.

Families are built anew, never mutated in place: two scrapes cannot race and a vanished label is gone. A
monitor's lines are rendered once when its view changes and joined at the scrape, family by family, since
the text format wants all samples of a family together under one HELP and TYPE.
"""

from __future__ import annotations

import gzip
import platform
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

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

from driftwatch.config.schema import ExportConfig
from driftwatch.daemon import series
from driftwatch.daemon.families import BY_NAME, FAMILIES, Family
from driftwatch.daemon.snapshot import MonitorView, Snapshot

_EOF = b"# EOF\n"
_Lines = dict[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer to a scrape."""

    body: bytes
    content_type: str
    encoding: str | None


class _Single(Collector):
    """A registry of one family, as the encoders want it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        """The family."""
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


def _header(family: Family, *, open_metrics: bool) -> bytes:
    single = _Single(_metric(family))
    if not open_metrics:
        return generate_latest(single)
    # The peer's function carries no annotations.
    text: bytes = openmetrics.generate_latest(single)  # type: ignore[no-untyped-call]
    return text.removesuffix(_EOF)


def _lines(samples: Iterable[series.Sample]) -> _Lines:
    """Sample lines per family, the same in both formats. Of two samples with equal labels the first stays."""
    grouped: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for name, labels, value in samples:
        grouped[name].setdefault(labels, float(value))
    lines: _Lines = {}
    for name, values in grouped.items():
        text = generate_latest(_Single(_metric(BY_NAME[name], values.items())))
        lines[name] = text.split(b"\n", 2)[2]
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """One monitor's rendered lines and what they were rendered from."""

    view: MonitorView
    stale: frozenset[str | None]
    chosen: frozenset[str] | None
    health: _Lines
    health_count: int
    columns: _Lines
    wanted: int
    published: int


class MetricsPage:
    """Renders the page and keeps each monitor's lines until its view or its staleness changes.

    Cost of a scrape: joining bytes; one monitor's rendering (about 9 us a series) after each of its checks.
    """

    def __init__(self, export: ExportConfig) -> None:
        self._export = export
        self._lock = threading.Lock()
        self._blocks: dict[str, _Block] = {}
        self._process = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._process)
        self._headers = {
            open_metrics: {family.name: _header(family, open_metrics=open_metrics) for family in FAMILIES}
            for open_metrics in (False, True)
        }

    def reconfigure(self, export: ExportConfig) -> None:
        """Follow a reloaded configuration from the next scrape on."""
        with self._lock:
            if export != self._export:
                self._export = export
                self._blocks = {}

    def render(
        self,
        snapshot: Snapshot,
        now: int,
        accept: str = "",
        accept_encoding: str = "",
        *,
        process: bool = True,
    ) -> Page:
        """The page for one scrape; ``now`` (ns) ages values, ``process=False`` leaves out ``process_*``."""
        open_metrics = choose_encoder(accept)[1].startswith("application/openmetrics-text")
        with self._lock:
            blocks, dropped = self._refresh(snapshot, now)
        shared = _lines(series.process_samples(snapshot, platform.python_version(), dropped))
        body = self._join(shared, blocks, open_metrics=open_metrics)
        if process:
            body += self._process_lines(open_metrics=open_metrics)
        if open_metrics:
            body += _EOF
        squeeze = gzip_accepted(accept_encoding)
        return Page(
            body=gzip.compress(body, compresslevel=1, mtime=0) if squeeze else body,
            content_type=openmetrics.CONTENT_TYPE_LATEST if open_metrics else CONTENT_TYPE_PLAIN_0_0_4,
            encoding="gzip" if squeeze else None,
        )

    def _refresh(self, snapshot: Snapshot, now: int) -> tuple[list[_Block], int]:
        blocks = [self._health(view, now) for view in snapshot.monitors]
        room = self._export.max_series - sum(block.health_count for block in blocks)
        shares = series.fair_shares([block.wanted for block in blocks], room)
        blocks = [self._columns(block, share) for block, share in zip(blocks, shares, strict=True)]
        self._blocks = {block.view.name: block for block in blocks}
        return blocks, sum(block.wanted - block.published for block in blocks)

    def _health(self, view: MonitorView, now: int) -> _Block:
        stale = frozenset(item.segment for item in view.segments if series.is_stale(view, item, now))
        known = self._blocks.get(view.name)
        if known is not None and known.view is view and known.stale == stale:
            return known
        before = known.chosen if known is not None and known.chosen is not None else frozenset[str]()
        chosen = series.choose(view, self._export, before)
        health = _lines(series.health_samples(view, stale))
        return _Block(
            view=view,
            stale=stale,
            chosen=chosen,
            health=health,
            health_count=sum(text.count(b"\n") for text in health.values()),
            columns={},
            wanted=sum(1 for _ in series.column_samples(view, stale, chosen)),
            published=-1,
        )

    def _columns(self, block: _Block, share: int) -> _Block:
        if block.published == share:
            return block
        samples = series.column_samples(block.view, block.stale, block.chosen)
        kept = [sample for sample, _ in zip(samples, range(share), strict=False)]
        return _Block(
            view=block.view,
            stale=block.stale,
            chosen=block.chosen,
            health=block.health,
            health_count=block.health_count,
            columns=_lines(kept),
            wanted=block.wanted,
            published=share,
        )

    def _join(self, shared: _Lines, blocks: list[_Block], *, open_metrics: bool) -> bytes:
        parts: list[bytes] = []
        for family in FAMILIES:
            found = [shared.get(family.name, b"")]
            for block in blocks:
                found.append(block.health.get(family.name) or block.columns.get(family.name, b""))
            if any(found):
                parts += [self._headers[open_metrics][family.name], *found]
        return b"".join(parts)

    def _process_lines(self, *, open_metrics: bool) -> bytes:
        if not open_metrics:
            return generate_latest(self._process)
        text: bytes = openmetrics.generate_latest(self._process)  # type: ignore[no-untyped-call]
        return text.removesuffix(_EOF)
