"""Building a reference: totals, blocks, determinism, refusals."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_worlds import flights, monitor, timed_rows

from driftwatch.core.schema import NANOSECONDS, Role
from driftwatch.errors import ConfigError, ReferenceUnusable
from driftwatch.reference import ReferenceBuild, build_reference
from driftwatch.reference import _blocks as blocks_module
from driftwatch.summary.grid import LevelGrid, NumericGrid
from driftwatch.summary.serial import decode_reference, encode_reference, fingerprint_reference
from driftwatch.summary.summary import total

SEGMENTED = {"segment_by": {"column": "city", "most": 2}}


def build(
    table: pa.Table, *, chunk: int = 1000, row_sample: bool = False, **kwargs: object
) -> ReferenceBuild:
    return build_reference(
        monitor(**kwargs),
        lambda: table.to_batches(max_chunksize=chunk),
        built_at=5,
        source="memory",
        files=1,
        row_sample=row_sample,
    )


@pytest.fixture(scope="module")
def segmented_build() -> ReferenceBuild:
    return build(timed_rows(), time_column="when", **SEGMENTED)


@pytest.fixture(scope="module")
def small_build() -> ReferenceBuild:
    return build(timed_rows(1000, 4), time_column="when", **SEGMENTED)


@given(seed=st.integers(0, 10**6), chunk=st.integers(150, 1000))
@settings(max_examples=5, deadline=None)
def test_any_split_and_order_gives_the_same_fingerprint(
    small_build: ReferenceBuild, seed: int, chunk: int
) -> None:
    first_build, data = small_build, timed_rows(1000, 4)
    shuffled_data = data.take(np.random.default_rng(seed).permutation(1000))
    second_build = build(shuffled_data, chunk=chunk, time_column="when", **SEGMENTED)
    assert first_build.reference.fingerprint == second_build.reference.fingerprint
    assert encode_reference(first_build.reference) == encode_reference(second_build.reference)


def test_every_row_is_counted_once(segmented_build: ReferenceBuild) -> None:
    reference, data = segmented_build.reference, timed_rows()
    assert reference.summary.rows == 4000
    for column in reference.plan.columns:
        assert reference.summary.counts[column.name].rows == 4000
    assert reference.summary.counts["amount"].missing == int(np.isnan(data["amount"].to_numpy()).sum())
    grid = reference.plan.grids["city"]
    assert isinstance(grid, LevelGrid)
    counts = dict(zip(grid.levels, reference.summary.counts["city"].cells[:-1].tolist(), strict=True))
    assert counts == data.to_pandas()["city"].value_counts().to_dict()
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    items = reference.plan.grids["items"]
    assert isinstance(items, NumericGrid)
    assert items.exact


def test_whole_days_are_the_blocks_and_sum_to_the_total(segmented_build: ReferenceBuild) -> None:
    assert len(segmented_build.blocks) == segmented_build.reference.blocks == 12
    assert [block.span.start for block in segmented_build.blocks] == sorted(
        block.span.start for block in segmented_build.blocks
    )
    block_total = total(segmented_build.blocks)
    assert block_total.rows == segmented_build.reference.summary.rows
    assert block_total.counts == segmented_build.reference.summary.counts
    assert segmented_build.reference.block_rows == np.median([block.rows for block in segmented_build.blocks])
    assert all(block.sample is None and block.sums is not None for block in segmented_build.blocks)


def test_a_half_day_is_in_the_total_but_no_block() -> None:
    data = timed_rows()
    times = data["when"].cast(pa.int64()).to_numpy()
    noon = times.min() // 86400 * 86400 + 43200
    partial_data = data.filter(pa.array((times >= noon) & (times < noon + 9 * 86400)))
    reference_build = build(partial_data, time_column="when")
    assert reference_build.reference.summary.rows == partial_data.num_rows
    assert reference_build.reference.blocks == 8
    edges = reference_build.reference.summary - total(reference_build.blocks)
    first, last = int(noon) // 86400, int(noon) // 86400 + 9
    day = partial_data["when"].cast(pa.int64()).to_numpy() // 86400
    assert edges.rows == int(((day == first) | (day == last)).sum()) > 0


def test_days_of_another_zone_and_excluded_days(segmented_build: ReferenceBuild) -> None:
    tokyo_build = build(timed_rows(), time_column="when", timezone="Asia/Tokyo")
    assert tokyo_build.reference.blocks == 11
    assert all(block.span.start // NANOSECONDS % 86400 == 15 * 3600 for block in tokyo_build.blocks)
    excluded_build = build(timed_rows(), time_column="when", exclude=["2023-11-16", "2023-11-20"])
    assert excluded_build.reference.blocks == 10
    assert excluded_build.reference.summary.rows == 4000


def test_segments_split_blocks_and_total(segmented_build: ReferenceBuild) -> None:
    reference = segmented_build.reference
    assert reference.plan.segments == (None, "a", "b", "other")
    assert sum(part.rows for part in reference.segments.values()) == 4000
    for name, parts in segmented_build.segment_blocks.items():
        assert total(parts).counts == reference.segments[name].counts
    cities = timed_rows().to_pandas()["city"].value_counts()
    assert reference.segments["other"].rows == cities["c"] + cities["other"]
    assert reference.block_rows is not None
    share = cities["a"] / cities.sum()
    assert reference.for_segment("a").block_rows == pytest.approx(reference.block_rows * share)
    assert reference.for_segment("nowhere").block_rows == reference.block_rows


def test_without_time_there_is_one_summary_and_no_block() -> None:
    data = timed_rows().drop_columns(["when"])
    reference_build = build(data)
    assert reference_build.reference.blocks == 0
    assert reference_build.reference.block_rows is None
    assert reference_build.blocks == ()
    assert reference_build.reference.plan.time_column is None
    assert reference_build.reference.summary.sums is not None
    assert reference_build.reference.summary.sums.rows == 4000
    assert any("timestamps" in note for note in reference_build.reference.provenance.notes)


def test_a_row_sample_is_kept_only_when_asked_for(segmented_build: ReferenceBuild) -> None:
    sample_build = build(timed_rows(), time_column="when", row_sample=True, **SEGMENTED)
    assert segmented_build.reference.summary.sample is None
    assert sample_build.reference.summary.sample is not None
    assert sample_build.reference.summary.sample.size == 1000
    assert sample_build.reference.fingerprint == segmented_build.reference.fingerprint


def test_stored_and_read_back(segmented_build: ReferenceBuild) -> None:
    decoded_reference = decode_reference(encode_reference(segmented_build.reference))
    assert decoded_reference.plan.fingerprint == segmented_build.reference.plan.fingerprint
    assert fingerprint_reference(decoded_reference) == segmented_build.reference.fingerprint
    assert decoded_reference.provenance == segmented_build.reference.provenance


def test_other_data_or_another_model_is_another_reference(segmented_build: ReferenceBuild) -> None:
    data = timed_rows()
    values = data["other"].to_numpy().copy()
    values[7] += 1e-3
    data = data.set_column(2, "other", pa.array(values))
    fingerprints = {
        segmented_build.reference.fingerprint,
        build(data, time_column="when", **SEGMENTED).reference.fingerprint,
        build(timed_rows(), time_column="when", model={"version": "2"}, **SEGMENTED).reference.fingerprint,
        build(timed_rows(), time_column="when").reference.fingerprint,
    }
    assert len(fingerprints) == 4


def test_too_many_blocks_keep_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "MAX_BLOCKS_BYTES", 1)
    reference_build = build(timed_rows(), time_column="when")
    assert reference_build.reference.blocks == 8
    assert reference_build.reference.summary.rows == 4000
    assert any("newest 8" in note for note in reference_build.reference.provenance.notes)


def test_rows_without_time_are_said() -> None:
    data = timed_rows()
    times = data["when"].cast(pa.int64()).to_numpy()
    holes = pa.array(times, pa.int64(), mask=np.arange(4000) % 40 == 0).cast(pa.timestamp("s"))
    reference_build = build(data.set_column(0, "when", holes), time_column="when")
    assert reference_build.reference.summary.rows == 3900
    assert any("100 rows" in note for note in reference_build.reference.provenance.notes)


def test_many_levels_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from driftwatch.reference import _cells

    monkeypatch.setattr(_cells, "MAX_LEVELS", 2)
    reference_build = build(timed_rows(), time_column="when")
    grid = reference_build.reference.plan.grids["city"]
    assert isinstance(grid, LevelGrid)
    assert grid.levels == ("a", "b")
    assert reference_build.reference.summary.counts["city"].cells[-1] > 0
    assert any("unseen" in note for note in reference_build.reference.provenance.notes)


@pytest.mark.parametrize(
    ("table", "kwargs", "words"),
    [
        (timed_rows().slice(0, 0), {}, "expected rows"),
        (timed_rows(), {"time_column": "whne"}, 'Did you mean "when"'),
        (timed_rows(), {"time_column": "city"}, "expected timestamps"),
        (timed_rows(), {"segment_by": {"column": "cty"}}, 'Did you mean "city"'),
        (timed_rows().select(["when"]), {"time_column": "when"}, "at least one feature"),
        (
            pa.table({"a": [{"b": 1.0}] * 50, "id": np.arange(50)}),
            {},
            r"a: not watched: type struct<b: double> .*id: id: ",
        ),
    ],
)
def test_refusals_name_what_to_do(table: pa.Table, kwargs: dict[str, object], words: str) -> None:
    with pytest.raises(ReferenceUnusable, match=words) as error:
        build(table, **kwargs)
    assert "memory" in str(error.value)


def test_an_override_of_an_unknown_column_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r'Did you mean "items"'):
        build(timed_rows(), columns={"itms": {"role": "ignore"}})


def test_set_aside_columns_are_told_with_reasons() -> None:
    data = timed_rows().append_column("order_id", pa.array(np.arange(4000)))
    columns = build(data, time_column="when").reference.provenance.set_aside
    assert [(column.name, column.role) for column in columns] == [("order_id", Role.ID)]
    assert columns[0].reason


def test_hostile_names_and_values() -> None:
    names = ["a\nb", "", "${HOME}", "<script>", "ü" * 200]
    generator = np.random.default_rng(5)
    data = {name: generator.normal(size=300) for name in names}
    data["bad"] = pa.array([b"\xff\xfe", b"ok"] * 150, pa.binary()).view(pa.string())
    data["inf"] = np.where(generator.random(300) < 0.1, np.inf, generator.normal(size=300))
    reference_build = build(pa.table(data))
    assert reference_build.reference.summary.rows == 300
    assert {column.name for column in reference_build.reference.plan.columns} >= set(names)
    assert int(reference_build.reference.summary.counts["bad"].cells[:-1].sum()) == 300
    assert (
        decode_reference(encode_reference(reference_build.reference)).fingerprint
        == reference_build.reference.fingerprint
    )


def test_flights_build_ninety_days() -> None:
    reference_build = build(
        flights((1, 2, 3)), chunk=40_000, time_column="time_hour", timezone="America/New_York"
    )
    assert reference_build.reference.blocks == 90
    assert total(reference_build.blocks).rows == reference_build.reference.summary.rows == 80_789
    assert reference_build.reference.plan.projection is not None
    assert len(reference_build.reference.plan.projection.pairs) > 3
