"""Streams of a named column that no page found, and broken columns that come back by half: never blind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.combined_score import with_combined_history
from driftwatch.decide.decision import Decision, decide, learn_block
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.incidents.recentre import uncentred
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import BROKEN, DRIFT, SegmentState
from driftwatch.decide.state_codec import SEGMENT_STATE, decode, encode
from driftwatch.results.results import Breakage, IncidentUpdate, Reason, Score, Shares, State
from driftwatch.results.streams import Streams

DAY = 86400 * NANOSECONDS
POLICY = Policy(monitor="m", segment=None, pages_per_second=1 / (90 * 86400), min_rows=1)
COLUMNS = ("a", "b", "c")
ROWS, NULLS = 600, 0.02
FIRST = 60


def window(
    day: int,
    *,
    shift: float = 0.0,
    nulls: float = NULLS,
    unmeasured: Sequence[str] = (),
    broken: bool = False,
    seed: int = 5,
) -> Measurement:
    """Three columns, each with a score and a share of nulls; ``a`` moves, or a part of it is not measured."""
    rng = np.random.default_rng([seed, day])
    streams: list[Shares | Score] = []
    for name in COLUMNS:
        value, share = 0.1 * float(rng.normal()), NULLS
        if name == "a":
            value, share = value + 0.1 * shift, nulls
        if name != "a" or not (broken or "ks" in unmeasured):
            streams.append(
                Score(detector="ks", column=name, label="location", value=value, floor=0.02, signed=True)
            )
        if name != "a" or "missing" not in unmeasured:
            n_null = ROWS if name == "a" and broken else int(rng.binomial(ROWS, share))
            streams.append(
                Shares(
                    detector="missing",
                    column=name,
                    labels=("null",),
                    successes=np.array([n_null]),
                    trials=np.array([ROWS]),
                    reference=np.array([NULLS]),
                    reference_trials=100 * ROWS,
                )
            )
    fault = Breakage(column="a", reason=Reason.COLUMN_ALL_NULL, detail="")
    return Measurement(
        window=Span(start=day * DAY, end=(day + 1) * DAY),
        rows=ROWS,
        statistics=(),
        streams=Streams.from_list(streams),
        breakages=(fault,) if broken else (),
    )


def learned_state(seed: int = 5) -> SegmentState:
    state = SegmentState(reference="r", configuration="c")
    for day in range(FIRST):
        state = learn_block(state, window(day, seed=seed))
    return with_combined_history(state)


def judged(state: SegmentState, *windows: Measurement) -> list[Decision]:
    decisions = []
    for item in windows:
        decisions.append(decide(state, item, POLICY))
        state = decisions[-1].segment_state
    return decisions


@pytest.mark.parametrize("part", ["ks", "missing"])
def test_a_part_that_the_page_did_not_measure_is_centred_when_it_first_is(part: str) -> None:
    """Else it would stay unwatched until the incident ends."""
    cause = {"shift": 8.0} if part == "missing" else {"nulls": 0.6}
    other = {"nulls": 0.5} if part == "missing" else {"shift": 12.0}
    days = iter(range(FIRST, 200))
    page = judged(learned_state(), *(window(next(days), unmeasured=[part], **cause) for _ in range(3)))
    assert [item.page for item in page].count(True) == 1
    state = page[-1].segment_state
    history = state.scores if part == "ks" else state.shares
    position = history.keys.positions[part, "a", "location" if part == "ks" else ""]
    assert not history.centred[position]

    quiet = judged(state, *(window(next(days), **cause) for _ in range(3)))
    state = quiet[0].segment_state
    assert (state.scores if part == "ks" else state.shares).centred[position], "in its first window"
    assert not any(item.page or item.updates for item in quiet)
    n_windows = 20
    moved = judged(
        quiet[-1].segment_state, *(window(next(days), **(cause | other)) for _ in range(n_windows))
    )
    assert any(item.page or item.updates for item in moved[:10]), "it is watched"


@pytest.mark.parametrize("changes", [{"nulls": 0.5}, {"nulls": 0.15}, {"shift": 8.0}])
def test_a_broken_column_that_comes_back_by_half_goes_on_as_drift(changes: dict[str, float]) -> None:
    """It is one cause: no end in between, and no second page."""
    days = iter(range(FIRST, 200))
    broken = judged(learned_state(), *(window(next(days), broken=True) for _ in range(3)))
    (opened,) = broken[0].opened
    halves = judged(broken[-1].segment_state, *(window(next(days), **changes) for _ in range(12)))
    assert not any(item.page or item.resolved for item in halves)
    assert halves[0].updates == (IncidentUpdate(key=opened.key, columns=("a",)),)
    (incident,) = halves[0].segment_state.incidents
    assert (incident.key, incident.kind, incident.broken, incident.moved) == (opened.key, DRIFT, (), ("a",))
    assert {item.state for item in halves} == {State.DRIFTING}
    assert not any(item.updates for item in halves[1:]), "it is where it was found"
    back = judged(halves[-1].segment_state, *(window(next(days)) for _ in range(30)))
    assert any(item.resolved for item in back)
    assert not any(item.page for item in back)


def test_a_broken_column_that_moves_on_from_where_it_came_back_pages_again() -> None:
    days = iter(range(FIRST, 200))
    broken = judged(learned_state(), *(window(next(days), broken=True) for _ in range(3)))
    halves = judged(broken[-1].segment_state, *(window(next(days), nulls=0.3) for _ in range(8)))
    moved = judged(halves[-1].segment_state, *(window(next(days), nulls=0.8) for _ in range(5)))
    pages = [item for item in moved if item.page]
    assert [(item.again, item.paged) for item in pages] == [(True, broken[0].opened[0].key)]


def test_a_whole_window_that_is_judged_late_leaves_a_breakage_that_goes_on() -> None:
    """Else the next broken window would page a second time."""
    windows = [window(day, broken=True) for day in (FIRST, FIRST + 2)]
    late, following = window(FIRST + 1), window(FIRST + 3, broken=True)
    decisions = judged(learned_state(), *windows, late, following)
    assert [item.page for item in decisions] == [True, False, False, False]
    assert not any(item.resolved for item in decisions)


def test_a_column_of_which_only_other_streams_have_a_centre_is_named_as_unwatched() -> None:
    """Other detectors were configured since: theirs have no history."""
    days = iter(range(FIRST, 200))
    page = judged(learned_state(), *(window(next(days), shift=12.0) for _ in range(2)))
    state = page[-1].segment_state
    assert state.incidents
    assert uncentred(state, window(next(days)).streams) == frozenset()
    others = [
        replace(item, detector="psi") if item.column == "a" and isinstance(item, Score) else item
        for item in window(next(days), unmeasured=["missing"]).streams
    ]
    assert uncentred(state, Streams.from_list(others)) == {"a"}
    assert uncentred(state, Streams.from_list([])) == frozenset(), "it was not measured"


def test_a_broken_incident_of_an_older_version_goes_on_as_it_was() -> None:
    """Version 1 knew neither which columns broke nor the newest page: no page, no end, and never blind."""
    state = judged(learned_state(), window(FIRST, broken=True))[-1].segment_state
    header, arrays = SEGMENT_STATE.unpack(encode(state))
    for item in header["incidents"]:
        for name in ("broken", "only_broken", "paged_at", "loud_until"):
            item.pop(name, None)
    older = replace(SEGMENT_STATE, version=1, migrations=SEGMENT_STATE.migrations[:1])
    upgraded = decode(older.pack(header, arrays))
    broken = judged(upgraded, window(FIRST + 1, broken=True), window(FIRST + 2, broken=True))
    assert not any(item.page or item.resolved or item.updates for item in broken)
    whole = judged(broken[-1].segment_state, window(FIRST + 3))[-1]
    assert [item.key for item in whole.resolved] == [item.key for item in state.incidents]
    half = judged(broken[-1].segment_state, window(FIRST + 3, nulls=0.5))[-1]
    assert (half.page, [item.columns for item in half.updates]) == (False, [("a",)])


def test_a_whole_column_ends_its_breakage_at_once() -> None:
    """Of 200 whole windows at most one in fifty may pass for half whole: fewer than 12 (error 1.5e-4)."""
    n_runs, n_halves = 200, 0
    for seed in range(n_runs // 10):
        state = learned_state(seed)
        for number in range(10):
            day = FIRST + 10 * number
            broken, whole = judged(state, window(day, broken=True, seed=seed), window(day + 1, seed=seed))
            assert [item.kind for item in broken.opened] == [BROKEN]
            n_halves += not whole.resolved
    assert n_halves < 12
