"""Building the reference: two passes over its rows, bounded memory, the same result for any order of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from driftwatch.core.schema import Column, Role, Span
from driftwatch.errors import ReferenceUnusable
from driftwatch.reference._blocks import Cut, cut
from driftwatch.reference._cells import freeze, segment_levels
from driftwatch.reference._look import Seen, look
from driftwatch.reference.choose_projection import choose_projection, pool
from driftwatch.reference.joint import joint_null
from driftwatch.summary.plan import Plan, Segmentation
from driftwatch.summary.reference import Provenance, Reference
from driftwatch.summary.sample import RowSample
from driftwatch.summary.serial import fingerprint_reference, with_fingerprint
from driftwatch.summary.summary import Summary, total

if TYPE_CHECKING:
    import pyarrow as pa

    from driftwatch.config.models import MonitorConfig

#: Sampled rows of a reference without time: it is one tile, and its mean should not be a thousand rows' only.
UNTIMED_SAMPLE = 10_000

Rows = Callable[[], Iterable["pa.RecordBatch"]]
Tiles = dict[tuple[int, str | None], Summary]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A reference with its time blocks.

    ``blocks`` are the sealed summaries of the windows that the reference covers from begin to end, in time
    order; ``segment_blocks`` the same per segment. Windows without rows are not among them.
    """

    reference: Reference
    blocks: tuple[Summary, ...]
    segment_blocks: dict[str, tuple[Summary, ...]] = field(default_factory=dict)


def build_reference(
    monitor: MonitorConfig,
    read: Rows,
    *,
    built_at: int,
    source: str,
    files: int,
    row_sample: bool = False,
) -> Built:
    """Build the reference of a monitor from its rows; ``read`` is called once per pass.

    The first pass looks at the columns (kind, role, cells), the second counts every row on the frozen
    cells, per aligned block of window length. ``built_at`` is nanoseconds since 1970 UTC. ``row_sample``
    keeps the total's sample of rows in the result; the fingerprint is the same either way.

    Raises ``ReferenceUnusable`` when the data cannot serve, ``ConfigError`` when the configuration names a
    column that the data does not have. About 0.1 us a value for both passes: 20 million rows of 20 columns
    took 37 s and 0.4 GiB (``tests/bench/bench_reference.py``).
    """
    seen = look(monitor, read(), source, files)
    drafted = _draft(monitor, seen)
    counted = _count(monitor, seen, drafted, read)
    finished = _finish(drafted, counted)
    return _assemble(monitor, seen, counted, finished, (built_at, source, files), row_sample)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """The plan without projection: as it will be stored, and as the reference's own rows are read."""

    plan: Plan
    reading: Plan
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """Open summaries per block, which of them are whole, the rows' span, and notes."""

    tiles: Tiles
    whole: frozenset[int]
    span: Span | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finished:
    """The stored plan, sealed summaries per block, the pooled row sample, the seed of all draws."""

    plan: Plan
    tiles: Tiles
    pooled: RowSample
    seed: int


def _draft(monitor: MonitorConfig, seen: Seen) -> _Draft:
    frozen = freeze(seen.profile, seen.watched, monitor.reference.timezone)
    segmentation = None
    if monitor.segment_by is not None:
        name, most = monitor.segment_by.column, monitor.segment_by.most
        levels = segment_levels(seen.profile, name, most, monitor.reference.timezone)
        segmentation = Segmentation(column=name, levels=levels)
    production_time = monitor.source.time_column or seen.time.name
    plan = with_fingerprint(
        Plan(
            columns=seen.watched,
            grids=frozen.grids,
            carried=_carried(seen.columns, production_time),
            time_column=production_time,
            timezone=monitor.source.timezone,
            segmentation=segmentation,
            salt=_salt(monitor.name),
        )
    )
    reading = replace(
        plan,
        carried=_carried(seen.columns, seen.time.name),
        time_column=seen.time.name,
        timezone=monitor.reference.timezone,
        sample_rows=plan.sample_rows if seen.time.name is not None else UNTIMED_SAMPLE,
    )
    untimed = () if seen.time.name is not None else (f"built without time: {seen.time.reason}",)
    return _Draft(plan=plan, reading=reading, notes=(*frozen.notes, *untimed))


def _carried(columns: Sequence[Column], time_column: str | None) -> tuple[str, ...]:
    """Columns read only to tell rows apart: event time under its name on that side, and identifiers."""
    ids = tuple(column.name for column in columns if column.role is Role.ID)
    return ids if time_column is None else (time_column, *ids)


def _count(monitor: MonitorConfig, seen: Seen, draft: _Draft, read: Rows) -> _Counted:
    from driftwatch.engines.local.count import summarise

    span = _span(seen)
    if span is None:
        blocks = Cut(edges=[0, 1], whole=frozenset())
    else:
        blocks = cut(
            seen.profile,
            draft.reading,
            span,
            length=monitor.window.length,
            align=monitor.timezone,
            exclude=monitor.exclude,
        )
    counted = summarise(draft.reading, read(), blocks.edges, seal=False)
    notes = [*draft.notes, blocks.note] if blocks.note else list(draft.notes)
    if counted.untimed:
        notes.append(f"{counted.untimed:,} rows without event time are in no block and were left out")
    return _Counted(tiles=dict(counted.tiles), whole=blocks.whole, span=span, notes=tuple(notes))


def _finish(draft: _Draft, counted: _Counted) -> _Finished:
    """Choose the projection from the pooled samples, then seal every block with it, in time order."""
    seed = int.from_bytes(hashlib.sha256(draft.plan.fingerprint.encode()).digest()[:8], "big")
    totals = [counted.tiles[key].sample for key in sorted(key for key in counted.tiles if key[1] is None)]
    pooled = pool([sample for sample in totals if sample is not None], len(draft.plan.columns))
    projection = choose_projection(draft.plan.columns, draft.plan.grids, pooled, seed)
    plan = with_fingerprint(replace(draft.plan, projection=projection))
    tiles: Tiles = {}
    for key in list(counted.tiles):
        tile = replace(counted.tiles.pop(key), plan=plan.fingerprint)
        tiles[key] = tile.seal(plan).drop_sample()
    return _Finished(plan=plan, tiles=tiles, pooled=pooled, seed=seed)


def _assemble(
    monitor: MonitorConfig,
    seen: Seen,
    counted: _Counted,
    done: _Finished,
    made: tuple[int, str, int],
    row_sample: bool,
) -> Built:
    series = {name: _series(done.tiles, name) for name in done.plan.segments}
    if not series[None]:
        raise ReferenceUnusable(f"monitor {monitor.name!r}: reference {made[1]}: no row has an event time.")
    blocks = {
        name: tuple(tile for tile in tiles if tile.span.start in counted.whole)
        for name, tiles in series.items()
    }
    projection = done.plan.projection
    joint = None if projection is None else joint_null(projection, done.pooled, done.seed + 1)
    reference = Reference(
        monitor=monitor.name,
        plan=done.plan,
        summary=total(series[None]),
        fingerprint="",
        provenance=_provenance(seen, counted, made),
        blocks=len(blocks[None]),
        block_rows=float(np.median([tile.rows for tile in blocks[None]])) if blocks[None] else None,
        joint=joint,
        model_name=monitor.model.name,
        model_version=monitor.model.version,
        segments={name: total(tiles) for name, tiles in series.items() if name is not None and tiles},
    )
    reference = replace(reference, fingerprint=fingerprint_reference(reference))
    return Built(
        reference=_with_sample(reference, done.pooled) if row_sample else reference,
        blocks=blocks[None],
        segment_blocks={name: tiles for name, tiles in blocks.items() if name is not None and tiles},
    )


def _with_sample(reference: Reference, pooled: RowSample) -> Reference:
    """The reference with as many pooled rows as a tile keeps."""
    kept = pooled + RowSample.zero(len(reference.plan.columns))
    return replace(reference, summary=replace(reference.summary, sample=kept))


def _provenance(seen: Seen, counted: _Counted, made: tuple[int, str, int]) -> Provenance:
    return Provenance(
        source=made[1],
        files=made[2],
        built_at=made[0],
        time_range=counted.span,
        set_aside=tuple(column for column in seen.columns if column.role in (Role.ID, Role.IGNORE)),
        notes=counted.notes,
    )


def _series(tiles: Tiles, segment: str | None) -> list[Summary]:
    """The summaries of one segment that hold rows, in time order."""
    return [tiles[key] for key in sorted(key for key in tiles if key[1] == segment) if tiles[key].rows]


def _span(seen: Seen) -> Span | None:
    column = None if seen.time.name is None else seen.profile.column(seen.time.name)
    if column is None or column.earliest is None or column.latest is None:
        return None
    return Span(start=column.earliest, end=column.latest + 1)


def _salt(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
