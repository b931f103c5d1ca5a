"""Numbers named in gaps: what an edge's cell counted is no new number."""

from __future__ import annotations

import numpy as np
import pytest

from driftwatch.core.schema import Column, Kind, Span
from driftwatch.summary.batch import Batch, Numbers
from driftwatch.summary.grid import NumericGrid
from driftwatch.summary.plan import Plan
from driftwatch.summary.serial import with_fingerprint
from driftwatch.summary.summary import Summary


def named_numbers(
    edges: list[float], values: list[float], data_type: str = "d", *, precision: str = "d"
) -> dict[float, int]:
    grid = NumericGrid(edges=np.array(edges), first=0, last=len(edges) - 1, exact=True, precision=precision)
    plan = with_fingerprint(
        Plan(columns=(Column(name="n", kind=Kind.NUMERIC),), grids={"n": grid}, sample_rows=100)
    )
    array = np.array(values).astype(data_type)
    column = Numbers(values=array.astype("f") if data_type == "e" else array, half=data_type == "e")
    hashes = array.astype(np.float64).view(np.uint64)
    batch = Batch(rows=len(values), columns={"n": column}, content_hashes=hashes)
    tile = Summary.from_batch(plan, batch, Span(start=0, end=1)).seal(plan)
    if "n" not in tile.named:
        return {}
    named = tile.named["n"]
    return dict(zip(named.numbers.tolist(), named.rows.tolist(), strict=True))


@pytest.mark.parametrize("data_type", ["d", "f", "e"])
def test_a_value_of_an_edge_is_not_named_in_whatever_type_it_comes(data_type: str) -> None:
    assert named_numbers([0.1, 0.7], [0.1] * 20 + [0.7] * 20, data_type) == {}


@pytest.mark.parametrize("data_type", ["d", "f", "e"])
def test_a_new_number_beside_such_values_has_all_rows_of_its_gap(data_type: str) -> None:
    assert named_numbers([0.1, 0.7], [0.1] * 20 + [0.5] * 20, data_type) == {0.5: 20}


def test_doubles_that_are_an_edge_in_the_precision_of_the_reference_are_not_named() -> None:
    edge = float(np.float32(0.1))
    assert named_numbers([edge, 0.75], [0.1] * 20 + [0.5] * 6, precision="f") == {0.5: 6}


def test_a_double_close_to_an_edge_without_its_rows_is_named() -> None:
    # As values of 16 bits, 1000.1 would be 1000.
    assert named_numbers([1000.1, 2000.0], [1000.0] * 20 + [1000.1] * 5) == {1000.0: 20}
