"""Drives the monitors of ``release.yaml`` in the working directory as the daemon does.

``live`` leaves the store at the cut; ``decide`` goes on from it. Both print a JSON object.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from history_hashes import json_digest
from history_platform import probe
from release_content import blob_content, tables_content
from release_keys import hashed_keys

from driftwatch.cli import main
from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.daemon.runner import Runner
from driftwatch.monitor.session import Session, open_session
from driftwatch.results.verdict_json import statistic_json
from driftwatch.store.outbox import OutboxTable

CONFIG, STORE, DATA = Path("driftwatch.yaml"), Path("store") / "driftwatch.sqlite", Path("data")
#: What the configuration takes from the environment.
ENVIRONMENT = {"PAYMENTS": "payments/payments.sqlite"}
SLICE = 3 * 3600 * 10**9
#: 17 March 2024 in UTC, when production begins; slices until the store is left; windows decided from it.
START, CUT_SLICE, NEXT_WINDOWS = 1_710_633_600 * 10**9, 58, 30
CUT = START + CUT_SLICE * SLICE
#: Slices after which a monitor is added.
FIRST_SLICE = {"sensors": 36}
_PATIENCE = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Somebody answers when so many slices are over; without ``every`` only the oldest open incident."""

    slices: int
    monitor: str
    verdict: str
    every: bool = False
    mute_slices: int | None = None


ANSWERS = (
    Answer(slices=32, monitor="shop", verdict="accepted", every=True),
    Answer(slices=50, monitor="shop", verdict="muted", mute_slices=40),
    Answer(slices=76, monitor="sensors", verdict="fixed"),
    Answer(slices=104, monitor="shop", verdict="fixed", every=True),
    Answer(slices=112, monitor="sensors", verdict="accepted"),
)
#: Verbs that read the store when all is decided.
VERBS = (
    "explain --monitor shop --window 2024-03-24T00:00Z",
    "explain --monitor shop --window 2024-03-20T00:00Z --segment other",
    "explain --monitor sensors --window 2024-03-23T00:00Z",
    "explain --monitor payments --window 2024-03-23T18:00Z",
    "explain --monitor shop --window 2024-03-30T06:00Z",
    "check --monitor sensors --at 2024-03-23T12:00Z",
)


class Driver:
    """The runner of all monitors, its clock, and a second connection that only reads the store."""

    def __init__(self, session: Session, clock: ReplayClock) -> None:
        self._session, self._clock = session, clock
        self._runner = Runner(clock, session.acknowledgements, lambda _: None, workers=1, catch_up=400)
        self.store = sqlite3.connect(STORE)

    def move(self, slices: int) -> None:
        """Move the clock to the end of so many slices; files arrive, checks run, people answer."""
        moment = START + slices * SLICE
        arrive(moment)
        self._clock.set(moment)
        for config in self._session.config.monitors:
            if self._runner.slot(config.name) is None and slices >= FIRST_SLICE.get(config.name, 0):
                self._runner.add(
                    self._session.monitor(config), self._session.history.verdicts.last_end(config.name)
                )
        self._settle()
        for answer in ANSWERS:
            if answer.slices == slices:
                self._answer(answer, moment)

    def stop(self) -> None:
        self._runner.stop(_PATIENCE)
        self.store.close()

    def step(self, now: int) -> dict[str, Any]:
        """What the newest move left: states, open incidents, messages to send, gauges between windows."""
        states = self.store.execute("SELECT monitor, segment, content FROM tracks ORDER BY monitor, segment")
        incidents = self.store.execute(
            "SELECT key, muted_until FROM incidents WHERE resolved_at IS NULL ORDER BY key"
        )
        due = OutboxTable(self._session.database, self._clock.now).due(now)
        return {
            "states": {
                f"{name}/{segment}": json_digest(blob_content(blob)) for name, segment, blob in states
            },
            "open": dict(incidents.fetchall()),
            "due": [[row.sink, row.message.key, row.message.resolved] for row in due],
            "gauges": {slot.monitor.config.name: self._gauges(slot) for slot in self._runner.slots()},
        }

    def _gauges(self, slot: Any) -> str | None:
        outcome = slot.outcome
        if outcome is None or not outcome.is_refresh:
            return None
        return json_digest(
            [[name, list(map(statistic_json, items))] for name, items in outcome.gauges.items()]
        )

    def _settle(self) -> None:
        self._runner.tick()
        assert self._runner.wait_idle(_PATIENCE), "a check takes longer than five minutes"

    def _answer(self, answer: Answer, moment: int) -> None:
        key = "" if answer.every else self._oldest(answer.monitor)
        until = None if answer.mute_slices is None else moment + answer.mute_slices * SLICE
        self._session.acknowledgements.ask(
            answer.monitor, key, answer.verdict, until=until, note="seen", who="somebody", now=moment
        )
        self._settle()

    def _oldest(self, monitor: str) -> str:
        query = "SELECT key FROM incidents WHERE resolved_at IS NULL AND monitor = ? ORDER BY opened_at, key"
        row = self.store.execute(query, (monitor,)).fetchone()
        assert row is not None, f"{monitor}: an answer has no open incident"
        return str(row[0])


def arrive(moment: int) -> None:
    """Bring every file of the data whose time of change is not after the moment."""
    for path in sorted(DATA.rglob("*")):
        place = path.relative_to(DATA)
        if path.is_file() and path.stat().st_mtime_ns <= moment and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def live() -> dict[str, Any]:
    """Live until the cut, and leave one store file with messages in every state of delivery."""
    clock = ReplayClock(START)
    with open_session(load(CONFIG), clock, lambda _: None) as session:
        driver = Driver(session, clock)
        for slices in range(CUT_SLICE + 1):
            driver.move(slices)
        _deliver(OutboxTable(session.database, clock.now))
        driver.stop()
    with closing(sqlite3.connect(STORE)) as store:
        assert store.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
        store.execute("VACUUM")
    return {}


def _deliver(outbox: OutboxTable) -> None:
    """Deliver all messages but the newest two: one is being sent, the other is tried again later."""
    while len(rows := outbox.due(CUT)) > 2:
        outbox.begin_attempt(rows[0].id, CUT - SLICE)
        outbox.delivered(rows[0].id, CUT - SLICE)
    for row in rows:
        outbox.begin_attempt(row.id, CUT)
    outbox.retry(rows[-1].id, CUT + SLICE, "connection refused")


def decide() -> dict[str, Any]:
    """Decide the next windows of the store, and return all that it comes to."""
    clock, steps = ReplayClock(CUT), []
    with open_session(load(CONFIG), clock, lambda _: None) as session:
        driver = Driver(session, clock)
        for slices in range(CUT_SLICE, CUT_SLICE + 2 * NEXT_WINDOWS + 1):
            driver.move(slices)
            steps.append(driver.step(START + slices * SLICE))
        tables = tables_content(driver.store, CUT)
        driver.stop()
    verbs = dict(map(_run_verb, VERBS))
    return {"probe": probe(), "keys": hashed_keys(), "steps": steps, "tables": tables, "verbs": verbs}


def _run_verb(line: str) -> tuple[str, Any]:
    """The object that a verb prints, and whether its text says that every number is the same."""
    verb, *words = line.split()
    command = [verb, str(CONFIG), *words]
    results = [CliRunner().invoke(main, [*command, *form]) for form in (["--format", "json"], [])]
    for result in results:
        assert result.exit_code in (0, 1), f"{line} ends with {result.exit_code}: {result.stderr}"
    text = " ".join(results[1].stdout.split())
    return line, [json.loads(results[0].stdout), "every number is the same" in text]


if __name__ == "__main__":
    os.environ |= ENVIRONMENT
    sys.stdout.write(json.dumps({"live": live, "decide": decide}[sys.argv[1]]()))
