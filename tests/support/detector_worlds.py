"""Small worlds for detector tests: a reference and a window from plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from driftwatch.core.hashing import mix
from driftwatch.core.schema import Column, Kind, Span
from driftwatch.detectors.base import ColumnPair, Detector, ReferenceContext, WindowContext, get, pair_of
from driftwatch.results.results import Score, Shares, Statistic
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid, numeric_grid
from driftwatch.summary.plan import Plan
from driftwatch.summary.projection import N_BANDWIDTHS, N_FREQUENCIES, Projection
from driftwatch.summary.reference import JointNull, Provenance, Reference
from driftwatch.summary.serial import fingerprint_reference, with_fingerprint
from driftwatch.summary.summary import Summary

SPAN = Span(start=0, end=3600 * 10**9)
#: Float arrays are numeric columns, arrays of text categorical ones.
World = Mapping[str, Any]


def column_of(name: str, values: Any, kinds: Mapping[str, Kind]) -> Column:
    ordered = np.asarray(values).dtype.kind in "fiu"
    return Column(name=name, kind=kinds.get(name, Kind.NUMERIC if ordered else Kind.CATEGORICAL))


def encode_column(values: Any) -> Numbers | Levels:
    if isinstance(values, Numbers | Levels):
        return values
    array = np.asarray(values)
    if array.dtype.kind in "fiu":
        return Numbers(values=array.astype(np.float64))
    levels, codes = np.unique(array.astype(str), return_inverse=True)
    codes = np.where(levels[codes] == "", -1, codes) if len(levels) else codes
    return Levels(codes=codes.astype(np.int32), levels=tuple(str(level) for level in levels))


def batch_of(world: World, salt: int) -> Batch:
    columns = {name: encode_column(values) for name, values in world.items()}
    sizes = [len(c.values) if isinstance(c, Numbers) else len(c.codes) for c in columns.values()]
    rows = sizes[0]
    content = mix(np.arange(rows, dtype=np.uint64) + np.uint64(salt << 32))
    return Batch(rows=rows, columns=columns, content_hashes=content)


def grid_of(values: Any, **options: int) -> Grid:
    column = encode_column(values)
    if isinstance(column, Numbers):
        return numeric_grid(column.values[~np.isnan(column.values)], **options)
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.levels))
    order = np.argsort(-counts, kind="stable")
    return LevelGrid(levels=tuple(column.levels[i] for i in order if counts[i]))


def projection_of(world: World, seed: int) -> Projection | None:
    names = [name for name, values in world.items() if np.asarray(values).dtype.kind in "fiu"]
    if not names:
        return None
    rng = np.random.default_rng(seed)
    rows = np.column_stack([np.asarray(world[name], dtype=float) for name in names])
    if not len(rows):
        return None
    scale = np.nanstd(rows, axis=0)
    widths = np.geomspace(0.3, 6.0, N_BANDWIDTHS)
    frequencies = [rng.normal(size=(len(names), N_FREQUENCIES)) / width for width in widths]
    positions = [list(world).index(name) for name in names]
    pairs = [(0, 1)] if len(names) > 1 else []
    return Projection(
        inputs=np.array([(position, -1) for position in positions], dtype=np.int64),
        center=np.nanmean(rows, axis=0),
        scale=np.where(scale > 0, scale, 1.0),
        frequencies=np.concatenate(frequencies, axis=1).astype(np.float32),
        pairs=np.array(pairs, dtype=np.int64).reshape(-1, 2),
    )


def null_of(projection: Projection, rows: np.ndarray, seed: int, draws: int = 400) -> JointNull:
    """Multiplier null as in statistics.md 2.2, on the given (scaled) reference rows."""
    rng = np.random.default_rng(seed)
    features = projection.fourier_features(rows)
    features -= features.mean(axis=0)
    draws_of_means = rng.normal(size=(2 * draws, len(rows))) @ features / np.sqrt(len(rows))
    values = (draws_of_means**2).reshape(2 * draws, 2, N_BANDWIDTHS, -1).sum(axis=1).mean(axis=2)
    kernel = np.sort(values[:draws], axis=0)
    ranks = np.stack([draws - np.searchsorted(kernel[:, k], values[draws:, k]) for k in range(N_BANDWIDTHS)])
    return JointNull(
        kernel=kernel,
        smallest_rank=np.sort((ranks.min(axis=0) + 1) / (draws + 1)),
        variance=np.array([[np.var(a * b) for b in rows.T] for a in rows.T]),
    )


def reference_of(
    world: World,
    *,
    kinds: Mapping[str, Kind] | None = None,
    joint: bool = False,
    draws: int = 400,
    seed: int = 0,
    block_rows: float | None = None,
    sample_rows: int = 2000,
    grids: Mapping[str, Grid] | None = None,
) -> Reference:
    columns = tuple(column_of(name, values, kinds or {}) for name, values in world.items())
    projection = projection_of(world, seed) if joint else None
    plan = with_fingerprint(
        Plan(
            columns=columns,
            grids=grids or {name: grid_of(values) for name, values in world.items()},
            projection=projection,
            sample_rows=sample_rows,
        )
    )
    summary = window_of(plan, world, salt=1)
    null = None
    if projection is not None and summary.sample is not None:
        null = null_of(projection, projection.scale_rows(summary.sample.rows), seed, draws)
    draft = Reference(
        monitor="m",
        plan=plan,
        summary=summary,
        fingerprint="",
        provenance=Provenance(source="test", files=0, built_at=0, time_range=None),
        joint=null,
        block_rows=block_rows,
    )
    return Reference(
        monitor="m",
        plan=plan,
        summary=summary,
        fingerprint=fingerprint_reference(draft),
        provenance=draft.provenance,
        joint=null,
        block_rows=block_rows,
    )


def window_of(
    plan: Plan | Reference, world: World, *, salt: int = 2, wrong_type: Mapping[str, float] | None = None
) -> Summary:
    """``wrong_type`` is the share of rows with a value of another type, by numeric column."""
    plan = plan.plan if isinstance(plan, Reference) else plan
    batch = batch_of(world, salt)
    for name, share in (wrong_type or {}).items():
        column = batch.columns[name]
        assert isinstance(column, Numbers)
        flags = np.arange(batch.rows) < share * batch.rows
        changed = Numbers(values=np.where(flags, np.nan, column.values), wrong_type=flags)
        batch = replace(batch, columns={**batch.columns, name: changed})
    return Summary.from_batch(plan, batch, SPAN).seal(plan)


def exact_grid(*sides: Sequence[float]) -> NumericGrid:
    """All distinct values of all sides as edges, as ``compare`` does."""
    edges = np.unique(np.concatenate([np.asarray(side, dtype=float) for side in sides]) + 0.0)
    return NumericGrid(edges=edges, first=0, last=len(edges) - 1, exact=True)


def gauge(
    detector: Detector | str, reference: Reference, window: Summary, column: str | None = None
) -> Statistic:
    """The statistic of one column, or of all together for a joint detector."""
    detector = get(detector) if isinstance(detector, str) else detector
    return detector.measure(_side(detector, reference, window, column))  # type: ignore[arg-type]


def stream_list(
    detector: Detector | str, reference: Reference, window: Summary, column: str | None = None
) -> tuple[Shares | Score, ...]:
    """The streams of one column, or of all together for a joint detector."""
    detector = get(detector) if isinstance(detector, str) else detector
    return tuple(detector.streams(_side(detector, reference, window, column)))  # type: ignore[arg-type]


def _side(
    detector: Detector, reference: Reference, window: Summary, column: str | None
) -> ColumnPair | WindowContext:
    context = ReferenceContext(reference).window(window)
    return context if detector.joint or column is None else pair_of(context, column)
