"""When an open incident ends, and how one ended, in words."""

from __future__ import annotations

from typing import Any

import pytest

from driftwatch.core.schema import Span
from driftwatch.decide.segment_state import Incident
from driftwatch.monitor.incidents.ending_text import column_endings, ending_line, ending_texts, how_it_ended
from driftwatch.monitor.incidents.incident_lines import again_line
from driftwatch.notify.base import Message
from driftwatch.results.results import ColumnEnding, IncidentEnding, Reason, State, Verdict

DAY = 86_400
NS = 10**9
QUIET = "nothing was out of the ordinary for 3 windows in a row"


def column(name: str, quiet: int = 0, needed: int = 3, *, broken: bool = False) -> ColumnEnding:
    return ColumnEnding(column=name, quiet=quiet, needed=needed, broken=broken)


@pytest.mark.parametrize(
    ("columns", "recurring", "line", "notes"),
    [
        (
            (column("age", 1), column("pay")),
            False,
            "ends by itself after 3 quiet windows; so far 0",
            ["back for 1 of 3 windows", "still out of its range"],
        ),
        (
            (column("age", 4, 10),),
            True,
            "recurring: ends after it has been away for 10 days; so far 4 days",
            ["away for 4 days of 10 days"],
        ),
        (
            (column("age", 0, 10),),
            True,
            "recurring: ends after it has been away for 10 days; now it is there",
            ["still out of its range"],
        ),
        (
            (*(column(f"c{number}") for number in range(7)), column("pay", 1)),
            False,
            "ends by itself after 3 quiet windows; so far 0",
            ["still out of their range", "back for 1 of 3 windows"],
        ),
        (
            (column("age", 0, 1, broken=True),),
            False,
            "ends by itself with the first whole window",
            ["still broken"],
        ),
        (
            (column("age", 0, 1, broken=True), column("pay", 2)),
            False,
            "ends by itself after 3 quiet windows; so far 2. Its broken columns must be whole then",
            ["still broken", "back for 2 of 3 windows"],
        ),
    ],
)
def test_an_open_incident_says_when_it_ends_and_why_not_yet(
    columns: tuple[ColumnEnding, ...], recurring: bool, line: str, notes: list[str]
) -> None:
    ending = IncidentEnding(key="k", kind="drift", columns=columns, recurring=recurring)
    assert ending_line(ending, DAY) == line
    assert [note for _, note in column_endings(ending, DAY)] == notes


def test_columns_that_wait_for_the_same_are_told_together() -> None:
    columns = (*(column(f"c{number}") for number in range(7)), column("pay", 1))
    ending = IncidentEnding(key="k", kind="drift", columns=columns)
    assert column_endings(ending, DAY) == [
        ("c0, c1, c2, c3, c4 and 2 more", "still out of their range"),
        ("pay", "back for 1 of 3 windows"),
    ]


def test_several_are_told_apart_by_their_keys() -> None:
    first, second = (IncidentEnding(key=key, kind="drift", columns=(column("age"),)) for key in ("k1", "k2"))
    text = "ends by itself after 3 quiet windows; so far 0 (age: still out of its range)"
    assert ending_texts((first,), DAY) == [text]
    assert ending_texts((first, second), DAY) == [f"k1 {text}", f"k2 {text}"]


@pytest.mark.parametrize(
    ("changes", "end", "text"),
    [
        ({}, 12 * DAY, f"{QUIET}, 12 days after the first page"),
        ({}, 0, QUIET),
        (
            {"absence": 5 * DAY * NS},
            40 * DAY,
            "it kept coming back, and has now been away for 10 days, 40 days after the first page",
        ),
        (
            {"kind": "broken", "broken": ("a",)},
            3 * 3600,
            "the values are whole again, 3 h after the first page",
        ),
        (
            {"kind": "broken", "columns": ("a", "b"), "only_broken": ("a",)},
            12 * DAY,
            f"the values are whole again, and {QUIET}, 12 days after the first page",
        ),
        ({"kind": "blind", "columns": ()}, 5 * 3600, "driftwatch can look again, 5 h after the first page"),
    ],
)
def test_an_ended_incident_says_how_and_after_what_time(changes: dict[str, Any], end: int, text: str) -> None:
    values: dict[str, Any] = {"kind": "drift", "columns": ("a",), **changes}
    assert how_it_ended(Incident(key="k", opened_at=0, onset=0, **values), end * NS) == text


@pytest.mark.parametrize(("n_open", "beginning"), [(19, "again: it has moved further"), (20, "again: more ")])
def test_a_page_beyond_the_bound_says_why_it_is_under_that_key(n_open: int, beginning: str) -> None:
    endings = tuple(
        IncidentEnding(key=f"k{number}", kind="drift", recurring=False, columns=())
        for number in range(n_open)
    )
    verdict = Verdict(
        monitor="m", segment=None, window=Span(start=0, end=1), rows=1, state=State.DRIFTING,
        reason=Reason.EVIDENCE_COMPLETE, endings=endings,
    )  # fmt: skip
    incident = Incident(key="k0", kind="drift", columns=("x",), opened_at=1, onset=0)
    earlier = Message(
        key="k0", kind="drift", monitor="m", segment=None, resolved=False, title="", lines=(), unchanged="",
        window_start=0, window_end=1, onset=0, opened_at=1, resolved_at=None, state="", reason="",
    )  # fmt: skip
    line = again_line(incident, verdict, earlier)
    assert line.startswith(beginning)
    assert ("20 incidents are open" in line) is (n_open == 20)
