"""The law of values: the same values in another Arrow type give the same counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_worlds import monitor

import driftwatch
from driftwatch.engines.local.count import summarise
from driftwatch.reference.build import build_reference
from driftwatch.summary.counts import Counts
from driftwatch.summary.plan import Plan

Clothes = Callable[[Sequence[Any]], pa.Array]


def as_type(data_type: pa.DataType) -> Clothes:
    return lambda values: pa.array(values, data_type)


def as_decimal(data_type: pa.DataType) -> Clothes:
    return lambda values: pa.array([None if v is None else Decimal(repr(v)) for v in values], data_type)


def as_half(values: Sequence[Any]) -> pa.Array:
    return pa.array([None if value is None else np.float16(value) for value in values], pa.float16())


def as_text(write: Callable[[Any], str]) -> Clothes:
    return lambda values: pa.array([None if value is None else write(value) for value in values])


def in_dictionary(values: Sequence[Any]) -> pa.Array:
    return pa.array(values, pa.float64()).dictionary_encode()


def run_end_encoded(values: Sequence[Any]) -> pa.Array:
    return pc.run_end_encode(pa.array(values, pa.float64()))


def in_unit(whole: pa.DataType, data_type: pa.DataType) -> Clothes:
    return lambda values: pa.array(values, whole).cast(data_type)


UNITS = ("s", "ms", "us", "ns")
NUMBERS: dict[str, Clothes] = {
    "float32": as_type(pa.float32()),
    "float64": as_type(pa.float64()),
    "float16": as_half,
    "decimal64": as_decimal(pa.decimal64(6, 2)),
    "decimal128": as_decimal(pa.decimal128(38, 4)),
    "decimal256": as_decimal(pa.decimal256(50, 2)),
    "dictionary": in_dictionary,
    "run_end": run_end_encoded,
    "text": as_text(repr),
}
WHOLE: dict[str, Clothes] = {
    **NUMBERS,
    "int8": as_type(pa.int8()),
    "uint16": as_type(pa.uint16()),
    "int64": as_type(pa.int64()),
    "text": as_text(str),
}
TRUTHS: dict[str, Clothes] = {
    "bool": as_type(pa.bool_()),
    "int": lambda values: pa.array(values, pa.bool_()).cast(pa.int32()),
    "float": lambda values: pa.array(values, pa.bool_()).cast(pa.int32()).cast(pa.float64()),
    "float32": lambda values: pa.array(values, pa.bool_()).cast(pa.int32()).cast(pa.float32()),
    "True": as_text(str),
    "true": as_text(lambda value: str(value).lower()),
    "t": as_text(lambda value: "t" if value else "f"),
    "1": as_text(lambda value: "1" if value else "0"),
    "1.0": as_text(lambda value: "1.0" if value else "0.0"),
    "dictionary": lambda values: pa.array(values, pa.bool_()).dictionary_encode(),
}
TEXTS: dict[str, Clothes] = {
    "string": as_type(pa.string()),
    "large": as_type(pa.large_string()),
    "view": as_type(pa.string_view()),
    "binary": as_type(pa.binary()),
    "dictionary": lambda values: pa.array(values, pa.string()).dictionary_encode(),
}
DURATIONS: dict[str, Clothes] = {
    **{str(unit): in_unit(pa.duration("s"), pa.duration(unit)) for unit in UNITS},
    "numbers": as_type(pa.float64()),
}
TIMES: dict[str, Clothes] = {
    **{str(unit): in_unit(pa.timestamp("s"), pa.timestamp(unit)) for unit in UNITS},
    "text": lambda values: pa.array(values, pa.timestamp("s")).cast(pa.string()),
}
CASES: dict[str, tuple[dict[str, Clothes], st.SearchStrategy[Any]]] = {
    "numbers": (NUMBERS, st.integers(-999, 999).map(lambda value: value / 100)),
    "whole": (WHOLE, st.integers(0, 120)),
    "codes": (WHOLE, st.sampled_from([1, 7, 50, 101])),
    "truths": (TRUTHS, st.booleans()),
    "constant": (TRUTHS, st.just(value=True)),
    "texts": (TEXTS, st.sampled_from(["a", "007", "7", "true", "1.0", "é"])),
    "durations": (DURATIONS, st.integers(-500, 5000)),
    "times": (TIMES, st.integers(0, 10**9)),
}
SIDES = [(case, reference) for case, (clothes, _) in CASES.items() for reference in clothes]


def is_other_text(case: str, left: str, right: str) -> bool:
    """Texts of truths are the same only where one side has truths: "t" is not "True"."""
    texts = ("True", "true", "t", "1", "1.0")
    return case in ("truths", "constant") and left != right and {left, right} <= set(texts)


def plan_of(array: pa.Array) -> Plan:
    table = pa.table({"birth": array})
    settings_ = {"columns": {"birth": {"role": "feature"}}}
    reference = build_reference(
        monitor(**settings_), table.to_batches, built_at=0, source="memory", files=1
    ).reference
    return reference.plan


def counts(plan: Plan, array: pa.Array) -> Counts:
    batch = pa.RecordBatch.from_arrays([array], names=["birth"])
    return summarise(plan, [batch], [0, 1]).tiles[0, None].counts["birth"]


@pytest.mark.parametrize(("case", "reference"), SIDES)
def test_the_same_values_in_another_type_give_the_same_counts(case: str, reference: str) -> None:
    clothes, values = CASES[case]

    @settings(max_examples=4, deadline=None)
    @given(st.lists(values, min_size=1, max_size=8), st.lists(values, max_size=6), st.booleans())
    def alike(reference_values: list[Any], window_values: list[Any], gaps: bool) -> None:
        rows = [*(reference_values * 30), *([None] * 3 if gaps else [])]
        plan = plan_of(clothes[reference](rows))
        window = [*rows, *window_values]
        expected = counts(plan, clothes[reference](window))
        assert not [
            name
            for name, dress in clothes.items()
            if not is_other_text(case, reference, name) and counts(plan, dress(window)) != expected
        ]

    alike()


@pytest.mark.parametrize(
    ("left", "right"),
    [("float32", "float64"), ("float64", "float32"), ("float64", "float16"), ("decimal128", "float32")],
)
@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_single_and_double_precision_do_not_differ(left: str, right: str, kind: str) -> None:
    tables = [pa.table({"birth": NUMBERS[name]([0.1, 0.2] * 500)}) for name in (left, right)]
    comparison = driftwatch.compare(*tables, columns={"birth": kind})
    statistics = {item.detector: item.value for item in comparison.columns[0].statistics}
    assert not any(statistics.values()), statistics
    assert not comparison.drifted()
    assert [(item.reference, item.window) for item in comparison.type_changes] == [
        (left.removesuffix("128"), right)
    ]


def test_texts_among_texts_stay_what_they_are() -> None:
    plan = plan_of(pa.array(["007", "true"] * 30))
    assert counts(plan, pa.array(["7", "True", "007", "true"])).cells.tolist() == [1, 1, 2]
    assert counts(plan, pa.array([7, 7.5])).cells.tolist() == [1, 0, 1]


def test_whole_numbers_beyond_double_precision_are_met_in_it() -> None:
    settings_ = {"birth": {"kind": "categorical", "role": "feature"}}
    table = pa.table({"birth": [2**60 + 1, 7] * 50})
    plan = build_reference(
        monitor(columns=settings_), table.to_batches, built_at=0, source="memory", files=1
    ).reference.plan
    assert counts(plan, pa.array([float(2**60), 7.0])).cells.tolist() == [1, 1, 0]
