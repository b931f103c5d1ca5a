"""The delivery loop: at least once, in order, one slow receiver delaying nobody, nothing lost to a crash."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from memory_outbox import SECOND, MemoryOutbox, message
from peers import Receiver, free_port, silent, until
from soak import examples

from driftwatch.daemon.delivery import DeliveryLoop
from driftwatch.daemon.own_health.announcements import MAX_WAITING, Announcements
from driftwatch.daemon.sink_worker import REASONS, backoff
from driftwatch.errors import StoreError
from driftwatch.notify import base
from driftwatch.notify.base import Delivery, Message, Notifier
from driftwatch.notify.webhook import WebhookConfig, WebhookNotifier
from driftwatch.store.outbox import OutboxRow

OK = Delivery(delivered=True)
FAILURE = Delivery(delivered=False, retryable=True, reason="server_error")
REFUSAL = Delivery(delivered=False, reason="rejected")
START = 1_795_424_470 * SECOND


@dataclass
class Scripted:
    """Answers in turn, the last one for ever; remembers what it was sent."""

    answers: list[Delivery] = field(default_factory=lambda: [OK])
    refresh_seconds: float | None = None
    sent: list[Message] = field(default_factory=list)

    def send(self, message: Message, now: int) -> Delivery:
        self.sent.append(message)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def loop(outbox: MemoryOutbox, **notifiers: Notifier) -> DeliveryLoop:
    return DeliveryLoop(outbox, notifiers, clock=lambda: time.time_ns(), rng=random.Random(1))


@contextmanager
def running(outbox: MemoryOutbox, **notifiers: Notifier) -> Iterator[DeliveryLoop]:
    """A loop with its threads, checked to stop within a second."""
    delivery_loop = loop(outbox, **notifiers)
    delivery_loop.start()
    try:
        yield delivery_loop
    finally:
        begun = time.monotonic()
        assert delivery_loop.stop(2.0)
        assert time.monotonic() - begun < 2.0


def webhook(url: str, timeout: float = 0.3) -> WebhookNotifier:
    return WebhookNotifier(WebhookConfig(url=url, timeout=timeout))


def state(outbox: MemoryOutbox, number: int) -> str:
    return outbox.entries[number].state


def test_reasons_of_the_http_sender_are_all_counted() -> None:
    assert set(base.REASONS) <= set(REASONS)


def test_a_message_is_sent_once_and_counted() -> None:
    outbox, sink = MemoryOutbox(), Scripted()
    number = outbox.put("a", message())
    delivery_loop = loop(outbox, a=sink)
    delivery_loop.deliver_once(START)
    delivery_loop.deliver_once(START + 99 * SECOND)
    assert [sent.key for sent in sink.sent] == ["k1"]
    assert not sink.sent[0].possible_duplicate
    assert state(outbox, number) == "delivered"
    view = delivery_loop.views()[0]
    assert (view.name, view.delivered, view.pending) == ("a", 1, 0)
    assert dict(view.failed) == dict.fromkeys(REASONS, 0), (
        "every reason starts at 0, so that increase() sees the first"
    )


def test_a_row_found_in_sending_is_sent_again_under_the_same_key_and_marked() -> None:
    outbox, sink = MemoryOutbox(), Scripted()
    number = outbox.put("a", message("k7"), state="sending")
    loop(outbox, a=sink).deliver_once(START)
    assert [(sent.key, sent.possible_duplicate) for sent in sink.sent] == [("k7", True)]
    assert state(outbox, number) == "delivered"


@pytest.mark.parametrize(
    "answer", [FAILURE, replace(FAILURE, reason="timeout"), replace(FAILURE, reason="rate_limited")]
)
def test_what_can_get_better_is_tried_again_with_growing_waits(answer: Delivery) -> None:
    outbox, sink = MemoryOutbox(), Scripted([answer])
    number = outbox.put("a", message(), at=START)
    delivery_loop = loop(outbox, a=sink)
    now, waits = START, []
    for _ in range(16):
        delivery_loop.deliver_once(now)
        waits.append((outbox.entries[number].next_at - now) / SECOND)
        delivery_loop.deliver_once(outbox.entries[number].next_at - 1)
        now = outbox.entries[number].next_at
    assert len(sink.sent) == 16, "nothing is sent before its time"
    for step, wait in enumerate(waits):
        assert 0.04 < wait <= min(600, 2**step)
    assert dict(delivery_loop.views()[0].failed)[answer.reason] == 16
    assert delivery_loop.views()[0].pending == 1


def test_after_a_day_a_message_is_given_up() -> None:
    outbox, sink = MemoryOutbox(), Scripted([FAILURE])
    number = outbox.put("a", message(), at=START)
    delivery_loop = loop(outbox, a=sink)
    for attempt in range(10):
        assert state(outbox, number) == "pending"
        delivery_loop.deliver_once(START + (80_000 + attempt * 700) * SECOND)
    assert state(outbox, number) == "pending", "86,300 seconds are less than a day"
    delivery_loop.deliver_once(START + 87_000 * SECOND)
    assert state(outbox, number) == "dead"
    assert len(sink.sent) == 11
    assert dict(delivery_loop.views()[0].failed)["gave_up"] == 1


def test_an_old_message_is_tried_often_before_it_is_given_up() -> None:
    """After a standstill of days the network may need a minute: the first failure loses no page."""
    outbox, sink = MemoryOutbox(), Scripted([FAILURE])
    number = outbox.put("a", message(), at=START)
    delivery_loop = loop(outbox, a=sink)
    now = START + 5 * 86_400 * SECOND
    for _ in range(9):
        delivery_loop.deliver_once(now)
        assert state(outbox, number) == "pending"
        now = outbox.entries[number].next_at
    delivery_loop.deliver_once(now)
    assert state(outbox, number) == "dead"


def test_what_cannot_get_better_is_dead_at_once() -> None:
    outbox, sink = MemoryOutbox(), Scripted([REFUSAL])
    number = outbox.put("a", message())
    delivery_loop = loop(outbox, a=sink)
    delivery_loop.deliver_once(START)
    assert state(outbox, number) == "dead"
    failed = dict(delivery_loop.views()[0].failed)
    assert (failed["rejected"], failed["gave_up"], delivery_loop.views()[0].delivered) == (1, 1, 0)


@pytest.mark.parametrize(("retry_after", "expected"), [(30.0, 30.0), (10.0**9, 3600.0), (0.0, None)])
def test_the_receiver_may_ask_for_patience(retry_after: float, expected: float | None) -> None:
    outbox, sink = MemoryOutbox(), Scripted([replace(FAILURE, retry_after=retry_after)])
    number = outbox.put("a", message(), at=START)
    loop(outbox, a=sink).deliver_once(START)
    wait = (outbox.entries[number].next_at - START) / SECOND
    assert wait == expected if expected is not None else 0 < wait <= 1


@pytest.mark.parametrize(
    ("reason", "marked"), [("timeout", True), ("answer", True), ("cut_off", True), ("server_error", False)]
)
def test_what_may_have_arrived_says_so_when_it_is_sent_again(reason: str, marked: bool) -> None:
    outbox, sink = MemoryOutbox(), Scripted([replace(FAILURE, reason=reason), OK])
    outbox.put("a", message(), at=START)
    delivery_loop = loop(outbox, a=sink)
    delivery_loop.deliver_once(START)
    delivery_loop.deliver_once(START + 60 * SECOND)
    assert [sent.possible_duplicate for sent in sink.sent] == [False, marked]


def test_a_receiver_that_asked_for_patience_is_not_asked_for_another_message() -> None:
    limited = replace(FAILURE, reason="rate_limited", retry_after=30.0)
    outbox, sink = MemoryOutbox(), Scripted([limited, OK], refresh_seconds=60.0)
    for key in ("k1", "k2", "k3"):
        outbox.put("a", message(key, segment=key), at=START)
    delivery_loop = loop(outbox, a=sink)
    for second in (0, 1, 29):
        delivery_loop.deliver_once(START + second * SECOND)
    assert [sent.key for sent in sink.sent] == ["k1"]
    delivery_loop.deliver_once(START - 3600 * SECOND)
    assert {sent.key for sent in sink.sent} == {"k1", "k2", "k3"}, "a clock set back ends the wait"


def test_backoff_is_jittered_over_the_whole_step() -> None:
    rng = random.Random(3)
    draws = [backoff(11, rng) for _ in range(2000)]
    assert min(draws) < 40 < 560 < max(draws) <= 600
    assert abs(sum(draws) / len(draws) - 300) < 5 * 600 / (12 * 2000) ** 0.5


def test_a_resolve_never_overtakes_the_firing_message() -> None:
    outbox, sink = MemoryOutbox(), Scripted([FAILURE, FAILURE, OK])
    outbox.put("a", message("k1"), at=START)
    outbox.put("a", message("k1", resolved=True, resolved_at=START), at=START)
    outbox.put("a", message("k2", segment="north"), at=START)
    delivery_loop = loop(outbox, a=sink)
    for second in range(60):
        delivery_loop.deliver_once(START + second * SECOND)
    deliveries = [(sent.key, sent.resolved) for sent in sink.sent]
    assert deliveries.index(("k1", True)) > max(
        index for index, one in enumerate(deliveries) if one == ("k1", False)
    )
    assert deliveries.index(("k2", False)) < deliveries.index(("k1", True)), "another segment does not wait"


def test_firing_messages_are_refreshed_until_resolved_also_after_a_restart() -> None:
    outbox, sink = MemoryOutbox(), Scripted(refresh_seconds=60.0)
    outbox.put("a", message("k1"), at=START)
    outbox.put("a", message("old", segment="s"), at=START, state="delivered")
    delivery_loop = loop(outbox, a=sink)
    delivery_loop.deliver_once(START)
    assert sorted(sent.key for sent in sink.sent) == ["k1", "k1", "old"]
    delivery_loop.deliver_once(START + 59 * SECOND)
    assert len(sink.sent) == 3
    delivery_loop.deliver_once(START + 60 * SECOND)
    assert len(sink.sent) == 5
    restarted = loop(outbox, a=sink)
    restarted.deliver_once(START + 61 * SECOND)
    assert len(sink.sent) == 7, "a restart refreshes at once"
    outbox.put("a", message("k1", resolved=True, resolved_at=START), at=START)
    restarted.deliver_once(START + 125 * SECOND)
    assert [(sent.key, sent.resolved) for sent in sink.sent[7:]] == [("k1", True), ("old", False)]
    assert restarted.views()[0].delivered == 1, "refreshes are not messages"


def test_a_mute_is_told_once_and_its_end_too() -> None:
    outbox, sink = MemoryOutbox(), Scripted(refresh_seconds=60.0)
    outbox.put("a", message("k"), at=START)
    delivery_loop = loop(outbox, a=sink)
    mutes = []
    for number, muted in enumerate([None, START + 1, START + 1, START + 1, START + 2, None, START + 3]):
        outbox.muted = {} if muted is None else {"k": muted}
        n_messages = len(sink.sent)
        delivery_loop.deliver_once(START + number * 61 * SECOND)
        mutes.append([sent.muted_until for sent in sink.sent[n_messages:]])
    assert mutes == [[None, None], [START + 1], [], [], [START + 2], [None], [START + 3]]


def test_a_mute_is_told_until_every_member_of_a_cluster_knows() -> None:
    some = Delivery(delivered=True, retryable=True)
    outbox, sink = MemoryOutbox(), Scripted([OK, some, some, OK], refresh_seconds=60.0)
    outbox.put("a", message("k"), at=START)
    outbox.muted = {"k": START + 3600 * SECOND}
    delivery_loop = loop(outbox, a=sink)
    for number in range(6):
        delivery_loop.deliver_once(START + number * 61 * SECOND)
    assert [sent.muted_until is None for sent in sink.sent] == [True, False, False, False]


def test_a_refresh_that_meets_a_dead_receiver_stops_at_the_first() -> None:
    down = replace(FAILURE, reason="timeout")
    outbox, sink = MemoryOutbox(), Scripted([down], refresh_seconds=60.0)
    for key in ("k1", "k2", "k3"):
        outbox.put("a", message(key, segment=key), state="delivered")
    loop(outbox, a=sink).deliver_once(START)
    assert len(sink.sent) == 1
    sink.answers = [REFUSAL]
    loop(outbox, a=sink).deliver_once(START)
    assert len(sink.sent) == 4, "one refused message keeps no other back"


def test_a_full_disk_does_not_keep_a_page_back_nor_send_it_twice() -> None:
    outbox, sink = MemoryOutbox(), Scripted()
    number = outbox.put("a", message())
    outbox.broken = True
    delivery_loop = loop(outbox, a=sink)
    for second in range(5):
        delivery_loop.deliver_once(START + second * SECOND)
    assert len(sink.sent) == 1
    assert delivery_loop.store_errors > 1
    outbox.broken = False
    delivery_loop.deliver_once(START + 9 * SECOND)
    assert (state(outbox, number), len(sink.sent)) == ("delivered", 1)


def test_a_notifier_with_a_bug_is_a_failed_attempt_and_no_dead_thread() -> None:
    class Buggy:
        refresh_seconds = None

        def send(self, message: Message, now: int) -> Delivery:
            raise ZeroDivisionError

    outbox, sink = MemoryOutbox(), Scripted()
    number = outbox.put("buggy", message())
    outbox.put("good", message())
    with running(outbox, buggy=Buggy(), good=sink) as delivery_loop:
        until(lambda: sink.sent and dict(delivery_loop.views()[0].failed)["bug"])
        assert delivery_loop.alive
    assert state(outbox, number) == "pending"


def test_a_bug_for_one_message_delays_no_other_and_ends_no_refresh() -> None:
    """An alert that is not refreshed would end at its receiver's timeout."""

    class Picky(Scripted):
        def send(self, message: Message, now: int) -> Delivery:
            if message.key == "k1":
                raise ZeroDivisionError
            return super().send(message, now)

    outbox, sink = MemoryOutbox(), Picky(refresh_seconds=60.0)
    first = outbox.put("a", message("k1"), at=START)
    outbox.put("a", message("k2", monitor="another"), at=START)
    delivery_loop = loop(outbox, a=sink)
    delivery_loop.deliver_once(START)
    assert [sent.key for sent in sink.sent] == ["k2", "k2"], "delivered, and refreshed for the first time"
    assert state(outbox, first) == "pending", "it is tried again"
    outbox.entries[first].state = "delivered"
    delivery_loop.deliver_once(START + 61 * SECOND)
    assert [sent.key for sent in sink.sent] == ["k2"] * 3
    assert dict(delivery_loop.views()[0].failed)["bug"] == 2


def test_a_bug_in_the_outbox_ends_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    class Buggy(MemoryOutbox):
        def due(self, now: int) -> list[OutboxRow]:
            if self.broken:
                raise ZeroDivisionError
            return super().due(now)

    outbox, sink = Buggy(), Scripted()
    number = outbox.put("a", message())
    with running(outbox, a=sink) as delivery_loop:
        until(lambda: sink.sent)
        outbox.broken = True
        delivery_loop.wake()
        until(lambda: "delivery failed" in caplog.text)
        outbox.broken = False
        later = outbox.put("a", message("k2"))
        delivery_loop.wake()
        until(lambda: state(outbox, later) == "delivered")
    assert state(outbox, number) == "delivered"


def test_messages_of_a_removed_notifier_are_given_up_at_the_start() -> None:
    outbox = MemoryOutbox()
    number = outbox.put("gone", message())
    with running(outbox, a=Scripted()):
        assert state(outbox, number) == "dead"
        assert outbox.entries[number].reason == "sink_removed"


def test_an_unreadable_outbox_is_survived() -> None:
    class Unreadable(MemoryOutbox):
        def due(self, now: int) -> list[object]:  # type: ignore[override]
            if self.broken:
                raise StoreError("disk I/O error")
            return super().due(now)  # type: ignore[return-value]

    outbox, sink = Unreadable(), Scripted()
    outbox.broken = True
    outbox.put("a", message())
    with running(outbox, a=sink) as delivery_loop:
        until(lambda: delivery_loop.store_errors > 0)
        outbox.broken = False
        delivery_loop.wake()
        until(lambda: sink.sent)


@pytest.mark.parametrize(
    ("status", "ends", "reason"),
    [(500, "pending", "server_error"), (429, "pending", "rate_limited"), (400, "dead", "rejected")],
)
def test_real_answers(receiver: Receiver, status: int, ends: str, reason: str) -> None:
    receiver.answers = [(status, {"Retry-After": "60"})]
    outbox = MemoryOutbox()
    number = outbox.put("a", message())
    with running(outbox, a=webhook(receiver.url)) as delivery_loop:
        until(lambda: outbox.entries[number].reason)
        assert (state(outbox, number), outbox.entries[number].reason) == (ends, reason)
        assert dict(delivery_loop.views()[0].failed)[reason] == 1
    assert len(receiver.requests) == 1


def test_one_dead_one_hanging_and_one_slow_receiver_delay_no_other(receiver: Receiver) -> None:
    outbox = MemoryOutbox()
    with Receiver(delay=0.2).serving() as slow, silent() as hanging:
        for index in range(20):
            for sink in ("dead", "good", "hanging", "slow"):
                outbox.put(sink, message(f"k{index}", segment=f"s{index}"))
        begun = time.monotonic()
        with running(
            outbox,
            dead=webhook(f"http://127.0.0.1:{free_port()}"),
            good=webhook(receiver.url),
            hanging=webhook(hanging),
            slow=webhook(slow.url, timeout=1.0),
        ):
            until(lambda: len(receiver.requests) == 20)
            assert time.monotonic() - begun < 2.0
            assert len(slow.requests) < 20
    keys = [request.headers["Idempotency-Key"] for request in receiver.requests]
    assert keys == [f"k{index}" for index in range(20)]


def test_an_outage_is_ridden_out_with_one_key(receiver: Receiver) -> None:
    receiver.answers = [(503, {}), (503, {}), (200, {})]
    outbox = MemoryOutbox()
    number = outbox.put("a", message("k9"))
    with running(outbox, a=webhook(receiver.url)):
        until(lambda: state(outbox, number) == "delivered")
    assert [request.headers["Idempotency-Key"] for request in receiver.requests] == ["k9"] * 3


class Crashes(RuleBasedStateMachine):
    """The loop killed at any step, over an outbox that keeps what was committed."""

    class Killed(BaseException):
        pass

    @initialize()
    def begin(self) -> None:
        self.outbox = MemoryOutbox()
        self.now = START
        self.received: list[Message] = []
        self.redeliveries = 0
        self.crashes = 0
        self.put: dict[str, bool] = {}

    @rule(segment=st.sampled_from(["a", "b", None]), resolved=st.booleans())
    def page(self, segment: str | None, resolved: bool) -> None:
        key = f"k{len(self.put)}"
        self.put[key] = resolved
        self.outbox.put("s", message(key, segment=segment, resolved=resolved), at=self.now)

    @rule(
        outcome=st.sampled_from(["ok", "fail", "killed before", "killed after", "lost answer"]),
        later=st.integers(0, 2000),
    )
    def deliver(self, outcome: str, later: int) -> None:
        machine = self
        machine.now += later * SECOND

        class Sink:
            refresh_seconds = None

            def send(self, message: Message, now: int) -> Delivery:
                if outcome == "killed before":
                    raise Crashes.Killed
                if outcome == "fail":
                    return FAILURE
                if any(message.key == old.key for old in machine.received):
                    machine.redeliveries += 1
                machine.received.append(message)
                if outcome == "killed after":
                    raise Crashes.Killed
                return FAILURE if outcome == "lost answer" else OK

        try:
            loop(machine.outbox, s=Sink()).deliver_once(machine.now)
        except Crashes.Killed:
            machine.crashes += 1
        if outcome == "lost answer":
            machine.crashes += 3

    @invariant()
    def nothing_unknown_and_few_repeats(self) -> None:
        if hasattr(self, "put"):
            assert {sent.key for sent in self.received} <= set(self.put)
            assert self.redeliveries <= self.crashes

    @invariant()
    def order_is_kept_in_every_segment(self) -> None:
        for segment in ("a", "b", None):
            first = dict.fromkeys(m.key for m in getattr(self, "received", []) if m.segment == segment)
            numbers = [int(key[1:]) for key in first]
            assert numbers == sorted(numbers)

    def teardown(self) -> None:
        if not hasattr(self, "put"):
            return
        for step in range(1, len(self.put) + 2):
            sink = Scripted()
            loop(self.outbox, s=sink).deliver_once(self.now + step * 700 * SECOND)
            self.received += sink.sent
        assert {sent.key for sent in self.received} == set(self.put), "nothing is lost"


TestCrashes = pytest.mark.soak(Crashes.TestCase)
TestCrashes.settings = settings(max_examples=examples(60), stateful_step_count=25, deadline=None)


def announcing(outbox: MemoryOutbox, announcements: Announcements, **notifiers: Notifier) -> DeliveryLoop:
    rng = random.Random(1)
    return DeliveryLoop(outbox, notifiers, clock=time.time_ns, rng=rng, announcements=announcements)


def deliver_announced(delivery_loop: DeliveryLoop) -> None:
    for worker in delivery_loop._workers:
        worker.run_round(time.time_ns, lambda: False)


class Unreadable(MemoryOutbox):
    def due(self, now: int) -> list[OutboxRow]:
        raise StoreError("disk I/O error")

    def waiting(self, sink: str) -> int:
        raise StoreError("disk I/O error")


def test_an_announcement_leaves_while_the_store_cannot_be_read() -> None:
    announcements, first, second = Announcements(), Scripted(), Scripted([REFUSAL])
    delivered: list[tuple[str, str]] = []
    announcements.on_delivered = lambda sink, message: delivered.append((sink, message.key))
    delivery_loop = announcing(Unreadable(), announcements, a=first, b=second)
    announcements.add(message("store"), delivery_loop.sinks)
    announcements.add(message("store"), delivery_loop.sinks)
    deliver_announced(delivery_loop)
    deliver_announced(delivery_loop)
    assert [sent.key for sent in first.sent] == ["store"], "never twice for one outage"
    assert delivered == [("a", "store")], "and what was refused is given up"
    assert dict(delivery_loop.views()[1].failed)["gave_up"] == 1
    announcements.add(message("store", resolved=True), delivery_loop.sinks)
    deliver_announced(delivery_loop)
    assert [sent.resolved for sent in first.sent] == [False, True]


def test_an_announcement_is_tried_again_and_a_reload_does_not_lose_it() -> None:
    announcements, sink = Announcements(), Scripted([replace(FAILURE, reason="timeout"), OK])
    announcements.add(message("store"), ["a"])
    deliver_announced(announcing(MemoryOutbox(), announcements, a=sink))
    assert announcements.waiting("a") == 1
    delivery_loop = announcing(MemoryOutbox(), announcements, a=sink)
    assert delivery_loop.views()[0].pending == 1

    def is_delivered() -> bool:
        deliver_announced(delivery_loop)
        return announcements.waiting("a") == 0

    until(is_delivered, 10)
    assert [sent.possible_duplicate for sent in sink.sent] == [False, True]


def test_an_announcement_is_repeated_to_a_receiver_that_forgets_until_it_is_over() -> None:
    announcements, sink = Announcements(), Scripted(refresh_seconds=0.0)
    delivery_loop = announcing(MemoryOutbox(), announcements, a=sink)
    announcements.add(message("store"), ["a"])
    deliver_announced(delivery_loop)
    deliver_announced(delivery_loop)
    assert {sent.resolved for sent in sink.sent} == {False}
    assert len(sink.sent) >= 2
    sink.sent.clear()
    announcements.add(message("store", resolved=True), ["a"])
    deliver_announced(delivery_loop)
    deliver_announced(delivery_loop)
    assert [sent.resolved for sent in sink.sent] == [True]


def test_announcements_are_bounded() -> None:
    announcements = Announcements()
    for number in range(MAX_WAITING + 5):
        announcements.add(message(f"k{number}"), ["a"])
    assert announcements.waiting("a") == MAX_WAITING
    oldest = announcements.next("a")
    assert oldest is not None
    assert oldest.message.key == "k5"


def test_counters_are_answered_without_the_store() -> None:
    outbox, sink = MemoryOutbox(), Scripted([FAILURE])
    outbox.put("a", message("k1"))
    outbox.put("a", message("k2", segment="s"))
    delivery_loop = loop(outbox, a=sink)
    delivery_loop.deliver_once(START)
    outbox.waiting = None  # type: ignore[assignment,method-assign]
    assert delivery_loop.views()[0].pending == 2
