"""What a reading says of a window that has too little: undecodable messages, and no rows at all."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from detector_worlds import SPAN, reference_of, window_of

from driftwatch.decoders.base import UndecodableMessages, UndecodableReason
from driftwatch.engines.local.answers import TilesRead
from driftwatch.monitor import check, tiles
from driftwatch.monitor.evaluation.window_verdict import add_notes
from driftwatch.monitor.reading import Reading
from driftwatch.results.results import Reason, State

REFERENCE = reference_of({"x": [1.0, 2.0, 3.0, 4.0]})


def undecodable(start: int | None) -> tuple[UndecodableMessages, ...]:
    return (UndecodableMessages(start=start, reason=UndecodableReason.SYNTAX, messages=9),)


@pytest.mark.parametrize(
    ("messages", "state", "reason"),
    [
        ((), State.NO_DATA, Reason.NO_ROWS),
        (undecodable(None), State.NO_DATA, Reason.NO_ROWS),
        (undecodable(SPAN.start), State.SOURCE_ERROR, Reason.UNDECODABLE),
    ],
)
def test_only_messages_of_the_window_itself_make_it_undecodable(
    monkeypatch: pytest.MonkeyPatch,
    messages: tuple[UndecodableMessages, ...],
    state: State,
    reason: Reason,
) -> None:
    """A message without an event time comes with every read of a file, and belongs to no window."""
    reading = Reading(untimed_rows=0, undecodable=messages)
    monkeypatch.setattr(check, "read_window", lambda _source, _window, _now: reading)
    monitor: Any = SimpleNamespace(
        reference=REFERENCE,
        config=SimpleNamespace(
            limits=SimpleNamespace(seconds=1, memory=1), source=None, window=SimpleNamespace(lag=0)
        ),
        readers=SimpleNamespace(newest=lambda _source, until, **_: until - 1),
        tile_source=lambda: None,
    )
    failure = check.Monitor._read(monitor, SPAN, SPAN.end + 1).failure
    assert failure is not None
    assert (failure.state, failure.reason) == (state, reason)


@pytest.mark.parametrize(
    ("strays", "rows", "text"),
    [
        ({"before_history_rows": 4}, 400, ""),
        ({"before_history_rows": 5}, 400, "rows that were read are stamped 5 before the history"),
        ({"future_rows": 5}, 400, "rows that were read are stamped 5 in the future"),
        (
            {"before_history_rows": 2, "future_rows": 3},
            400,
            "rows that were read are stamped 2 before the history and 3 in the future",
        ),
        ({"future_rows": 5, "rows_read": 4000}, 400, ""),
        ({"future_rows": 1}, 0, "rows that were read are stamped 1 in the future"),
    ],
)
def test_strays_above_a_hundredth_of_the_rows_are_named(strays: dict[str, int], rows: int, text: str) -> None:
    whole = f"as usual; {text}; they are in no window" if text else "as usual"
    assert add_notes("as usual", Reading(**strays), rows) == whole  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "rows", "retained"), [(SPAN.start, 4, 1), (None, 2, 0), (SPAN.start + 1, 2, 0)]
)
def test_a_slice_whose_messages_cannot_be_decoded_any_more_stays(
    start: int | None, rows: int, retained: int
) -> None:
    whole, half = (
        replace(window_of(REFERENCE.plan, {"x": values}), span=SPAN)
        for values in ([1.0, 2.0, 3.0, 4.0], [1.0, 2.0])
    )
    stored = Reading(
        tiles={(SPAN.start, None): whole}, versions={SPAN.start: 1}, source_versions={SPAN.start: "old"}
    )
    tiles_read = TilesRead(
        tiles={(SPAN.start, None): half}, versions=("new",), unchanged=False, rejected=(), files=1,
        rows=half.rows, newest_row=None, untimed_rows=0, undecodable=undecodable(start), seconds=0.0,
    )  # fmt: skip
    merged = tiles._merge(stored, tiles_read, [SPAN.start, SPAN.end], {SPAN.start: 1}, {SPAN.start})
    assert (merged.rows, merged.retained_slices) == (rows, retained)


@pytest.mark.parametrize(
    ("values", "late", "corrected"),
    [
        ([1.0, 2.0, 3.0], 0, 0),
        ([1.0, 2.0, 30.0], 0, 1),
        ([1.0, 2.0], 0, 1),
        ([1.0, 2.0, 3.0, 4.0], 1, 0),
        ([1.0, 2.0, 30.0, 4.0], 1, 1),
    ],
)
def test_a_slice_whose_rows_changed_is_corrected(values: list[float], late: int, corrected: int) -> None:
    before, now = (
        replace(window_of(REFERENCE.plan, {"x": rows}), span=SPAN) for rows in ([1.0, 2.0, 3.0], values)
    )
    stored = Reading(
        tiles={(SPAN.start, None): before}, versions={SPAN.start: 1}, source_versions={SPAN.start: "old"}
    )
    tiles_read = TilesRead(
        tiles={(SPAN.start, None): now}, versions=("new",), unchanged=False, rejected=(), files=1,
        rows=now.rows, newest_row=None, untimed_rows=0, undecodable=(), seconds=0.0,
    )  # fmt: skip
    merged = tiles._merge(stored, tiles_read, [SPAN.start, SPAN.end], {SPAN.start: 1}, {SPAN.start})
    assert (merged.late_rows, merged.corrected_slices) == (late, corrected)
    assert merged.rows == (before if values == [1.0, 2.0, 3.0] else now).rows
