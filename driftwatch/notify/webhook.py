"""Any HTTP receiver, told in the shape of Alertmanager's webhook, version 4.

The header ``Idempotency-Key`` is the message's key, the same for every resend (a resolve has ``-resolved``
behind it). With ``secret_file``, the header ``X-Driftwatch-Signature`` is ``sha256=`` and the hexadecimal
HMAC-SHA256 of the body.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from driftwatch.notify._alert import alert
from driftwatch.notify._http import Timeout, Url, known_url, post
from driftwatch.notify._text import clean
from driftwatch.notify.base import Delivery, Message, NotifierConfig
from driftwatch.settings import read_secret

_NEVER = "0001-01-01T00:00:00Z"


class WebhookConfig(NotifierConfig):
    """``url_file`` for receivers whose address is itself a secret."""

    type: Literal["webhook"] = "webhook"
    url: Url | None = None
    url_file: Path | None = None
    timeout: Timeout = 5.0
    token_file: Path | None = None
    ca_file: Path | None = None
    secret_file: Path | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("expected either url or url_file")
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
        key = f"{message.key}-resolved" if message.resolved else message.key
        headers = {"Idempotency-Key": clean(key).encode("ascii", "replace").decode()}
        try:
            url = known_url(read_secret(config.url, config.url_file) or "")
            secret = read_secret(None, config.secret_file)
        except (OSError, ValueError) as error:
            return Delivery(delivered=False, retryable=True, reason="secret", detail=type(error).__name__)
        if secret is not None:
            signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Driftwatch-Signature"] = f"sha256={signature}"
        return post(url, body, headers, config, now)


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
