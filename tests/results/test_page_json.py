"""The pages of a history for scripts: only what wakes somebody, with what joined it."""

from __future__ import annotations

import json
from typing import Any

from driftwatch.backtest.page_rate import predict
from driftwatch.core.schema import Span
from driftwatch.core.settings import Budget
from driftwatch.results.page_json import later_updates, pages_json
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
from driftwatch.results.stored_verdict import verdict_from_json, verdict_to_json
from driftwatch.results.verdict_json import window_json

DAY = 86_400 * 10**9


def verdict(day: int, segment: str | None = None, **values: Any) -> Verdict:
    return Verdict(
        monitor="m", segment=segment, window=Span(start=(day - 1) * DAY, end=day * DAY), rows=9,
        **{"state": State.DRIFTING, "reason": Reason.INCIDENT_OPEN, **values},
    )  # fmt: skip


def named(column: str, *columns: str) -> NamedColumn:
    detector = column.removeprefix("joint:") if columns else "ks"
    return NamedColumn(
        column=column, detector=detector, share=0.5, effect="it moved", onset=0, columns=columns
    )


def update(*columns: str, key: str = "k") -> tuple[IncidentUpdate, ...]:
    return (IncidentUpdate(key=key, columns=columns),)


def page(day: int, *columns: str, key: str = "k", **values: Any) -> Verdict:
    shown = {"named": tuple(named(column) for column in columns), "incident": key, "page": True, **values}
    return verdict(day, **shown)


def test_what_joins_is_listed_with_the_page_before_it() -> None:
    verdicts = [
        verdict(1, updates=update("z", key="of before these windows")),
        page(2, "a"),
        verdict(3, incident="k", updates=update("b")),
        verdict(4, incident="k"),
        page(11, "a", again=True),
        verdict(12, incident="k", updates=update("c", "d")),
    ]
    pages = pages_json(verdicts)
    assert [(item["incident"], item["again"]) for item in pages] == [("k", False), ("k", True)]
    assert [item["updates"] for item in pages] == [
        [{"window_end": "1970-01-04T00:00:00Z", "columns": ["b"]}],
        [{"window_end": "1970-01-13T00:00:00Z", "columns": ["c", "d"]}],
    ]
    ends = [window_json(item)["end"] for item in verdicts if window_json(item)["page"]]
    assert ends == [item["window_end"] for item in pages], "a window pages only where pages has it"


def test_an_incident_of_several_segments_has_no_single_one() -> None:
    pages = pages_json(
        [
            page(1, "a"),
            verdict(1, "JFK", incident="k", updates=update("a")),
            page(1, "b", key="k2", segment="EWR"),
            page(9, "a", again=True, segment="JFK"),
        ]
    )
    assert [(item["segment"], item["segments"]) for item in pages] == [
        (None, [None, "JFK"]), ("EWR", ["EWR"]), (None, ["JFK", None]),
    ]  # fmt: skip


def test_one_cause_in_several_segments_is_no_update_of_its_own_page() -> None:
    parts = [verdict(1, segment, incident="k", updates=update("a", "c")) for segment in ("JFK", "EWR")]
    again = page(11, "a", again=True, segment="EWR")
    further = verdict(11, "JFK", incident="k", updates=update("a"))
    pages = pages_json([parts[0], page(1, "a", "b"), parts[1], further, again])
    assert [item["segments"] for item in pages] == [[None, "JFK", "EWR"], ["EWR", None, "JFK"]]
    assert [item["segment"] for item in pages] == [None, None]
    assert [item["updates"] for item in pages] == [
        [{"window_end": "1970-01-02T00:00:00Z", "columns": ["c"]}],
        [],
    ]


def test_what_joins_in_several_segments_of_one_window_is_one_update() -> None:
    columns = (("b",), ("b", "c"), ("b",))
    joined = [
        verdict(3, segment, updates=update(*names))
        for segment, names in zip((None, "JFK", "EWR"), columns, strict=True)
    ]
    (item,) = pages_json([page(2, "a"), *joined])
    assert item["updates"] == [{"window_end": "1970-01-04T00:00:00Z", "columns": ["b", "c"]}]
    assert item["segments"] == [None, "JFK", "EWR"]
    assert [(one.key, one.segments) for one in later_updates(joined)] == [("k", (None, "JFK", "EWR"))]


def test_what_broke_in_the_page_is_no_update_elsewhere() -> None:
    broken = (Breakage(column="c", reason=Reason.COLUMN_ALL_NULL, detail="all null"),)
    elsewhere = verdict(9, "JFK", updates=update("c"))
    (item,) = pages_json([page(9, breakages=broken, state=State.BROKEN), elsewhere])
    assert (item["updates"], item["segments"]) == ([], [None, "JFK"])


def test_a_joint_finding_is_one_entry_with_its_columns() -> None:
    joint = verdict(1, page=True, incident="k", named=(named("joint:correlation", "x0", "x1"), named("a")))
    (item,) = pages_json([joint])
    assert [(entry["column"], entry["columns"], entry["detector"]) for entry in item["columns"]] == [
        (None, ["x0", "x1"], "correlation"), ("a", ["a"], "ks"),
    ]  # fmt: skip
    assert "joint:" not in json.dumps(pages_json([joint]))


def test_a_page_names_neither_what_joined_another_incident_nor_what_broke_before() -> None:
    endings = tuple(
        IncidentEnding(key=key, kind=kind, columns=(ColumnEnding(column=column, quiet=0, needed=3),))
        for key, kind, column in (("k", "drift", "a"), ("old", "broken", "c"))
    )
    broken = (Breakage(column="c", reason=Reason.COLUMN_ALL_NULL, detail="all null"),)
    item = page(
        9, "a", "b", updates=update("b", key="old"), endings=endings, breakages=broken, state=State.BROKEN
    )
    (shown,) = pages_json([item])
    assert (shown["kind"], [entry["column"] for entry in shown["columns"]]) == ("drift", ["a"])


def test_a_breakage_that_pages_while_something_joins_is_a_breakage() -> None:
    ending = IncidentEnding(
        key="k", kind="broken", columns=(ColumnEnding(column="c", quiet=0, needed=1, broken=True),)
    )
    broken = (Breakage(column="c", reason=Reason.COLUMN_ALL_NULL, detail="all null"),)
    item = page(
        9, "b", updates=update("b", key="old"), endings=(ending,), breakages=broken, state=State.BROKEN
    )
    (shown,) = pages_json([item])
    assert (shown["kind"], [entry["column"] for entry in shown["columns"]]) == ("broken", ["c"])
    assert predict([item], Budget(pages=1, period=90)).broken == 1
    assert predict([page(9, "b")], Budget(pages=1, period=90)).broken == 0


def test_windows_say_when_incidents_end_and_are_stored_as_they_are() -> None:
    ending = IncidentEnding(
        key="k", kind="drift", columns=(ColumnEnding(column="a", quiet=1, needed=3),), recurring=True
    )
    item = page(9, "a", again=True, updates=update("b"), endings=(ending,))
    assert verdict_from_json(json.loads(json.dumps(verdict_to_json(item)))) == item
    shown = window_json(item)
    assert shown["endings"] == [
        {
            "incident": "k", "kind": "drift", "recurring": True,
            "columns": [{"column": "a", "detector": None, "quiet": 1, "needed": 3, "broken": False}],
        }
    ]  # fmt: skip
    assert (shown["again"], shown["updates"]) == (True, [{"incident": "k", "columns": ["b"]}])


def test_joint_detectors_are_columns_in_updates_and_have_no_column_in_endings() -> None:
    ending = IncidentEnding(
        key="k", kind="drift", columns=(ColumnEnding(column="joint:mmd", quiet=1, needed=3),)
    )
    joined = verdict(
        3, updates=update("b", "joint:mmd"), named=(named("joint:mmd", "b", "c"),), endings=(ending,)
    )
    pages = pages_json([page(2, "a"), joined])
    assert pages[0]["updates"][0]["columns"] == ["b", "c"]
    shown = window_json(joined)
    assert shown["updates"] == [{"incident": "k", "columns": ["b", "c"]}]
    assert shown["endings"][0]["columns"] == [
        {"column": None, "detector": "mmd", "quiet": 1, "needed": 3, "broken": False}
    ]
    assert "joint:" not in json.dumps([pages, shown])
