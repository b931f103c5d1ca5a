"""What a page names is said in plain words: in the terminal and in messages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftwatch.backtest.page_rate import predict
from driftwatch.backtest.run import Backtest
from driftwatch.cli.output import show_backtest, show_checks, show_pages
from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import Span
from driftwatch.core.settings import Budget
from driftwatch.decide.segment_state import Incident
from driftwatch.monitor.incident_message import message_for, resolved_message
from driftwatch.monitor.incidents.ending_text import update_text
from driftwatch.results.evidence_trail import TrailPoint
from driftwatch.results.results import (
    ColumnEnding,
    IncidentEnding,
    IncidentUpdate,
    NamedColumn,
    OtherPage,
    Reason,
    State,
    Statistic,
    Verdict,
    WatchedColumns,
)
from driftwatch.store.outbox import message_from_json, message_to_json

COMBINED_SCORE = NamedColumn(
    column="joint:mmd", detector="mmd", share=0.6, effect="all columns together: 12 times the usual", onset=0
)
AGE = NamedColumn(column="age", detector="ks", share=0.4, effect="median 41 → 29", onset=0)
PAGE = Verdict(
    monitor="m",
    segment=None,
    window=Span(start=0, end=1),
    rows=9,
    state=State.DRIFTING,
    reason=Reason.EVIDENCE_COMPLETE,
    page=True,
    named=(COMBINED_SCORE, AGE, replace(COMBINED_SCORE, column="joint:volume", effect="")),
)


def test_the_terminal_names_no_keys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    show_pages("1 page(s)", [PAGE])
    text = capsys.readouterr().out
    assert "joint:" not in text
    assert "all columns together: 12 times the usual; age: median 41 → 29; row count: moved" in text


def test_a_backtest_marks_pages_again_and_lists_what_joined(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    update = (IncidentUpdate(key="m-drift-1", columns=("pay", "joint:mmd")),)
    page = replace(PAGE, incident="m-drift-1", named=(AGE,))
    joined = replace(page, segment="JFK", page=False, named=(), updates=update)
    later = replace(joined, window=Span(start=1, end=2))
    elsewhere = replace(later, segment="EWR", updates=(IncidentUpdate(key="m-drift-1", columns=("pay",)),))
    again = replace(page, again=True, window=Span(start=2, end=3))
    of_the_page = replace(
        again, segment="JFK", page=False, again=False, updates=(replace(update[0], columns=("age",)),)
    )
    verdicts = (page, replace(joined, updates=of_the_page.updates), later, elsewhere, again, of_the_page)
    show_backtest(
        Backtest(monitor="m", verdicts=verdicts, prediction=predict(verdicts, Budget(pages=1, period=90)))
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    text = "\n".join(" ".join(line) for line in lines)
    assert "2 pages" in text
    assert "all, JFK" in text
    assert "again: age: median 41 → 29" in text
    assert "1 update of open incidents, without a page" in text
    assert "JFK, EWR m-drift-1 pay, all columns together" in text, "one cause in two segments is one"


def test_a_check_says_what_joined_and_when_an_incident_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    columns = (ColumnEnding(column="age", quiet=1, needed=3), ColumnEnding(column="pay", quiet=0, needed=3))
    verdict = replace(
        PAGE, incident="m-drift-1", again=True,
        updates=(IncidentUpdate(key="m-drift-1", columns=("pay",)),),
        endings=(IncidentEnding(key="m-drift-1", kind="drift", columns=columns),),
    )  # fmt: skip
    show_checks([("m", [verdict])], {})
    text = " ".join(capsys.readouterr().out.split())
    assert "incident m-drift-1, paged again" in text
    assert "updated m-drift-1: pay, without a page" in text
    assert (
        "still open ends by itself after 3 quiet windows; so far 0 (age: back for 1 of 3 windows, "
        "pay: still out of its range)"
    ) in text


def test_every_note_of_a_verdict_is_shown_in_full(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    notes = [
        f"{name}: at rest while an incident is open, since {reason} {'and so on ' * 10}"
        for name, reason in (
            ("correlations", "every pair is"),
            ("all columns", "many are"),
            ("some", "12 are"),
        )
    ]
    show_checks([("m", [replace(PAGE, detail="; ".join(notes))])], {})
    text = " ".join(capsys.readouterr().out.split())
    assert all(" ".join(note.split()) in text for note in notes)


def test_an_update_in_the_window_of_another_segments_page_is_no_update_without_a_page() -> None:
    update = IncidentUpdate(key="k", columns=("age", "joint:mmd"))
    other = OtherPage(key="k", paged_at=PAGE.window.end, onset=0)
    texts = [
        update_text(update, replace(PAGE, page=False, other_pages=pages))
        for pages in ((), (other,), (replace(other, paged_at=0),), (replace(other, key="k2"),))
    ]
    assert texts[1] == ("k: age, all columns together, in the page that another segment sent for this window")
    assert {texts[0], texts[2], texts[3]} == {"k: age, all columns together, without a page"}


@pytest.mark.parametrize(
    ("columns", "title"),
    [
        (("joint:mmd", "age"), "m: inputs drifted, age"),
        (("joint:mmd", "joint:together"), "m: inputs drifted, all columns together"),
        (("joint:volume",), "m: inputs drifted, row count"),
    ],
)
def test_a_message_names_no_keys(columns: tuple[str, ...], title: str) -> None:
    incident = Incident(key="k", kind="drift", columns=columns, opened_at=0, onset=0)
    message = message_for(incident, PAGE, MonitorConfig.model_construct(name="m"), "")
    assert message.title == title
    assert message.lines[0] == f"since 1970-01-01 00:00Z, {PAGE.rows:,} rows"
    # "income" is measured to sort rows into segments, and not watched.
    statistics = [
        Statistic(detector="ks", column=column, value=0.1, unit="") for column in ("age", "pay", "income")
    ]
    counted = replace(PAGE, statistics=tuple(statistics), watched=WatchedColumns(drawn=2, of=2))
    counted_message = message_for(incident, counted, MonitorConfig.model_construct(name="m"), "")
    assert counted_message.title == title.replace("age", "age (1 of 2 columns)")
    assert message.lines[1:] == (
        "all columns together: 12 times the usual (60% of the evidence)",
        "age: median 41 → 29 (40% of the evidence)",
        "row count: moved (60% of the evidence)",
    )


OK_POINT, STALE_POINT = (5, 0.1, "ok", False), (20, None, "stale", False)
NEXT_OK_POINT, LATER_OK_POINT = (20, 0.1, "ok", False), (30, 0.1, "ok", False)
MISSED_TEXT = "it works again; nothing is known about drift in windows that nobody could look at"


@pytest.mark.parametrize(
    ("trail", "by_hand", "line"),
    [
        ((OK_POINT, NEXT_OK_POINT), False, "it works again, and every window was looked at"),
        ((OK_POINT, STALE_POINT, LATER_OK_POINT), False, MISSED_TEXT),
        ((OK_POINT, LATER_OK_POINT), False, MISSED_TEXT),
        ((LATER_OK_POINT,), False, MISSED_TEXT),
        ((), False, MISSED_TEXT),
        ((OK_POINT,), True, "closed by hand: nothing is known about drift until this works again"),
    ],
)
def test_the_end_of_blindness_promises_nothing_it_does_not_know(
    trail: tuple[TrailPoint, ...], by_hand: bool, line: str
) -> None:
    incident = Incident(key="k", kind="blind", columns=(), opened_at=20, onset=10)
    late_verdict = replace(PAGE, state=State.STALE, reason=Reason.SOURCE_BEHIND, detail="it is late")
    firing = message_for(incident, late_verdict, MonitorConfig.model_construct(name="m"), "", trail)
    assert firing.lines == ("it is late", "nothing is known about drift until this works again")
    resolved = message_from_json(resolved_message(message_to_json(firing), 40, trail, by_hand=by_hand))
    assert resolved.lines == ("it is late", line)
    assert (resolved.resolved, resolved.resolved_at, resolved.trail) == (True, 40, trail)


LATE_PART = replace(PAGE, late=True, part=2, rows=1_800, earlier_rows=200, unchanged=("income",))


@pytest.mark.parametrize(
    ("verdict", "line", "anchor"),
    [
        (replace(PAGE, late=True), "judged late: the rows of the window to 1970-01-01 00:00Z came late", ""),
        (
            LATE_PART,
            "judged late: 1,800 rows of the window to 1970-01-01 00:00Z came late, 200 were judged before",
            "#part-2",
        ),
    ],
)
def test_a_page_of_what_came_late_says_so(verdict: Verdict, line: str, anchor: str) -> None:
    incident = Incident(key="k", kind="drift", columns=("age",), opened_at=1, onset=0)
    config = MonitorConfig.model_construct(name="m")
    message = message_for(incident, verdict, config, "https://drift.example")
    assert message.lines[1] == line
    assert message.key == "k"
    assert message.url == f"https://drift.example/monitors/m/windows/1970-01-01T00:00:00Z{anchor}"
    broken = Incident(key="b", kind="broken", columns=("age",), opened_at=1, onset=0)
    assert message_for(broken, verdict, config, "").lines[0] == line
    assert not message_for(incident, PAGE, config, "").lines[1].startswith("judged late")


def test_late_rows_do_not_say_what_did_not_change() -> None:
    incident = Incident(key="k", kind="drift", columns=("age",), opened_at=1, onset=0)
    config = MonitorConfig.model_construct(name="m")
    assert message_for(incident, LATE_PART, config, "").unchanged == ""
    assert (
        message_for(incident, replace(LATE_PART, part=0), config, "").unchanged == "Did not change: income."
    )
