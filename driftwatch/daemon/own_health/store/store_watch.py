"""Looks at the store every tick, in a thread of its own: a disk that hangs stops neither ticks nor answers.

An outage and its end are told to every notifier once. A store that is not at its path any more ends the
process.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from driftwatch.core.clock import Clock
from driftwatch.daemon.own_health.own_health import StoreHealth
from driftwatch.daemon.own_health.store import store_words
from driftwatch.daemon.own_health.store.store_inspector import StoreInspector
from driftwatch.daemon.own_health.store.store_note import StoreNote, note_from_text, note_to_text, outage_key
from driftwatch.daemon.own_health.store.store_state import LOST_STATES, StoreOutage, next_outage, resumed
from driftwatch.daemon.own_health.troubles import Troubles
from driftwatch.notify.base import Message
from driftwatch.store.database import Database, Footing
from driftwatch.store.disk import CORRUPT_MARK
from driftwatch.store.locks import DaemonLock
from driftwatch.store.records import StoreState
from driftwatch.store.reserve import Reserve

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreEvents:
    """What the daemon does when the store's state changes, in the watching thread."""

    #: The notifiers' names.
    sinks: Callable[[], tuple[str, ...]]
    announce: Callable[[Message, Collection[str]], None]
    #: Takes a message for delivered to these notifiers by an earlier process.
    adopt: Callable[[Message, Collection[str]], None]
    #: Keys of the open incidents.
    incident_keys: Callable[[], tuple[str, ...]]
    #: Of the page that a message links to.
    url: Callable[[], str]
    #: What can be deleted should be.
    on_full: Callable[[], None]
    #: The store takes what is decided again; True when it had not been read before.
    on_recovery: Callable[[bool], None]
    #: The process has to end, for this reason.
    on_loss: Callable[[str], None]


class StoreWatch:
    def __init__(
        self,
        database: Database,
        lock: DaemonLock,
        reserve: Reserve,
        clock: Clock,
        troubles: Troubles,
        events: StoreEvents,
    ) -> None:
        self._database, self._reserve, self._clock = database, reserve, clock
        self._troubles, self._events = troubles, events
        self._folder = database.path.parent
        self._inspector = StoreInspector(database, lock, reserve)
        self._outage: StoreOutage | None = None
        self._message: Message | None = None
        #: Notifiers that got the message to send, and those that have sent it.
        self._addressed: set[str] = set()
        self._informed: set[str] = set()
        self._is_noted = True
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._look_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        database.on_error = self._note_error

    def begin(self, *, is_full: bool) -> None:
        """Look before anything is decided, and go on with an outage that an earlier process noted."""
        note = note_from_text(self._reserve.read_note())
        if note is not None:
            self._outage = resumed(note.outage)
            self._addressed, self._informed = set(note.informed), set(note.informed)
            self._message = store_words.message(note.outage, self._folder, (), self._events.url())
            self._events.adopt(self._message, self._addressed)
        if self._database.footing is Footing.FILE:
            self._inspector.remember()
            if note is None and not is_full:
                self._reserve.make()
        else:
            self._inspector.note_error(sqlite3.SQLITE_IOERR)
        if is_full:
            self._inspector.note_error(sqlite3.SQLITE_FULL)
        self.look()
        if self._outage is not None:
            self._troubles.begin("store", self.health().detail, self._outage.began_at)
            self._announce()

    def start(self, tick_seconds: float) -> None:
        """Start the thread, also again where it has ended."""
        if self._stopping.is_set() or (self._thread is not None and self._thread.is_alive()):
            return
        name = "store-watch"
        self._thread = threading.Thread(target=self._run, args=(tick_seconds,), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()

    @property
    def may_decide(self) -> bool:
        return self._outage is None

    def health(self) -> StoreHealth:
        outage = self._outage
        if outage is None:
            return StoreHealth()
        return StoreHealth(state=outage.state, detail=store_words.detail(outage, self._folder))

    def note_delivery(self, sink: str, message: Message) -> None:
        """Note who has the message about the outage, so that a restart does not repeat it."""
        if self._message is not None and message.key == self._message.key and not message.resolved:
            self._informed.add(sink)
            self._is_noted = False

    def _note_error(self, code: int) -> None:
        self._inspector.note_error(code)
        if self._outage is None:
            # Not only at the next tick.
            self._wake.set()

    def _run(self, tick_seconds: float) -> None:
        while not self._stopping.is_set():
            self._wake.wait(tick_seconds)
            self._wake.clear()
            if not self._stopping.is_set():
                self.look()

    def look(self) -> None:
        with self._look_lock:
            self._look()

    def _look(self) -> None:
        outage, now = self._outage, self._clock.now()
        was_read = self._database.footing is not Footing.MEMORY
        look = self._inspector.look(is_failing=outage is not None)
        self._outage = next_outage(outage, look, partial(outage_key, self._database.path, now), now)
        if self._outage is None:
            if outage is not None:
                self._end(outage, now, was_read=was_read)
        elif outage is None or outage.key != self._outage.key or outage.state is not self._outage.state:
            self._change(self._outage, is_new=outage is None or outage.key != self._outage.key, now=now)
        if not self._is_noted and self._outage is not None:
            self._write_note(self._outage)
        if (
            self._outage is not None
            and self._outage.must_end
            and _is_next_start_better(self._outage, self._folder)
        ):
            self.stop()
            self._events.on_loss(store_words.detail(self._outage, self._folder))

    def _change(self, outage: StoreOutage, *, is_new: bool, now: int) -> None:
        detail = store_words.detail(outage, self._folder)
        log.error("the store fails", extra={"state": str(outage.state), "detail": detail})
        self._troubles.begin("store", detail, now)
        if outage.state in LOST_STATES:
            self._database.refuse_writes(detail)
        else:
            self._database.refuse_writes("")
            self._is_noted = False
        if outage.state is StoreState.FULL:
            self._reserve.release()
        if is_new:
            self._addressed, self._informed = set(), set()
            keys = self._events.incident_keys()
            self._message = store_words.message(outage, self._folder, keys, self._events.url())
            self._announce()
        if outage.state is StoreState.FULL:
            self._events.on_full()

    def _announce(self) -> None:
        sinks = set(self._events.sinks()) - self._addressed
        if self._message is not None and sinks:
            self._addressed |= sinks
            self._events.announce(self._message, sinks)

    def _end(self, outage: StoreOutage, now: int, *, was_read: bool) -> None:
        state = outage.state if self._message is None else self._message.state
        log.info("the store works again", extra={"state": str(state), "key": outage.key})
        self._troubles.end("store", now)
        self._database.refuse_writes("")
        if self._message is not None:
            resolve = replace(self._message, resolved=True, resolved_at=now)
            self._events.announce(resolve, self._addressed & set(self._events.sinks()))
        self._message = None
        self._reserve.write_note("")
        self._is_noted = True
        self._events.on_recovery(not was_read)

    def _write_note(self, outage: StoreOutage) -> None:
        # First: what is delivered while the disk writes is noted by the next look.
        self._is_noted = True
        # A folder that replaced the store's is somebody else's.
        if outage.state not in LOST_STATES:
            note = StoreNote(outage=outage, informed=frozenset(self._informed))
            self._reserve.write_note(note_to_text(note))


def _is_next_start_better(outage: StoreOutage, folder: Path) -> bool:
    # Without the mark beside it, a corrupt file may be taken for a sound one again and again.
    return outage.state is not StoreState.CORRUPT or (folder / CORRUPT_MARK).exists()
