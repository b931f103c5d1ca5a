"""What counts as the same data: content decides, and neither settings nor the cut of the cells do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from reference_worlds import monitor, timed_rows

from driftwatch.monitor.succession.same_data import same_data
from driftwatch.reference.build import build_reference
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import LevelGrid, NumericGrid
from driftwatch.summary.reference import Reference

ROWS = timed_rows()


def built(rows: pa.Table = ROWS, *, version: str = "", **settings: Any) -> Reference:
    config = monitor(time_column="when", window={"length": "1d", "min_rows": 50}, **settings)
    build = build_reference(config, rows.to_batches, built_at=0, source="memory", files=1)
    provenance = replace(build.reference.provenance, data_version=version)
    return replace(build.reference, provenance=provenance)


def changed(name: str, position: int, value: Any) -> pa.Table:
    values = ROWS[name].to_pylist()
    values[position] = value
    return ROWS.set_column(ROWS.column_names.index(name), name, pa.array(values, ROWS[name].type))


@pytest.mark.parametrize(
    "settings",
    [
        {"model": {"name": "risk", "version": "2"}},
        {"columns": {"other": {"role": "ignore"}}},
        {"columns": {"items": {"kind": "categorical"}}},
        {"segment_by": {"column": "city"}},
        {"exclude": ["2023-11-16"]},
    ],
)
def test_other_settings_are_the_same_data(settings: dict[str, Any]) -> None:
    assert same_data(built(), built(**settings))


def test_the_same_rows_in_another_order_or_with_a_further_column_are_the_same_data() -> None:
    order = pa.array(np.random.default_rng(1).permutation(len(ROWS)))
    assert same_data(built(), built(ROWS.take(order)))
    assert same_data(built(), built(ROWS.append_column("new", pa.array(np.arange(len(ROWS)) % 7))))


@pytest.mark.parametrize(
    ("name", "position", "value"), [("amount", 7, 3.25), ("city", 7, "c"), ("vip", 7, None), ("items", 7, 1)]
)
def test_a_corrected_value_makes_other_data(name: str, position: int, value: Any) -> None:
    assert ROWS[name][position].as_py() != value
    assert not same_data(built(), built(changed(name, position, value)))


def test_other_rows_at_the_same_times_are_other_data() -> None:
    other = timed_rows(seed=1)
    other = other.set_column(0, "when", ROWS["when"])
    assert not same_data(built(), built(other))
    assert not same_data(built(), built(ROWS.slice(0, len(ROWS) - 1)))
    later = ROWS.set_column(0, "when", pc.add(ROWS["when"], pa.scalar(86400, pa.duration("s"))))
    assert not same_data(built(), built(later))


def test_files_that_did_not_change_are_the_same_data_whatever_was_made_of_them() -> None:
    fewer = ROWS.slice(0, len(ROWS) - 1)
    assert same_data(built(version="v"), built(fewer, version="v"))
    assert not same_data(built(version="v"), built(fewer, version="w"))


def test_cells_that_another_version_cut_are_the_same_data_of_unchanged_files_alone() -> None:
    reference = built(version="v")
    grid = reference.plan.grids["amount"]
    assert isinstance(grid, NumericGrid)
    edges = grid.edges.copy()
    edges[grid.first + 1] = np.nextafter(edges[grid.first + 1], np.inf)
    grids = {**reference.plan.grids, "amount": replace(grid, edges=edges)}
    old = replace(reference, plan=replace(reference.plan, grids=grids))
    assert same_data(old, reference)
    assert not same_data(old, built(version="written again"))
    # 0.1.0 did not say in which type values came.
    grids["amount"] = replace(grid, precision="f")
    assert same_data(replace(old, plan=replace(old.plan, grids=grids)), built(version="written again"))


def test_levels_are_compared_by_name() -> None:
    reference = built()
    grid, counts = reference.plan.grids["city"], reference.summary.counts["city"]
    assert isinstance(grid, LevelGrid)
    turned = LevelGrid(levels=grid.levels[::-1], form=grid.form)
    cells = np.append(counts.cells[:-1][::-1], counts.cells[-1])
    turned_counts = Counts(cells=cells, special=counts.special)
    old = replace(
        reference,
        plan=replace(reference.plan, grids={**reference.plan.grids, "city": turned}),
        summary=replace(reference.summary, counts={**reference.summary.counts, "city": turned_counts}),
    )
    assert same_data(old, reference)
