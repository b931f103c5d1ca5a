"""Building a reference: totals, blocks, determinism, refusals."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_worlds import flights, monitor, timed

from driftwatch.core.schema import NANOSECONDS, Role
from driftwatch.errors import ConfigError, ReferenceUnusable
from driftwatch.reference import Built, build_reference
from driftwatch.reference import _blocks as blocks_module
from driftwatch.summary.grid import LevelGrid, NumericGrid
from driftwatch.summary.serial import decode_reference, encode_reference, fingerprint_reference
from driftwatch.summary.summary import total

SEGMENTED = {"segment_by": {"column": "city", "most": 2}}


def build(table: pa.Table, *, chunk: int = 1000, row_sample: bool = False, **kwargs: object) -> Built:
    return build_reference(
        monitor(**kwargs),
        lambda: table.to_batches(max_chunksize=chunk),
        built_at=5,
        source="memory",
        files=1,
        row_sample=row_sample,
    )


@pytest.fixture(scope="module")
def built() -> Built:
    return build(timed(), time_column="when", **SEGMENTED)


@pytest.fixture(scope="module")
def small() -> Built:
    return build(timed(1000, 4), time_column="when", **SEGMENTED)


@given(seed=st.integers(0, 10**6), chunk=st.integers(150, 1000))
@settings(max_examples=5, deadline=None)
def test_any_split_and_order_gives_the_same_fingerprint(small: Built, seed: int, chunk: int) -> None:
    one, data = small, timed(1000, 4)
    shuffled = data.take(np.random.default_rng(seed).permutation(1000))
    other = build(shuffled, chunk=chunk, time_column="when", **SEGMENTED)
    assert one.reference.fingerprint == other.reference.fingerprint
    assert encode_reference(one.reference) == encode_reference(other.reference)


def test_every_row_is_counted_once(built: Built) -> None:
    reference, data = built.reference, timed()
    assert reference.summary.rows == 4000
    for column in reference.plan.columns:
        assert reference.summary.counts[column.name].rows == 4000
    assert reference.summary.counts["amount"].missing == int(np.isnan(data["amount"].to_numpy()).sum())
    grid = reference.plan.grids["city"]
    assert isinstance(grid, LevelGrid)
    counted = dict(zip(grid.levels, reference.summary.counts["city"].cells[:-1].tolist(), strict=True))
    assert counted == data.to_pandas()["city"].value_counts().to_dict()
    assert list(counted.values()) == sorted(counted.values(), reverse=True)
    items = reference.plan.grids["items"]
    assert isinstance(items, NumericGrid)
    assert items.exact


def test_whole_days_are_the_blocks_and_sum_to_the_total(built: Built) -> None:
    assert len(built.blocks) == built.reference.blocks == 12
    assert [block.span.start for block in built.blocks] == sorted(block.span.start for block in built.blocks)
    summed = total(built.blocks)
    assert summed.rows == built.reference.summary.rows
    assert summed.counts == built.reference.summary.counts
    assert built.reference.block_rows == np.median([block.rows for block in built.blocks])
    assert all(block.sample is None and block.sums is not None for block in built.blocks)


def test_a_half_day_is_in_the_total_but_no_block() -> None:
    data = timed()
    moments = data["when"].cast(pa.int64()).to_numpy()
    noon = moments.min() // 86400 * 86400 + 43200
    late = data.filter(pa.array((moments >= noon) & (moments < noon + 9 * 86400)))
    made = build(late, time_column="when")
    assert made.reference.summary.rows == late.num_rows
    assert made.reference.blocks == 8
    edges = made.reference.summary - total(made.blocks)
    first, last = int(noon) // 86400, int(noon) // 86400 + 9
    day = late["when"].cast(pa.int64()).to_numpy() // 86400
    assert edges.rows == int(((day == first) | (day == last)).sum()) > 0


def test_days_of_another_zone_and_excluded_days(built: Built) -> None:
    shifted = build(timed(), time_column="when", timezone="Asia/Tokyo")
    assert shifted.reference.blocks == 11
    assert all(block.span.start // NANOSECONDS % 86400 == 15 * 3600 for block in shifted.blocks)
    excluded = build(timed(), time_column="when", exclude=["2023-11-16", "2023-11-20"])
    assert excluded.reference.blocks == 10
    assert excluded.reference.summary.rows == 4000


def test_segments_split_blocks_and_total(built: Built) -> None:
    reference = built.reference
    assert reference.plan.segments == (None, "a", "b", "other")
    assert sum(part.rows for part in reference.segments.values()) == 4000
    for name, parts in built.segment_blocks.items():
        assert total(parts).counts == reference.segments[name].counts
    cities = timed().to_pandas()["city"].value_counts()
    assert reference.segments["other"].rows == cities["c"] + cities["other"]
    assert reference.block_rows is not None
    share = cities["a"] / cities.sum()
    assert reference.at("a").block_rows == pytest.approx(reference.block_rows * share)
    assert reference.at("nowhere").block_rows == reference.block_rows
    assert all(own.worked is None for own in reference.segments.values()), "kept for none of up to 200"
    assert reference.at("a").summary.worked == {}


def test_without_time_there_is_one_summary_and_no_block() -> None:
    data = timed().drop_columns(["when"])
    made = build(data)
    assert made.reference.blocks == 0
    assert made.reference.block_rows is None
    assert made.blocks == ()
    assert made.reference.plan.time_column is None
    assert made.reference.summary.sums is not None
    assert made.reference.summary.sums.rows == 4000
    assert any("timestamps" in note for note in made.reference.provenance.notes)


def test_a_row_sample_is_kept_only_when_asked_for(built: Built) -> None:
    kept = build(timed(), time_column="when", row_sample=True, **SEGMENTED)
    assert built.reference.summary.sample is None
    assert kept.reference.summary.sample is not None
    assert kept.reference.summary.sample.size == 1000
    assert kept.reference.fingerprint == built.reference.fingerprint


def test_stored_and_read_back(built: Built) -> None:
    again = decode_reference(encode_reference(built.reference))
    assert again.plan.fingerprint == built.reference.plan.fingerprint
    assert fingerprint_reference(again) == built.reference.fingerprint
    assert again.provenance == built.reference.provenance


def test_other_data_or_another_model_is_another_reference(built: Built) -> None:
    moved = timed()
    values = moved["other"].to_numpy().copy()
    values[7] += 1e-3
    moved = moved.set_column(2, "other", pa.array(values))
    prints = {
        built.reference.fingerprint,
        build(moved, time_column="when", **SEGMENTED).reference.fingerprint,
        build(timed(), time_column="when", model={"version": "2"}, **SEGMENTED).reference.fingerprint,
        build(timed(), time_column="when").reference.fingerprint,
    }
    assert len(prints) == 4


def test_too_many_blocks_keep_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "BYTES", 1)
    made = build(timed(), time_column="when")
    assert made.reference.blocks == 8
    assert made.reference.summary.rows == 4000
    assert any("newest 8" in note for note in made.reference.provenance.notes)


def test_rows_without_time_are_said() -> None:
    data = timed()
    times = data["when"].cast(pa.int64()).to_numpy()
    holes = pa.array(times, pa.int64(), mask=np.arange(4000) % 40 == 0).cast(pa.timestamp("s"))
    made = build(data.set_column(0, "when", holes), time_column="when")
    assert made.reference.summary.rows == 3900
    assert any("100 rows" in note for note in made.reference.provenance.notes)


def test_many_levels_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from driftwatch.reference import _cells

    monkeypatch.setattr(_cells, "MAX_LEVELS", 2)
    made = build(timed(), time_column="when")
    grid = made.reference.plan.grids["city"]
    assert isinstance(grid, LevelGrid)
    assert grid.levels == ("a", "b")
    assert made.reference.summary.counts["city"].cells[-1] > 0
    assert any("unseen" in note for note in made.reference.provenance.notes)


@pytest.mark.parametrize(
    ("table", "kwargs", "words"),
    [
        (timed().slice(0, 0), {}, "expected rows"),
        (timed(), {"time_column": "whne"}, 'Did you mean "when"'),
        (timed(), {"time_column": "city"}, "expected timestamps"),
        (timed(), {"segment_by": {"column": "cty"}}, 'Did you mean "city"'),
        (timed().select(["when"]), {"time_column": "when"}, "at least one column to watch"),
        (pa.table({"a": np.ones(50)}), {}, "the same value in every row"),
    ],
)
def test_refusals_name_what_to_do(table: pa.Table, kwargs: dict[str, object], words: str) -> None:
    with pytest.raises(ReferenceUnusable, match=words) as raised:
        build(table, **kwargs)
    assert "memory" in str(raised.value)


def test_an_override_of_an_unknown_column_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r'Did you mean "items"'):
        build(timed(), columns={"itms": {"role": "ignore"}})


def test_set_aside_columns_are_told_with_reasons() -> None:
    data = timed().append_column("order_id", pa.array(np.arange(4000)))
    aside = build(data, time_column="when").reference.provenance.set_aside
    assert [(column.name, column.role) for column in aside] == [("order_id", Role.ID)]
    assert aside[0].reason


def test_hostile_names_and_values() -> None:
    names = ["a\nb", "", "${HOME}", "<script>", "ü" * 200]
    random = np.random.default_rng(5)
    data = {name: random.normal(size=300) for name in names}
    data["bad"] = pa.array([b"\xff\xfe", b"ok"] * 150, pa.binary()).view(pa.string())
    data["inf"] = np.where(random.random(300) < 0.1, np.inf, random.normal(size=300))
    made = build(pa.table(data))
    assert made.reference.summary.rows == 300
    assert {column.name for column in made.reference.plan.columns} >= set(names)
    assert int(made.reference.summary.counts["bad"].cells[:-1].sum()) == 300
    assert decode_reference(encode_reference(made.reference)).fingerprint == made.reference.fingerprint


def test_flights_build_ninety_days() -> None:
    made = build(flights((1, 2, 3)), chunk=40_000, time_column="time_hour", timezone="America/New_York")
    assert made.reference.blocks == 90
    assert total(made.blocks).rows == made.reference.summary.rows == 80_789
    assert made.reference.plan.projection is not None
    assert len(made.reference.plan.projection.pairs) > 3
