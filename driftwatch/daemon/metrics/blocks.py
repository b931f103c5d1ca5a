"""One monitor's part of ``/metrics``: rendered when its check ends, shortened at a scrape if too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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
#: (segment, verdict, summary) from which a segment's gauges are rendered.
_Source = tuple[str | None, Verdict | None, Summary | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnLines:
    """Rendered metric lines of the columns and joint statistics that ``export`` selects."""

    #: The lines are reused while these stay the same objects.
    sources: tuple[_Source, ...]
    stale: _Stale
    #: Published columns; None means all.
    chosen: frozenset[str] | None
    lines: Lines
    #: The family of each line, in the order in which a share is filled.
    order: Sequence[str]
    #: Number of selected lines, also of those beyond ``export.max_series``, which are not rendered.
    wanted: int

    def cut(self, share: int) -> dict[str, Piece]:
        """Compress only the first lines; ``share`` is their number."""
        if share >= len(self.order):
            return {name: piece(text) for name, text in self.lines.items()}
        counts = Counter(self.order[:share])
        return {
            name: piece(b"\n".join(self.lines[name].split(b"\n", count)[:count]) + b"\n")
            for name, count in counts.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    view: MonitorView
    export: ExportConfig
    stale: _Stale
    health: Lines
    health_count: int
    columns: ColumnLines
    #: ``columns`` cut to ``share`` lines.
    published: Mapping[str, Piece]
    share: int

    @property
    def wanted(self) -> int:
        return self.columns.wanted

    def cut(self, share: int) -> Block:
        if share == self.share:
            return self
        return replace(self, published=self.columns.cut(share), share=share)


def stale_segments(view: MonitorView, now: int) -> _Stale:
    return frozenset(item.segment for item in view.segments if is_stale(view, item, now))


def render(view: MonitorView, now: int, export: ExportConfig, previous: Block | None) -> Block:
    """Render a monitor's block; parts that have not changed are taken from ``previous``.

    Costs about 9 us per rendered line, or a millisecond when no column has changed.
    """
    stale = stale_segments(view, now)
    if previous is not None and previous.export != export:
        previous = None
    if previous is not None and previous.view is view and previous.stale == stale:
        return previous
    columns = _columns(view, stale, export, None if previous is None else previous.columns)
    health, order = lines(series.health_samples(view, stale))
    if previous is not None and columns is previous.columns:
        return replace(previous, view=view, stale=stale, health=health, health_count=len(order))
    share = columns.wanted
    if previous is not None and previous.share < previous.wanted:
        # Cut as at the last scrape, so that the next one has less to do.
        share = min(share, previous.share)
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


def _columns(
    view: MonitorView, stale: _Stale, export: ExportConfig, previous: ColumnLines | None
) -> ColumnLines:
    published = previous.chosen if previous is not None and previous.chosen is not None else frozenset[str]()
    chosen = series.select_columns(view, export, published)
    sources = tuple(map(_source, view.segments))
    if (
        previous is not None
        and (previous.stale, previous.chosen) == (stale, chosen)
        and _same(previous.sources, sources)
    ):
        return previous
    samples = series.column_samples(view, stale, chosen)
    rendered, order = lines(islice(samples, export.max_series))
    wanted = len(order) + sum(1 for _ in samples)
    return ColumnLines(
        sources=sources, stale=stale, chosen=chosen, lines=rendered, order=order, wanted=wanted
    )


def _source(item: SegmentView) -> _Source:
    return item.segment, item.usable_verdict, item.window


def _same(first: tuple[_Source, ...], second: tuple[_Source, ...]) -> bool:
    # Identical objects: comparing their arrays would cost more than it saves.
    return len(first) == len(second) and all(
        a[0] == b[0] and a[1] is b[1] and a[2] is b[2] for a, b in zip(first, second, strict=True)
    )
