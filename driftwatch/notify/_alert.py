"""Formats a message as one Alertmanager alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driftwatch.core.schema import NANOSECONDS
from driftwatch.notify._text import ALERT_NAMES, SEVERITIES, clean, description, rfc3339, summary
from driftwatch.notify.base import Message

_MAX_LABEL_CHARS = 128
RESERVED = ("alertname", "monitor", "segment", "incident", "severity")


def alert_labels(message: Message, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the labels, which identify the alert: none changes while it fires."""
    message_labels = {
        "alertname": ALERT_NAMES[message.kind],
        "monitor": clean(message.monitor, _MAX_LABEL_CHARS),
        "incident": clean(message.key, _MAX_LABEL_CHARS),
        "severity": SEVERITIES[message.kind],
    }
    if message.segment:
        message_labels["segment"] = clean(message.segment, _MAX_LABEL_CHARS)
    return {**extra, **message_labels}


def alert_annotations(message: Message) -> dict[str, str]:
    values = {
        "summary": summary(message),
        "description": description(message),
        "state": message.state,
        "reason": message.reason,
        "model": clean(" ".join(part for part in (message.model_name, message.model_version) if part)),
        "possible_duplicate": "true" if message.possible_duplicate else "",
    }
    return {key: value for key, value in values.items() if value}


def ends_at(message: Message, now: int, lifetime: float) -> int:
    """Return when the alert ends unless it is sent again (nanoseconds); a muted one ends now.

    Otherwise Alertmanager would repeat a muted alert. It reports that end as resolved; the summary says that
    it is a mute.
    """
    if message.resolved:
        end = now if message.resolved_at is None else min(message.resolved_at, now)
        return max(end, message.opened_at)
    if message.muted_until is not None:
        return max(now, message.opened_at)
    return max(now, message.opened_at) + int(lifetime * NANOSECONDS)


def alert(message: Message, now: int, lifetime: float, extra: Mapping[str, str]) -> dict[str, Any]:
    content: dict[str, Any] = {
        "labels": alert_labels(message, extra),
        "annotations": alert_annotations(message),
        "startsAt": rfc3339(message.opened_at),
        "endsAt": rfc3339(ends_at(message, now, lifetime)),
    }
    if message.url.startswith(("http://", "https://")):
        content["generatorURL"] = clean(message.url, 500)
    return content
