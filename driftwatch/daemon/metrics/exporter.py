"""Builds ``/metrics`` from one snapshot.

Families are rebuilt, never mutated, so that scrapes cannot race and vanished labels disappear. A monitor's
lines are rendered once, when its check ends, and joined by family at the scrape, because the format wants all
samples of a family under one HELP and TYPE.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftwatch.config.models import ExportConfig
from driftwatch.daemon.metrics import exposition, series
from driftwatch.daemon.metrics.blocks import Block, render
from driftwatch.daemon.metrics.exposition import Lines
from driftwatch.daemon.metrics.families import COLUMNS, FAMILIES, HEALTH, PROCESS, Family
from driftwatch.daemon.metrics.gzip_pieces import Piece, gzipped, piece
from driftwatch.daemon.status.snapshot import MonitorView, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    body: bytes
    content_type: str
    encoding: str | None


class MetricsPage:
    """Caches each monitor's lines until its view or staleness changes.

    A scrape joins them, and renders only those of monitors that changed without ``warm``.
    """

    def __init__(self, export: ExportConfig) -> None:
        self._export = export
        self._lock = threading.Lock()
        self._blocks: dict[str, Block] = {}
        self._process = exposition.ProcessLines()
        self._headers = {
            open_metrics: {
                family.name: exposition.header(family, open_metrics=open_metrics) for family in FAMILIES
            }
            for open_metrics in (False, True)
        }

    def reconfigure(self, export: ExportConfig) -> None:
        # In force from the next scrape on.
        self._export = export

    def warm(self, view: MonitorView, now: int) -> None:
        """Render a monitor's lines in its check's thread, so that the next scrape only joins them."""
        self._block(view, now)

    def render(
        self,
        snapshot: Snapshot,
        now: int,  # nanoseconds; old values are not published
        accept: str = "",
        accept_encoding: str = "",
        *,
        process: bool = True,  # with the families ``process_*``
    ) -> Page:
        open_metrics = exposition.open_metrics_wanted(accept)
        blocks, dropped = self._refresh(snapshot, now)
        shared, _ = exposition.lines(series.process_samples(snapshot, platform.python_version(), dropped))
        parts = self._parts(shared, blocks, open_metrics=open_metrics)
        if process:
            parts.append(self._process.read(open_metrics=open_metrics))
        if open_metrics:
            parts.append(exposition.EOF)
        compress = exposition.gzip_accepted(accept_encoding)
        return Page(
            body=gzipped(_pieces(parts)) if compress else b"".join(map(_raw, parts)),
            content_type=exposition.content_type(open_metrics=open_metrics),
            encoding="gzip" if compress else None,
        )

    def _block(self, view: MonitorView, now: int) -> Block:
        # Rendered outside the lock, so that a scrape never waits for another monitor's rendering.
        previous = self._blocks.get(view.name)
        block = render(view, now, self._export, previous)
        if block is not previous:
            with self._lock:
                self._blocks[view.name] = block
        return block

    def _refresh(self, snapshot: Snapshot, now: int) -> tuple[list[Block], int]:
        blocks = [self._block(view, now) for view in snapshot.monitors]
        available = self._export.max_series - sum(block.health_count for block in blocks)
        shares = series.fair_shares([block.wanted for block in blocks], available)
        cut = [block.cut(share) for block, share in zip(blocks, shares, strict=True)]
        with self._lock:
            for whole, part in zip(blocks, cut, strict=True):
                if part is not whole and self._blocks.get(whole.view.name) is whole:
                    self._blocks[whole.view.name] = part
            for name in self._blocks.keys() - {block.view.name for block in cut}:
                del self._blocks[name]
        return cut, sum(block.wanted - block.share for block in cut)

    def _parts(self, shared: Lines, blocks: list[Block], *, open_metrics: bool) -> list[bytes | Piece]:
        # Each family is looked up where it can be: this runs 20,000 times with 300 monitors.
        health = [block.health for block in blocks]
        published = [block.published for block in blocks]
        rooms: tuple[tuple[tuple[Family, ...], Sequence[Mapping[str, bytes | Piece]]], ...] = (
            (PROCESS, [shared]),
            (HEALTH, health),
            (COLUMNS, published),
        )
        parts: list[bytes | Piece] = []
        for families, texts_by_family in rooms:
            for family in families:
                texts = [text for item in texts_by_family if (text := item.get(family.name)) is not None]
                if texts:
                    parts += [self._headers[open_metrics][family.name], *texts]
        return parts


def _raw(part: bytes | Piece) -> bytes:
    return part if isinstance(part, bytes) else part.raw


def _pieces(parts: list[bytes | Piece]) -> list[Piece]:
    pieces: list[Piece] = []
    # Neighbouring uncompressed bytes become one piece.
    loose: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            loose.append(part)
            continue
        if loose:
            pieces.append(piece(b"".join(loose)))
            loose = []
        pieces.append(part)
    if loose:
        pieces.append(piece(b"".join(loose)))
    return pieces
