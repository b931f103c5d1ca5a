"""The contract of engines: every one counts as the plain engine of the tests does, bit for bit.

Engines are found by name. What an engine does not claim is not asked of it. The battery is itself tried on
engines that break one rule each.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import plain_engine
import plain_sample
import plain_values
import pyarrow as pa
import pytest
from engine_worlds import ListSource, World, source_rows, worlds
from hypothesis import HealthCheck, Phase, given, settings

from driftwatch.core import plugins
from driftwatch.core.schema import Column, Kind, Span
from driftwatch.engines.base import Capability, Counted, Engine, EngineConfig, SourceRows
from driftwatch.errors import SourceUnavailable, TooManyRows
from driftwatch.summary import named_rows
from driftwatch.summary.grid import numeric_grid
from driftwatch.summary.plan import Plan
from driftwatch.summary.serial import encode_summary, with_fingerprint

#: Of each property and engine.
EXAMPLES = 150
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
ENGINES = [*plugins.names("engines"), "plain"]


def module_of(name: str) -> ModuleType:
    return plain_engine if name == "plain" else plugins.load("engines", name)


def config_of(name: str) -> EngineConfig:
    config: EngineConfig = module_of(name).CONFIG(type=name)
    return config


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    engine_name: str = request.param
    return engine_name


@pytest.fixture
def engine(name: str) -> Engine:
    opened: Engine = module_of(name).open_engine(config_of(name))
    return opened


SAMPLING = [name for name in ENGINES if Capability.ROW_SAMPLE in config_of(name).capabilities]


def shown(counted: Counted) -> dict[Any, Any]:
    """All that was counted, summaries as bytes."""
    return {
        **{key: encode_summary(summary) for key, summary in counted.tiles.items()},
        "rows": counted.rows,
        "newest_row": counted.newest_row,
        "outside": counted.outside,
        "untimed": counted.untimed,
        "early_rows": dict(counted.early_rows),
        "future_rows": dict(counted.future_rows),
    }


def check(engine: Engine, world: World, expected: Counted, *, seal: bool = True) -> None:
    """The rows as they are, cut and ordered in another way, and once more."""
    for batches in (world.batches, world.rearranged(), world.batches):
        counted = engine.summarise(world.plan, source_rows(batches), world.edges, seal=seal)
        assert shown(counted) == shown(expected)


def test_it_is_named_as_its_file(name: str) -> None:
    assert get_args(module_of(name).CONFIG.model_fields["type"].annotation) == (name,)
    assert Capability.COUNTS in config_of(name).capabilities


def test_there_is_an_engine_that_only_counts() -> None:
    assert SAMPLING
    assert set(ENGINES) - set(SAMPLING)


def test_counts_are_those_of_plain_counting(engine: Engine) -> None:
    @SETTINGS
    @given(worlds())
    def alike(world: World) -> None:
        check(engine, world, plain_engine.count(world.plan, world.batches, world.edges))

    alike()


@pytest.mark.parametrize("seal", [True, False])
@pytest.mark.parametrize("name", SAMPLING)
def test_samples_and_sums_are_those_of_plain_hashing(engine: Engine, seal: bool) -> None:
    @SETTINGS
    @given(worlds(sampled=True))
    def alike(world: World) -> None:
        expected = plain_sample.count_with_sample(world.plan, world.batches, world.edges, seal=seal)
        check(engine, world, expected, seal=seal)

    alike()


@pytest.mark.parametrize("seal", [True, False])
def test_of_many_levels_without_a_cell_every_engine_keeps_the_same(
    engine: Engine, name: str, seal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, value in {
        "OPEN_LEVELS": 3,
        "SEALED_LEVELS": 2,
        "SEALED_NUMBERS": 1,
        "MIN_NUMBER_ROWS": 2,
    }.items():
        monkeypatch.setattr(named_rows, limit, value)
    count = plain_sample.count_with_sample if name in SAMPLING else plain_engine.count
    full_lists: set[str] = set()

    @SETTINGS
    @given(worlds(sampled=True))
    def alike(world: World) -> None:
        expected = count(world.plan, world.batches, world.edges, seal=seal)
        for tile in expected.tiles.values():
            full_lists.update(
                column for column, rows in tile.named.items() if len(rows.keys) >= (2 if rows.names else 1)
            )
        check(engine, world, expected, seal=seal)

    alike()
    assert "c" in full_lists
    assert ("n" in full_lists) == (seal and name in SAMPLING)


@pytest.mark.parametrize("name", sorted(set(ENGINES) - set(SAMPLING)))
def test_what_it_does_not_claim_it_leaves_out(engine: Engine) -> None:
    @settings(SETTINGS, max_examples=20)
    @given(worlds(sampled=True))
    def without_sample(world: World) -> None:
        counted = engine.summarise(world.plan, source_rows(world.batches), world.edges)
        assert all(tile.sample is None and tile.sums is None for tile in counted.tiles.values())
        check(engine, world, plain_engine.count(world.plan, world.batches, world.edges))

    without_sample()


# The source


PLAN = with_fingerprint(
    Plan(
        columns=(Column(name="n", kind=Kind.NUMERIC),),
        grids={"n": numeric_grid(np.array([0.0, 1.0]))},
        time_column="t",
        sample_rows=0,
    )
)
BATCHES = [pa.RecordBatch.from_pydict({"t": [start, start + 1], "n": [0.0, 1.0]}) for start in (0, 2, 4)]


def test_it_reads_to_the_end_and_the_version_is_no_newer_than_the_rows(engine: Engine) -> None:
    source = ListSource(BATCHES)
    rows = source_rows(source)
    engine.summarise(PLAN, rows, [0, 10**10])
    first_calls = list(source.calls)
    assert rows.version() == "v1"
    assert source.calls == first_calls, "it is known from before or with the rows"
    assert ("read" in source.calls) == ("end" in source.calls) == (rows.reading is not None)


def test_more_rows_than_allowed_are_refused(engine: Engine) -> None:
    assert engine.summarise(PLAN, source_rows(BATCHES, max_rows=6), [0, 10**10]).rows == 6
    with pytest.raises(TooManyRows, match="at most 5 rows in one read"):
        engine.summarise(PLAN, source_rows(BATCHES, max_rows=5), [0, 10**10])


def test_an_error_of_the_source_stays_what_it_is(engine: Engine) -> None:
    with pytest.raises(SourceUnavailable, match="gone"):
        engine.summarise(PLAN, source_rows(ListSource(BATCHES, error=SourceUnavailable("gone"))), [0, 10**10])


@pytest.mark.parametrize("edges", [[], [0], [1, 1], [2, 1], [0, 3, 2]])
def test_edges_that_do_not_increase_are_refused(engine: Engine, edges: list[int]) -> None:
    with pytest.raises(ValueError, match="increas"):
        engine.summarise(PLAN, source_rows(BATCHES), edges)


def test_without_time_there_is_one_tile(engine: Engine) -> None:
    plan = with_fingerprint(replace(PLAN, time_column=None))
    counted = engine.summarise(plan, source_rows(BATCHES), [0, 1])
    assert (counted.rows, counted.newest_row, counted.untimed) == (6, None, 0)
    with pytest.raises(ValueError, match="one tile"):
        engine.summarise(plan, source_rows(BATCHES), [0, 1, 2])


@pytest.mark.parametrize(
    "times",
    [
        pa.array([20240229, 20230229, 202402290230, 20240229023000, 20240229023000123, -20240229]),
        pa.array([20240229.0, 20240229.5, 202402290230.0, None]),
        pa.array(["20240229", "20230229", "202402290230", "20240229 02:30"]),
        pa.array([Decimal("20240229.0"), Decimal("20240229.5")]),
    ],
    ids=lambda times: str(times.type),
)
def test_numbers_that_are_dates_are_the_same_moments(engine: Engine, times: pa.Array) -> None:
    batch = pa.RecordBatch.from_arrays([times, times], ["t", "d"])
    day = 1_709_164_800
    grid = numeric_grid(np.array([day, day + 9000, day + 9000.123, 2 * day]) - 3600.0)
    plan = replace(
        PLAN, columns=(Column(name="d", kind=Kind.DATETIME),), grids={"d": grid}, timezone="Europe/Berlin"
    )
    world = World(plan=with_fingerprint(plan), batches=[batch], edges=[-(10**18), 10**18, 2 * 10**18], seed=1)
    expected = plain_engine.count(world.plan, world.batches, world.edges)
    assert expected.untimed > 0
    assert expected.tiles[10**18, None].counts["d"].cells[2 * grid.first + 1] == 1
    counted = engine.summarise(world.plan, source_rows(world.batches), world.edges)
    assert shown(counted) == shown(expected)


def test_rows_outside_the_history_are_counted_apart(engine: Engine) -> None:
    second = 10**9
    rows = source_rows(BATCHES)
    rows.history = Span(start=second, end=5 * second)
    counted = engine.summarise(PLAN, rows, [2 * second, 4 * second])
    assert (counted.rows, counted.outside, dict(counted.early_rows), dict(counted.future_rows)) == (
        2,
        4,
        {0: 1},
        {0: 1},
    )
    rows = source_rows(BATCHES)
    rows.history = Span(start=3 * second, end=3 * second)
    counted = engine.summarise(PLAN, rows, [0, 10 * second])
    assert (counted.rows, dict(counted.early_rows), dict(counted.future_rows)) == (6, {}, {}), (
        "rows of a tile are in no doubt"
    )


def test_the_first_of_two_columns_of_one_name_counts(engine: Engine) -> None:
    arrays = [pa.array([0, 1]), pa.array([0.0, 0.0]), pa.array([1.0, 1.0])]
    batch = pa.RecordBatch.from_arrays(arrays, ["t", "n", "n"])
    first = pa.RecordBatch.from_arrays(batch.columns[:2], ["t", "n"])
    counted = [engine.summarise(PLAN, source_rows([item]), [0, 10**10]) for item in (batch, first)]
    assert shown(counted[0]) == shown(counted[1])


# What the battery catches: copies of the plain code with one rule broken


def half_open_cells(_: ModuleType) -> Any:
    return lambda edges, value, _precision: 2 * bisect_right(edges, value)


def closed_at_the_end(_: ModuleType) -> Any:
    return bisect_left


def counted_as(kind: str, special: str) -> Callable[[ModuleType], Any]:
    def special_of(broken: ModuleType) -> Any:
        # A copy has classes of its own.
        key = next(item for item in broken.SPECIAL_OF if item.__name__ == kind)
        return {**broken.SPECIAL_OF, key: special}

    return special_of


def without_missing_segments(broken: ModuleType) -> Any:
    whole = broken.segment_of
    return lambda plan, columns, place: (
        whole(plan, columns, place) if plan.segmentation and plan.segmentation.column in columns else None
    )


def without_empty_tiles(broken: ModuleType) -> Any:
    whole = broken.count

    def count(plan: Plan, batches: Sequence[pa.RecordBatch], edges: Sequence[int]) -> Counted:
        counted: Counted = whole(plan, batches, edges)
        return replace(counted, tiles={key: tile for key, tile in counted.tiles.items() if tile.rows})

    return count


def by_the_batch(broken: ModuleType) -> Any:
    """The first value of a batch tells the type of all."""
    whole = broken.value_of

    def value_of(column: Column, array: pa.Array | None, place: int, timezone: str) -> Any:
        value, first = (whole(column, array, index, timezone) for index in (place, 0))
        return value if isinstance(first, type) or isinstance(value, type(first)) else broken.read.WrongType

    return value_of


def as_single_precision(_: ModuleType) -> Any:
    return lambda edges, value, _: plain_engine.cell_of(edges, plain_values.rounded(value, "f"))


def without_copies(broken: ModuleType) -> Any:
    whole = broken.sample_of

    def sample_of(plan: Plan, rows: Iterable[plain_engine.Row]) -> Any:
        sample = whole(plan, rows)
        return replace(sample, weights=np.minimum(sample.weights, 1))

    return sample_of


def first_rows(broken: ModuleType) -> Any:
    whole = broken.sample_of
    return lambda plan, rows: whole(plan, islice(rows, plan.sample_rows))


def unsalted(broken: ModuleType) -> Any:
    whole = broken.row_hash
    return lambda plan, row: whole(replace(plan, salt=0), row)


MUTANTS: dict[str, tuple[ModuleType, str, Callable[[ModuleType], Any]]] = {
    "half-open cells": (plain_engine, "cell_of", half_open_cells),
    "single precision": (plain_engine, "cell_of", as_single_precision),
    "tiles closed at their end": (plain_engine, "bisect_right", closed_at_the_end),
    "absent is null": (plain_engine, "SPECIAL_OF", counted_as("Absent", "null")),
    "NaN is null": (plain_engine, "SPECIAL_OF", counted_as("NotANumber", "null")),
    "wrong type is null": (plain_engine, "SPECIAL_OF", counted_as("WrongType", "null")),
    "no segment without its column": (plain_engine, "segment_of", without_missing_segments),
    "no tile without rows": (plain_engine, "count", without_empty_tiles),
    "types by the batch": (plain_engine, "value_of", by_the_batch),
    "copies count once": (plain_sample, "sample_of", without_copies),
    "first rows as sample": (plain_sample, "sample_of", first_rows),
    "no salt": (plain_sample, "row_hash", unsalted),
}


@dataclass(frozen=True)
class Broken:
    count: Callable[[Plan, list[pa.RecordBatch], Sequence[int]], Counted]

    def summarise(self, plan: Plan, rows: SourceRows, edges: Sequence[int], *, seal: bool = True) -> Counted:
        return self.count(plan, list(rows.batches()), edges)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_an_engine_that_breaks_a_rule_is_caught(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, attribute, change = MUTANTS[mutant]
    spec = importlib.util.spec_from_file_location("broken_engine", str(module.__file__))
    assert spec is not None
    assert spec.loader is not None
    broken = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "broken_engine", broken)
    spec.loader.exec_module(broken)
    setattr(broken, attribute, change(broken))
    sampled = module is plain_sample
    engine = Broken(partial(broken.count_with_sample, seal=True) if sampled else broken.count)

    @settings(SETTINGS, database=None, derandomize=True, phases=[Phase.generate])
    @given(worlds(sampled=sampled))
    def alike(world: World) -> None:
        if sampled:
            expected = plain_sample.count_with_sample(world.plan, world.batches, world.edges, seal=True)
        else:
            expected = plain_engine.count(world.plan, world.batches, world.edges)
        check(engine, world, expected)

    with pytest.raises(AssertionError):
        alike()


@pytest.mark.parametrize(
    "module", [plain_engine, plain_values, plain_sample], ids=lambda module: module.__name__
)
def test_the_plain_engine_shares_no_code_with_the_local_one(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [item.name for node in ast.walk(tree) if isinstance(node, ast.Import) for item in node.names]
    shared = [name for name in names if name.startswith("driftwatch.")]
    allowed = ("driftwatch.core.", "driftwatch.engines.base", "driftwatch.summary.")
    assert [name for name in shared if not name.startswith(allowed)] == []
    assert not {"driftwatch.core.hashing", "driftwatch.core"} & set(names)
