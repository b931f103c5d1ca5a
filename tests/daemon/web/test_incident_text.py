"""What the first screen says, and trends with their usual band."""

from __future__ import annotations

from dataclasses import replace

import example
import pytest

from driftwatch.daemon.status.headline import look_at
from driftwatch.daemon.status.history_view import FEWEST, trends_of
from driftwatch.daemon.status.snapshot import MonitorView
from driftwatch.daemon.web.pages.incident_text import MOST_MOVES, Told, tell
from driftwatch.daemon.web.pages.sections import changes
from driftwatch.results import words
from driftwatch.results.results import Breakage, Reason, State
from driftwatch.store.browsing import StoredTrend, StoredVersion, StoredWindow


def told(view: MonitorView, **changed: object) -> Told:
    segment = view.segments[0]
    assert segment.verdict is not None
    verdict = replace(segment.verdict, **changed)  # type: ignore[arg-type]
    looked = verdict if verdict.state.looked else segment.looked
    segment = replace(segment, verdict=verdict, looked=looked)
    shown = replace(view, segments=(segment, *view.segments[1:]))
    return tell(shown, segment, look_at(shown, segment, example.NOW), example.NOW)


def test_drift() -> None:
    said = told(example.drifting())
    assert said.moves[0] == ("dep_delay", "median −2 → 8 min; 24 % more rows above 15")
    assert said.since == "9 Feb, 5 days ago."
    assert "complete on 11 Feb" in said.sure
    assert "at most 1 per 90d" in said.sure
    assert said.unchanged[0] == "distance"
    assert len(said.todo) == 2


def test_what_was_acknowledged_is_not_said_to_be_open() -> None:
    view = replace(example.drifting(), incidents=())
    segment = view.segments[0]
    assert segment.verdict is not None
    for named in (segment.verdict.named, ()):
        shown = replace(segment, verdict=replace(segment.verdict, named=named))
        look = look_at(view, shown, example.NOW)
        assert look.kind == words.MOVED, "nobody looked since"
        assert look.headline.endswith("; acknowledged")
        assert "all columns together" not in look.headline
        assert "still open" not in look.why
        said = tell(view, shown, look, example.NOW)
        assert said.todo == ("Nothing: it was acknowledged. The next windows are judged anew.",)


def test_todays_effect_of_a_column_paged_before_is_not_told_as_the_move() -> None:
    view = example.drifting()
    assert view.segments[0].verdict is not None
    said = told(view, named=(), state=State.DRIFTING)
    effects = [effect for column, effect in said.moves if column]
    assert effects
    assert all(effect.startswith("moved") for effect in effects)


def test_breakage_is_certain_and_long_lists_are_cut() -> None:
    broken = tuple(
        Breakage(column=f"c{n}", reason=Reason.COLUMN_ALL_NULL, detail="all null") for n in range(20)
    )
    said = told(
        example.drifting(), state=State.BROKEN, reason=Reason.COLUMN_ALL_NULL, breakages=broken, named=()
    )
    assert said.moves[0] == ("c0", "all null")
    assert (len(said.moves), said.more_moves) == (MOST_MOVES, 20 - MOST_MOVES)
    assert said.since.endswith("Drift incidents are open beside it: dep_delay, visib, carrier.")
    assert said.sure.startswith("Certain")
    assert "upstream" in said.todo[0]


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("state", [State.NO_DATA, State.STALE, State.SOURCE_ERROR, State.CALIBRATING])
def test_blindness_is_never_told_as_health(state: State, reason: Reason) -> None:
    said = told(example.calm(), state=state, reason=reason, evidence=None)
    assert (said.moves, said.unchanged, said.since) == ((), (), "")
    assert "of 1" not in said.sure
    assert len(said.todo) == 1


def test_health_says_what_it_rests_on() -> None:
    said = told(example.calm(), smallest_effect=0.06)
    assert said.sure.startswith(
        "Evidence 0.03 of 1; at 1 it pages, and by chance that happens at most 1 per 90d"
    )
    assert said.sure.endswith("A shift of 6.0 % of the rows would be seen at once.")
    assert said.todo == ()
    old = replace(example.calm(), interval_seconds=60)
    assert look_at(old, old.segments[0], example.NOW + example.DAY).kind == words.BLIND


def stored(values: list[float | None], states: str, references: str) -> list[StoredTrend]:
    return [
        StoredTrend(
            end=n,
            state="ok" if state == "o" else "drifting",
            reference=reference,
            unchanged=frozenset("x" if state == "u" else ""),
            statistics=({"column": "x", "detector": "ks", "value": value},),
        )
        for n, (value, state, reference) in enumerate(zip(values, states, references, strict=True))
    ]


def test_the_usual_band_is_of_healthy_windows_of_the_same_reference() -> None:
    values = [5.0] * 10 + [n / 100 for n in range(20)] + [9.0] * 3
    found = trends_of(stored(list(values), "o" * 20 + "u" * 10 + "d" * 3, "a" * 10 + "b" * 23))["x", "ks"]
    assert found.since == 10
    assert found.usual is not None
    low, high = found.usual
    assert 0 < low < 0.02
    assert 0.17 < high < 0.19
    assert found.values == tuple(values)


def test_few_healthy_windows_make_no_band() -> None:
    found = trends_of(stored([0.1] * (FEWEST - 1) + [None], "o" * FEWEST, "a" * FEWEST))["x", "ks"]
    assert found.usual is None
    assert found.values[-1] is None
    assert trends_of([]) == {}


def test_a_reference_changes_where_windows_were_first_decided_with_it() -> None:
    windows = [
        StoredWindow(end=n * 10, state="ok", evidence=0.1, page=False, decided_at=n * 10 + 5)
        for n in range(6)
    ]
    versions = [
        StoredVersion(fingerprint=name, stored_at=at, rebased=rebased)
        for name, at, rebased in (("a", 1, False), ("b", 27, True), ("c", 28, False), ("d", 999, True))
    ]
    assert changes(windows, versions) == [(3, "rebased"), (3, "new reference")]
    assert changes(windows, versions[:1]) == []
