"""When incidents end, and what they wait for until then."""

from __future__ import annotations

from dataclasses import replace

from driftwatch.core.schema import NANOSECONDS
from driftwatch.decide.evalues.policy import QUIET_WINDOWS
from driftwatch.decide.incidents.endings import WindowFindings, ending_of, settle
from driftwatch.decide.segment_state import BROKEN, DRIFT, Incident, PastIncident
from driftwatch.results.results import ColumnEnding

DAY = 86400 * NANOSECONDS
DRIFTED = Incident(
    key="k", kind=DRIFT, columns=("a", "b"), opened_at=11 * DAY, onset=10 * DAY, paged_at=11 * DAY,
    loud_until=11 * DAY,
)  # fmt: skip
BROKE = replace(DRIFTED, kind=BROKEN, columns=("x",), broken=("x",), only_broken=("x",))


def findings(day: int, loud: set[str], broken: frozenset[str] = frozenset()) -> WindowFindings:
    flags = {name: name in loud for name in ("a", "b", "x")}
    return WindowFindings(end=(day + 1) * DAY, length=DAY, out_of_band=flags, returned=flags, broken=broken)


def test_each_column_is_released_after_quiet_windows_in_a_row() -> None:
    incidents, past = (DRIFTED,), ()
    for day, loud in ((11, {"a"}), (12, {"a"}), (13, {"a"})):
        settled = settle(incidents, findings(day, loud), past)
        incidents, past = settled.open, settled.past
    assert [item.columns for item in incidents] == [("a",)]
    assert incidents[0].released == ("b",)
    assert settled.released == {"b"}
    for day in (14, 15):
        settled = settle(settled.open, findings(day, set()), past)
        assert settled.resolved == ()
    settled = settle(settled.open, findings(16, set()), past)
    assert [item.key for item in settled.resolved] == ["k"]
    assert settled.past == (PastIncident(columns=("b", "a"), loud_until=14 * DAY, absence=0),)


def test_broken_ends_with_the_first_whole_window() -> None:
    broken = settle((BROKE,), findings(11, set(), frozenset({"x"})))
    assert broken.open[0].columns == ("x",)
    whole = settle(broken.open, findings(12, set()))
    assert [item.key for item in whole.resolved] == ["k"]
    assert whole.past == (), "breakage has no rhythm"


def test_a_drift_that_broke_goes_on_as_drift_when_it_is_whole() -> None:
    upgraded = replace(DRIFTED, kind=BROKEN, columns=("a",), broken=("a",))
    settled = settle((upgraded,), findings(12, {"a"}))
    (incident,) = settled.open
    assert (incident.kind, incident.broken, incident.columns) == (DRIFT, (), ("a",))


def test_what_was_not_measured_stays() -> None:
    unmeasured = WindowFindings(end=12 * DAY, length=DAY, out_of_band={}, returned={}, broken=frozenset())
    incident = replace(DRIFTED, quiet=(2, 2))
    assert settle((incident,), unmeasured).open[0].columns == ("a", "b")


def test_a_window_judged_late_says_nothing_of_what_began_after_it() -> None:
    assert settle((DRIFTED,), findings(9, set())).open == (DRIFTED,)


def test_what_is_recurring_ends_after_twice_its_longest_absence() -> None:
    """A shift of Saturdays and Sundays: five days away, each week; a holiday week of twelve."""
    incident = replace(DRIFTED, columns=("a",), absence=5 * DAY, onset=0, loud_until=2 * DAY)
    incidents = (incident,)
    for day in range(2, 30):
        settled = settle(incidents, findings(day, {"a"} if day % 7 in (0, 1) else set()))
        incidents = settled.open
        assert settled.resolved == ()
    assert incidents[0].absence == 5 * DAY
    assert incidents[0].loud_until == 30 * DAY
    for day in range(30, 39):
        settled = settle(incidents, findings(day, set()))
        incidents = settled.open
    ending = ending_of(incidents[0], 39 * DAY, DAY)
    assert ending.recurring
    assert ending.columns == (ColumnEnding(column="a", quiet=9, needed=10),)
    settled = settle(incidents, findings(39, set()))
    assert [item.key for item in settled.resolved] == ["k"]
    assert settled.past == (PastIncident(columns=("a",), loud_until=30 * DAY, absence=5 * DAY),)


def test_a_longer_absence_is_remembered() -> None:
    incident = replace(DRIFTED, columns=("a",), absence=5 * DAY, onset=0, loud_until=2 * DAY)
    settled = settle((incident,), findings(10, {"a"}))
    assert settled.open[0].absence == 8 * DAY


def test_past_incidents_are_forgotten_after_five_weeks() -> None:
    past = (PastIncident(columns=("a",), loud_until=2 * DAY, absence=0),)
    assert settle((), findings(36, set()), past).past == past
    assert settle((), findings(37, set()), past).past == ()


def test_an_incident_says_how_far_it_is_from_its_end() -> None:
    incident = replace(DRIFTED, columns=("a", "x"), quiet=(2, 0), broken=("x",), only_broken=("x",))
    assert ending_of(incident, 15 * DAY, DAY).columns == (
        ColumnEnding(column="a", quiet=2, needed=QUIET_WINDOWS),
        ColumnEnding(column="x", quiet=0, needed=1, broken=True),
    )


def test_a_window_judged_late_ends_nothing() -> None:
    """Newer windows have been judged: a whole one of before ends no breakage that goes on."""
    late = replace(findings(12, set()), is_late=True)
    for incident in (BROKE, replace(DRIFTED, quiet=(2, 2))):
        settled = settle((incident,), late)
        assert settled.open == (incident,)
        assert settled.resolved == ()
