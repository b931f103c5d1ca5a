"""An outage as it is noted beside the store: a restart amid it tells nobody twice."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.own_health.store.store_state import StoreOutage
from driftwatch.store.records import StoreState


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreNote:
    outage: StoreOutage
    #: Notifiers that have its message.
    informed: frozenset[str]


def note_to_text(note: StoreNote) -> str:
    outage = note.outage
    content = {"state": outage.state, "key": outage.key, "began_at": outage.began_at}
    return json.dumps({**content, "informed": sorted(note.informed)})


def note_from_text(text: str) -> StoreNote | None:
    """Return a note; None for what is none."""
    try:
        data = json.loads(text)
        outage = StoreOutage(
            state=StoreState(data["state"]), key=str(data["key"]), began_at=int(data["began_at"])
        )
        return StoreNote(outage=outage, informed=frozenset(map(str, data["informed"])))
    except (ValueError, TypeError, KeyError):
        return None


def outage_key(path: Path, now: int, state: StoreState) -> str:
    """Return the key of an outage that begins; ``path`` is the store's file."""
    # A disk that takes no writes takes no note: its newest change tells a restart that it is the same outage.
    is_still = state is StoreState.READ_ONLY and path.exists()
    moment = path.stat().st_mtime_ns if is_still else now
    place = hashlib.sha256(os.path.realpath(path.parent).encode()).hexdigest()[:8]
    return f"driftwatch-store-{state}-{place}-{moment // NANOSECONDS}"
