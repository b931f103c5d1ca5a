"""What the first screen says, and trends with their usual band."""

from __future__ import annotations

from dataclasses import replace

import example
import pytest

from driftwatch.daemon.status.headline import headline_of
from driftwatch.daemon.status.snapshot import MonitorView
from driftwatch.daemon.status.trends import MIN_BAND_WINDOWS, trends_of
from driftwatch.daemon.web.pages.incident_text import MAX_MOVES, IncidentText, incident_text
from driftwatch.daemon.web.pages.sections import reference_changes
from driftwatch.results import text_format
from driftwatch.results.results import Breakage, Reason, State
from driftwatch.store.browsing import StoredTrend, StoredVersion, StoredWindow


def text_of(view: MonitorView, **changes: object) -> IncidentText:
    segment = view.segments[0]
    assert segment.verdict is not None
    verdict = replace(segment.verdict, **changes)  # type: ignore[arg-type]
    usable_verdict = verdict if verdict.state.has_data else segment.usable_verdict
    segment = replace(segment, verdict=verdict, usable_verdict=usable_verdict)
    view_with_verdict = replace(view, segments=(segment, *view.segments[1:]))
    return incident_text(
        view_with_verdict, segment, headline_of(view_with_verdict, segment, example.NOW), example.NOW
    )


def test_drift() -> None:
    text = text_of(example.drifting())
    assert text.moves[0] == ("dep_delay", "median −2 → 8 min; 24 % more rows above 15")
    assert text.onset == "9 Feb, 5 days ago."
    assert "complete on 11 Feb" in text.certainty
    assert "at most 1 per 90d" in text.certainty
    assert text.unchanged[0] == ("distance", "at most 3.1 %")
    assert len(text.actions) == 2


def test_learning_says_until_when_and_what_pages_already() -> None:
    view = replace(example.drifting(), incidents=())
    assert view.segments[0].verdict is not None
    verdict = replace(
        view.segments[0].verdict, state=State.CALIBRATING, reason=Reason.BURN_IN,
        calibrating_until=example.NOW + 2 * example.DAY, detail="learning until then: breakage pages already",
    )  # fmt: skip
    status = headline_of(view, replace(view.segments[0], verdict=verdict), example.NOW)
    until = text_format.format_date(example.NOW + 2 * example.DAY, example.NOW)
    assert status.kind == text_format.BLIND
    assert status.headline.endswith(f"learning what is usual, until {until}")
    assert status.why == verdict.detail


def test_what_was_acknowledged_is_not_said_to_be_open() -> None:
    view = replace(example.drifting(), incidents=())
    segment = view.segments[0]
    assert segment.verdict is not None
    for named in (segment.verdict.named, ()):
        shown_segment = replace(segment, verdict=replace(segment.verdict, named=named))
        status = headline_of(view, shown_segment, example.NOW)
        assert status.kind == text_format.MOVED, "nobody looked since"
        assert status.headline.endswith("; acknowledged")
        assert "all columns together" not in status.headline
        assert "still open" not in status.why
        text = incident_text(view, shown_segment, status, example.NOW)
        assert text.actions == ("Nothing: it was acknowledged. The next windows are judged anew.",)


def test_todays_effect_of_a_column_paged_before_is_not_told_as_the_move() -> None:
    view = example.drifting()
    assert view.segments[0].verdict is not None
    text = text_of(view, named=(), state=State.DRIFTING)
    effects = [effect for column, effect in text.moves if column]
    assert effects
    assert all(effect.startswith("moved") for effect in effects)


def test_a_joint_incident_names_its_columns_after_its_page() -> None:
    view = example.drifting()
    effects = (("joint:correlation", "corr(dep_delay, visib) 0.80 → -0.82"),)
    incident = replace(view.incidents[0], columns=("joint:correlation", "joint:mmd"), effects=effects)
    text = text_of(replace(view, incidents=(incident,)), reason=Reason.INCIDENT_OPEN, named=())
    assert text.moves == (
        ("", "correlations moved; when it paged: corr(dep_delay, visib) 0.80 → -0.82"),
        ("", "all columns together moved"),
    )


def test_breakage_is_certain_and_long_lists_are_cut() -> None:
    breakages = tuple(
        Breakage(column=f"c{n}", reason=Reason.COLUMN_ALL_NULL, detail="all null") for n in range(20)
    )
    text = text_of(
        example.drifting(), state=State.BROKEN, reason=Reason.COLUMN_ALL_NULL, breakages=breakages, named=()
    )
    assert text.moves[0] == ("c0", "all null")
    assert len(text.moves) == MAX_MOVES
    assert text.more_moves == "and " + ", ".join(f"c{number}" for number in range(MAX_MOVES, 20))
    assert text.onset.endswith("Drift incidents are open beside it: dep_delay, visib, carrier.")
    assert text.certainty.startswith("Certain")
    assert "upstream" in text.actions[0]


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("state", [State.NO_DATA, State.STALE, State.SOURCE_ERROR, State.CALIBRATING])
def test_blindness_is_never_told_as_health(state: State, reason: Reason) -> None:
    text = text_of(example.calm(), state=state, reason=reason, evidence=None)
    assert (text.moves, text.unchanged, text.onset) == ((), (), "")
    assert "of 1" not in text.certainty
    assert len(text.actions) == 1


def test_health_says_what_it_rests_on() -> None:
    text = text_of(example.calm(), smallest_effect=0.06)
    assert text.certainty.startswith(
        "Evidence 0.03 of 1; at 1 it pages, and by chance that happens at most 1 per 90d"
    )
    assert text.certainty.endswith("A shift of 6.0 % of the rows would be seen at once.")
    assert text.actions == ()
    stale_view = replace(example.calm(), interval_seconds=60)
    assert (
        headline_of(stale_view, stale_view.segments[0], example.NOW + example.DAY).kind == text_format.BLIND
    )


def stored_trends(values: list[float | None], states: str, references: str) -> list[StoredTrend]:
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
    trend = trends_of(stored_trends(list(values), "o" * 20 + "u" * 10 + "d" * 3, "a" * 10 + "b" * 23))[
        "x", "ks"
    ]
    assert trend.since == 10
    assert trend.usual is not None
    low, high = trend.usual
    assert 0 < low < 0.02
    assert 0.17 < high < 0.19
    assert trend.values == tuple(values)


def test_few_healthy_windows_make_no_band() -> None:
    trend = trends_of(
        stored_trends([0.1] * (MIN_BAND_WINDOWS - 1) + [None], "o" * MIN_BAND_WINDOWS, "a" * MIN_BAND_WINDOWS)
    )["x", "ks"]
    assert trend.usual is None
    assert trend.values[-1] is None
    assert trends_of([]) == {}


def test_a_reference_changes_where_windows_were_first_decided_with_it() -> None:
    windows = [
        StoredWindow(end=n * 10, state="ok", evidence=0.1, page=False, decided_at=n * 10 + 5)
        for n in range(6)
    ]
    versions = [
        StoredVersion(fingerprint=name, stored_at=stored_at, rebased=rebased)
        for name, stored_at, rebased in (("a", 1, False), ("b", 27, True), ("c", 28, False), ("d", 999, True))
    ]
    assert reference_changes(windows, versions) == [(3, "rebased"), (3, "new reference")]
    assert reference_changes(windows, versions[:1]) == []
