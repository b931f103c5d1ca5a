"""What follows a page, measured on rows: changes are what they say, counts and tables are right.

Seeds are fixed. Shares of random days may differ by five of their standard errors.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from alarms import accepting, report, run, sequence_report, sequences
from alarms.healthy import numbers
from alarms.path import Rows, altered_columns, configure
from alarms.rare_worlds import EVERY, FEW, NULL_WORLDS, RARE_WORLDS
from alarms.sequence_worlds import (
    ALL,
    COLUMNS,
    MIX,
    PAIR,
    QUIET,
    REGION,
    REGIONS,
    SEQUENCES,
    Wanted,
    all_moved,
    flip,
    in_region,
    moved,
    nulls,
    plain,
)
from alarms.tally import Step, Tally, shown_as
from alarms.watch import Watch

from driftwatch.core.schema import Span
from driftwatch.decide.segment_state import DRIFT, Incident
from driftwatch.results.results import IncidentUpdate, NamedColumn, OtherPage, Reason, State, Verdict
from driftwatch.summary.batch import Levels

BUDGET = "1 per 90d"


def rows_of(count: int = 20_000) -> Rows:
    rng = np.random.default_rng(1)
    return plain(rng, count)(rng, 0)


def verdict(**fields: Any) -> Verdict:
    return Verdict(
        monitor="m", segment=None, window=Span(start=0, end=1), rows=1, state=State.OK,
        reason=Reason.NOTHING_MOVED, **fields,
    )  # fmt: skip


def named(column: str, *columns: str) -> NamedColumn:
    return NamedColumn(column=column, detector="ks", share=1.0, effect="", onset=0, columns=columns)


def step(*verdicts: Verdict, new: tuple[str, ...] = (), is_open: bool = True) -> Step:
    return Step(
        verdicts=verdicts, new_keys=new, open_keys=frozenset({"k"} if is_open else ()), ended_keys=frozenset()
    )


def test_changes_are_what_they_say() -> None:
    rows = rows_of()
    usual, flipped = (
        np.corrcoef(numbers(item, "x8"), numbers(item, "x9"))[0, 1] for item in (rows, flip(rows, 0))
    )
    assert usual == pytest.approx(PAIR, abs=0.02)
    assert flipped == pytest.approx(-usual)
    changed = all_moved(0.15, 1.0)(rows, 0)
    sizes = [float((numbers(changed, name) - numbers(rows, name)).mean()) for name in ALL]
    assert (sizes[0], sizes[-1], len(sizes)) == (pytest.approx(1.0), pytest.approx(0.15), COLUMNS)
    assert sizes == sorted(sizes, reverse=True)
    assert altered_columns(rows, all_moved(0.15, 1.0, days=1)(rows, 1)) == set()
    assert np.isnan(numbers(nulls("x0", 0.9)(rows, 0), "x0")).mean() == pytest.approx(0.9)
    parts = [np.isnan(numbers(nulls("x0", 1.0, first_share=0.4)(rows, k), "x0")).mean() for k in range(3)]
    assert parts == [pytest.approx(0.4), 1.0, 1.0]


def test_a_change_in_one_region_leaves_the_others() -> None:
    rows = rows_of()
    shifts = numbers(in_region(moved("x0"), "r3")(rows, 0), "x0") - numbers(rows, "x0")
    values = rows[REGION]
    assert isinstance(values, Levels)
    assert {REGIONS[code] for code in np.unique(values.codes[shifts > 0.5])} == {"r3"}
    assert (shifts > 0.5).mean() == pytest.approx(MIX[-1], abs=0.02)


def test_weekends_are_saturdays_and_sundays_and_months_return() -> None:
    rows = rows_of(10)
    # Window 0 is a Thursday, so day 2 is a Saturday.
    weekend = [
        (QUIET + k) % 7 for k in range(70) if altered_columns(rows, SEQUENCES["weekends"].first(rows, k))
    ]
    assert weekend == [2, 3] * 10
    monthly = [k for k in range(150) if altered_columns(rows, SEQUENCES["monthly"].first(rows, k))]
    assert monthly == [30 * month + day for month in range(5) for day in range(3)]


@pytest.mark.parametrize("world", list(RARE_WORLDS))
def test_rare_events_come_on_few_days_and_to_few_rows(world: str) -> None:
    rng, n_days = np.random.default_rng(2), 1500
    draw = RARE_WORLDS[world].make(rng)
    counts = np.array([rare_rows(draw(rng, t), world) for t in range(n_days)])
    share = 1 / EVERY
    assert abs((counts > 0).mean() - share) < 5 * math.sqrt(share * (1 - share) / n_days)
    assert counts.max() == FEW
    assert (RARE_WORLDS[world].blocks, RARE_WORLDS[world].windows) == (365, 450)


def rare_rows(rows: Rows, world: str) -> int:
    values = rows[list(rows)[-1]]
    if isinstance(values, Levels):
        return int((values.codes >= (3 if world == "rare_unseen" else 1)).sum())
    if world == "rare_nulls":
        return int(np.isnan(values).sum())
    return int((values != np.median(values)).sum())


def test_segments_are_judged_in_plan_order_and_hear_of_the_pages_of_the_others() -> None:
    rng = np.random.default_rng(3)
    draw = plain(rng)
    watch = Watch.learn(configure("1d", BUDGET), [draw(rng, t) for t in range(-8, 0)], column=REGION)
    assert list(watch.segment_states) == list(watch.evaluator.reference.plan.segments)
    verdicts = watch.judge(draw(rng, 0), 0).verdicts
    assert [item.segment for item in verdicts] == [None, "r0", "r1", "r2", "other"]
    assert sum(item.rows for item in verdicts[1:]) == verdicts[0].rows
    for name, paged_at in (("r0", 5), ("r1", None)):
        incident = Incident(
            key="k", kind=DRIFT, columns=("x0",), opened_at=3, onset=2, quiet=(0,), paged_at=paged_at
        )
        watch.segment_states[name] = replace(watch.segment_states[name], incidents=(incident,))
    assert watch.other_pages("r0") == (OtherPage(key="k", paged_at=3, onset=2),)
    assert watch.other_pages(None) == (OtherPage(key="k", paged_at=5, onset=2),)
    heard = {item.segment: item.other_pages for item in watch.judge(draw(rng, 1), 1).verdicts}
    assert heard[None] == (OtherPage(key="k", paged_at=5, onset=2),)


def test_pages_updates_keys_and_open_windows_are_counted() -> None:
    tally = Tally()
    tally.add(step(verdict(page=True, incident="k", named=(named("x0"),)), verdict(), new=("k",)), 0)
    tally.add(step(verdict(updates=(IncidentUpdate(key="k", columns=("x1",)),) * 2)), 1)
    tally.add(step(verdict(page=True, again=True, incident="k", named=(named("x0"),))), 2)
    tally.add(step(verdict(), is_open=False), 3)
    result = tally.result()
    counts = {key: result[key] for key in ("first", "again", "keys", "updates", "open", "windows")}
    assert counts == {"first": 1, "again": 1, "keys": 1, "updates": 2, "open": 3, "windows": 4}
    assert result["pages"] == [(0, "page", None, ["x0"]), (2, "again", None, ["x0"])]


def test_a_cause_shows_as_a_page_or_an_update_that_names_it() -> None:
    names, joint = frozenset({"x8"}), named("joint:correlation", "x8", "x9")
    assert shown_as(step(verdict(page=True, named=(joint,))), names) == "page"
    assert shown_as(step(verdict(page=True, again=True, named=(named("x8"),))), names) == "again"
    assert shown_as(step(verdict(page=True, named=(named("x1"),))), names) == ""
    update = IncidentUpdate(key="k", columns=("joint:correlation",))
    assert shown_as(step(verdict(updates=(update,), named=(joint,))), names) == "update"
    assert shown_as(step(verdict(updates=(replace(update, columns=("x8",)),))), names) == "update"
    assert shown_as(step(verdict(updates=(replace(update, columns=("x2",)),))), names) == ""
    # One verdict pages for another cause and says that this one joined an incident.
    mixed = verdict(page=True, named=(named("x1"), joint), updates=(update,))
    assert shown_as(step(mixed), names) == "update"


RIGHT = {
    "kind": "sequence", "sequence": "other column +10", "number": 0, "budget": BUDGET, "first": 2, "again": 0,
    "keys": 2, "updates": 0, "ends": 0, "open": 45, "windows": 45, "found": 1, "how": "page",
}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [{"first": 3}, {"again": 1}, {"keys": 1}, {"found": 3}, {"found": None, "how": ""}, {"how": "again"}],
)
def test_a_run_is_right_only_in_every_respect(wrong: dict[str, Any]) -> None:
    wanted = SEQUENCES["other column +10"].wanted
    assert sequence_report.is_as_wanted(RIGHT, wanted)
    assert not sequence_report.is_as_wanted({**RIGHT, **wrong}, wanted)
    assert sequence_report.is_as_wanted({**RIGHT, "found": 3}, wanted, within=3)


def test_the_tables_say_what_is_wanted_and_what_is_false() -> None:
    table = "\n".join(sequence_report.sequences([RIGHT, {**RIGHT, "number": 1, "found": None, "how": ""}]))
    assert "1/2  first 2, again 0, keys 2, found as page" in table
    assert " 50% page 1" in table
    assert Wanted(pages=(1, 2), ends=(1, 10_000)).text() == "first 1-2, again 0, keys 1, ends 1+"
    quarter = {**RIGHT, "kind": "open", "world": "ties", "moved": True, "first": 3, "again": 2}
    table = "\n".join(sequence_report.open_nulls([quarter], BUDGET))
    # One of the five pages is of the true cause.
    assert "4.00" in table
    assert "OVER" in table
    assert sequence_report.sequences([]) == []


def test_every_sequence_can_be_named_on_the_command_line() -> None:
    assert [name for name in (*SEQUENCES, *sequences.OPEN_WORLDS) if "," in name] == []


def test_a_piece_of_five_quarters_counts_as_five() -> None:
    options = argparse.Namespace(
        quarters=11, hourly_quarters=0, repeats=1, worlds=["rare_flag"], settings=[], late=[], lines=[],
        sequences=["monthly"], open=["ties"], budget=BUDGET, within=30, no_rivals=True,
    )  # fmt: skip
    results = [{**RIGHT, "kind": "open", "world": "ties", "moved": False, "number": 0}]
    pieces = [(function.__module__, arguments[:2]) for function, arguments in run.pieces(options, results)]
    null_pieces = [item for item in pieces if item[0] == "alarms.nulls"]
    assert null_pieces == [("alarms.nulls", ("rare_flag", number)) for number in range(3)]
    assert ("alarms.sequences", ("monthly", 0)) in pieces
    assert len([item for item in pieces if item[1][0] == "ties"]) == 2 * 11 - 1
    result = {
        "world": "rare_flag", "pages": 1, "windows": 450, "quarters": 5, "calibrating": 0, "settled": 390,
        "calibrating_settled": 0, "named": {}, "rivals": {"alarms": {}, "top": {}},
    }  # fmt: skip
    assert "  5   0.20" in "\n".join(report.nulls([result], BUDGET))
    assert set(run.NULL_WORLDS) == set(NULL_WORLDS)


def test_a_second_cause_long_after_a_page_pages_in_its_first_window() -> None:
    result = sequences.repeat("other column +10", 0, BUDGET)
    assert (result["first"], result["keys"], result["found"], result["how"]) == (2, 2, 1, "page")
    assert result["pages"][0][3] == ["x0"]


@pytest.mark.parametrize("name", ["three all null", "half back"])
def test_a_breakage_is_one_page_whatever_it_comes_back_as(name: str) -> None:
    result = sequences.repeat(name, 0, BUDGET)
    assert sequence_report.is_as_wanted(result, SEQUENCES[name].wanted)


def test_an_owed_window_is_judged_after_the_page() -> None:
    result = sequences.repeat("owed window", 0, BUDGET)
    assert (result["first"], result["keys"], result["found"], result["how"]) == (2, 2, 1, "page")
    assert [item[0] for item in result["pages"]] == [0, 1]


def test_a_null_world_with_one_true_cause_pages_for_it_alone() -> None:
    result = sequences.quarter("independent", 0, BUDGET, True)
    assert (result["first"], result["again"], result["windows"]) == (1, 0, 90)
    assert result["pages"][0][:2] == (sequences.MOVE_AT, "page")


def test_what_is_accepted_is_closed_and_days_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(SEQUENCES["accepted at once"], windows=4, blocks=8)
    monkeypatch.setitem(accepting.SEQUENCES, "accepted at once", short)  # type: ignore[arg-type]
    result = sequences.repeat("accepted at once", 0, BUDGET)
    assert result["windows"] == 4
    assert result["paged_at"] == 0
    assert result["open"] == 1, "accepted on the day of its page"
