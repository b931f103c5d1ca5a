"""One cause is one page: what joins an incident, what is one of its own, and what pages again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.incidents.incident_changes import MAX_OPEN_INCIDENTS, IncidentChanges
from driftwatch.decide.incidents.page_rules import with_pages_elsewhere
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import BROKEN, DRIFT, Incident, PastIncident
from driftwatch.results.results import Breakage, IncidentUpdate, NamedColumn, OtherPage, Reason
from driftwatch.results.streams import Streams

DAY = 86400 * NANOSECONDS
POLICY = Policy(monitor="m", segment=None, pages_per_second=1e-7)


def window(day: int, *broken: str, other_pages: tuple[OtherPage, ...] = ()) -> Measurement:
    return Measurement(
        window=Span(start=day * DAY, end=(day + 1) * DAY),
        rows=500,
        statistics=(),
        streams=Streams.from_list([]),
        breakages=[Breakage(column=name, reason=Reason.COLUMN_ALL_NULL, detail="") for name in broken],
        other_pages=other_pages,
    )


def named(column: str, day: int) -> NamedColumn:
    return NamedColumn(column=column, detector="ks", share=1.0, effect="", onset=day * DAY)


def after(
    day: int,
    incidents: tuple[Incident, ...] = (),
    *broken: str,
    past: tuple[PastIncident, ...] = (),
    other_pages: tuple[OtherPage, ...] = (),
    policy: Policy = POLICY,
) -> IncidentChanges:
    measurement = window(day, *broken, other_pages=other_pages)
    return IncidentChanges(measurement=measurement, policy=policy, incidents=incidents, past=past)


PAGED = after(10).with_moves([named("a", 10)])
OPEN = PAGED.incidents


def test_the_first_move_is_an_incident_and_a_page() -> None:
    (incident,) = PAGED.opened
    assert PAGED.paged == incident.key
    assert not PAGED.again
    assert (incident.kind, incident.columns, incident.moved) == (DRIFT, ("a",), ("a",))
    assert incident.newest_page == 11 * DAY
    assert PAGED.updates == PAGED.updated == ()


@pytest.mark.parametrize("onset", [9, 10, 11, 12])
@pytest.mark.parametrize("day", [12, 20])
def test_what_begins_up_to_two_windows_after_the_page_joins_without_one(onset: int, day: int) -> None:
    """However long it takes to see it."""
    changes = after(day, OPEN).with_moves([named("b", onset)])
    assert changes.paged is None
    assert changes.opened == ()
    assert changes.updates == (IncidentUpdate(key=OPEN[0].key, columns=("b",)),)
    (incident,) = changes.updated
    assert incident.columns == ("a", "b")
    assert incident.onset == min(onset, 10) * DAY
    assert incident.newest_page == 11 * DAY


def test_what_begins_later_is_an_incident_and_a_page_of_its_own() -> None:
    changes = after(13, OPEN).with_moves([named("b", 13)])
    assert [item.columns for item in changes.opened] == [("b",)]
    assert changes.paged == changes.opened[0].key != OPEN[0].key
    assert [item.columns for item in changes.incidents] == [("a",), ("b",)]
    # The newest page counts, however many are open.
    joined = after(16, changes.incidents).with_moves([named("c", 15)])
    assert joined.updates == (IncidentUpdate(key=changes.paged, columns=("c",)),)
    assert after(16, changes.incidents).with_moves([named("c", 16)]).paged is not None


def test_a_window_judged_late_that_ends_before_the_incident_begins_pages_by_itself() -> None:
    assert after(8, OPEN).with_moves([named("b", 8)]).paged is not None
    assert after(9, OPEN).with_moves([named("b", 9)]).paged is not None, "it ends where the incident begins"
    assert after(10, OPEN).with_moves([named("b", 9)]).paged is None


def test_the_same_column_upgrades_drift_to_broken_without_a_page() -> None:
    changes = after(11, OPEN, "a").with_breakages()
    (incident,) = changes.updated
    assert changes.paged is None
    assert (incident.key, incident.kind, incident.broken) == (OPEN[0].key, BROKEN, ("a",))
    assert incident.only_broken == ()
    assert incident.moved == ("a",)
    assert not incident.page_due, "its cause still unfolds"
    # The next window has nothing new to say.
    assert after(12, changes.incidents, "a").with_breakages().updates == ()


@pytest.mark.parametrize(("day", "pages", "due"), [(12, False, False), (13, False, True), (17, True, False)])
def test_what_breaks_later_pages_again_but_not_within_seven_windows(day: int, pages: bool, due: bool) -> None:
    changes = after(day, OPEN, "a").with_breakages()
    assert (changes.paged is not None, changes.again) == (pages, pages)
    assert changes.incidents[0].page_due is due
    assert changes.incidents[0].newest_page == ((day + 1) * DAY if pages else 11 * DAY)


def test_a_page_that_is_due_comes_with_the_seventh_window_if_it_still_is_there() -> None:
    due = after(13, OPEN, "a").with_breakages().incidents
    assert after(16, due).with_due_pages(frozenset({"a"})).paged is None
    changes = after(17, due).with_due_pages(frozenset({"a"}))
    assert changes.again
    assert changes.paged == OPEN[0].key
    assert not changes.incidents[0].page_due
    whole = tuple(replace(item, broken=()) for item in due)
    assert after(17, whole).with_due_pages(frozenset()).paged is None, "nothing is there any more"


def test_a_column_that_breaks_beside_an_incident_is_part_of_its_cause_or_a_page() -> None:
    joined = after(11, OPEN, "b").with_breakages()
    assert joined.paged is None
    assert (joined.incidents[0].kind, joined.incidents[0].only_broken) == (BROKEN, ("b",))
    assert joined.incidents[0].moved == ("a",)
    later = after(20, OPEN, "b").with_breakages()
    assert later.paged == later.opened[0].key
    assert (later.opened[0].kind, later.opened[0].moved) == (BROKEN, ())


def test_what_breaks_and_what_moves_in_one_window_is_one_page() -> None:
    changes = after(10, (), "a").with_breakages().with_moves([named("b", 9)])
    (incident,) = changes.incidents
    assert changes.paged == incident.key
    assert changes.updates == ()
    assert (incident.columns, incident.broken, incident.moved) == (("a", "b"), ("a",), ("b",))


def test_a_further_move_is_an_update_and_a_page_only_where_it_has_grown() -> None:
    moved = after(20, OPEN).with_further_moves([named("a", 20)], frozenset())
    assert moved.updates == (IncidentUpdate(key=OPEN[0].key, columns=("a",)),)
    assert moved.paged is None
    grown = after(20, OPEN).with_further_moves([named("a", 20)], frozenset({"a"}))
    assert (grown.paged, grown.again, grown.updates) == (OPEN[0].key, True, ())
    assert grown.updated == grown.incidents
    soon = after(15, OPEN).with_further_moves([named("a", 15)], frozenset({"a"}))
    assert soon.paged is None
    assert soon.incidents[0].page_due
    muted = tuple(replace(item, muted_until=1 << 60) for item in OPEN)
    again = after(20, muted).with_further_moves([named("a", 20)], frozenset({"a"}))
    assert again.incidents[0].muted_until == 1 << 60, "muted stays muted"


def test_no_window_has_two_pages() -> None:
    two = after(20, OPEN).with_moves([named("b", 20)]).incidents
    changes = after(30, two).with_further_moves([named("a", 30), named("b", 30)], frozenset({"a", "b"}))
    assert changes.paged == two[0].key
    assert changes.updates == (IncidentUpdate(key=two[1].key, columns=("b",)),)
    joined = changes.with_moves([named("c", 30)])
    assert joined.paged == two[0].key
    assert len(joined.incidents) == 2


def test_a_move_joins_what_is_open_in_another_segment_under_its_key() -> None:
    page = OtherPage(key="m-drift-1", paged_at=11 * DAY, onset=10 * DAY)
    changes = after(10, other_pages=(page,)).with_moves([named("a", 10)])
    assert changes.paged is None
    assert changes.opened == ()
    (incident,) = changes.updated
    assert (incident.key, incident.newest_page) == ("m-drift-1", 11 * DAY)
    assert changes.updates == (IncidentUpdate(key="m-drift-1", columns=("a",)),)
    assert after(13, other_pages=(page,)).with_moves([named("a", 13)]).paged is not None
    # A page elsewhere under the same key counts as one: at most one in seven windows.
    paged_elsewhere = replace(page, paged_at=20 * DAY)
    grown = after(21, changes.incidents, other_pages=(paged_elsewhere,)).with_further_moves(
        [named("a", 21)], frozenset({"a"})
    )
    assert grown.paged is None


def full(newest_muted_until: int | None = None) -> tuple[Incident, ...]:
    """As many incidents as are told apart, ten days from page to page; the newest one may be muted."""
    incidents: tuple[Incident, ...] = ()
    for number in range(MAX_OPEN_INCIDENTS):
        incidents = after(10 * number, incidents).with_moves([named(f"c{number}", 10 * number)]).incidents
    assert len(incidents) == MAX_OPEN_INCIDENTS
    return (*incidents[:-1], replace(incidents[-1], muted_until=newest_muted_until))


LAST_PAGE = 10 * (MAX_OPEN_INCIDENTS - 1)


@pytest.mark.parametrize("days", [3, 5, 10])
@pytest.mark.parametrize("broken", [False, True])
def test_beyond_the_bound_another_cause_pages_at_once_under_the_newest_key(days: int, broken: bool) -> None:
    """Within seven windows too: it is another cause, of which nothing would be said."""
    incidents, day = full(), LAST_PAGE + days
    changes = after(day, incidents, *(["x"] if broken else [])).with_breakages()
    if not broken:
        changes = changes.with_moves([named("x", day)])
    assert len(changes.incidents) == MAX_OPEN_INCIDENTS
    assert (changes.paged, changes.again, changes.updates) == (incidents[-1].key, True, ())
    last = changes.incidents[-1]
    assert (last.columns[-1], last.newest_page, last.page_due) == ("x", (day + 1) * DAY, False)
    assert [item.key for item in changes.updated] == [last.key]


def test_beyond_the_bound_what_is_of_the_newest_cause_still_joins_without_a_page() -> None:
    incidents = full()
    changes = after(LAST_PAGE + 9, incidents).with_moves([named("x", LAST_PAGE + 2)])
    assert changes.paged is None
    assert changes.updates == (IncidentUpdate(key=incidents[-1].key, columns=("x",)),)
    assert not changes.incidents[-1].page_due


def test_beyond_the_bound_no_mute_hides_another_cause() -> None:
    incidents = full(newest_muted_until=1 << 60)
    day = LAST_PAGE + 5
    assert after(day, incidents).with_moves([named("x", day)]).paged == incidents[-2].key
    over = full(newest_muted_until=day * DAY)
    assert after(day, over).with_moves([named("x", day)]).paged == over[-1].key
    muted = tuple(replace(item, muted_until=1 << 60) for item in incidents)
    assert after(day, muted).with_moves([named("x", day)]).paged == incidents[-1].key, "it waits for the end"


def test_beyond_the_bound_a_window_before_all_incidents_opens_none() -> None:
    later = tuple(replace(item, onset=item.onset + 100 * DAY) for item in full())
    changes = after(5, later).with_moves([named("x", 5)])
    assert len(changes.incidents) == MAX_OPEN_INCIDENTS
    assert (changes.paged, changes.again) == (later[-1].key, True)
    assert changes.incidents[-1].newest_page == later[-1].newest_page, "no page becomes older"


def test_the_columns_of_a_group_are_one_incident() -> None:
    policy = replace(POLICY, groups={"a": "g", "b": "g"})
    changes = after(10, policy=policy).with_moves([named("b", 10)])
    assert changes.opened[0].columns == ("b", "a")


@pytest.mark.parametrize(("days_away", "absence"), [(5, 5), (35, 35), (36, 0)])
def test_what_returns_is_recurring(days_away: int, absence: int) -> None:
    past = (PastIncident(columns=("a", "b"), loud_until=5 * DAY, absence=0),)
    day = 5 + days_away
    changes = after(day, past=past).with_moves([named("a", day)])
    assert changes.opened[0].absence == absence * DAY
    assert after(day, past=past).with_moves([named("c", day)]).opened[0].absence == 0


WENT = (PastIncident(columns=("a", "b"), loud_until=5 * DAY, absence=0),)


@pytest.mark.parametrize(
    ("columns", "is_recurring"),
    [
        ("a", True),
        ("ab", True),
        ("ax", True),
        ("axy", False),
        ("abxy", True),
        ("abvwxyz", False),
        ("x", False),
    ],
)
def test_it_is_recurring_if_at_least_half_of_its_columns_went_away(columns: str, is_recurring: bool) -> None:
    """Whether one window names them or some join: one column that is back does not keep many others open."""
    at_once = after(15, past=WENT).with_moves([named(name, 15) for name in columns]).incidents
    incidents: tuple[Incident, ...] = ()
    for name in columns:
        incidents = after(15, incidents, past=WENT).with_moves([named(name, 15)]).incidents
    for items in (at_once, incidents):
        (incident,) = items
        assert bool(incident.absence) is is_recurring
        assert incident.absence in (0, 10 * DAY)


def test_what_joins_a_rhythm_of_many_weeks_leaves_its_absence() -> None:
    weekly = replace(OPEN[0], absence=12 * DAY, returned=("a",))
    (incident,) = after(12, (weekly,)).with_moves([named("b", 11)]).incidents
    assert incident.absence == 12 * DAY
    (incident,) = after(12, (incident,)).with_moves([named("c", 11)]).incidents
    assert incident.absence == 0


def test_of_a_window_judged_late_the_newest_page_that_had_begun_counts() -> None:
    """What moves in it while a newer incident is open is of the older cause, and one page at most."""
    newer = after(20, OPEN).with_moves([named("z", 20)])
    joined = after(11, newer.incidents).with_moves([named("b", 11)])
    assert joined.paged is None
    assert [item.key for item in joined.updates] == [OPEN[0].key]
    both = after(15, newer.incidents, "b").with_breakages().with_moves([named("c", 15)])
    assert [item.columns for item in both.opened] == [("b", "c")]
    again = after(18, newer.incidents).with_further_moves([named("a", 18)], frozenset({"a"}))
    assert (again.paged, again.again) == (OPEN[0].key, True)
    both = again.with_moves([named("c", 18)])
    assert (both.paged, both.again, both.opened) == (OPEN[0].key, True, ())


def of_days(window: Measurement, hours: int) -> Measurement:
    """Return the window with a day of 23 or 25 hours, as when clocks change."""
    span = Span(start=window.window.start, end=window.window.start + hours * DAY // 24)
    return replace(window, window=span)


@pytest.mark.parametrize("hours", [23, 24, 25])
def test_days_of_23_and_25_hours_are_windows_like_others(hours: int) -> None:
    def moved(day: int, onset: int) -> IncidentChanges:
        changes = after(day, OPEN)
        return replace(changes, measurement=of_days(changes.measurement, hours)).with_moves(
            [replace(named("b", onset))]
        )

    assert moved(12, 12).paged is None
    assert moved(13, 13).paged is not None
    due = after(13, OPEN, "a").with_breakages().incidents
    for day, pages in ((16, False), (17, True)):
        changes = after(day, due)
        changes = replace(changes, measurement=of_days(changes.measurement, hours))
        assert changes.with_due_pages(frozenset({"a"})).again is pages


def test_a_joint_detector_has_no_page_beside_a_column_that_joins() -> None:
    changes = after(20, OPEN)
    changes = replace(
        changes, measurement=replace(changes.measurement, joint_readers=frozenset({"joint:mmd"}))
    )
    both = changes.with_moves([named("b", 10), named("joint:mmd", 17)])
    assert both.paged is None
    assert both.updates == (IncidentUpdate(key=OPEN[0].key, columns=("b",)),)
    assert changes.with_moves([named("joint:mmd", 17)]).paged is not None


def test_a_broken_column_that_is_seen_to_have_moved_goes_on_as_drift() -> None:
    """Its rows came late: nothing is lost, and no column is in two incidents."""
    broken = after(10, (), "a").with_breakages().incidents
    changes = after(8, broken).with_moves([named("a", 8)])
    assert changes.paged is None
    assert changes.updates == (IncidentUpdate(key=broken[0].key, columns=("a",)),)
    assert [item.moved for item in changes.incidents] == [("a",)]


def test_a_page_of_another_segment_is_one_of_the_incident() -> None:
    due = tuple(replace(item, page_due=True) for item in OPEN)
    page = OtherPage(key=OPEN[0].key, paged_at=21 * DAY, onset=10 * DAY)
    (incident,) = with_pages_elsewhere(due, window(20, other_pages=(page,)))
    assert (incident.newest_page, incident.page_due) == (21 * DAY, False)
    older = replace(page, paged_at=11 * DAY)
    assert with_pages_elsewhere(due, window(20, other_pages=(older,))) == due
