"""The contract of notifiers, against servers that speak their protocols. Notifiers are found by name.

A receiver that is down, slow, rate-limited or lies loses nothing and doubles nothing: whatever arrives more
than once carries the same key.
"""

from __future__ import annotations

import json
import logging
import random
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_outbox import SECOND, MemoryOutbox, message
from peers import free_port, silent
from receivers import ACCEPTING_MODES, FLOOD_BYTES, MODES, RETRY_AFTER_SECONDS, SECRET, Peer, peer_of

from driftwatch.core import plugins
from driftwatch.daemon.delivery import DeliveryLoop
from driftwatch.monitor.incident_message import Ending, resolved_message
from driftwatch.notify.base import OWN_NAME, REASONS, Delivery, IncidentKind, Notifier, OwnKind
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.outbox import OutboxTable, message_from_json, message_to_json
from driftwatch.store.records import CheckRecord

GOLDEN = Path(__file__).parents[1] / "notify" / "golden"
NOW = 1_795_424_470 * SECOND
FIRING = message("credit-risk-drift-a2f3d11bda")
RESOLVED = replace(FIRING, resolved=True, resolved_at=NOW - 5 * SECOND)
CASES = {
    "firing": FIRING,
    "resolved": RESOLVED,
    "broken": message(
        "credit-risk-broken-77aa", kind=IncidentKind.BROKEN, segment="north", url="", state="broken",
        title="credit-risk [north] (model credit-xgb 14): input broken, age", lines=("age: all null",),
        unchanged="", reason="column_all_null", possible_duplicate=True,
    ),
    "stale": message(
        "credit-risk-blind-00bb", kind=IncidentKind.BLIND, state="stale", reason="source_stale", onset=None,
        title="credit-risk (model credit-xgb 14): could not look, source stale", unchanged="",
        lines=("the newest row is of 2026-11-23T01:12:00Z",
               "nothing is known about drift until this works again"),
    ),
}  # fmt: skip
#: A further page under its key, in several segments; its end says how it ended.
CASES["again"] = message(
    "credit-risk-drift-a2f3d11bda", again=True, segments=(None, "north"),
    title="credit-risk [2 segments]: drifted further, age (1 of 41 columns)",
    lines=("since 2026-11-13 03:00Z, 12,480 rows",
           "again: it has moved further since 2026-11-23 03:00Z; "
           "its last page was for the window to 2026-11-13 09:00Z",
           "in 2 segments: all rows, north",
           "age: median 41 → 19 (88% of the evidence); at the last page median 41 → 30",
           "ends by itself after 3 quiet windows; so far 0"),
)  # fmt: skip
CASES["quiet"] = replace(
    RESOLVED, ended="nothing was out of the ordinary for 3 windows in a row, 12 days after the first page"
)
CASES["recurring"] = replace(
    RESOLVED, ended="it kept coming back, and has now been away for 10 days, 6 weeks after the first page"
)
CASES["accepted"] = replace(
    RESOLVED, ended="somebody accepted it as the new normal, 2 h after the first page"
)
CASES["whole"] = replace(
    CASES["broken"],
    resolved=True,
    resolved_at=NOW,
    possible_duplicate=False,
    ended="the values are whole again, 3 h after the first page",
)
#: What the daemon says about itself.
CASES["store"] = message(
    "driftwatch-store-full-1f00aa77-1795424460", kind=OwnKind.STORE, monitor=OWN_NAME, state="full",
    title="driftwatch cannot store: the disk is full", reason="store_full", onset=None, unchanged="",
    model_name="", model_version="", url="https://drift.example.org/daemon",
    lines=("nothing new is decided, windows wait and nothing is lost",
           "Free some space: /var/lib/driftwatch. Everything goes on by itself then."),
)  # fmt: skip
CASES["store_ended"] = replace(CASES["store"], resolved=True, resolved_at=NOW - 5 * SECOND)
#: Incidents that a change ended.
CASES |= {
    name: message_from_json(resolved_message(message_to_json(case), NOW - 5 * SECOND, ending=ending))
    for name, case, ending in (
        ("ended", FIRING, Ending.REFERENCE_REPLACED),
        ("stale_ended", CASES["stale"], Ending.MONITOR_REMOVED),
    )
}
NOTIFIERS = plugins.names("notify")


@pytest.fixture(params=NOTIFIERS)
def name(request: pytest.FixtureRequest) -> str:
    notifier_name: str = request.param
    return notifier_name


@pytest.fixture
def peer(name: str, tmp_path: Path) -> Iterator[Peer]:
    with peer_of(name).serving(tmp_path) as serving:
        yield serving
    assert serving.complaints == []


def open_notifier_of(peer: Peer, folder: Path, *, port: int | None = None, timeout: float = 10.0) -> Notifier:
    values = peer.settings(folder, port=port, timeout=timeout)
    module = plugins.load("notify", values["type"])
    notifier: Notifier = module.open_notifier(module.CONFIG.model_validate(values))
    return notifier


def delivery_loop(outbox: object, name: str, notifier: Notifier) -> DeliveryLoop:
    sinks = {name: notifier}
    return DeliveryLoop(outbox, sinks, clock=lambda: NOW, rng=random.Random(1))  # type: ignore[arg-type]


def test_it_is_named_as_its_file(name: str) -> None:
    assert plugins.load("notify", name).CONFIG.model_fields["type"].default == name


@pytest.mark.parametrize("case", CASES)
def test_what_arrives(peer: Peer, name: str, tmp_path: Path, case: str) -> None:
    sent = CASES[case]
    answer = open_notifier_of(peer, tmp_path).send(sent, NOW)
    assert answer.delivered, (answer, peer.complaints)
    (notification,) = peer.received
    assert notification.resolved == sent.resolved
    assert len(notification.text) <= 600, "short enough for a telephone"
    first = notification.text.splitlines()[0]
    assert len(first) <= 80
    assert first.split("] ", 1)[1] == sent.title, "the symptom comes first"
    assert all(line in notification.text for line in sent.lines[1:])
    assert sent.url in notification.text
    path = GOLDEN / name / f"{case}.txt"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(notification.whole + "\n", encoding="utf-8")
        pytest.fail(f"wrote {path}: read it, then run again")
    assert notification.whole + "\n" == path.read_text(encoding="utf-8")


def test_an_end_is_told_in_full_and_belongs_to_its_beginning(peer: Peer, tmp_path: Path) -> None:
    sink = open_notifier_of(peer, tmp_path)
    for sent in (FIRING, RESOLVED, replace(FIRING, key="another")):
        assert sink.send(sent, NOW).delivered
    firing, resolve, another = peer.received
    assert firing.incident == resolve.incident != another.incident
    assert firing.key != resolve.key
    assert all(line in resolve.text for line in (*FIRING.lines, FIRING.unchanged, FIRING.url))
    assert resolve.text.startswith("[resolved] ")


def test_a_page_again_belongs_to_its_incident_and_no_end_hides_it(peer: Peer, tmp_path: Path) -> None:
    sink, again = open_notifier_of(peer, tmp_path), CASES["again"]
    for sent in (FIRING, again, again, replace(RESOLVED, ended="quiet for 3 windows")):
        assert sink.send(sent, NOW).delivered
    firing, page, resend, resolve = peer.received
    assert firing.incident == page.incident == resolve.incident
    assert page.key == resend.key != resolve.key
    assert not page.resolved
    assert "quiet for 3 windows" in resolve.text.splitlines()[1] + resolve.text.splitlines()[2]


def test_a_trail_changes_no_word(peer: Peer, tmp_path: Path) -> None:
    trail = ((NOW - SECOND, 0.25, "ok", False), (NOW, 1.5, "drifting", True))
    for sent in (FIRING, replace(FIRING, trail=trail)):
        assert open_notifier_of(peer, tmp_path).send(sent, NOW).delivered
    without_trail, with_trail = peer.received
    assert with_trail.text == without_trail.text


def test_a_resend_has_the_same_key_whoever_sends_it(peer: Peer, tmp_path: Path) -> None:
    for sent in (FIRING, replace(FIRING, possible_duplicate=True)):
        assert open_notifier_of(peer, tmp_path).send(sent, NOW).delivered
    first, resend = peer.received
    assert (first.key, first.incident) == (resend.key, resend.incident)
    assert "told before" in resend.text
    assert "told before" not in first.text


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_is_taken_for_what_it_is(peer: Peer, tmp_path: Path, mode: str) -> None:
    peer.modes = [mode]
    sink = open_notifier_of(peer, tmp_path)
    tracemalloc.start()
    try:
        answer = sink.send(FIRING, NOW)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peer.attempts == 1, "one attempt, nothing followed"
    assert answer.delivered <= (mode in ACCEPTING_MODES), "never called delivered when it was not"
    assert answer.delivered or answer.reason in REASONS
    if mode in peer.expected:
        assert (answer.reason, answer.retryable) == peer.expected[mode]
    elif not answer.delivered:
        assert answer.retryable
    if mode == "limited":
        assert answer.retry_after in (None, RETRY_AFTER_SECONDS)
    if mode == "floods":
        assert peak < FLOOD_BYTES / 4, "nobody reads what has no end"
    assert len(answer.detail) < 400


@pytest.mark.parametrize("how", ["down", "silent", "drips", "garbage"])
def test_a_receiver_that_does_not_answer(name: str, tmp_path: Path, how: str) -> None:
    peer = peer_of(name)
    # Drips for more than an hour: only the deadline ends it.
    endless = (peer.slow_answer + b"y" * 60_000, 0.06)
    answer_bytes, interval = {"drips": endless, "garbage": (b"\x00garbage\r\n\r\n", 0.0)}.get(how, (b"", 0.0))
    answers: list[Delivery] = []
    with silent(answer_bytes, interval) as url:
        port = free_port() if how == "down" else int(url.rpartition(":")[2])
        sink = open_notifier_of(peer, tmp_path, port=port, timeout=0.5)
        sending = threading.Thread(target=lambda: answers.append(sink.send(FIRING, NOW)), daemon=True)
        sending.start()
        sending.join(60)
        assert answers, "it waits for ever"
    answer = answers[0]
    assert (answer.delivered, answer.retryable) == (False, True)
    reasons = {"down": {"connection"}, "garbage": {"cut_off", "answer", "server_error", "timeout"}}
    assert answer.reason in reasons.get(how, {"timeout"})


@pytest.mark.parametrize("trouble", [mode for mode in MODES if mode != "takes"])
def test_trouble_loses_nothing_and_doubles_nothing(
    peer: Peer, name: str, tmp_path: Path, trouble: str
) -> None:
    peer.modes = [trouble, trouble, "takes"]
    outbox, now = MemoryOutbox(), NOW
    numbers = [outbox.put(name, sent, at=NOW) for sent in (FIRING, RESOLVED)]
    sink = open_notifier_of(peer, tmp_path)
    for _ in range(6):
        delivery_loop(outbox, name, sink).deliver_once(now)
        now += 3600 * SECOND
    states = [outbox.entries[number].state for number in numbers]
    if not peer.expected.get(trouble, ("", True))[1]:
        assert states == ["dead", "dead"], "said to be lost and counted, and in nobody's way"
        assert peer.received == []
        return
    assert states == ["delivered", "delivered"]
    keys = [notification.key for notification in peer.received]
    assert len(set(keys)) == 2, "one key for each"
    if trouble not in ACCEPTING_MODES:
        assert len(keys) == 2, "and each came once"
    else:
        duplicate_marks = ["told before" in notification.text for notification in peer.received]
        assert duplicate_marks == [keys.index(key) < index for index, key in enumerate(keys)]
    assert [notification.resolved for notification in peer.received] == sorted(
        notification.resolved for notification in peer.received
    )


def test_a_receiver_that_asks_to_wait_is_left_alone(peer: Peer, name: str, tmp_path: Path) -> None:
    peer.modes = ["limited", "takes"]
    outbox = MemoryOutbox()
    for number in range(5):
        outbox.put(name, replace(FIRING, key=f"k{number}", segment=f"s{number}"), at=NOW)
    sink = open_notifier_of(peer, tmp_path)
    deliveries = delivery_loop(outbox, name, sink)
    deliveries.deliver_once(NOW)
    if outbox.entries[1].next_at < NOW + RETRY_AFTER_SECONDS * SECOND:
        assert len(peer.received) == 4, "it did not say how long: the others are tried"
    else:
        deliveries.deliver_once(NOW + (RETRY_AFTER_SECONDS - 1) * SECOND)
        assert peer.attempts == 1
    deliveries.deliver_once(NOW + 60 * SECOND)
    assert len({notification.incident for notification in peer.received}) == 5
    assert len(peer.received) == 5 or sink.refresh_seconds is not None


_PROCESS_CODE = """
import os, random, signal, sys, json
from pathlib import Path
from driftwatch.core import plugins
from driftwatch.daemon.delivery import DeliveryLoop
from driftwatch.store.database import Database
from driftwatch.store.outbox import OutboxTable

values, now = json.loads(sys.argv[2]), int(sys.argv[3])
module = plugins.load("notify", values["type"])
notifier = module.open_notifier(module.CONFIG.model_validate(values))
database = Database(Path(sys.argv[1]))

class Killed(OutboxTable):
    def delivered(self, number, now):
        os.kill(os.getpid(), signal.SIGKILL)

outbox = Killed(database, lambda: now)
loop = DeliveryLoop(outbox, {"sink": notifier}, clock=lambda: now, rng=random.Random(1))
loop.deliver_once(now)
"""


def test_killed_between_sending_and_recording(peer: Peer, tmp_path: Path) -> None:
    """kill -9 after the receiver has it and before the store knows: sent once more, under the same key."""
    values = json.dumps(peer.settings(tmp_path))
    store = tmp_path / "store"
    database = Database(store)
    messages = [("sink", FIRING.key, "firing", None, message_to_json(FIRING))]
    History(database).commit(CheckRecord(monitor=FIRING.monitor, now=NOW, messages=messages))
    database.close()
    for _ in range(2):
        process = subprocess.run(
            [sys.executable, "-c", _PROCESS_CODE, str(store), values, str(NOW)], check=False
        )
        assert process.returncode == -signal.SIGKILL
    database = Database(store)
    table = OutboxTable(database, lambda: NOW)
    deliveries = delivery_loop(table, "sink", open_notifier_of(peer, tmp_path))
    deliveries.deliver_once(NOW)
    assert table.waiting("sink") == 0
    assert len(peer.received) == 3, "one more for every kill"
    deliveries.deliver_once(NOW + SECOND)
    database.close()
    assert len({notification.key for notification in peer.received}) == 1
    assert ["told before" in notification.text for notification in peer.received[:3]] == [False, True, True]


def test_no_secret_is_ever_shown(
    peer: Peer, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    values = peer.settings(tmp_path)
    config = plugins.load("notify", name).CONFIG.model_validate(values)
    texts = [repr(config), config.model_dump_json()]
    outbox, now = MemoryOutbox(), NOW
    for number, mode in enumerate(MODES):
        peer.modes = [mode]
        outbox.put(name, replace(FIRING, key=f"k{number}", segment=mode), at=now)
        delivery_loop(outbox, name, open_notifier_of(peer, tmp_path)).deliver_once(now)
        now += 3600 * SECOND
    for port in (free_port(), None):
        texts.append(open_notifier_of(peer, tmp_path, port=port).send(FIRING, NOW).detail)
    texts += [str(vars(record)) for record in caplog.records]
    assert len(texts) > len(MODES)
    assert not [text for text in texts if SECRET in text]


def test_a_secret_that_is_gone_is_waited_for(peer: Peer, tmp_path: Path) -> None:
    sink = open_notifier_of(peer, tmp_path)
    for change in (lambda path: path.unlink(), lambda path: path.write_bytes(b"\xff\xfe")):
        (tmp_path / "secret").touch()
        change(tmp_path / "secret")
        answer = sink.send(FIRING, NOW)
        assert (answer.delivered, answer.retryable, answer.reason) == (False, True, "secret")
    assert peer.attempts == 0


def test_hostile_names_arrive_as_text(peer: Peer, tmp_path: Path) -> None:
    sink = open_notifier_of(peer, tmp_path)

    @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.text(max_size=200), st.text(max_size=200), st.text(min_size=1, max_size=200))
    def hostile(title: str, line: str, key: str) -> None:
        for nasty in ("<!channel> *b* `c` & </p><script>x</script>", "a\r\nBcc: x@example.org\r\n\r\n.\r\n"):
            sent = replace(
                FIRING, key=key + nasty, monitor=nasty, title=title + nasty, lines=(line + nasty,) * 20,
                segment=nasty, unchanged=nasty + line, url=f"https://drift.example.org/{nasty}|x",
            )  # fmt: skip
            answer = sink.send(sent, NOW)
            assert answer.delivered, (answer, peer.complaints)

    hostile()
    assert {notification.resolved for notification in peer.received} == {False}
