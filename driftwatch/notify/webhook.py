"""Any HTTP receiver, told in the shape of Alertmanager's webhook, version 4.

The header ``Idempotency-Key`` is the message's key, the same for every resend (a resolve has ``-resolved``
behind it). An answer of 2xx says that it was taken, unless its body is a JSON object that says otherwise:
``ok`` or ``success`` false, ``status`` ``error``, or an ``error``.

With ``secret`` or ``secret_file`` every request is signed. ``X-Driftwatch-Timestamp`` is when it was sent
(seconds since 1970) and ``X-Driftwatch-Signature`` is ``sha256=`` and the hexadecimal HMAC-SHA256 of that
timestamp, a full stop and the body. A receiver verifies before it reads the body as JSON, in constant time,
and refuses what is older than five minutes, which could be somebody sending an old message again:

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

from driftwatch.core.settings import Secret, one_of, read_secret
from driftwatch.notify._alert import NANOSECONDS, alert
from driftwatch.notify._http import Answer, Url, json_object, known_url, post
from driftwatch.notify._reach import Timeout
from driftwatch.notify._text import identity
from driftwatch.notify.base import Delivery, Message, NotifierConfig

_NEVER = "0001-01-01T00:00:00Z"


class WebhookConfig(NotifierConfig):
    """``url_file`` for receivers whose address is itself a secret."""

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
        one_of(self, "url", "url_file")
        one_of(self, "secret", "secret_file", needed=False)
        return self


class WebhookNotifier:
    """Sends each state change once."""

    refreshes: float | None = None

    def __init__(self, config: WebhookConfig) -> None:
        self._config = config

    def send(self, message: Message, now: int) -> Delivery:
        """Send once, within ``timeout`` seconds."""
        config = self._config
        body = json.dumps(payload(message, now, config.sink), ensure_ascii=True).encode()
        # Firing and resolved of one incident share its key; a receiver that deduplicates must see both.
        key = identity(message.key)
        headers = {"Idempotency-Key": f"{key}-resolved" if message.resolved else key}
        try:
            url = known_url(read_secret(config.url, config.url_file) or "")
            secret = read_secret(config.secret, config.secret_file)
            if secret == "":
                raise ValueError("an empty secret")
        except (OSError, ValueError) as error:
            return Delivery(delivered=False, retryable=True, reason="secret", detail=type(error).__name__)
        if secret is not None:
            headers |= signature(secret, body, now)
        return post(url, body, headers, config, now, _complaint)


def signature(secret: str, body: bytes, now: int) -> dict[str, str]:
    """The headers that let a receiver know who sent a body, and when."""
    timestamp = str(now // NANOSECONDS)
    signed = timestamp.encode() + b"." + body
    found = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return {"X-Driftwatch-Timestamp": timestamp, "X-Driftwatch-Signature": f"sha256={found}"}


def _complaint(answer: Answer) -> str:
    said = json_object(answer) or {}
    denies = said.get("ok") is False or said.get("success") is False or said.get("status") == "error"
    return "the body says that it failed" if denies or said.get("error") else ""


def payload(message: Message, now: int, receiver: str) -> dict[str, Any]:
    """The body: one group of one alert."""
    one = alert(message, now, 0, {})
    one["status"] = status = "resolved" if message.resolved else "firing"
    one["fingerprint"] = hashlib.sha256(message.key.encode("utf-8", "replace")).hexdigest()[:16]
    one["endsAt"] = one["endsAt"] if message.resolved else _NEVER
    one.setdefault("generatorURL", "")
    group = {name: one["labels"][name] for name in ("alertname", "monitor")}
    return {
        "version": "4",
        "groupKey": f"{{}}:{{incident={json.dumps(one['labels']['incident'])}}}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": receiver,
        "groupLabels": group,
        "commonLabels": one["labels"],
        "commonAnnotations": one["annotations"],
        "externalURL": one["generatorURL"],
        "alerts": [one],
    }


CONFIG = WebhookConfig


def open_notifier(config: WebhookConfig) -> WebhookNotifier:
    """The notifier; connects to nothing yet."""
    return WebhookNotifier(config)
