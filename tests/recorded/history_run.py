"""Drives one history in the working directory as the daemon does, and prints its hashes as JSON."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from histories import HISTORIES, NANOSECONDS, Answer, History
from history_hashes import TALLY, Hashes, json_digest
from history_platform import probe

from driftwatch.cli import main
from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.core.schema import iso
from driftwatch.core.windows import parse_time
from driftwatch.daemon.runner import Runner
from driftwatch.monitor.session import Session, open_session
from driftwatch.results.verdict_json import statistic_json

CONFIG, STORE = Path("driftwatch.yaml"), Path("store") / "driftwatch.sqlite"
#: Verbs that read the configuration, and those that look at one monitor.
_CONFIGURED, _OF_A_MONITOR = ("check", "explain", "backtest"), ("explain",)
#: Exit codes of verbs that did their work: nothing moved, something did, too early to judge.
_DONE = (0, 1, 5)
_PATIENCE = 300.0


class Driver:
    """One monitor's runner, its clock, and a second connection that only reads the store."""

    def __init__(self, history: History, session: Session, clock: ReplayClock, hashes: Hashes) -> None:
        self._history, self._session, self._clock, self._hashes = history, session, clock, hashes
        (config,) = session.config.monitors
        self._name = config.name
        self._runner = Runner(clock, session.acknowledgements, lambda _: None, workers=1, catch_up=400)
        self._runner.add(session.monitor(config), session.history.verdicts.last_end(config.name))
        self._store = sqlite3.connect(STORE)

    def drive(self) -> None:
        """Move the clock through every moment; whatever is due then happens."""
        answers = {parse_time(answer.at): answer for answer in self._history.answers}
        assert answers.keys() <= set(self._history.moments), "an answer has no moment"
        start = 0
        for step, moment in enumerate(self._history.moments):
            if self._history.arrive is not None:
                self._history.arrive(Path(), step)
            self._clock.set(moment)
            self._settle()
            if moment in answers:
                self._answer(answers[moment], moment)
            self._hashes.add_step(self._store, iso(moment), start, self._gauges())
            start = moment
        for name, value in self._tally().items():
            self._hashes.add(TALLY, name, json_digest(value))
        self._runner.stop(_PATIENCE)
        self._store.close()

    def _settle(self) -> None:
        self._runner.tick()
        assert self._runner.wait_idle(_PATIENCE), "a check takes longer than five minutes"

    def _answer(self, answer: Answer, moment: int) -> None:
        """Ask for what the answer says of its incident, and let the runner apply it."""
        key = self._oldest() if answer.incident is None else answer.incident
        until = None if answer.mute is None else moment + answer.mute * NANOSECONDS
        self._session.acknowledgements.ask(
            self._name, key, answer.verdict, until=until, note=answer.note, who="somebody", now=moment
        )
        self._settle()

    def _oldest(self) -> str:
        query = "SELECT key FROM incidents WHERE resolved_at IS NULL ORDER BY opened_at, key LIMIT 1"
        row = self._store.execute(query).fetchone()
        assert row is not None, "an answer has no open incident"
        return str(row[0])

    def _gauges(self) -> Any:
        """The gauges of a look within a window, which no table holds."""
        slot = self._runner.slot(self._name)
        outcome = None if slot is None else slot.outcome
        if outcome is None or not outcome.is_refresh:
            return None
        return [[name, list(map(statistic_json, items))] for name, items in outcome.gauges.items()]

    def _tally(self) -> dict[str, Any]:
        """The counts that the daemon exports of its checks."""
        slot = self._runner.slot(self._name)
        assert slot is not None
        tally = slot.tally
        return {
            "checks": tally.checks,
            "failures": tally.failures,
            "skipped": tally.skipped,
            "rejected": tally.rejected,
            "rows": [tally.rows_read, tally.late_rows, tally.untimed_rows],
            "times": [tally.last_run_at, tally.last_success_at, tally.newest_row_at],
            "last_failure": tally.last_failure,
        }


def build_trial(session: Session) -> None:
    """Build the reference of another model version, as a look at the past with other settings does."""
    text = CONFIG.read_text(encoding="utf-8")
    path = Path("trial.yaml")
    path.write_text(text.replace('version: "', 'version: "trial of '), encoding="utf-8")
    (config,) = load(path).monitors
    session.references().for_replay(config, rebased=False)


def run_verb(history: History, line: str, hashes: Hashes) -> None:
    """Run a verb of the public command line, and take the hashes of what it prints."""
    verb, *words = shlex.split(line)
    command = [verb, *([str(CONFIG)] if verb in _CONFIGURED else []), *words, "--format", "json"]
    if verb in _OF_A_MONITOR:
        command += ["--monitor", history.name]
    result = CliRunner().invoke(main, command)
    sys.stderr.write(f"{line}: exit code {result.exit_code}\n{result.stderr}")
    assert result.exit_code in _DONE, f"{line} ends with {result.exit_code}: {result.stderr}"
    hashes.add_output(line, result.exit_code, result.stdout)


def run(history: History) -> Hashes:
    """Drive the history in the working directory, and take the hashes of all that it comes to."""
    hashes = Hashes()
    shutil.copy(history.config, CONFIG)
    history.write(Path())
    clock = ReplayClock(history.moments[0])
    with open_session(load(CONFIG), clock, lambda _: None) as session:
        Driver(history, session, clock, hashes).drive()
        if history.trial:
            build_trial(session)
    for line in history.verbs:
        run_verb(history, line, hashes)
    store = sqlite3.connect(STORE)
    hashes.add_store(store)
    store.close()
    return hashes


if __name__ == "__main__":
    result = {"probe": probe(), **run(HISTORIES[sys.argv[1]]).to_json()}
    sys.stdout.write(json.dumps(result))
