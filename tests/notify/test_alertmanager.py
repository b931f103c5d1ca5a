"""The Alertmanager notifier and the delivery loop against a real Alertmanager."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from memory_outbox import SECOND, MemoryOutbox, message
from peers import Receiver, alertmanager, get_json, until

from driftwatch.daemon.delivery import DeliveryLoop
from driftwatch.notify.alertmanager import AlertmanagerConfig, AlertmanagerNotifier
from driftwatch.notify.base import IncidentKind, minute_text


def notifier(url: str) -> AlertmanagerNotifier:
    return AlertmanagerNotifier(AlertmanagerConfig(urls=[url], labels={"team": "risk"}))


@pytest.mark.peer
def test_an_incident_from_its_page_to_its_end(receiver: Receiver, tmp_path: Path) -> None:
    now = time.time_ns()
    hostile = message("k2", kind=IncidentKind.BROKEN, segment='a"b\n\x00{}\ud800' * 40, opened_at=now)
    outbox = MemoryOutbox()
    with alertmanager(tmp_path, receiver.url) as url:

        def start() -> DeliveryLoop:
            sinks = {"alertmanager": notifier(url)}
            loop = DeliveryLoop(outbox, sinks, clock=time.time_ns, rng=random.Random(1))
            loop.deliver_once(time.time_ns())
            return loop

        outbox.put("alertmanager", message("k1", opened_at=now, onset=now), at=now)
        outbox.put("alertmanager", hostile, at=now)
        loop = start()
        until(lambda: len(receiver.alerts("firing")) == 2)
        alerts = {alert["labels"]["incident"]: alert for alert in get_json(f"{url}/api/v2/alerts")}
        assert alerts["k1"]["labels"] == {
            "alertname": "DriftwatchDrift", "incident": "k1", "monitor": "credit-risk",
            "severity": "critical", "team": "risk",
        }  # fmt: skip
        first_end = alerts["k1"]["endsAt"]

        # A refresh pushes the end further away; a restart of driftwatch sends the same key once more.
        loop.deliver_once(now + 61 * SECOND)
        start()
        alerts = {alert["labels"]["incident"]: alert for alert in get_json(f"{url}/api/v2/alerts")}
        assert alerts["k1"]["endsAt"] > first_end
        assert set(alerts) == {"k1", "k2"}

        resolve = message("k1", opened_at=now, onset=now, resolved=True, resolved_at=time.time_ns())
        outbox.put("alertmanager", resolve, at=now)
        start()
        resolved = until(lambda: receiver.alerts("resolved"))
        time.sleep(1.5)
        assert [alert["labels"]["incident"] for alert in receiver.alerts("resolved")] == ["k1"]
        assert len(receiver.alerts("firing")) == 2, "neither refresh nor restart told anybody twice"
        assert "age: median 41 → 29" in resolved[0]["annotations"]["description"]
        assert resolved[0]["generatorURL"] == resolve.url
        assert [entry.state for entry in outbox.entries.values()] == ["delivered"] * 3


@pytest.mark.peer
def test_a_mute_is_quiet_and_never_reads_as_an_end(receiver: Receiver, tmp_path: Path) -> None:
    now = time.time_ns()
    outbox = MemoryOutbox()
    with alertmanager(tmp_path, receiver.url) as url:

        def start() -> None:
            sinks = {"alertmanager": notifier(url)}
            loop = DeliveryLoop(outbox, sinks, clock=time.time_ns, rng=random.Random(1))
            loop.deliver_once(time.time_ns())

        outbox.put("alertmanager", message("k1", opened_at=now, onset=now), at=now)
        start()
        until(lambda: receiver.alerts("firing"))

        outbox.muted["k1"] = muted_until = now + 7200 * SECOND
        start()
        (resolved_alert,) = until(lambda: receiver.alerts("resolved"))
        summary = resolved_alert["annotations"]["summary"]
        assert summary.startswith(f"[muted until {minute_text(muted_until)}, not resolved] credit-risk ")
        start()
        time.sleep(2.5)
        assert (len(receiver.alerts("firing")), len(receiver.alerts("resolved"))) == (1, 1), "over restarts"

        del outbox.muted["k1"]
        start()
        firing_alerts = until(lambda: receiver.alerts("firing")[1:])
        assert firing_alerts[0]["annotations"]["summary"].startswith("[critical] ")
        assert firing_alerts[0]["labels"] == resolved_alert["labels"]


@pytest.mark.peer
def test_alertmanager_refuses_what_is_no_alert_and_says_so(receiver: Receiver, tmp_path: Path) -> None:
    with alertmanager(tmp_path, receiver.url) as url:
        answer = notifier(f"{url}/prefix").send(message(), time.time_ns())
        assert (answer.delivered, answer.retryable, answer.reason) == (False, False, "rejected")
