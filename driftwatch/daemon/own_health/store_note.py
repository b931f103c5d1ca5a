"""An outage as it is noted beside the store: a restart amid it tells nobody twice."""

from __future__ import annotations

import json
from dataclasses import dataclass

from driftwatch.daemon.own_health.store_state import StoreOutage
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
