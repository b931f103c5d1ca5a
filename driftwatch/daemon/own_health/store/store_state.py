"""What is wrong with the store, worked out from looks at it: no file, clock or thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from driftwatch.store.records import StoreState

#: The store's file is not the one at its path any more.
LOST_STATES = frozenset({StoreState.GONE, StoreState.REPLACED})
#: Only another start can go on from these.
_ENDING_STATES = LOST_STATES | {StoreState.CORRUPT}
#: Looks in such a state after the first, before the process ends.
LOOKS_UNTIL_END = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLook:
    """What one look says."""

    #: ``ok`` when the file at the path is the one that was opened, else ``gone`` or ``replaced``.
    identity: StoreState = StoreState.OK
    #: Why a write or read failed since the last look; None when none failed.
    failure: StoreState | None = None
    #: A commit works and there is room for more.
    can_commit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOutage:
    state: StoreState
    #: The same in all its messages, over restarts.
    key: str
    #: Nanoseconds.
    began_at: int
    #: Looks in this state.
    looks: int = 1

    @property
    def must_end(self) -> bool:
        """Whether the process has to end: what it writes is lost, or only a start sets the file aside."""
        return self.state in _ENDING_STATES and self.looks > LOOKS_UNTIL_END


def resumed(outage: StoreOutage) -> StoreOutage:
    """Return an outage of an earlier process as this one goes on with it."""
    # The start has set a corrupt file aside. What is left to see is whether the disk takes a commit.
    return replace(outage, state=StoreState.FULL) if outage.state is StoreState.CORRUPT else outage


def next_outage(
    outage: StoreOutage | None, look: StoreLook, new_key: Callable[[StoreState], str], now: int
) -> StoreOutage | None:
    """Return the outage after a look, None when all is well."""
    state = _next_state(StoreState.OK if outage is None else outage.state, look)
    if state is StoreState.OK:
        return None
    # A disk that fails in another way is the same outage; a store that is lost is another one.
    if outage is None or (outage.state is not state and state in LOST_STATES):
        return StoreOutage(state=state, key=new_key(state), began_at=now)
    return replace(outage, state=state, looks=outage.looks + 1 if outage.state is state else 1)


def _next_state(state: StoreState, look: StoreLook) -> StoreState:
    if look.identity is not StoreState.OK:
        return look.identity
    # Only another start mends a corrupt file: ``resumed``.
    if StoreState.CORRUPT in (look.failure, state):
        return StoreState.CORRUPT
    if look.failure is not None:
        return look.failure
    return StoreState.OK if look.can_commit or state in LOST_STATES else state
