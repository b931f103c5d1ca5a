"""Notifies PagerDuty through its Events API, version 2.

The deduplication key is the incident's: a resend, even after a restart, is the same PagerDuty incident, and
the resolve ends it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from driftwatch.core.settings import Secret, exclusive_setting, read_secret
from driftwatch.notify._http import Answer, Url, json_object, post
from driftwatch.notify._reach import Timeout
from driftwatch.notify._text import (
    SEVERITIES,
    clean,
    facts,
    incident_id,
    link,
    link_text,
    rfc3339,
    shortened,
    summary,
)
from driftwatch.notify.base import Delivery, Message, NotifierConfig

_EVENTS_URL = "https://events.pagerduty.com/v2/enqueue"
_MAX_SUMMARY_CHARS = 1024
_MAX_FIELD_CHARS = 255


class PagerdutyConfig(NotifierConfig):
    """``routing_key`` (from the environment) or ``routing_key_file`` holds a service's integration key.

    ``url`` in the European region is https://events.eu.pagerduty.com/v2/enqueue.
    """

    type: Literal["pagerduty"] = "pagerduty"
    url: Url = _EVENTS_URL
    routing_key: Secret | None = None
    routing_key_file: Path | None = None
    timeout: Timeout = 5.0
    ca_file: Path | None = None

    @property
    def token_file(self) -> Path | None:
        # The routing key is in the body.
        return None

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        exclusive_setting(self, "routing_key", "routing_key_file")
        return self


class PagerdutyNotifier:
    refresh_seconds: float | None = None

    def __init__(self, config: PagerdutyConfig) -> None:
        self._config = config

    def send(self, message: Message, now: int) -> Delivery:
        config = self._config
        try:
            key = read_secret(config.routing_key, config.routing_key_file) or ""
        except (OSError, ValueError) as error:
            return Delivery(delivered=False, retryable=True, reason="secret", detail=type(error).__name__)
        if not (key.isascii() and key.isalnum()):
            detail = "expected a routing key of letters and digits"
            return Delivery(delivered=False, retryable=True, reason="secret", detail=detail)
        body = json.dumps(event(message, key), ensure_ascii=True).encode()
        return post(config.url, body, {}, config, now, _body_error)


def event(message: Message, routing_key: str) -> dict[str, Any]:
    url = link(message)
    content: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "resolve" if message.resolved else "trigger",
        "dedup_key": incident_id(message.key),
        "client": "driftwatch",
        "payload": {
            "summary": shortened(summary(message), _MAX_SUMMARY_CHARS),
            "source": clean(message.monitor, _MAX_FIELD_CHARS),
            "severity": SEVERITIES[message.kind],
            "timestamp": rfc3339(message.opened_at),
            "component": clean(message.model_name or message.monitor, _MAX_FIELD_CHARS),
            "group": clean(message.monitor, _MAX_FIELD_CHARS),
            "class": str(message.kind),
            "custom_details": _details(message),
        },
    }
    if url:
        content |= {"client_url": url, "links": [{"href": url, "text": link_text(message).capitalize()}]}
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


def _body_error(answer: Answer) -> str:
    response = json_object(answer)
    # The Events API answers 202 and a JSON object with status success.
    is_success = answer.status == 202 and response is not None and response.get("status") == "success"
    return "" if is_success else "not what the Events API says when it took an event"


CONFIG = PagerdutyConfig


def open_notifier(config: PagerdutyConfig) -> PagerdutyNotifier:
    return PagerdutyNotifier(config)
