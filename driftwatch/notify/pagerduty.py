"""PagerDuty, through its Events API, version 2.

The deduplication key is the incident's own: a resend, also after a restart, is the same PagerDuty incident,
and its end resolves that one. Drift and broken inputs are ``critical``, not being able to look is a
``warning``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from driftwatch.core.settings import Secret, one_of, read_secret
from driftwatch.notify._http import Answer, Url, json_object, post
from driftwatch.notify._reach import Timeout
from driftwatch.notify._text import SEVERITIES, clean, facts, identity, link, rfc3339, shortened, summary
from driftwatch.notify.base import Delivery, Message, NotifierConfig

_EVENTS = "https://events.pagerduty.com/v2/enqueue"
_LONGEST_SUMMARY = 1024
_LONGEST_FIELD = 255


class PagerdutyConfig(NotifierConfig):
    """``routing_key`` (from the environment) or ``routing_key_file``: the integration key of a service.

    ``url`` is another one for the European region: https://events.eu.pagerduty.com/v2/enqueue.
    """

    type: Literal["pagerduty"] = "pagerduty"
    url: Url = _EVENTS
    routing_key: Secret | None = None
    routing_key_file: Path | None = None
    timeout: Timeout = 5.0
    ca_file: Path | None = None

    @property
    def token_file(self) -> Path | None:
        """None: the routing key is in the body."""
        return None

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        one_of(self, "routing_key", "routing_key_file")
        return self


class PagerdutyNotifier:
    """Triggers and resolves; a trigger sent twice is one incident."""

    refreshes: float | None = None

    def __init__(self, config: PagerdutyConfig) -> None:
        self._config = config

    def send(self, message: Message, now: int) -> Delivery:
        """Send once, within ``timeout`` seconds."""
        config = self._config
        try:
            key = read_secret(config.routing_key, config.routing_key_file) or ""
        except (OSError, ValueError) as error:
            return Delivery(delivered=False, retryable=True, reason="secret", detail=type(error).__name__)
        if not (key.isascii() and key.isalnum()):
            detail = "expected a routing key of letters and digits"
            return Delivery(delivered=False, retryable=True, reason="secret", detail=detail)
        body = json.dumps(event(message, key), ensure_ascii=True).encode()
        return post(config.url, body, {}, config, now, _complaint)


def event(message: Message, routing_key: str) -> dict[str, Any]:
    """The whole event, the same whether it triggers or resolves."""
    where = link(message)
    content: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "resolve" if message.resolved else "trigger",
        "dedup_key": identity(message.key),
        "client": "driftwatch",
        "payload": {
            "summary": shortened(summary(message), _LONGEST_SUMMARY),
            "source": clean(message.monitor, _LONGEST_FIELD),
            "severity": SEVERITIES[message.kind],
            "timestamp": rfc3339(message.opened_at),
            "component": clean(message.model_name or message.monitor, _LONGEST_FIELD),
            "group": clean(message.monitor, _LONGEST_FIELD),
            "class": str(message.kind),
            "custom_details": _details(message),
        },
    }
    if where:
        content |= {"client_url": where, "links": [{"href": where, "text": "What moved, and the working"}]}
    return content


def _details(message: Message) -> dict[str, Any]:
    values: dict[str, Any] = {
        "facts": facts(message),
        "monitor": clean(message.monitor),
        "segment": clean(message.segment or ""),
        "model": clean(" ".join(part for part in (message.model_name, message.model_version) if part)),
        "state": message.state,
        "reason": message.reason,
        "resolved_at": "" if message.resolved_at is None else rfc3339(message.resolved_at),
    }
    return {name: value for name, value in values.items() if value}


def _complaint(answer: Answer) -> str:
    """An event that was taken is answered with 202 and a JSON object whose status is success."""
    said = json_object(answer)
    fine = answer.status == 202 and said is not None and said.get("status") == "success"
    return "" if fine else "not what the Events API says when it took an event"


CONFIG = PagerdutyConfig


def open_notifier(config: PagerdutyConfig) -> PagerdutyNotifier:
    """The notifier; connects to nothing yet."""
    return PagerdutyNotifier(config)
