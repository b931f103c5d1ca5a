"""Builds the reference in two passes and bounded memory, whatever the order of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from driftwatch.core.schema import Column, Role, Span, TypeNames, merge_type_names
from driftwatch.errors import ReferenceUnusable
from driftwatch.reference._blocks import TimeBlocks, split_into_blocks
from driftwatch.reference._cells import freeze_grids, segment_levels
from driftwatch.reference._first_pass import FirstPass, profile_reference, require_features
from driftwatch.reference._history import stray_free
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

#: Sampled rows of a reference without time: it is one tile, whose mean needs more than a tile's 1,000 rows.
MAX_UNTIMED_SAMPLE_ROWS = 10_000

ReadBatches = Callable[[], Iterable["pa.RecordBatch"]]
Tiles = dict[tuple[int, str | None], Summary]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceBuild:
    reference: Reference
    #: Sealed summaries of the windows that the reference covers completely, in time order; none without rows.
    blocks: tuple[Summary, ...]
    #: The same per segment.
    segment_blocks: Mapping[str, tuple[Summary, ...]] = field(default_factory=dict)


def build_reference(
    monitor: MonitorConfig,
    read: ReadBatches,
    *,
    built_at: int,
    source: str,
    files: int,
    row_sample: bool = False,
) -> ReferenceBuild:
    """Build a monitor's reference from its rows; ``read`` is called once per pass.

    The first pass profiles the columns (kind, role, cells), the second counts every row on the frozen cells,
    per aligned block of window length. Rows with stray times are left out, at the cost of another pass.
    ``built_at`` is nanoseconds since 1970 UTC. ``row_sample`` keeps the total's row sample; the fingerprint
    is the same either way.

    Raises ``ReferenceUnusable`` when the data cannot serve, ``ConfigError`` when the configuration names a
    column that the data lacks. About 0.1 us a value for both passes: 20 million rows of 20 columns took 37 s
    and 0.4 GiB (``tests/bench/bench_reference.py``).
    """
    first_pass = profile_reference(monitor, read(), source, files)
    stray_note = ""
    if (without_strays := stray_free(monitor, first_pass, read)) is not None:
        # Strays must move no cell either.
        read, stray_note = without_strays
        first_pass = profile_reference(monitor, read(), source, files)
    draft = _draft(monitor, first_pass, (stray_note,) if stray_note else ())
    block_counts = _count_blocks(monitor, first_pass, draft, read)
    sealed_blocks = _seal_blocks(draft, block_counts)
    return _assemble(monitor, first_pass, block_counts, sealed_blocks, (built_at, source, files), row_sample)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    #: The plan to be stored, still without a projection.
    plan: Plan
    #: The same plan for reading the reference's rows, with their event time.
    reference_plan: Plan
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _BlockCounts:
    #: Summaries not sealed yet.
    tiles: Tiles
    #: Starts of the blocks that the reference covers completely.
    complete_starts: frozenset[int]
    span: Span | None
    notes: tuple[str, ...]
    types: TypeNames


@dataclass(frozen=True, slots=True, kw_only=True)
class _SealedBlocks:
    plan: Plan
    tiles: Tiles
    pooled_sample: RowSample
    #: Seed of the projection and the joint null.
    seed: int


def _draft(monitor: MonitorConfig, first_pass: FirstPass, notes: tuple[str, ...]) -> _Draft:
    frozen_grids = freeze_grids(first_pass.profile, first_pass.watched_columns, monitor.reference.timezone)
    segmentation = None
    if monitor.segment_by is not None:
        name, max_levels = monitor.segment_by.column, monitor.segment_by.most
        levels = segment_levels(first_pass.profile, name, max_levels, monitor.reference.timezone)
        segmentation = Segmentation(column=name, levels=levels)
    production_time = monitor.source.time_column or first_pass.time.name
    plan = with_fingerprint(
        Plan(
            columns=first_pass.watched_columns,
            grids=frozen_grids.grids,
            identity_columns=_carried(first_pass.columns, production_time),
            time_column=production_time,
            timezone=monitor.source.timezone,
            segmentation=segmentation,
            salt=_salt(monitor.name),
        )
    )
    reference_plan = replace(
        plan,
        identity_columns=_carried(first_pass.columns, first_pass.time.name),
        time_column=first_pass.time.name,
        timezone=monitor.reference.timezone,
        sample_rows=plan.sample_rows if first_pass.time.name is not None else MAX_UNTIMED_SAMPLE_ROWS,
    )
    untimed_notes = (
        () if first_pass.time.name is not None else (f"built without time: {first_pass.time.reason}",)
    )
    return _Draft(
        plan=plan, reference_plan=reference_plan, notes=(*frozen_grids.notes, *untimed_notes, *notes)
    )


def _carried(columns: Sequence[Column], time_column: str | None) -> tuple[str, ...]:
    # Columns that only distinguish rows: event time and identifiers.
    ids = tuple(column.name for column in columns if column.role is Role.ID)
    return ids if time_column is None else (time_column, *ids)


def _count_blocks(
    monitor: MonitorConfig, first_pass: FirstPass, draft: _Draft, read: ReadBatches
) -> _BlockCounts:
    from driftwatch.engines.local.count import summarise

    span = _span(first_pass)
    if span is None:
        blocks = TimeBlocks(edges=[0, 1], complete_starts=frozenset())
    else:
        blocks = split_into_blocks(
            first_pass.profile,
            draft.reference_plan,
            span,
            length=monitor.window.length,
            align=monitor.timezone,
            exclude=monitor.exclude,
        )
    engine_counts = summarise(draft.reference_plan, read(), blocks.edges, seal=False)
    notes = [*draft.notes, blocks.note] if blocks.note else list(draft.notes)
    if engine_counts.untimed:
        notes.append(f"{engine_counts.untimed:,} rows without event time are in no block and were left out")
    return _BlockCounts(
        tiles=dict(engine_counts.tiles),
        complete_starts=blocks.complete_starts,
        span=span,
        notes=tuple(notes),
        types=merge_type_names(engine_counts.types.values()),
    )


def _seal_blocks(draft: _Draft, block_counts: _BlockCounts) -> _SealedBlocks:
    # The projection needs all samples, and each seal the projection.
    seed = int.from_bytes(hashlib.sha256(draft.plan.fingerprint.encode()).digest()[:8], "big")
    samples = [
        block_counts.tiles[key].sample for key in sorted(key for key in block_counts.tiles if key[1] is None)
    ]
    pooled_sample = pool([sample for sample in samples if sample is not None], len(draft.plan.columns))
    projection = choose_projection(draft.plan.columns, draft.plan.grids, pooled_sample, seed)
    plan = with_fingerprint(replace(draft.plan, projection=projection))
    tiles: Tiles = {}
    for key in list(block_counts.tiles):
        tile = replace(block_counts.tiles.pop(key), plan=plan.fingerprint)
        tiles[key] = tile.seal(plan).drop_sample()
    return _SealedBlocks(plan=plan, tiles=tiles, pooled_sample=pooled_sample, seed=seed)


def _assemble(
    monitor: MonitorConfig,
    first_pass: FirstPass,
    block_counts: _BlockCounts,
    sealed_blocks: _SealedBlocks,
    origin: tuple[int, str, int],
    row_sample: bool,
) -> ReferenceBuild:
    series = {name: _series(sealed_blocks.tiles, name) for name in sealed_blocks.plan.segments}
    if not series[None]:
        raise ReferenceUnusable(f"monitor {monitor.name!r}: reference {origin[1]}: no row has an event time.")
    blocks = {
        name: tuple(tile for tile in tiles if tile.span.start in block_counts.complete_starts)
        for name, tiles in series.items()
    }
    projection = sealed_blocks.plan.projection
    joint = (
        None
        if projection is None
        else joint_null(projection, sealed_blocks.pooled_sample, sealed_blocks.seed + 1)
    )
    reference = Reference(
        monitor=monitor.name,
        plan=sealed_blocks.plan,
        summary=total(series[None]),
        fingerprint="",
        provenance=_provenance(first_pass, block_counts, origin),
        blocks=len(blocks[None]),
        block_rows=float(np.median([tile.rows for tile in blocks[None]])) if blocks[None] else None,
        joint=joint,
        model_name=monitor.model.name,
        model_version=monitor.model.version,
        segments={name: total(tiles) for name, tiles in series.items() if name is not None and tiles},
    )
    reference = replace(reference, fingerprint=fingerprint_reference(reference))
    return ReferenceBuild(
        reference=_with_sample(reference, sealed_blocks.pooled_sample) if row_sample else reference,
        blocks=blocks[None],
        segment_blocks={name: tiles for name, tiles in blocks.items() if name is not None and tiles},
    )


def _with_sample(reference: Reference, pooled_sample: RowSample) -> Reference:
    tile_sample = pooled_sample + RowSample.zero(len(reference.plan.columns))
    return replace(reference, summary=replace(reference.summary, sample=tile_sample))


def _provenance(
    first_pass: FirstPass, block_counts: _BlockCounts, origin: tuple[int, str, int]
) -> Provenance:
    return Provenance(
        source=origin[1],
        files=origin[2],
        built_at=origin[0],
        time_range=block_counts.span,
        set_aside=tuple(
            column
            for column in first_pass.columns
            if column.unwatched or column.role in (Role.ID, Role.IGNORE)
        ),
        notes=block_counts.notes,
        types=block_counts.types,
    )


def _series(tiles: Tiles, segment: str | None) -> list[Summary]:
    return [tiles[key] for key in sorted(key for key in tiles if key[1] == segment) if tiles[key].rows]


def _span(first_pass: FirstPass) -> Span | None:
    column = None if first_pass.time.name is None else first_pass.profile.column(first_pass.time.name)
    if column is None or column.earliest is None or column.latest is None:
        return None
    return Span(start=column.earliest, end=column.latest + 1)


def _salt(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


__all__ = ["ReferenceBuild", "build_reference", "require_features"]
