"""What people are told of a store that fails: on pages, by the health probes, and by every notifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from driftwatch.daemon.own_health.store.store_state import LOST_STATES, StoreOutage
from driftwatch.notify.base import OWN_NAME, Message, OwnKind
from driftwatch.store.records import StoreState

#: Incidents that a message names; the others are counted.
MAX_NAMED_INCIDENTS = 7

_TITLES = {
    StoreState.FULL: "driftwatch cannot store: the disk is full",
    StoreState.READ_ONLY: "driftwatch cannot store: the disk takes no writes",
    StoreState.GONE: "driftwatch cannot store: its history was removed",
    StoreState.REPLACED: "driftwatch cannot store: its history was replaced",
    StoreState.CORRUPT: "driftwatch's history is corrupt",
}
_WAITING = "Nothing new is decided until then: windows wait, and none is lost."
_UNFOLLOWED = (
    "These incidents are not followed any more. Where the ledger beside the history is left, the next start "
    "tells each as ended, unknown; close the others by hand:"
)
_ENDING = "The process ends, and its supervisor starts it on what is there now."


def detail(outage: StoreOutage, folder: Path) -> str:
    """Return what happened and what to do."""
    match outage.state:
        case StoreState.FULL:
            return f"The disk of {folder} is full: free some space. {_WAITING}"
        case StoreState.READ_ONLY:
            return f"The disk of {folder} takes no writes: see the kernel's log and the mount. {_WAITING}"
        case StoreState.CORRUPT:
            return (
                f"The history in {folder} is corrupt. The process ends, and its next start sets the file "
                "aside and says by name what was lost."
            )
        case StoreState.GONE:
            return f"The history in {folder} was removed while the daemon ran. {_ENDING}"
        case _:
            return f"Another file stands in {folder} than the daemon has open. {_ENDING}"


def message(outage: StoreOutage, folder: Path, incidents: Sequence[str], url: str) -> Message:
    """Return the message about an outage; ``incidents`` are the keys of those that are open."""
    lines = [detail(outage, folder)]
    if outage.state in LOST_STATES and incidents:
        lines.append(_UNFOLLOWED)
        lines += incidents[:MAX_NAMED_INCIDENTS]
        if len(incidents) > MAX_NAMED_INCIDENTS:
            lines.append(f"and {len(incidents) - MAX_NAMED_INCIDENTS} more")
    return Message(
        key=outage.key,
        kind=OwnKind.STORE,
        monitor=OWN_NAME,
        segment=None,
        resolved=False,
        title=_TITLES[outage.state],
        lines=tuple(lines),
        unchanged="",
        window_start=outage.began_at,
        window_end=outage.began_at,
        onset=None,
        opened_at=outage.began_at,
        resolved_at=None,
        state=str(outage.state),
        reason=f"store_{outage.state}",
        url=url,
    )
