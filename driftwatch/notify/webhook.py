"""Notifies any HTTP receiver, with the payload of Alertmanager's webhook, version 4.

``Idempotency-Key`` is the message's key, the same for every resend; a resolve has ``-resolved`` appended, and
a further page of an open incident ``-again`` and the end of its window in seconds. A 2xx answer means
success, unless its body is a JSON object with ``ok`` or ``success`` false, ``status`` ``error``, or an
``error``.

With ``secret`` or ``secret_file`` requests are signed. ``X-Driftwatch-Timestamp`` is the time of sending
(seconds since 1970) and ``X-Driftwatch-Signature`` is ``sha256=`` and the hexadecimal HMAC-SHA256 of that
timestamp, a full stop and the body. Receivers verify in constant time before they read the JSON, and refuse
what is older than five minutes, which could be a replay:

>>> import hashlib, hmac
>>> def verified(secret: bytes, timestamp: str, signature: str, body: bytes, now: float) -> bool:
...     signed = timestamp.encode() + b"." + body
...     expected = "sha256=" + hmac.new(secret, signed, hashlib.sha256).hexdigest()
...     same = hmac.compare_digest(expected.encode(), signature.encode())
...     return same and timestamp.isdigit() and abs(now - int(timestamp)) <= 300
>>> headers = signature("hunter2", b"{}", 1_700_000_000 * 10**9)
>>> values = headers["X-Driftwatch-Timestamp"], headers["X-Driftwatch-Signature"]
>>> verified(b"hunter2", *values, b"{}", 1_700_000_009), verified(b"hunter2", *values, b"{}", 1_700_000_999)
(True, False)
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from driftwatch.core.schema import NANOSECONDS
from driftwatch.core.settings import Secret, exclusive_setting, read_secret
from driftwatch.notify._alert import alert
from driftwatch.notify._http import Answer, Url, json_object, post, valid_url
from driftwatch.notify._reach import Timeout
from driftwatch.notify._text import incident_id, page_id
from driftwatch.notify.base import Delivery, Message, NotifierConfig

_NO_END_TIME = "0001-01-01T00:00:00Z"


class WebhookConfig(NotifierConfig):
    """Settings of a webhook; ``url_file`` is for an address that is a secret."""

    type: Literal["webhook"] = "webhook"
    url: Url | None = None
    url_file: Path | None = None
    timeout: Timeout = 5.0
    token_file: Path | None = None
    ca_file: Path | None = None
    secret: Secret | None = None
    secret_file: Path | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        exclusive_setting(self, "url", "url_file")
        exclusive_setting(self, "secret", "secret_file", required=False)
        return self


class WebhookNotifier:
    refresh_seconds: float | None = None

    def __init__(self, config: WebhookConfig) -> None:
        self._config = config

    def send(self, message: Message, now: int) -> Delivery:
        config = self._config
        body = json.dumps(payload(message, now, config.sink), ensure_ascii=True).encode()
        # Firing and resolved of one incident share its key; a receiver that deduplicates must see both.
        key = f"{incident_id(message.key)}-resolved" if message.resolved else page_id(message)
        headers = {"Idempotency-Key": key}
        try:
            url = valid_url(read_secret(config.url, config.url_file) or "")
            secret = read_secret(config.secret, config.secret_file)
            if secret == "":
                raise ValueError("an empty secret")
        except (OSError, ValueError) as error:
            return Delivery(delivered=False, retryable=True, reason="secret", detail=type(error).__name__)
        if secret is not None:
            headers |= signature(secret, body, now)
        return post(url, body, headers, config, now, _body_error)


def signature(secret: str, body: bytes, now: int) -> dict[str, str]:
    timestamp = str(now // NANOSECONDS)
    signed = timestamp.encode() + b"." + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return {"X-Driftwatch-Timestamp": timestamp, "X-Driftwatch-Signature": f"sha256={digest}"}


def _body_error(answer: Answer) -> str:
    response = json_object(answer) or {}
    is_denied = (
        response.get("ok") is False or response.get("success") is False or response.get("status") == "error"
    )
    return "the body says that it failed" if is_denied or response.get("error") else ""


def payload(message: Message, now: int, receiver: str) -> dict[str, Any]:
    content = alert(message, now, 0, {})
    content["status"] = status = "resolved" if message.resolved else "firing"
    content["fingerprint"] = hashlib.sha256(message.key.encode("utf-8", "replace")).hexdigest()[:16]
    content["endsAt"] = content["endsAt"] if message.resolved else _NO_END_TIME
    content.setdefault("generatorURL", "")
    group_labels = {name: content["labels"][name] for name in ("alertname", "monitor")}
    return {
        "version": "4",
        "groupKey": f"{{}}:{{incident={json.dumps(content['labels']['incident'])}}}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": receiver,
        "groupLabels": group_labels,
        "commonLabels": content["labels"],
        "commonAnnotations": content["annotations"],
        "externalURL": content["generatorURL"],
        "alerts": [content],
    }


CONFIG = WebhookConfig


def open_notifier(config: WebhookConfig) -> WebhookNotifier:
    return WebhookNotifier(config)
