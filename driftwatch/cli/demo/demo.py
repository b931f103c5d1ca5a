"""The demo: the real daemon on a real stream, nine months replayed by a clock that runs fast."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from string import Template

from driftwatch.cli.demo.data import REFERENCE_ENDS, ZONE, write_stream
from driftwatch.cli.output import progress, show_pages
from driftwatch.config.init import scalar
from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.core.schema import NANOSECONDS, iso
from driftwatch.core.windows import boundaries, parse_time
from driftwatch.daemon.app import Daemon
from driftwatch.daemon.logging_setup import configure
from driftwatch.daemon.runner import Slot
from driftwatch.daemon.status.snapshot import SinkView
from driftwatch.decide.incidents import DRIFT
from driftwatch.errors import DriftwatchError
from driftwatch.results.names import columns_only, listed_words
from driftwatch.results.results import Verdict
from driftwatch.results.verdict_json import verdict_from_json
from driftwatch.results.words import plural

Say = Callable[[str], None]

_MONITOR = "flight-delays"
_LAST_DAY = "2014-01-01"
#: Days an incident of nothing but weather stays open before the script accepts the season.
_PATIENCE_DAYS = 21
_SEASONAL = frozenset({"temp", "dewp", "humid", "pressure", "wind_speed", "wind_gust", "visib", "precip"})
_CHECK_SECONDS = 120.0
#: How long a receiver may take for one message before the demo goes on without it.
_RECEIVER_SECONDS = 10.0


def run_demo(*, leave: bool, listen: str, folder: Path | None, notify: str | None, say: Say) -> int:
    """Replay, print the pages, then stay up until interrupted unless ``leave``. Returns the pages.

    ``notify`` is the URL of a webhook that is told of them after the replay. Raises ``ConfigError`` when it,
    or ``listen``, is none; the rows and the history of an earlier demo are kept then.
    """
    folder = (folder or Path(".demo")).resolve()
    configure("text", "error")
    began = time.monotonic()
    say("New York flights of 2013 with the weather at their origin: January-March is the reference.")
    path = write_config(folder, listen, notify)
    load(path)
    rows = write_stream(folder)
    _forget_last_time(folder / "store")
    start, *_ = boundaries(86400, ZONE, parse_time(f"{REFERENCE_ENDS}T12:00"), 0)
    clock = ReplayClock(start)
    daemon = Daemon(lambda: load(path), clock, deliver=False)
    daemon.start()
    try:
        shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
        say(f"{rows:,} rows in {shown} after {time.monotonic() - began:.0f} s; serving {daemon.server.url}")
        pages = _replay_and_show(daemon, clock, start, say)
        if notify is not None or not leave:
            clock.release()
        if notify is not None:
            say(deliver(daemon))
        if not leave:
            _stay(daemon, path, say)
        return pages
    finally:
        daemon.stop()


def _replay_and_show(daemon: Daemon, clock: ReplayClock, start: int, say: Say) -> int:
    began = time.monotonic()
    accepted = _replay(daemon, clock, start)
    seconds = time.monotonic() - began
    pages = _pages(daemon)
    say(f"nine months replayed in {seconds:.0f} s, {len(pages)} pages")
    for note in accepted:
        say(note)
    show_pages("Every page from April to December", pages)
    return len(pages)


def _forget_last_time(store: Path) -> None:
    for file in store.glob("*"):
        file.unlink()


def write_config(folder: Path, listen: str, notify: str | None = None) -> Path:
    """The demo's configuration for the stream in ``folder``; ``notify`` is the URL of a webhook. Its path.

    Any text is written as what it is; whether it can be used is for ``load`` to say.
    """
    text = files("driftwatch.cli.demo").joinpath("demo.yaml").read_text(encoding="utf-8")
    values = {
        "store": str(folder / "store"),
        "listen": listen,
        "reference": str(folder / "reference.parquet"),
        "production": str(folder / "production" / "**" / "*.parquet"),
    }
    written = Template(text).substitute({name: scalar(value) for name, value in values.items()})
    if notify is not None:
        written += f"notify:\n  - {{type: webhook, url: {scalar(notify)}}}\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "driftwatch.yaml"
    # The address of a receiver may be all that guards it.
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(written, encoding="utf-8")
    return path


def _replay(daemon: Daemon, clock: ReplayClock, start: int) -> list[str]:
    """Move the clock a day at a time; each day is checked before the next begins."""
    days = boundaries(86400, ZONE, start, parse_time(f"{_LAST_DAY}T05:00"))[1:]
    accepted = []
    with progress("days") as advance:
        for done, end in enumerate(days, start=1):
            clock.set(end)
            daemon.runner.tick()
            _settle(daemon)
            note = _accept_season(daemon, end)
            if note:
                accepted.append(note)
            advance(done, len(days))
    return accepted


def _settle(daemon: Daemon) -> None:
    if not daemon.runner.wait_idle(_CHECK_SECONDS):
        raise DriftwatchError("the demo's check took longer than two minutes; something is wrong here.")


def _slot(daemon: Daemon) -> Slot:
    return daemon.runner.slots()[0]


def _accept_season(daemon: Daemon, now: int) -> str:
    """The scripted acknowledgement: an incident of weather alone, open for weeks, is the season."""
    for incident in _slot(daemon).monitor.segment_state(None).incidents:
        open_days = (now - incident.opened_at) / (86400 * NANOSECONDS)
        weather = columns_only(incident.columns)
        seasonal = bool(weather) and all(name in _SEASONAL for name in weather)
        if incident.kind == DRIFT and seasonal and open_days >= _PATIENCE_DAYS:
            daemon.session.acknowledgements.ask(
                _MONITOR, incident.key, "accepted", until=None, note="the season", who="demo", now=now
            )
            daemon.runner.tick()
            _settle(daemon)
            named = ", ".join(listed_words(incident.columns))
            return f"{iso(now)[:10]}: {incident.key} accepted by the script as the season ({named})"
    return ""


def _pages(daemon: Daemon) -> list[Verdict]:
    stored = daemon.session.history.verdicts(_MONITOR, None, limit=1000)
    return [verdict for verdict in map(verdict_from_json, stored) if verdict.page]


def deliver(daemon: Daemon, patience: float = _RECEIVER_SECONDS) -> str:
    """Let the messages of the replay out, and say what became of them, for people.

    Only now: in the replay a day is over in the wink of an eye, and with it every wait for a receiver that
    is down; a message would be given up within a second. ``patience`` is in seconds, for each message anew.
    """
    daemon.senders.start()
    settled, until = -1, 0.0
    while (sink := daemon.senders.views()[0]).pending:
        done = sink.delivered + dict(sink.failed)["gave_up"]
        if done > settled:
            settled, until = done, time.monotonic() + patience
            # A pass takes one message of a monitor; the next pass would come in a second.
            daemon.senders.wake()
        elif time.monotonic() > until:
            break
        time.sleep(0.05)
    return _delivered(sink)


def _delivered(sink: SinkView) -> str:
    failed = dict(sink.failed)
    lost = failed.pop("gave_up")
    said = f"{plural(sink.delivered, 'message')} delivered to the receiver"
    said += f", {lost} given up" if lost else ""
    said += f", {sink.pending} not yet" if sink.pending else ""
    reasons = ", ".join(f"{reason} {count}" for reason, count in failed.items() if count)
    return said + (f"; failed attempts: {reasons}" if reasons else "")


def _stay(daemon: Daemon, path: Path, say: Say) -> None:
    url = daemon.server.url.rstrip("/")
    say(
        f"\nStill running. Open {url}/ and {url}/monitors/{_MONITOR}; also {url}/metrics and {url}/-/healthy."
        f"\nThe configuration: {path}. Stop with Ctrl-C."
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
