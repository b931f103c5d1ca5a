"""The reference loader without sources: one monitor's reference that cannot be had is no other's trouble."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from peers import until

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.reference_loader import ReferenceLoader
from driftwatch.errors import NoFeatures, ReferenceUnusable, SourceUnavailable, StoreError

NAMES = ("first", "second", "third")


@dataclass
class FakeSession:
    """``errors`` are raised in building, ``stored`` holds references or what reading them raises."""

    names: tuple[str, ...] = NAMES
    errors: dict[str, Exception] = field(default_factory=dict)
    stored: dict[str, Any] = field(default_factory=dict)
    hold: threading.Event = field(default_factory=threading.Event)
    #: Monitors whose reference is built once the event is set, and how often each was begun.
    slow: dict[str, threading.Event] = field(default_factory=dict)
    running: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.hold.set()
        limits = SimpleNamespace(seconds=300)
        monitors = [SimpleNamespace(name=name, limits=limits) for name in self.names]
        self.config = SimpleNamespace(monitors=monitors)
        self.history = SimpleNamespace(references=SimpleNamespace(active=self._active))

    def _active(self, name: str) -> Any:
        active = self.stored.get(name)
        if isinstance(active, Exception):
            raise active
        return None if active is None else SimpleNamespace(reference=active)

    def monitor(self, item: Any) -> str:
        self.running[item.name] += 1
        assert self.hold.wait(10)
        assert item.name not in self.slow or self.slow[item.name].wait(10)
        if item.name in self.errors:
            raise self.errors[item.name]
        return f"built for {item.name}"

    def with_reference(self, item: Any, reference: str) -> str:
        return reference


class Events:
    """What a loader reports, in order."""

    def __init__(self, workers: int = 1) -> None:
        self.lines: list[tuple[str, ...]] = []
        self.rounds = 0
        self.loader = ReferenceLoader(
            on_stored=lambda item, active: self._restore(item.name, active.reference),
            on_loaded=self._loaded,
            on_failure=lambda item, reason: self.lines.append(("failed", item.name, reason)),
            on_round_end=self._end,
            workers=workers,
        )

    def _restore(self, name: str, reference: str) -> None:
        if reference == "cannot be shown":
            raise KeyError(reference)
        self.lines.append(("stored", name))

    def _loaded(self, item: Any, monitor: Any, *, stored: bool) -> None:
        self.lines.append(("loaded", item.name, monitor, "stored" if stored else "new"))

    def _end(self) -> None:
        self.rounds += 1

    def load(self, session: FakeSession) -> None:
        self.loader.load(session)  # type: ignore[arg-type]
        assert self.loader.wait(10)


@pytest.fixture
def events() -> Iterator[Events]:
    reported = Events()
    yield reported
    reported.loader.stop()


@pytest.mark.parametrize(
    "error", [ReferenceUnusable("too few rows"), NoFeatures("no feature"), ZeroDivisionError("a bug")]
)
def test_a_reference_that_cannot_be_built_stops_no_other_and_is_retried(
    events: Events, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    session = FakeSession(errors={"second": error})
    events.load(session)
    # A failure is reported beside the next load.
    assert sorted(events.lines) == [
        ("failed", "second", str(error)),
        ("loaded", "first", "built for first", "new"),
        ("loaded", "third", "built for third", "new"),
    ]
    assert events.rounds == 1, "the others are ready"
    (record,) = (record for record in caplog.records if record.message == "reference unusable")
    assert bool(record.exc_info) is isinstance(error, ZeroDivisionError), "a traceback is for bugs"
    session.errors.clear()
    events.loader.retry(session, 61 * NANOSECONDS)  # type: ignore[arg-type]
    assert events.loader.wait(10)
    assert events.lines[3:] == [("loaded", "second", "built for second", "new")]
    events.loader.retry(session, 999 * NANOSECONDS)  # type: ignore[arg-type]
    assert events.loader.wait(10)
    assert len(events.lines) == 4, "nothing is missing any more"


def test_stored_references_serve_while_their_files_cannot_be_read(events: Events) -> None:
    session = FakeSession(
        errors={name: SourceUnavailable("gone") for name in NAMES}, stored={"first": "stored reference"}
    )
    events.load(session)
    assert events.lines == [
        ("loaded", "first", "stored reference", "stored"),
        ("failed", "second", "gone"),
        ("failed", "third", "gone"),
    ]


def test_stored_state_that_cannot_be_shown_hides_no_other_monitors(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    stored = {"first": StoreError("torn"), "second": "cannot be shown", "third": "reference"}
    events.loader.restore(FakeSession(stored=stored))  # type: ignore[arg-type]
    assert events.lines == [("stored", "third")]
    records = [record for record in caplog.records if record.message == "stored state cannot be shown"]
    assert [record.monitor for record in records] == ["first", "second"]  # type: ignore[attr-defined]
    assert all(record.exc_info for record in records)


def test_loading_for_an_older_configuration_ends_early(events: Events) -> None:
    old, new = FakeSession(), FakeSession(names=("third",))
    old.hold.clear()
    events.loader.load(old)  # type: ignore[arg-type]
    events.loader.load(new)  # type: ignore[arg-type]
    old.hold.set()
    assert events.loader.wait(10)
    assert events.lines == [("loaded", "third", "built for third", "new")]
    assert events.rounds == 1


def test_a_loader_that_stops_reports_no_failures(events: Events, caplog: pytest.LogCaptureFixture) -> None:
    """Its readers are killed then, which is no failure of a source."""
    caplog.set_level(logging.ERROR)
    session = FakeSession(errors={"first": ZeroDivisionError("killed")})
    session.hold.clear()
    events.loader.load(session)  # type: ignore[arg-type]
    events.loader.stop()
    session.hold.set()
    assert events.loader.wait(10)
    assert events.lines == []
    assert not caplog.records


def test_a_monitor_that_a_reload_removed_while_its_files_were_read_is_not_loaded(events: Events) -> None:
    reload_session = FakeSession(names=())

    class Slow(FakeSession):
        def monitor(self, item: Any) -> str:
            events.loader.load(reload_session)  # type: ignore[arg-type]
            return super().monitor(item)

    events.load(
        Slow(errors={name: SourceUnavailable("gone") for name in NAMES}, stored={"first": "reference"})
    )
    assert events.lines == []


def test_a_failure_of_what_follows_a_load_is_logged(
    events: Events, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(events.loader, "_on_round_end", fail)
    events.load(FakeSession())
    # The line is written after the end of the round, on the thread.
    events.loader._jobs.reports.shutdown(wait=True)
    assert [bool(record.exc_info) for record in caplog.records if "cannot be shown" in record.message] == [
        True
    ]


def test_one_slow_reference_delays_no_other_monitor() -> None:
    events = Events(workers=2)
    session = FakeSession(slow={"first": threading.Event()})
    events.loader.load(session)  # type: ignore[arg-type]
    until(lambda: len(events.lines) == 2)
    assert {name for _, name, *_ in events.lines} == {"second", "third"}
    assert events.rounds == 0, "one is missing"
    session.slow["first"].set()
    assert events.loader.wait(10)
    assert (events.lines[2][1], events.rounds) == ("first", 1)
    events.loader.stop()


def test_two_sessions_never_build_one_monitors_reference_at_the_same_time() -> None:
    """The older one could store its reference last, and it would be in force."""
    events = Events(workers=3)
    old, new = FakeSession(slow={"first": threading.Event()}), FakeSession()
    events.loader.load(old)  # type: ignore[arg-type]
    until(lambda: "first" in old.running)
    events.loader.load(new)  # type: ignore[arg-type]
    until(lambda: {name for _, name, *_ in events.lines} >= {"second", "third"})
    assert "first" not in new.running
    old.slow["first"].set()
    assert events.loader.wait(10)
    assert [line for line in events.lines if line[1] == "first"] == [
        ("loaded", "first", "built for first", "new")
    ]
    assert new.running["first"] == 1
    events.loader.stop()


def test_loading_begins_with_the_monitor_it_is_told() -> None:
    events = Events()
    events.loader.load(FakeSession(), "second")  # type: ignore[arg-type]
    assert events.loader.wait(10)
    assert [name for _, name, *_ in events.lines] == ["second", "third", "first"]
    events.loader.stop()
