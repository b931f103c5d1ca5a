"""Runs the real daemon on real data: nine months replayed on a fast clock."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from string import Template

from driftwatch.cli.demo.data import REFERENCE_END, ZONE, write_stream
from driftwatch.cli.output import progress, show_pages
from driftwatch.config.init import scalar
from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.core.schema import NANOSECONDS, iso
from driftwatch.core.windows import parse_time, window_boundaries
from driftwatch.daemon.app import Daemon
from driftwatch.daemon.logging_setup import configure
from driftwatch.daemon.status.monitor_slot import MonitorSlot
from driftwatch.daemon.status.snapshot import SinkView
from driftwatch.decide.segment_state import DRIFT
from driftwatch.errors import DriftwatchError
from driftwatch.monitor.column_labels import column_labels, single_columns
from driftwatch.results.results import Verdict
from driftwatch.results.stored_verdict import verdict_from_json
from driftwatch.results.text_format import format_count

Say = Callable[[str], None]

_MONITOR = "flight-delays"
_LAST_DAY = "2014-01-01"
#: Days that an incident of weather columns alone stays open before the script accepts the season.
_ACCEPT_AFTER_DAYS = 21
_WEATHER_COLUMNS = frozenset(
    {"temp", "dewp", "humid", "pressure", "wind_speed", "wind_gust", "visib", "precip"}
)
#: Seconds after which something must be wrong with a check, which takes less than one.
_MAX_CHECK_SECONDS = 120.0
#: Seconds that a receiver has for one message before the demo goes on without it.
_MAX_RECEIVER_SECONDS = 10.0


def run_demo(
    *, exit_after_replay: bool, listen: str, folder: Path | None, notify: str | None, say: Say
) -> int:
    """Replay, print every page, then serve the web interface unless ``exit_after_replay``.

    Returns the number of pages. Raises ``ConfigError`` for a wrong ``listen`` or ``notify`` (a webhook)
    before it deletes an earlier demo.
    """
    folder = (folder or Path(".demo")).resolve()
    configure("text", "error")
    start_time = time.monotonic()
    say("New York flights of 2013 with the weather at their origin: January-March is the reference.")
    path = write_config(folder, listen, notify)
    load(path)
    rows = write_stream(folder)
    _delete_history(folder / "store")
    start, *_ = window_boundaries(86400, ZONE, parse_time(f"{REFERENCE_END}T12:00"), 0)
    clock = ReplayClock(start)
    daemon = Daemon(lambda: load(path), clock, deliver=False)
    daemon.start()
    try:
        short_path = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
        seconds = time.monotonic() - start_time
        say(f"{rows:,} rows in {short_path} after {seconds:.0f} s; serving {daemon.server.url}")
        pages = _replay_and_show(daemon, clock, start, say)
        if notify is not None or not exit_after_replay:
            clock.release()
        if notify is not None:
            say(deliver(daemon))
        if not exit_after_replay:
            _serve_until_interrupted(daemon, path, say)
        return pages
    finally:
        daemon.stop()


def _replay_and_show(daemon: Daemon, clock: ReplayClock, start: int, say: Say) -> int:
    start_time = time.monotonic()
    notes = _replay(daemon, clock, start)
    seconds = time.monotonic() - start_time
    pages = _pages(daemon)
    say(f"nine months replayed in {seconds:.0f} s, {len(pages)} pages")
    for note in notes:
        say(note)
    show_pages("Every page from April to December", pages)
    return len(pages)


def _delete_history(store: Path) -> None:
    for file in store.glob("*"):
        file.unlink()


def write_config(folder: Path, listen: str, notify: str | None = None) -> Path:
    template = files("driftwatch.cli.demo").joinpath("demo.yaml").read_text(encoding="utf-8")
    values = {
        "store": str(folder / "store"),
        "listen": listen,
        "reference": str(folder / "reference.parquet"),
        "production": str(folder / "production" / "**" / "*.parquet"),
    }
    text = Template(template).substitute({name: scalar(value) for name, value in values.items()})
    if notify is not None:
        text += f"notify:\n  - {{type: webhook, url: {scalar(notify)}}}\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "driftwatch.yaml"
    # The URL of a receiver may be its only secret.
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _replay(daemon: Daemon, clock: ReplayClock, start: int) -> list[str]:
    days = window_boundaries(86400, ZONE, start, parse_time(f"{_LAST_DAY}T05:00"))[1:]
    notes = []
    with progress("days") as advance:
        for number, end in enumerate(days, start=1):
            clock.set(end)
            daemon.runner.tick()
            _wait_for_check(daemon)
            note = _accept_season(daemon, end)
            if note:
                notes.append(note)
            advance(number, len(days))
    return notes


def _wait_for_check(daemon: Daemon) -> None:
    if not daemon.runner.wait_idle(_MAX_CHECK_SECONDS):
        raise DriftwatchError("the demo's check took longer than two minutes; something is wrong here.")


def _slot(daemon: Daemon) -> MonitorSlot:
    return daemon.runner.slots()[0]


def _accept_season(daemon: Daemon, now: int) -> str:
    # An incident of weather columns alone, open for weeks, is the season.
    for incident in _slot(daemon).monitor.segment_state(None).incidents:
        open_days = (now - incident.opened_at) / (86400 * NANOSECONDS)
        columns = single_columns(incident.columns)
        is_seasonal = bool(columns) and all(name in _WEATHER_COLUMNS for name in columns)
        if incident.kind == DRIFT and is_seasonal and open_days >= _ACCEPT_AFTER_DAYS:
            daemon.session.acknowledgements.ask(
                _MONITOR, incident.key, "accepted", until=None, note="the season", who="demo", now=now
            )
            daemon.runner.tick()
            _wait_for_check(daemon)
            names = ", ".join(column_labels(incident.columns))
            return f"{iso(now)[:10]}: {incident.key} accepted by the script as the season ({names})"
    return ""


def _pages(daemon: Daemon) -> list[Verdict]:
    rows = daemon.session.history.verdicts.newest(_MONITOR, None, limit=1000)
    return [verdict for verdict in map(verdict_from_json, rows) if verdict.page]


def deliver(daemon: Daemon, max_seconds: float = _MAX_RECEIVER_SECONDS) -> str:
    """Send the replay's messages, each within ``max_seconds``, and return a report.

    They are sent after the replay: its clock runs so fast that every retry deadline would pass at once.
    """
    daemon.senders.start()
    n_settled, deadline = -1, 0.0
    while (sink := daemon.senders.views()[0]).pending:
        n_current = sink.delivered + dict(sink.failed)["gave_up"]
        if n_current > n_settled:
            n_settled, deadline = n_current, time.monotonic() + max_seconds
            # A pass takes one message of a monitor; the next pass would come in a second.
            daemon.senders.wake()
        elif time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return _delivery_report(sink)


def _delivery_report(sink: SinkView) -> str:
    failures = dict(sink.failed)
    n_given_up = failures.pop("gave_up")
    report = f"{format_count(sink.delivered, 'message')} delivered to the receiver"
    report += f", {n_given_up} given up" if n_given_up else ""
    report += f", {sink.pending} not yet" if sink.pending else ""
    reasons = ", ".join(f"{reason} {count}" for reason, count in failures.items() if count)
    return report + (f"; failed attempts: {reasons}" if reasons else "")


def _serve_until_interrupted(daemon: Daemon, path: Path, say: Say) -> None:
    url = daemon.server.url.rstrip("/")
    say(
        f"\nStill running. Open {url}/ and {url}/monitors/{_MONITOR}; also {url}/metrics and {url}/-/healthy."
        f"\nThe configuration: {path}. Stop with Ctrl-C."
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
