"""Late parts on rows, not counts: a small version of the bench's worlds, seeded.

A healthy quarter pages once at most in expectation. The counts are exact: these seeds give 0. Of rules that
keep the budget, one seed in fifty gives more than 3 (Poisson, mean 1).
"""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from alarms import late, late_report, run
from alarms.late import Judge
from alarms.late_worlds import LATE_WORLDS, MAX_DELAY, order_of_judging, plain
from alarms.path import Monitor, Rows, configure, size

from driftwatch.results.results import Reason, State
from driftwatch.summary.batch import Levels

BUDGET = "1 per 90d"


@pytest.fixture(scope="module")
def monitor() -> Monitor:
    rng = np.random.default_rng(1)
    return Monitor.learn(configure("1d", BUDGET), [plain(rng, 500) for _ in range(28)], sample_rows=200)


def without(rows: Rows, column: str) -> Rows:
    return {**rows, column: np.full(size(rows), np.nan)}


@pytest.mark.parametrize("world", ["late_tenth", "late_device_half", "late_gaps", "late_half_opposite"])
def test_a_healthy_quarter_pages_for_no_late_part(world: str) -> None:
    assert late.quarter(world, 0, BUDGET)["part_pages"] == 0


@pytest.mark.parametrize("rows", ["late half in five", "late 90 % in nine"])
def test_a_shift_pages_in_however_many_parts_it_comes(rows: str) -> None:
    result = late.repeat(rows, 0, BUDGET)
    assert result["prompt"] == 1
    assert result["page"][0] == 1, "on its first day"


def test_one_devices_rows_break_no_column_of_the_window(monitor: Monitor) -> None:
    """Most rows of a day are one device's: one region, no sensor. The day as a whole has others."""
    rng, judge = np.random.default_rng(2), Judge(monitor)
    late_rows = plain(rng, 300)
    region = late_rows["region"]
    assert isinstance(region, Levels)
    late_rows["region"] = Levels(codes=np.zeros(300, dtype=np.int32), levels=region.levels)
    verdicts = judge.day([plain(rng, 200), without(late_rows, "c0")], 0)
    assert verdicts[1].breakages == ()
    assert verdicts[1].state is State.DRIFTING, "three in five values are missing, which none were"


def test_a_late_half_whose_values_are_gone_is_not_ok_without_a_word(monitor: Monitor) -> None:
    rng, judge = np.random.default_rng(3), Judge(monitor)
    (_, part) = judge.day([plain(rng, 250), without(plain(rng, 250), "c1")], 0)
    assert part.page
    assert [item.column for item in part.named] == ["c1"]


def test_a_part_that_can_be_no_evidence_is_not_ok(monitor: Monitor) -> None:
    rng, judge = np.random.default_rng(4), Judge(monitor)
    first = plain(rng, 500)
    judge.window(first, 0)
    judge.state = judge.state.reset()
    part = judge.late_part([first], plain(rng, 500), 0, 1)
    assert (part.state, part.reason) == (State.INSUFFICIENT, Reason.COLUMNS_UNWATCHED)
    assert part.watched is not None
    assert part.watched.drawn == 0


def test_days_come_late_after_newer_ones_and_each_once() -> None:
    order = order_of_judging(np.random.default_rng(5), 90, 1 / 3)
    assert sorted(order) == list(range(90))
    late_by = [max(order[:place], default=0) - day for place, day in enumerate(order)]
    assert 0 < max(late_by) <= MAX_DELAY
    assert 10 < sum(item > 0 for item in late_by) < 45


def test_late_worlds_are_pieces_of_the_bench_and_have_a_table() -> None:
    options = argparse.Namespace(
        quarters=1, hourly_quarters=0, repeats=2, worlds=[], settings=[], late=["late_half", "late half"],
        budget=BUDGET, lines=[], within=30, no_rivals=True, sequences=[], open=[],
    )  # fmt: skip
    null = {
        "kind": "late", "world": "late_half", "number": 0, "budget": BUDGET, "pages": 4, "part_pages": 3,
        "states": {"ok": 9, "drifting": 1},
    }  # fmt: skip
    shift = {
        "kind": "late shift",
        "world": "late half",
        "number": 0,
        "budget": BUDGET,
        "page": [1, 2],
        "prompt": 1,
    }
    assert [arguments[:2] for _, arguments in run.pieces(options, [null])] == [
        ("late half", 0), ("late half", 1),
    ]  # fmt: skip
    assert "OVER" in "\n".join(late_report.late_nulls([null], BUDGET))
    assert "late half" in "\n".join(late_report.late_shifts([shift, {**shift, "page": None}]))
    assert set(run.LATE) == {*LATE_WORLDS, *late.SHIFTED}
