"""The algebra: adding is exact, in any split and any order; subtracting undoes it; bytes carry it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import reduce
from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import examples

from driftwatch.core.codec import pack, pack_nibbles, unpack, unpack_nibbles
from driftwatch.core.hashing import hash_levels, hash_numbers, hash_rows, hash_texts
from driftwatch.core.schema import Column, Kind, Span
from driftwatch.errors import StoreError, SummaryMismatch
from driftwatch.summary import named_rows
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import LevelGrid, numeric_grid
from driftwatch.summary.plan import Plan
from driftwatch.summary.projection import Projection
from driftwatch.summary.serial import (
    decode_plan,
    decode_summary,
    encode_plan,
    encode_summary,
    with_fingerprint,
)
from driftwatch.summary.summary import Summary, total

pytestmark = pytest.mark.soak

SPAN = Span(start=0, end=1)
LEVELS = ("a", "b", "c", "new")

PROJECTION = Projection(
    inputs=np.array([[0, -1], [1, 0], [1, 1]]),
    center=np.array([0.0, 0.5, 0.5]),
    scale=np.array([1.0, 0.5, 0.5]),
    frequencies=np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32),
    pairs=np.array([[0, 1]]),
)
PLAN = with_fingerprint(
    Plan(
        columns=(Column(name="x", kind=Kind.NUMERIC), Column(name="c", kind=Kind.CATEGORICAL)),
        grids={
            "x": numeric_grid(np.array([-1.0, 0.0, 0.0, 2.0, 5.0])),
            "c": LevelGrid(levels=("a", "b", "c")),
        },
        projection=PROJECTION,
        sample_rows=7,
    )
)

values = st.one_of(
    st.sampled_from([0.0, -0.0, 2.0, 5.0, -1.0, np.inf, -np.inf, np.nan, 1e308, 5e-324]),
    st.floats(allow_nan=True, allow_infinity=True, width=64),
)
rows_of = st.lists(st.tuples(values, st.integers(-2, 3)), max_size=60)


def batch(rows: list[tuple[float, int]]) -> Batch:
    x = np.array([row[0] for row in rows], dtype=np.float64)
    codes = np.array([row[1] for row in rows], dtype=np.int32)
    content = hash_rows([hash_numbers(x), hash_levels(codes, LEVELS)], PLAN.salt)
    columns = {"x": Numbers(values=x), "c": Levels(codes=codes, levels=LEVELS)}
    return Batch(rows=len(rows), columns=columns, content_hashes=content)


def summary(rows: list[tuple[float, int]]) -> Summary:
    return Summary.from_batch(PLAN, batch(rows), SPAN)


@settings(max_examples=examples(150), deadline=None)
@given(rows_of, st.randoms(use_true_random=False), st.lists(st.integers(0, 60), max_size=6))
def test_any_split_in_any_order_is_the_same_to_the_bit(
    rows: list[tuple[float, int]], random: object, cuts: list[int]
) -> None:
    whole = summary(rows).seal(PLAN)
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [summary(shuffled[low:high]) for low, high in pairwise(bounds)]
    random.shuffle(parts)  # type: ignore[attr-defined]
    total = reduce(lambda left, right: left + right, parts, Summary.zero(PLAN, SPAN)).seal(PLAN)
    assert encode_summary(total) == encode_summary(whole)


LETTERS = tuple("abcdefghijklmnopq")


def of_levels(codes: list[int], levels: tuple[str, ...]) -> Summary:
    column = Levels(codes=np.array(codes, dtype=np.int32), levels=levels)
    return Summary.from_batch(PLAN, Batch(rows=len(codes), columns={"c": column}), SPAN)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.integers(-2, 16), max_size=60), st.randoms(use_true_random=False), st.integers(1, 5))
def test_levels_without_a_cell_are_counted_exactly_for_any_split_and_order(
    codes: list[int], random: Any, limit: int
) -> None:
    with mock.patch.object(named_rows, "OPEN_LEVELS", limit):
        whole = of_levels(codes, LETTERS)
        shuffled = list(codes)
        random.shuffle(shuffled)
        cuts = sorted(random.randint(0, len(codes)) for _ in range(4))
        parts = []
        for low, high in pairwise([0, *cuts, len(codes)]):
            # Every part has a dictionary of its own.
            order = random.sample(range(len(LETTERS)), len(LETTERS))
            part_codes = [code if code < 0 else order.index(code) for code in shuffled[low:high]]
            parts.append(of_levels(part_codes, tuple(LETTERS[place] for place in order)))
        split = reduce(lambda left, right: left + right, parts, Summary.zero(PLAN, SPAN))
        assert encode_summary(split) == encode_summary(whole) == encode_summary(total(parts))
        assert encode_summary(split.seal(PLAN)) == encode_summary(whole.seal(PLAN))
    unseen = Counter(LETTERS[code] for code in codes if code > 2)
    named = whole.named.get("c")
    assert (named is not None) == bool(unseen)
    if named is not None:
        assert len(named.names) == min(limit, len(unseen))
        assert named.rows.tolist() == [unseen[name] for name in named.names]


def test_a_level_that_takes_a_third_is_named_among_a_thousand_others() -> None:
    levels = ("GIFT_CARD", *(f"level {number}" for number in range(1000)))
    sealed = of_levels([0] * 500 + list(range(1, 1001)), levels).seal(PLAN).named["c"]
    assert len(sealed.names) == named_rows.SEALED_LEVELS
    assert sealed.rows[sealed.names.index("GIFT_CARD")] == 500


def test_sums_of_complete_tiles_do_not_lose_a_level() -> None:
    tiles = [
        of_levels([0, 0, *range(1, 17)], ("GIFT_CARD", *(f"{day} {number}" for number in range(16)))).seal(
            PLAN
        )
        for day in range(200)
    ]
    named = total(tiles).named["c"]
    assert named.rows[named.names.index("GIFT_CARD")] == 400
    assert named == total(tiles[::-1]).named["c"]


def test_a_difference_names_nothing() -> None:
    left, right = of_levels([3, 4], LETTERS), of_levels([3], LETTERS)
    difference = (left + right) - right
    assert difference.named == {}
    assert difference.counts == left.counts


@pytest.mark.parametrize("size", [79, 80, 81, 10_000])
def test_a_long_name_is_cut_and_levels_of_one_beginning_stay_two(size: int) -> None:
    levels = ("x" * size + "1", "x" * size + "2")
    named = of_levels([0, 1, 1], levels).named["c"]
    assert sorted(named.rows.tolist()) == [1, 2]
    assert {len(name) for name in named.names} == {min(size + 1, 80)}


def test_a_frequent_number_inside_a_gap_is_named_with_its_rows() -> None:
    plan = with_fingerprint(replace(PLAN, sample_rows=1000))
    rows = [(-7.5, 0)] * 30 + [(1.0 + k / 1000, 0) for k in range(900)]
    x = np.array([row[0] for row in rows])
    one = Batch(
        rows=len(rows),
        columns={"x": Numbers(values=x)},
        content_hashes=hash_numbers(np.arange(len(rows), dtype=np.float64)),
    )
    sealed = Summary.from_batch(plan, one, SPAN).seal(plan)
    assert sealed.named["x"].numbers.tolist() == [-7.5]
    assert sealed.named["x"].rows.tolist() == [30]
    assert Summary.from_batch(plan, replace(one, content_hashes=None), SPAN).seal(plan).named == {}


def test_a_summary_with_nothing_to_name_has_the_bytes_of_before() -> None:
    assert "named" not in unpack(encode_summary(summary([(0.0, 0), (2.0, 1)])))[0]
    with_levels = of_levels([4, 4, 5], LETTERS)
    header, arrays = unpack(encode_summary(with_levels))
    assert decode_summary(pack(header, arrays)).named == with_levels.named
    del header["named"], arrays["named.keys"], arrays["named.rows"]
    assert decode_summary(pack(header, arrays)) == replace(with_levels, named={})


@settings(max_examples=examples(100), deadline=None)
@given(rows_of, rows_of)
def test_subtracting_undoes_adding(left: list[tuple[float, int]], right: list[tuple[float, int]]) -> None:
    left_summary, right_summary = summary(left), summary(right)
    difference = (left_summary + right_summary) - right_summary
    assert difference.rows == left_summary.rows
    assert difference.counts == left_summary.counts


@settings(max_examples=examples(100), deadline=None)
@given(rows_of)
def test_every_row_is_in_one_place(rows: list[tuple[float, int]]) -> None:
    counted = summary(rows)
    for counts in counted.counts.values():
        assert counts.rows == counted.rows == len(rows)
        assert (counts.cells >= 0).all()
        assert counts.present + counts.missing + counts.wrong_type == len(rows)


@settings(max_examples=examples(100), deadline=None)
@given(rows_of)
def test_bytes_carry_a_summary_unchanged(rows: list[tuple[float, int]]) -> None:
    sealed = summary(rows).seal(PLAN)
    decoded = decode_summary(encode_summary(sealed))
    assert encode_summary(decoded) == encode_summary(sealed)
    assert decoded.counts == sealed.counts
    assert decoded.sample == sealed.sample


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, width=64), min_size=1, max_size=80),
    st.lists(st.floats(allow_nan=False, width=32), max_size=80),
)
def test_values_are_compared_in_the_narrower_precision(reference: list[float], window: list[float]) -> None:
    grid = numeric_grid(np.array(reference + window[:5]))
    single = np.sort(np.array(window, dtype=np.float32))
    narrow_grid = replace(grid, precision="f")
    for values in (single, single.astype(np.float64)):
        assert np.array_equal(grid.count(single), narrow_grid.count(values))
    with np.errstate(over="ignore", under="ignore"):
        rounded = grid.edges.astype(np.float32)
    # A value is at the edge that it equals in single precision, and at no edge beyond its range.
    usable = np.isfinite(rounded) | np.isinf(grid.edges)
    at_an_edge = int(np.isin(single, rounded[usable]).sum())
    assert grid.count(single)[1::2].sum() == at_an_edge


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, width=64), min_size=1, max_size=80),
    st.lists(st.floats(allow_nan=False, width=64), max_size=80),
)
def test_cells_tell_below_from_at_or_below(reference: list[float], window: list[float]) -> None:
    grid = numeric_grid(np.array(reference))
    ordered = np.sort(np.array(window))
    counts = grid.count(ordered)
    assert counts.sum() == len(window)
    for i, edge in enumerate(grid.edges):
        assert counts[: 2 * i + 1].sum() == np.count_nonzero(ordered < edge)
        assert counts[: 2 * i + 2].sum() == np.count_nonzero(ordered <= edge)


def test_edges_do_not_move_with_the_window() -> None:
    grid = numeric_grid(np.linspace(0, 1, 5000))
    edges = grid.edges.copy()
    grid.count(np.array([-1e9, 1e9]))
    assert np.array_equal(grid.edges, edges)
    assert len(grid.edges) > 255
    assert not grid.exact
    assert grid.edges[grid.first] == 0.0
    assert grid.edges[grid.last] == 1.0


def test_summaries_of_different_plans_are_never_added() -> None:
    other_plan = with_fingerprint(replace(PLAN, salt=1))
    with pytest.raises(SummaryMismatch, match="their cells differ"):
        summary([]) + Summary.zero(other_plan, SPAN)


def test_a_sample_is_bounded_and_counts_copies() -> None:
    counted = summary([(float(i % 20), 0) for i in range(200)])
    assert counted.sample is not None
    assert len(counted.sample.hashes) == 7
    assert counted.sample.weights.tolist() == [10] * 7


def test_a_plan_keeps_its_fingerprint_through_the_store() -> None:
    decoded = decode_plan(encode_plan(PLAN))
    assert decoded.fingerprint == PLAN.fingerprint
    assert with_fingerprint(decoded).fingerprint == PLAN.fingerprint


@pytest.mark.parametrize(
    "data", [b"", b"DW1", b"DW1\xff\xff\xff\xff", b"PK\x03\x04" * 9, b"DW1\x04\x00\x00\x00abcd"]
)
def test_damaged_bytes_are_a_clear_error(data: bytes) -> None:
    with pytest.raises(StoreError, match="expected the DW1 format"):
        unpack(data)


@pytest.mark.parametrize("size", [0, 1, 2, 33, 1000])
def test_counts_at_four_bits_each_are_the_same_counts(size: int) -> None:
    counts = np.random.default_rng(size).integers(0, 15, size)
    counts[7::40] = (14, 15, 16, 255, 1 << 40)[size % 5]
    packed = pack_nibbles(counts)
    assert packed is not None
    assert unpack_nibbles(*packed, size).tolist() == counts.tolist()


def test_counts_that_four_bits_do_not_hold_are_stored_as_they_are() -> None:
    assert pack_nibbles(np.arange(100)) is None
    assert pack_nibbles(np.array([0, -1] * 20)) is None


@pytest.mark.parametrize("large", [[], [20, 30, 40]])
def test_counts_with_too_few_or_too_many_in_full_are_damaged(large: list[int]) -> None:
    halves, _ = pack_nibbles(np.array([1, 2, 20, 3] + [0] * 60)) or (None, None)
    assert halves is not None
    with pytest.raises(StoreError, match="store is damaged"):
        unpack_nibbles(halves, np.array(large, dtype=np.int64), 64)


def test_a_summary_stored_with_whole_counts_is_read_as_ever() -> None:
    """As every release before counts took four bits stored it; readers still send it so."""
    whole = summary([(2.0, 0)] * 9)
    assert decode_summary(encode_summary(whole, level=0)) == whole
    assert decode_summary(encode_summary(whole)) == whole


def test_no_object_arrays_are_ever_unpacked() -> None:
    forged = pack({}, {"a": np.arange(3)})
    assert unpack(forged)[1]["a"].tolist() == [0, 1, 2]
    with pytest.raises(StoreError, match="has type"):
        unpack(pack({}, {"a": np.array(["2026-01-01"], dtype="datetime64[D]")}))


def test_absent_columns_are_missing_and_known_as_absent() -> None:
    counts = Counts.from_absent(PLAN.grids["x"], 5)
    assert (counts.missing, counts.absent, counts.present, counts.rows) == (5, 5, 0, 5)


def test_hashes_are_pinned() -> None:
    """Stored samples depend on these numbers: a change here is a change of format."""
    assert [int(item) for item in hash_texts(("", "a", "ab", "\ud800"))] == PINNED_TEXTS
    assert [int(item) for item in hash_numbers(np.array([0.0, -0.0, 1.5, np.nan]))] == PINNED_NUMBERS


PINNED_TEXTS = [16294208416658607535, 3097690853653120715, 13997610641150736214, 127221916658748513]
PINNED_NUMBERS = [16294208416658607535, 16294208416658607535, 15481881892811333770, 7883959562216040225]
