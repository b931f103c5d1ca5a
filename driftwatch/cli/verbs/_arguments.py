"""Parses arguments that several verbs share, and builds their JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftwatch.errors import ConfigError

if TYPE_CHECKING:
    from driftwatch.results.evidence_trail import Trail
    from driftwatch.results.results import Verdict
    from driftwatch.store.database import Database

#: Windows of a trail: more than a terminal shows.
TRAIL_WINDOWS = 120
#: Times whose nanoseconds, and those of the windows around them, fit 64 bits.
_EARLIEST, _LATEST = "1700-01-01", "2200-01-01"


def as_one_or_many(objects: list[dict[str, Any]]) -> Any:
    return objects[0] if len(objects) == 1 else objects


def moment_of(text: str, option: str) -> int:
    """Parse an ISO 8601 time to nanoseconds since 1970. Raises ``ConfigError``."""
    from driftwatch.core.windows import parse_time

    try:
        moment = parse_time(text)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f'{option}: expected an ISO 8601 time such as 2013-12-31T00:00:00Z. Got "{text}".'
        ) from error
    return checked_moment(moment, text, option)


def checked_moment(moment: int, text: str, option: str) -> int:
    """Return the moment. Raises ``ConfigError`` if it cannot be stored or shown."""
    from driftwatch.core.windows import parse_time

    if not parse_time(_EARLIEST) <= moment <= parse_time(_LATEST):
        raise ConfigError(f'{option}: expected a time between the years 1700 and 2200. Got "{text}".')
    return moment


def trail_to(database: Database, verdict: Verdict) -> Trail:
    """Return the evidence of the newest windows, oldest first; the verdict's window is the last."""
    from driftwatch.store.browsing import Browsing

    earlier_windows = Browsing(database).trail(
        verdict.monitor, verdict.segment, end_below=verdict.window.end, limit=TRAIL_WINDOWS - 1
    )
    return [*earlier_windows, (verdict.window.end, verdict.evidence, str(verdict.state), verdict.page)]
