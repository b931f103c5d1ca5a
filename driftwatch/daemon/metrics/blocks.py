"""One monitor's part of ``/metrics``: rendered when its check ends, cut to its share at the scrape."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice

from driftwatch.config.models import ExportConfig
from driftwatch.daemon.metrics import series
from driftwatch.daemon.metrics.exposition import Lines, lines
from driftwatch.daemon.metrics.gzip_pieces import Piece, piece
from driftwatch.daemon.status.snapshot import MonitorView, SegmentView
from driftwatch.daemon.status.staleness import is_stale
from driftwatch.results.results import Verdict
from driftwatch.summary.summary import Summary

_Stale = frozenset[str | None]
#: What the gauges of one segment are drawn from.
_Source = tuple[str | None, Verdict | None, Summary | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The gauges of columns and joint statistics that ``export`` chose, all of them.

    ``order`` names each line's family in the order in which a share is filled; ``wanted`` counts those beyond
    ``export.max_series`` too, which are not rendered. ``sources`` is what they were drawn from: as long as it
    is the same, so are they.
    """

    sources: tuple[_Source, ...]
    stale: _Stale
    chosen: frozenset[str] | None
    found: Lines
    order: list[str]
    wanted: int

    def cut(self, share: int) -> dict[str, Piece]:
        """The first ``share`` lines. Nothing is rendered, but what is kept is squeezed."""
        if share >= len(self.order):
            return {name: piece(text) for name, text in self.found.items()}
        counts = Counter(self.order[:share])
        return {
            name: piece(b"\n".join(self.found[name].split(b"\n", count)[:count]) + b"\n")
            for name, count in counts.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One monitor's lines and what they were rendered from. ``published`` is ``columns`` cut to ``share``."""

    view: MonitorView
    export: ExportConfig
    stale: _Stale
    health: Lines
    health_count: int
    columns: Columns
    published: dict[str, Piece]
    share: int

    @property
    def wanted(self) -> int:
        """Lines of columns that ``export`` chose."""
        return self.columns.wanted

    def cut(self, share: int) -> Block:
        """The block that publishes ``share`` of its columns' lines."""
        if share == self.share:
            return self
        return replace(self, published=self.columns.cut(share), share=share)


def stale_segments(view: MonitorView, now: int) -> _Stale:
    """Segments whose newest look is too old for their gauges to be published."""
    return frozenset(item.segment for item in view.segments if is_stale(view, item, now))


def render(view: MonitorView, now: int, export: ExportConfig, known: Block | None) -> Block:
    """The block of a view; what has not changed since ``known`` is taken from it.

    Costs about 9 us a line that is rendered: a millisecond for the health of a monitor, and its columns only
    when there was a look since.
    """
    stale = stale_segments(view, now)
    if known is not None and known.export != export:
        known = None
    if known is not None and known.view is view and known.stale == stale:
        return known
    columns = _columns(view, stale, export, None if known is None else known.columns)
    health, order = lines(series.health_samples(view, stale))
    if known is not None and columns is known.columns:
        return replace(known, view=view, stale=stale, health=health, health_count=len(order))
    share = columns.wanted
    if known is not None and known.share < known.wanted:
        # Cut as the last scrape cut it: the next one has that much less to do.
        share = min(share, known.share)
    return Block(
        view=view,
        export=export,
        stale=stale,
        health=health,
        health_count=len(order),
        columns=columns,
        published=columns.cut(share),
        share=share,
    )


def _columns(view: MonitorView, stale: _Stale, export: ExportConfig, known: Columns | None) -> Columns:
    before = known.chosen if known is not None and known.chosen is not None else frozenset[str]()
    chosen = series.choose(view, export, before)
    sources = tuple(map(_source, view.segments))
    if known is not None and (known.stale, known.chosen) == (stale, chosen) and _same(known.sources, sources):
        return known
    samples = series.column_samples(view, stale, chosen)
    found, order = lines(islice(samples, export.max_series))
    wanted = len(order) + sum(1 for _ in samples)
    return Columns(sources=sources, stale=stale, chosen=chosen, found=found, order=order, wanted=wanted)


def _source(item: SegmentView) -> _Source:
    return item.segment, item.looked, item.window


def _same(one: tuple[_Source, ...], other: tuple[_Source, ...]) -> bool:
    """The very same objects: they are immutable, and comparing their arrays would cost more than it saves."""
    return len(one) == len(other) and all(
        a == b and looked is again and window is still
        for (a, looked, window), (b, again, still) in zip(one, other, strict=True)
    )
