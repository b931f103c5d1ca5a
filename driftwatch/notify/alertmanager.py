"""Notifies Alertmanager through its API, version 2.

With Prometheus, the rules in ``deploy/prometheus`` are better: they also notice when driftwatch is gone. Here
an alert that is not sent again counts as resolved: after four minutes when a daemon sends it, after
``Message.again_within`` seconds when ``driftwatch check`` does.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from driftwatch.notify._alert import RESERVED, alert
from driftwatch.notify._http import Answer, Url, post
from driftwatch.notify._reach import Timeout
from driftwatch.notify.base import Delivery, Message, NotifierConfig

REFRESH_SECONDS = 60.0
_ALERT_SECONDS = 4 * REFRESH_SECONDS
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class AlertmanagerConfig(NotifierConfig):
    type: Literal["alertmanager"] = "alertmanager"
    #: Every member of a cluster, not a load balancer: each is notified.
    urls: Annotated[list[Url], Field(min_length=1, max_length=10)]
    timeout: Timeout = 5.0
    token_file: Path | None = None
    ca_file: Path | None = None
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("labels")
    @classmethod
    def _usable(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not _LABEL_NAME.fullmatch(name) or name.startswith("__"):
                raise ValueError(f"expected label names of letters, digits and _. Got {name[:60]!r}")
            if name in RESERVED:
                raise ValueError(f"expected labels other than {', '.join(RESERVED)}. Got {name!r}")
        return value


class AlertmanagerNotifier:
    """Sends an alert to all members of a cluster at once; one that takes it is enough."""

    refresh_seconds: float | None = REFRESH_SECONDS

    def __init__(self, config: AlertmanagerConfig) -> None:
        self._config = config
        self._urls = tuple(f"{url.rstrip('/')}/api/v2/alerts" for url in dict.fromkeys(config.urls))

    def send(self, message: Message, now: int) -> Delivery:
        lifetime = max(_ALERT_SECONDS, message.again_within or 0.0)
        content = alert(message, now, lifetime, self._config.labels)
        body = json.dumps([content], ensure_ascii=True).encode()

        def post_alert(url: str) -> Delivery:
            return post(url, body, {}, self._config, now, _body_error)

        if len(self._urls) == 1:
            return post_alert(self._urls[0])
        with ThreadPoolExecutor(max_workers=len(self._urls)) as pool:
            return _combined(list(pool.map(post_alert, self._urls)))


def _body_error(answer: Answer) -> str:
    # Alertmanager answers with nothing or JSON; HTML comes from something else, such as a login page.
    return "a page, which Alertmanager never answers with" if answer.body.lstrip()[:1] == b"<" else ""


def _combined(answers: list[Delivery]) -> Delivery:
    failures = [answer for answer in answers if not answer.delivered]
    if not failures:
        return answers[0]
    detail = f"{len(failures)} of {len(answers)} members failed: {failures[0].reason} {failures[0].detail}"
    # Members do not pass alerts on, but one that has it notifies; others get it at the next refresh.
    if len(failures) < len(answers):
        return Delivery(delivered=True, retryable=True, detail=detail)
    failure = next((answer for answer in failures if answer.retryable), failures[0])
    return Delivery(
        delivered=False,
        retryable=failure.retryable,
        reason=failure.reason,
        retry_after=failure.retry_after,
        detail=detail,
    )


CONFIG = AlertmanagerConfig


def open_notifier(config: AlertmanagerConfig) -> AlertmanagerNotifier:
    return AlertmanagerNotifier(config)
