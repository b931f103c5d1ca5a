"""What open incidents make of a newest verdict that was decided before they opened."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.core.schema import Span
from driftwatch.decide.incidents.open_verdict import with_open_incidents
from driftwatch.results.results import MoveLimit, Reason, State, Verdict
from driftwatch.store.records import StoredIncident

END = 100
VERDICT = Verdict(
    monitor="m",
    segment=None,
    window=Span(start=90, end=END),
    rows=9,
    state=State.OK,
    reason=Reason.NOTHING_MOVED,
    unchanged=("age", "amount"),
    move_limits=(MoveLimit(column="age", limit=0.1), MoveLimit(column="amount", limit=0.1)),
)


def incident(kind: str = "drift", opened_at: int = 80, segment: str | None = None) -> StoredIncident:
    return StoredIncident(
        key=f"{kind}-{opened_at}", monitor="m", segment=segment, kind=kind, columns=("amount",),
        opened_at=opened_at, onset=70, resolved_at=None, resolution=None, muted_until=None, content="{}",
    )  # fmt: skip


@pytest.mark.parametrize("state", [State.OK, State.CALIBRATING])
def test_a_drift_incident_leaves_no_ok(state: State) -> None:
    verdict = with_open_incidents(replace(VERDICT, state=state), [incident()])
    assert (verdict.state, verdict.reason) == (State.DRIFTING, Reason.INCIDENT_OPEN)
    assert (verdict.incident, verdict.onset, verdict.page) == ("drift-80", 70, False)
    assert verdict.unchanged == ("age",)
    assert [item.column for item in verdict.move_limits] == ["age"]
    assert verdict.detail == "It was opened by rows that came late, in the window to 1970-01-01 00:00 UTC"


@pytest.mark.parametrize(("opened_at", "state"), [(END, State.BROKEN), (END - 10, State.OK)])
def test_a_broken_incident_is_of_its_own_window(opened_at: int, state: State) -> None:
    """The next window tells for itself whether the column is still broken."""
    assert with_open_incidents(VERDICT, [incident("broken", opened_at)]).state is state


def test_incidents_of_other_segments_and_of_blindness_change_nothing() -> None:
    assert with_open_incidents(VERDICT, [incident(segment="a"), incident("blind", END)]) == VERDICT


STATES = st.sampled_from(State)
INCIDENTS = st.lists(
    st.builds(incident, st.sampled_from(["drift", "broken", "blind"]), st.sampled_from([80, END]))
)


@given(state=STATES, reason=st.sampled_from(Reason), incidents=INCIDENTS)
def test_no_incident_makes_a_verdict_healthier(
    state: State, reason: Reason, incidents: list[StoredIncident]
) -> None:
    verdict = replace(VERDICT, state=state, reason=reason)
    current = with_open_incidents(verdict, incidents)
    assert current == verdict or current.state.moved
    assert with_open_incidents(current, incidents) == current
    if state.moved or not state.has_data:
        assert current == verdict, "it says what it found, or that nobody could look"
