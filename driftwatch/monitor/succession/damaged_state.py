"""Mends the state of a segment whose stored row is damaged.

In this order: worked out again from the stored windows, which gives the same state bit for bit; the newest
check point that can be read; the reference, as for a new segment. Evidence that cannot be worked out is
dropped, never guessed: the promise of the page budget holds for a recursion that leaves windows out for a
reason other than what is in them. After a page since the check point no evidence of before it stands. Which
incidents are open is told by their own table.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from driftwatch.core.schema import iso
from driftwatch.decide.segment_state import Incident, SegmentState
from driftwatch.decide.state_codec import decode
from driftwatch.errors import StoreDamaged, StoreForgot, StoreTooNew
from driftwatch.monitor.replay import Replay
from driftwatch.store.damage import DECODE_ERRORS
from driftwatch.store.records import StoredIncident
from driftwatch.store.tables.judging_order import END_OF_ORDER

log = logging.getLogger(__name__)

#: Windows that are worked out again at most: each takes about as long as a check without its reading.
MAX_REPLAYED_WINDOWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class MendedState:
    state: SegmentState
    #: What happened, for the log and the page.
    words: str
    #: The state is the lost one, bit for bit.
    is_exact: bool = False


def readable_state(data: bytes) -> SegmentState | None:
    """Decode a stored state; None for a damaged one. Raises ``StoreTooNew``."""
    try:
        return decode(data)
    except StoreTooNew:
        raise
    except DECODE_ERRORS:
        return None


def mended_state(replay: Replay, segment: str | None) -> MendedState:
    """Return a segment's state in place of a damaged one. Raises ``StoreError``."""
    mended = _mended(replay, segment)
    state = replace(
        mended.state,
        configuration=replay.configuration,
        incidents=_open_incidents(replay, segment, mended.state),
    )
    log.error(
        "a segment's state was mended: %s",
        mended.words,
        extra={"monitor": replay.config.name, "segment": segment},
    )
    return replace(mended, state=state)


def _mended(replay: Replay, segment: str | None) -> MendedState:
    try:
        state = replay.newest_state(segment, MAX_REPLAYED_WINDOWS)
    except (StoreForgot, StoreDamaged):
        return _resumed(replay, segment)
    words = "the stored state was damaged and was worked out again from the stored windows: nothing is lost"
    return MendedState(state=state, words=words, is_exact=True)


def _resumed(replay: Replay, segment: str | None) -> MendedState:
    """Return the state of the newest check point, or else one learned from the reference."""
    name, history = replay.config.name, replay.history
    until = history.verdicts.last_end(name)
    checkpoint = history.states.checkpoint_before(name, segment, END_OF_ORDER)
    state = None if checkpoint is None else readable_state(checkpoint[1])
    if checkpoint is None or state is None or state.reference != replay.reference.fingerprint:
        state = replace(replay.initial_state(segment), decided_until=until)
        words = (
            "the stored state was damaged and begins anew: what is usual is learned from the reference, and "
            "the evidence so far is lost"
        )
        return MendedState(state=state, words=words)
    place, since = checkpoint[0], state.decided_until
    # Rows that waited then may have been judged.
    state = replace(state.without_carried(), decided_until=until)
    if history.judging.has_page_after(name, segment, place):
        state = state.reset()
    moment = "before all windows" if since is None else f"of the window ending {iso(since)}"
    words = (
        f"the stored state was damaged and goes on from the check point {moment}: the evidence of the "
        "windows since is lost"
    )
    return MendedState(state=state, words=words)


def _open_incidents(replay: Replay, segment: str | None, state: SegmentState) -> tuple[Incident, ...]:
    stored = {
        item.key: item
        for item in replay.history.incidents.of_monitor(replay.config.name)
        if segment in item.all_segments
    }
    incidents = {
        item.key: replace(item, muted_until=stored[item.key].muted_until)
        for item in state.incidents
        if item.key in stored
    }
    for item in stored.values():
        if item.key not in incidents:
            incidents[item.key] = incident_of(item)
    return tuple(sorted(incidents.values(), key=lambda item: (item.opened_at, item.key)))


def incident_of(stored: StoredIncident) -> Incident:
    """Return what a state has of an incident that only its own table tells of."""
    return Incident(
        key=stored.key,
        kind=stored.kind,
        columns=stored.columns,
        opened_at=stored.opened_at,
        onset=stored.onset,
        quiet=(0,) * len(stored.columns),
        muted_until=stored.muted_until,
    )
