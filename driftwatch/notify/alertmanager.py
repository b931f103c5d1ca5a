"""Alertmanager, told directly through its API, version 2.

Prometheus with the rules in ``deploy/prometheus`` is the better way where there is one: it also notices when
driftwatch itself is gone. Here an alert that is not sent again is taken for resolved: after four minutes when
a daemon sends it, after ``Message.again_within`` seconds when a check without one does.
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
_LASTS_SECONDS = 4 * REFRESH_SECONDS
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class AlertmanagerConfig(NotifierConfig):
    """``urls`` names every member of a cluster (not a load balancer): each is told."""

    type: Literal["alertmanager"] = "alertmanager"
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
    """Sends the full alert to every member, at once; one that took it is enough."""

    refreshes: float | None = REFRESH_SECONDS

    def __init__(self, config: AlertmanagerConfig) -> None:
        self._config = config
        self._urls = tuple(f"{url.rstrip('/')}/api/v2/alerts" for url in dict.fromkeys(config.urls))

    def send(self, message: Message, now: int) -> Delivery:
        """Send once to every member, within ``timeout`` seconds."""
        lasts = max(_LASTS_SECONDS, message.again_within or 0.0)
        content = alert(message, now, lasts, self._config.labels)
        body = json.dumps([content], ensure_ascii=True).encode()

        def tell(url: str) -> Delivery:
            return post(url, body, {}, self._config, now, _complaint)

        if len(self._urls) == 1:
            return tell(self._urls[0])
        with ThreadPoolExecutor(max_workers=len(self._urls)) as pool:
            return _together(list(pool.map(tell, self._urls)))


def _complaint(answer: Answer) -> str:
    """Alertmanager answers with nothing or JSON; a page is somebody else's, a login's for example."""
    return "a page, which Alertmanager never answers with" if answer.body.lstrip()[:1] == b"<" else ""


def _together(answers: list[Delivery]) -> Delivery:
    """Members do not pass alerts on, but one that has it notifies; the others get it at the next refresh."""
    failed = [answer for answer in answers if not answer.delivered]
    if not failed:
        return answers[0]
    detail = f"{len(failed)} of {len(answers)} members failed: {failed[0].reason} {failed[0].detail}"
    if len(failed) < len(answers):
        return Delivery(delivered=True, retryable=True, detail=detail)
    worst = next((answer for answer in failed if answer.retryable), failed[0])
    return Delivery(
        delivered=False,
        retryable=worst.retryable,
        reason=worst.reason,
        retry_after=worst.retry_after,
        detail=detail,
    )


CONFIG = AlertmanagerConfig


def open_notifier(config: AlertmanagerConfig) -> AlertmanagerNotifier:
    """The notifier; connects to nothing yet."""
    return AlertmanagerNotifier(config)
