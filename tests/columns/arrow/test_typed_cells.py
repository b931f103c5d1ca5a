"""Values of messages become what the same values in a file are."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from driftwatch.columns.arrow.encode import encode
from driftwatch.columns.arrow.typed_cells import typed_cells
from driftwatch.core.schema import Column, Kind
from driftwatch.summary.batch import Levels

WRONG = "wrong"


def cells_of(kind: Kind, values: list[Any], timezone: str = "UTC") -> list[Any]:
    cells = typed_cells(kind, values, timezone)
    array = cells.array.cast(pa.int64()) if kind is Kind.DATETIME else cells.array
    assert not np.any(cells.wrong_type & array.is_valid().to_numpy(zero_copy_only=False))
    return [
        WRONG if is_wrong else value
        for value, is_wrong in zip(array.to_pylist(), cells.wrong_type.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (Kind.NUMERIC, [1, 2.5, True, None, " 3 ", "", "x"], [1, 2.5, 1, None, 3, None, WRONG]),
        (Kind.NUMERIC, [[], {}, 1], [WRONG, WRONG, 1]),
        (Kind.NUMERIC, [10**400, -(10**400), "1e999", math.inf], [math.inf, -math.inf, math.inf, math.inf]),
        (Kind.NUMERIC, ["\ud800", "1"], [WRONG, 1]),
        (Kind.CATEGORICAL, [3, 3.0, "3", 3.5, True], ["3", "3", "3", "3.5", "true"]),
        (Kind.CATEGORICAL, [None, math.nan], [None, None]),
        (Kind.CATEGORICAL, ["\ud800", [1], {"a": 1}, 10**30], ["\\ud800", WRONG, WRONG, str(10**30)]),
        (Kind.CATEGORICAL, [10**5000], [WRONG]),
        (Kind.BOOLEAN, [True, False, "true", 1, None], ["true", "false", "true", "1", None]),
        (Kind.TEXT, ["é", 12, None, ["x"]], ["é", "12", None, WRONG]),
        (Kind.DATETIME, ["1970-01-02", 86400, 86400.5, None, "soon", True, math.nan, 2**63, [1]],
         [86400 * 10**9, 86400 * 10**9, 86400500000000, None, WRONG, WRONG, None, WRONG, WRONG]),
        (Kind.VECTOR, [[1, 2.5], [], [None], None], [[1, 2.5], [], [None], None]),
        (Kind.VECTOR, [[True], ["1"], 1, {}], [WRONG] * 4),
        (Kind.NUMERIC, [], []),
    ],
)  # fmt: skip
def test_a_value_is_read_by_the_kind_of_its_column(
    kind: Kind, values: list[Any], expected: list[Any]
) -> None:
    assert cells_of(kind, values) == expected


def test_times_without_a_zone_are_in_the_declared_one() -> None:
    values = ["1970-01-02 01:00:00", "1970-01-02T00:00:00Z"]
    assert cells_of(Kind.DATETIME, values, "Europe/Berlin") == [86400 * 10**9] * 2


FILE_VALUES = [0.0, -0.0, 3, 2.5, 1e15, 1e16, -1e308, 5e-324, 10**17, True, False, None]
FILE_TEXTS = ["1", " 2.5 ", "-INF", "nan", "", "x", "é", "2024-01-01", "1700000000", "a\u0000b", None]


@pytest.mark.parametrize("kind", [Kind.NUMERIC, Kind.CATEGORICAL, Kind.TEXT, Kind.DATETIME])
@pytest.mark.parametrize("values", [FILE_VALUES, FILE_TEXTS], ids=["values", "texts"])
def test_a_message_counts_as_a_file_of_its_values(kind: Kind, values: list[Any]) -> None:
    column = Column(name="x", kind=kind)
    for value in values:
        if kind is Kind.TEXT and isinstance(value, float):
            continue  # the length of a number is that of Arrow's text of it
        [message_value] = json.loads(json.dumps([value]))
        cells = typed_cells(kind, [message_value], "UTC")
        decoded, stored = (
            encode(
                pa.RecordBatch.from_arrays([array], ["x"]),
                columns=[column], carried=(), time_column=None, timezone="UTC", segment_column=None,
            ).columns["x"]
            for array in (cells.array, pa.array([value]))
        )  # fmt: skip
        if isinstance(decoded, Levels):
            assert isinstance(stored, Levels)
            shown = [
                [item.levels[code] if code >= 0 else code for code in item.codes]
                for item in (decoded, stored)
            ]
            assert shown[0] == shown[1], value
            continue
        assert not isinstance(stored, Levels)
        is_wrong = stored.wrong_type is not None and bool(stored.wrong_type[0])
        assert bool(cells.wrong_type[0]) == is_wrong, value
        if not is_wrong:
            np.testing.assert_array_equal(decoded.values_with_nan(), stored.values_with_nan())
