"""What verbs are asked for on the command line, and the form of what they answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from driftwatch.core.windows import parse_time
from driftwatch.errors import ConfigError
from driftwatch.results.evidence_trail import Trail
from driftwatch.results.results import Verdict
from driftwatch.store.browsing import Browsing
from driftwatch.store.database import Database

#: Shows a named piece of work; what it gives is told how much is done, and of how much.
Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]

#: Windows of a trail.
TRAIL = 120

#: Times whose nanoseconds, and those of the windows around them, fit 64 bits.
_EARLIEST, _LATEST = parse_time("1700-01-01"), parse_time("2200-01-01")


def as_one_or_many(objects: list[dict[str, Any]]) -> Any:
    """One object when there is one monitor, else an array."""
    return objects[0] if len(objects) == 1 else objects


def moment(text: str, option: str) -> int:
    """Nanoseconds of a time given on the command line."""
    try:
        found = parse_time(text)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f'{option}: expected an ISO 8601 time such as 2013-12-31T00:00:00Z. Got "{text}".'
        ) from error
    return stored(found, text, option)


def stored(found: int, text: str, option: str) -> int:
    """The moment itself, where it is one that can be stored and shown. Raises ``ConfigError``."""
    if not _EARLIEST <= found <= _LATEST:
        raise ConfigError(f'{option}: expected a time between the years 1700 and 2200. Got "{text}".')
    return found


def trail_to(database: Database, verdict: Verdict) -> Trail:
    """The newest stored windows before a verdict's, oldest first, and its own."""
    before = Browsing(database).trail(
        verdict.monitor, verdict.segment, before=verdict.window.end, limit=TRAIL - 1
    )
    return [*before, (verdict.window.end, verdict.evidence, str(verdict.state), verdict.page)]
