"""One incident over several segments: one row, one message a page, one end, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from daemon_world import World

from driftwatch.config.load import load
from driftwatch.core.schema import Span
from driftwatch.decide.segment_state import Incident, SegmentState
from driftwatch.monitor.evaluation.window_verdict import Decided
from driftwatch.monitor.incident_message import Ending
from driftwatch.monitor.incidents.incident_records import open_segments
from driftwatch.monitor.record import Recorder
from driftwatch.notify.base import Message
from driftwatch.results.results import (
    Breakage,
    ColumnEnding,
    IncidentEnding,
    IncidentUpdate,
    NamedColumn,
    Reason,
    State,
    Verdict,
)
from driftwatch.store.browsing import Browsing
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.outbox import OutboxTable, message_from_json
from driftwatch.store.records import CheckRecord, StoredIncident

DAY = 86_400 * 10**9
START = 1_700_006_400 * 10**9
SEGMENTS = (None, "JFK", "EWR")
KEY = "m-drift-0000000001"


def named(column: str, effect: str = "median 1 → 2") -> NamedColumn:
    return NamedColumn(column=column, detector="ks", share=0.9, effect=effect, onset=START)


def incident(*columns: str, day: int = 1, **changes: Any) -> Incident:
    values = {"key": KEY, "kind": "drift", "onset": START, **changes}
    return Incident(columns=columns, opened_at=START + day * DAY, **values)


@dataclass
class Story:
    """A monitor's windows, a day each, whose decisions are written by hand."""

    database: Database
    recorder: Recorder
    sinks: tuple[str, ...] = ("s",)
    states: dict[str | None, SegmentState] = field(
        default_factory=lambda: {
            segment: SegmentState(reference="r", configuration="c") for segment in SEGMENTS
        }
    )

    @property
    def history(self) -> History:
        return self.recorder.history

    def decided(
        self,
        day: int,
        segment: str | None = None,
        *,
        opened: tuple[Incident, ...] = (),
        updated: tuple[Incident, ...] = (),
        resolved: tuple[str, ...] = (),
        **verdict: Any,
    ) -> Decided:
        window = Span(start=START + (day - 1) * DAY, end=START + day * DAY)
        state, changed = self.states[segment], {item.key: item for item in (*opened, *updated)}
        kept = [changed.pop(item.key, item) for item in state.incidents if item.key not in resolved]
        gone = tuple(item for item in state.incidents if item.key in resolved)
        values = {"state": State.DRIFTING, "reason": Reason.INCIDENT_OPEN, **verdict}
        return Decided(
            verdict=Verdict(monitor="m", segment=segment, window=window, rows=100, **values),
            segment_state=replace(state, incidents=(*kept, *changed.values()), decided_until=window.end),
            opened=opened,
            updated=updated,
            resolved=gone,
        )

    def commit(self, *items: Decided, part: int = 0) -> bool:
        evaluations = self.recorder.with_new_keys({item.verdict.segment: item for item in items})
        window = items[0].verdict.window
        done = self.recorder.commit(
            window,
            window.end,
            evaluations,
            open_in=open_segments(evaluations, SEGMENTS, self.states.__getitem__),
            tiles=[],
            selftest=None,
            part=part,
        )
        if done:
            for segment, item in evaluations.items():
                assert isinstance(item, Decided)
                self.states[segment] = item.segment_state
        return done

    def page(self, *columns: str, day: int = 1, segment: str | None = None, **changes: Any) -> Decided:
        opened = incident(*columns, day=day, **changes)
        return self.decided(
            day,
            segment,
            opened=(opened,),
            page=True,
            incident=opened.key,
            named=tuple(named(column) for column in columns),
        )

    def again(self, day: int, updated: Incident, segment: str | None = None, **verdict: Any) -> Decided:
        values = {"page": True, "again": True, "incident": updated.key, "named": (named("a", "moved to 9"),)}
        return self.decided(day, segment, updated=(updated,), **{**values, **verdict})

    def row(self, key: str = KEY) -> StoredIncident:
        row = self.history.incidents.get(key)
        assert row is not None
        assert not any(count for _, count in self.database.damage.counts()), "its seal is that of its cells"
        return row

    def sent(self) -> list[tuple[str, str]]:
        return [(row["key"], row["kind"]) for row in self.database.query("SELECT * FROM outbox ORDER BY id")]

    def message(self, kind: str) -> Message:
        ((text,),) = self.database.query("SELECT message FROM outbox WHERE kind = ?", (kind,))
        return message_from_json(text)

    def outbox(self, now: int) -> OutboxTable:
        return OutboxTable(self.database, lambda: now)

    def deliver(self, now: int) -> list[str]:
        """Deliver what is due, as it comes; return the titles."""
        outbox, titles = self.outbox(now), []
        while rows := outbox.due(now):
            titles.append(("resolved: " if rows[0].message.resolved else "") + rows[0].message.title)
            outbox.begin_attempt(rows[0].id, now)
            outbox.delivered(rows[0].id, now)
        return titles


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    config = load(World(tmp_path).config).monitors[0]
    database = Database(tmp_path / "history")
    history = History(database)
    recorder = Recorder(config=config, history=history, browsing=Browsing(database), sinks=("s",))
    yield Story(database=database, recorder=recorder)
    database.close()


def test_one_cause_in_three_segments_is_one_row_and_one_message(story: Story) -> None:
    joined = [
        story.decided(
            1, segment, updated=(incident("a", "b"),), named=(named("a"), named("b")),
            updates=(IncidentUpdate(key=KEY, columns=("a", "b")),),
        )
        for segment in ("JFK", "EWR")
    ]  # fmt: skip
    assert story.commit(story.page("a"), *joined)
    row = story.row()
    assert (row.segment, row.segments, row.columns) == (None, SEGMENTS, ("a", "b"))
    assert story.sent() == [(KEY, "firing")]
    message = story.message("firing")
    assert message.title == "m [3 segments]: inputs drifted, a, b"
    assert message.lines == (
        "since 2023-11-15 00:00Z, 100 rows",
        "in 3 segments: all rows, JFK, EWR",
        "a: median 1 → 2 (90% of the evidence)",
        "in JFK, b: median 1 → 2",
    )


def test_what_joins_later_is_written_and_wakes_nobody(story: Story) -> None:
    story.commit(story.page("a"))
    joined = story.decided(
        3, "JFK", updated=(incident("b", day=3),), named=(named("b"),),
        updates=(IncidentUpdate(key=KEY, columns=("b",)),),
    )  # fmt: skip
    story.commit(story.decided(3), joined, story.decided(3, "EWR"))
    row = story.row()
    assert (row.segments, row.columns, row.opened_at) == ((None, "JFK"), ("a", "b"), START + DAY)
    assert story.sent() == [(KEY, "firing")]
    assert message_from_json(row.content).lines[-1] == "later, 2023-11-18 00:00Z in JFK: b: median 1 → 2"
    assert message_from_json(row.content).title == "m [2 segments]: inputs drifted, a, b"


def test_it_ends_once_when_no_segment_holds_it(story: Story) -> None:
    story.commit(
        story.page("a"), *(story.decided(1, name, updated=(incident("a"),)) for name in ("JFK", "EWR"))
    )
    story.commit(story.decided(2, resolved=(KEY,)), story.decided(2, "JFK"), story.decided(2, "EWR"))
    assert (story.row().resolved_at, story.row().segments) == (None, ("JFK", "EWR"))
    # A part of late rows decides some segments only.
    story.commit(story.decided(2, "JFK", resolved=(KEY,), part=1), part=1)
    assert (story.row().resolved_at, story.row().segments) == (None, ("EWR",))
    assert story.sent() == [(KEY, "firing")]
    story.commit(story.decided(5), story.decided(5, "JFK"), story.decided(5, "EWR", resolved=(KEY,)))
    assert story.row().resolution == "quiet"
    assert story.sent() == [(KEY, "firing"), (KEY, "resolved")]
    message = story.message("resolved")
    assert (
        message.ended == "nothing was out of the ordinary for 3 windows in a row, 4 days after the first page"
    )
    assert message.title == "m [3 segments]: inputs drifted, a", "where it ever was"


def test_a_page_again_is_another_message_under_the_same_key(story: Story) -> None:
    story.commit(story.page("a"))
    assert story.deliver(START) == ["m: inputs drifted, a"]
    again = story.again(9, incident("a", paged_at=START + 9 * DAY))
    assert story.commit(again)
    assert not story.commit(again), "decided"
    assert story.sent() == [(KEY, "firing"), (KEY, f"again-{START + 9 * DAY}")]
    message = story.message(f"again-{START + 9 * DAY}")
    assert (message.key, message.again, message.opened_at) == (KEY, True, START + DAY)
    assert message.lines[:3] == (
        "since 2023-11-15 00:00Z, 100 rows",
        "again: it has moved further since 2023-11-23 00:00Z; "
        "its last page was for the window to 2023-11-16 00:00Z",
        "a: moved to 9 (90% of the evidence); at the last page median 1 → 2",
    )
    assert story.deliver(START) == ["m: drifted further, a"]
    (refreshed,) = story.outbox(START).firing("s")
    assert refreshed.message == message, "the newest page stands for the incident"
    story.commit(story.again(17, incident("a", paged_at=START + 17 * DAY)))
    story.commit(story.decided(20, resolved=(KEY,)))
    assert story.deliver(START) == ["resolved: m: inputs drifted, a"], "none waits to be paged"
    assert story.outbox(START).firing("s") == []
    resolved = story.message("resolved")
    assert not resolved.again
    assert [line for line in resolved.lines if line.startswith("later, ")] == [
        "later, 2023-11-24 00:00Z, paged again: a: moved to 9",
        "later, 2023-12-02 00:00Z, paged again: a: moved to 9",
    ]


def test_two_segments_that_page_again_in_one_window_send_one_message(story: Story) -> None:
    story.commit(story.page("a"), story.decided(1, "JFK", updated=(incident("a"),)))
    story.commit(story.again(9, incident("a")), story.again(9, incident("a"), "JFK"))
    assert story.sent() == [(KEY, "firing"), (KEY, f"again-{START + 9 * DAY}")]


def test_of_pages_that_wait_the_newest_is_sent(story: Story) -> None:
    story.commit(story.page("a"))
    for day in (9, 17):
        story.commit(story.again(day, incident("a")))
    titles = ["m: inputs drifted, a", "m: drifted further, a"]
    assert story.deliver(START) == titles


def test_a_mute_holds_a_page_again_and_its_end_drops_it(story: Story) -> None:
    story.commit(story.page("a"))
    story.deliver(START)
    story.history.commit(CheckRecord(monitor="m", now=START, muted=[(KEY, START + 30 * DAY)]))
    story.commit(story.again(9, incident("a", muted_until=START + 30 * DAY)))
    assert story.deliver(START + 9 * DAY) == []
    assert story.outbox(START + 9 * DAY).waiting("s") == 0
    assert len(story.outbox(START + 31 * DAY).due(START + 31 * DAY)) == 1, "it is told after the mute"
    story.commit(story.decided(12, resolved=(KEY,)))
    assert story.deliver(START + 12 * DAY) == ["resolved: m: inputs drifted, a"]
    assert story.deliver(START + 31 * DAY) == []


def test_an_interrupted_page_again_is_not_repeated_after_the_end(story: Story) -> None:
    story.commit(story.page("a"))
    story.deliver(START)
    story.commit(story.again(9, incident("a")))
    (row,) = story.outbox(START).due(START)
    story.outbox(START).begin_attempt(row.id, START)  # and the process dies
    story.commit(story.decided(12, resolved=(KEY,)))
    assert story.deliver(START) == ["resolved: m: inputs drifted, a"]


def test_a_drifting_column_that_breaks_upgrades_its_incident(story: Story) -> None:
    story.commit(story.page("a"))
    broken = incident("a", kind="broken", broken=("a",))
    breakage = Breakage(column="a", reason=Reason.COLUMN_ALL_NULL, detail="all 100 values are null")
    update = (IncidentUpdate(key=KEY, columns=("a",)),)
    story.commit(
        story.decided(2, updated=(broken,), state=State.BROKEN, breakages=(breakage,), updates=update)
    )
    assert (story.row().kind, story.sent()) == ("broken", [(KEY, "firing")])
    assert message_from_json(story.row().content).kind == "drift", "what was sent is what ends"
    story.commit(story.again(9, broken, state=State.BROKEN, breakages=(breakage,), named=()))
    message = story.message(f"again-{START + 9 * DAY}")
    assert message.title == "m: input broken, a"
    assert message.lines == (
        "again: it broke; its last page was for the window to 2023-11-16 00:00Z",
        "a: all 100 values are null",
    )
    assert message.kind == message_from_json(story.row().content).kind == "broken"
    story.commit(story.decided(10, resolved=(KEY,)))
    assert story.message("resolved").kind == "broken"
    assert story.message("resolved").ended == "the values are whole again, 9 days after the first page"


def test_a_held_page_says_since_when_its_column_went_further(story: Story) -> None:
    story.commit(story.page("a", "b"))
    further = replace(named("a", "median 1 → 4"), onset=START + 3 * DAY)
    update = (IncidentUpdate(key=KEY, columns=("a",)),)
    held = incident("a", "b", page_due=True)
    story.commit(story.decided(4, updated=(held,), named=(further,), updates=update))
    due = replace(named("a", "median 1 → 5"), onset=START, share=0.0)
    story.commit(story.again(9, incident("a", "b"), named=(due,)))
    lines = story.message(f"again-{START + 9 * DAY}").lines
    assert lines[1].startswith("again: it has moved further since 2023-11-18 00:00Z; its last page was")
    assert lines[2] == "a: median 1 → 5; at the last page median 1 → 2"
    # The next one is compared with this one, column by column.
    story.commit(story.again(17, incident("a", "b"), named=(named("a", "median 1 → 9"), named("b", "up"))))
    lines = story.message(f"again-{START + 17 * DAY}").lines
    assert lines[1].endswith("since 2023-12-01 00:00Z; its last page was for the window to 2023-11-24 00:00Z")
    assert lines[2].endswith("; at the last page median 1 → 5")
    assert lines[3].endswith("; at the last page median 1 → 2")


def test_a_page_again_names_what_its_window_showed_elsewhere(story: Story) -> None:
    story.commit(story.page("a"), story.decided(1, "JFK", updated=(incident("a"),)))
    update = (IncidentUpdate(key=KEY, columns=("b",)),)
    elsewhere = story.decided(9, "JFK", updated=(incident("a", "b"),), named=(named("b"),), updates=update)
    story.commit(story.again(9, incident("a")), elsewhere)
    assert "in JFK, b: median 1 → 2" in story.message(f"again-{START + 9 * DAY}").lines
    later = [line for line in message_from_json(story.row().content).lines if line.startswith("later, ")]
    assert later == [
        "later, 2023-11-24 00:00Z, paged again: a: moved to 9",
        "later, 2023-11-24 00:00Z in JFK, paged again: b: median 1 → 2",
    ]


def test_many_columns_elsewhere_are_one_line_a_segment(story: Story) -> None:
    names = tuple(f"c{number}" for number in range(6))
    update = (IncidentUpdate(key=KEY, columns=names),)
    joined = story.decided(
        1, "JFK", updated=(incident(*names),), named=tuple(named(name) for name in names), updates=update
    )
    story.commit(story.page("a"), joined)
    assert story.message("firing").lines[-2:] == (
        "in JFK, c0: median 1 → 2",
        "in JFK, also: c1, c2, c3, c4, c5",
    )


def test_what_belongs_to_another_incident_is_no_part_of_the_evidence(story: Story) -> None:
    other = IncidentUpdate(key="m-drift-older", columns=("z",))
    paged = story.decided(
        1, opened=(incident("a", "b"),), page=True, incident=KEY, updates=(other,),
        named=tuple(
            replace(named(name), share=share) for name, share in (("z", 0.98), ("a", 0.01996), ("b", 4e-5))
        ),
    )  # fmt: skip
    story.commit(paged)
    assert story.message("firing").lines[1:] == (
        "a: median 1 → 2 (100% of the evidence)",
        "b: median 1 → 2 (under 1% of the evidence)",
    )


def test_a_page_says_when_it_ends_and_its_end_says_how_it_did(story: Story) -> None:
    ending = IncidentEnding(key=KEY, kind="drift", columns=(ColumnEnding(column="a", quiet=0, needed=3),))
    opened = incident("a")
    story.commit(
        story.decided(1, opened=(opened,), page=True, incident=KEY, named=(named("a"),), endings=(ending,))
    )
    assert story.message("firing").lines[-1] == "ends by itself after 3 quiet windows; so far 0"
    story.commit(story.decided(4, resolved=(KEY,)))
    assert not any(line.startswith("ends by") for line in story.message("resolved").lines)


def test_a_hidden_line_is_never_the_one_on_the_end(story: Story) -> None:
    columns = tuple(f"c{number}" for number in range(12))
    ending = IncidentEnding(
        key=KEY, kind="drift", columns=tuple(ColumnEnding(column=name, quiet=0, needed=3) for name in columns)
    )
    story.commit(
        story.decided(
            1, opened=(incident(*columns),), page=True, incident=KEY, endings=(ending,),
            named=tuple(named(name) for name in columns),
        )
    )  # fmt: skip
    assert story.message("firing").lines[-2:] == (
        "also moved: c4, c5, c6, c7, c8, c9, c10, c11",
        "ends by itself after 3 quiet windows; so far 0",
    )


def test_what_a_person_closed_says_what_they_said(story: Story) -> None:
    story.commit(story.page("a"))
    (message,) = story.recorder.closing_messages(story.row(), START + DAY + DAY // 12, "fixed")
    assert message[:4] == ("s", KEY, "resolved", None)
    assert message_from_json(message[4]).ended == "somebody said that it is fixed, 2 h after the first page"


def test_another_key_is_another_one_wherever_it_is_named(story: Story) -> None:
    story.commit(story.page("a"))
    ended = [(KEY, str(Ending.MONITOR_REMOVED))]
    story.history.commit(CheckRecord(monitor="m", now=START, resolved=ended))
    story.states = {name: replace(state, incidents=()) for name, state in story.states.items()}
    joined = story.decided(
        2, "JFK", updated=(incident("a"),), updates=(IncidentUpdate(key=KEY, columns=("a",)),)
    )
    assert story.commit(story.page("a", day=2), joined)
    assert {item.key for state in story.states.values() for item in state.incidents} == {f"{KEY}-2"}
    verdicts = [story.history.verdicts.get("m", name, START + 2 * DAY) or {} for name in (None, "JFK")]
    assert verdicts[0]["incident"] == verdicts[1]["updates"][0]["key"] == f"{KEY}-2"
    assert story.row(f"{KEY}-2").segments == (None, "JFK")
