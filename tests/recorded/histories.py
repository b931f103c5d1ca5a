"""The three recorded histories: where the clock stands, what arrives, what people answer, which verbs run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from history_streams import write_flights, write_generated, write_loan, write_slice

from driftwatch.core.windows import parse_time, window_boundaries

DAY = 86_400
NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A person says something of an incident when the clock stands at ``at``.

    ``incident`` is a key, "" means every open incident, None the oldest one. ``mute`` is in seconds.
    """

    at: str
    verdict: str
    incident: str | None = None
    mute: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One monitor's history has moments of the clock in nanoseconds, answers of people, and verbs at the end.

    ``write`` writes the files of the beginning, ``arrive`` those that come before a moment. With ``trial`` a
    reference of other settings is built beside the one in force.
    """

    name: str
    moments: Sequence[int]
    write: Callable[[Path], None]
    arrive: Callable[[Path, int], None] | None = None
    answers: Sequence[Answer] = ()
    verbs: Sequence[str] = ()
    trial: bool = False

    @property
    def config(self) -> Path:
        """The configuration, which stands beside this file."""
        return Path(__file__).with_name(f"{self.name}.yaml")


def _ends(length: int, zone: str, first: str, last: str) -> list[int]:
    return window_boundaries(length, zone, parse_time(first), parse_time(last))[1:]


FLIGHTS = History(
    name="flights",
    moments=_ends(DAY, "America/New_York", "2013-04-01T12:00", "2013-07-23T12:00"),
    write=write_flights,
    answers=(
        Answer(at="2013-05-09T04:00", verdict="accepted", note="spring"),
        Answer(at="2013-05-20T04:00", verdict="fixed", note="arrivals are early"),
        Answer(at="2013-06-10T04:00", verdict="muted", mute=7 * DAY),
        Answer(at="2013-06-29T04:00", verdict="accepted", incident="", note="summer"),
    ),
    verbs=(
        "check --at 2013-05-16T12:00Z",
        "check --at 2013-07-10T12:00Z",
        "explain --window 2013-06-02T04:00Z",
        "explain --window 2013-07-20T04:00Z",
        "backtest --from 2013-04-01T04:00Z --to 2013-07-24T04:00Z --no-inject",
        "compare reference.parquet production/date=2013-07-0*/*.parquet --time-column time_hour",
    ),
)
LOAN = History(
    name="loan",
    moments=_ends(3 * DAY, "UTC", "2018-10-31", "2019-08-28"),
    write=write_loan,
    answers=(
        Answer(at="2019-04-18T00:00", verdict="accepted", note="cars cost more"),
        Answer(at="2019-05-12T00:00", verdict="fixed", incident=""),
        Answer(at="2019-07-02T00:00", verdict="accepted", incident=""),
    ),
    verbs=(
        "check --at 2019-04-04T00:00Z",
        "check --at 2019-08-01T00:00Z",
        "explain --window 2019-04-03T00:00Z",
        "explain --window 2019-07-26T00:00Z",
        "backtest --from 2019-03-01T00:00Z --to 2019-05-01T00:00Z --no-inject",
        "compare reference.parquet production/2019-0[67].csv --time-column timestamp --detector mmd_exact",
    ),
)
GENERATED = History(
    name="generated",
    moments=_ends(3 * 3600, "UTC", "2024-03-14", "2024-04-03"),
    write=write_generated,
    arrive=write_slice,
    answers=(
        Answer(at="2024-03-16T12:00", verdict="fixed", incident="generated-drift-0000000000"),
        Answer(at="2024-03-18T12:00", verdict="fixed", incident="", note="the scales are mended"),
        Answer(at="2024-03-21T12:00", verdict="accepted", note="the south has a new price list"),
        Answer(at="2024-03-23T18:00", verdict="muted", mute=2 * DAY, note="known outage"),
        # There is no verdict that takes a mute back: one that ends now does.
        Answer(at="2024-03-24T06:00", verdict="muted", mute=0),
        Answer(at="2024-04-01T00:00", verdict="accepted", incident=""),
    ),
    verbs=(
        "check --at 2024-03-21T00:00Z",
        "check --at 2024-04-02T12:00Z",
        "explain --window 2024-03-30T00:00Z",
        "explain --window 2024-03-21T06:00Z --segment south",
        "backtest --from 2024-03-22T00:00Z --to 2024-03-29T00:00Z",
        "compare reference.parquet production/date=2024-03-2[0-7]/*.parquet --time-column when",
    ),
    trial=True,
)
HISTORIES = {item.name: item for item in (FLIGHTS, LOAN, GENERATED)}
