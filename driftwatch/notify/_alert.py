"""A message as one Alertmanager alert: labels that identify it, annotations that explain it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driftwatch.notify._text import ALERT_NAMES, SEVERITIES, clean, description, rfc3339, summary
from driftwatch.notify.base import Message

NANOSECONDS = 1_000_000_000
_LONGEST_LABEL = 128
RESERVED = ("alertname", "monitor", "segment", "incident", "severity")


def labels(message: Message, extra: Mapping[str, str]) -> dict[str, str]:
    """What identifies the alert: never a value that changes while it fires."""
    own = {
        "alertname": ALERT_NAMES[message.kind],
        "monitor": clean(message.monitor, _LONGEST_LABEL),
        "incident": clean(message.key, _LONGEST_LABEL),
        "severity": SEVERITIES[message.kind],
    }
    if message.segment:
        own["segment"] = clean(message.segment, _LONGEST_LABEL)
    return {**extra, **own}


def explanation(message: Message) -> dict[str, str]:
    """What explains the alert; may change without making it another one."""
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
    """Nanoseconds at which the alert ends by itself unless it is sent again; a muted one ends now.

    Alertmanager would repeat it meanwhile. It calls the end resolved, and the summary says what it is.
    """
    if message.resolved:
        ended = now if message.resolved_at is None else min(message.resolved_at, now)
        return max(ended, message.opened_at)
    if message.muted_until is not None:
        return max(now, message.opened_at)
    return max(now, message.opened_at) + int(lifetime * NANOSECONDS)


def alert(message: Message, now: int, lifetime: float, extra: Mapping[str, str]) -> dict[str, Any]:
    """The whole alert, the same whether it fires or is resolved."""
    content: dict[str, Any] = {
        "labels": labels(message, extra),
        "annotations": explanation(message),
        "startsAt": rfc3339(message.opened_at),
        "endsAt": rfc3339(ends_at(message, now, lifetime)),
    }
    if message.url.startswith(("http://", "https://")):
        content["generatorURL"] = clean(message.url, 500)
    return content
