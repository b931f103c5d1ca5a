"""Slack, and what speaks its incoming webhooks (Mattermost).

The webhook's address is itself the secret: it comes from ``url_file`` or the environment and is never shown.
Slack knows no key by which to tell a resend from a new message, so what may come twice says so itself; the
``block_id`` of the first block is the same for every resend.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, SecretStr, model_validator

from driftwatch.core.settings import Secret, one_of, read_secret
from driftwatch.notify._http import Answer, json_object, known_url, post
from driftwatch.notify._reach import Timeout
from driftwatch.notify._text import facts, identity, link, summary
from driftwatch.notify.base import Delivery, Message, NotifierConfig

# Slack's own limits are 150 for a header and 3,000 for a section.
_LONGEST_HEADER = 150
_LONGEST_SECTION = 2900
_LONGEST_TEXT = 3500
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def _usable(value: SecretStr) -> SecretStr:
    try:
        known_url(value.get_secret_value())
    except ValueError as error:
        expected = "expected a URL such as https://hooks.slack.com/services/… Got one that is not shown."
        raise ValueError(expected) from error
    return value


class SlackConfig(NotifierConfig):
    """``url`` (from the environment) or ``url_file``: the incoming webhook, which belongs to one channel."""

    type: Literal["slack"] = "slack"
    url: Annotated[Secret, AfterValidator(_usable)] | None = None
    url_file: Path | None = None
    timeout: Timeout = 5.0
    ca_file: Path | None = None

    @property
    def token_file(self) -> Path | None:
        """None: the address is all the secret there is."""
        return None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        one_of(self, "url", "url_file")
        return self


class SlackNotifier:
    """Posts each state change once."""

    refreshes: float | None = None

    def __init__(self, config: SlackConfig) -> None:
        self._config = config

    def send(self, message: Message, now: int) -> Delivery:
        """Send once, within ``timeout`` seconds."""
        body = json.dumps(payload(message), ensure_ascii=True).encode()
        try:
            url = known_url(read_secret(self._config.url, self._config.url_file) or "")
        except (OSError, ValueError) as error:
            return Delivery(delivered=False, retryable=True, reason="secret", detail=type(error).__name__)
        return post(url, body, {}, self._config, now, _complaint)


def payload(message: Message) -> dict[str, Any]:
    """The body. Names are plain text everywhere: nothing in them can mention, link or format."""
    title, told, where = summary(message), "\n".join(facts(message)), link(message)
    ending = "resolved" if message.resolved else "firing"
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "block_id": f"{identity(message.key)}-{ending}",
            "text": _plain(title, _LONGEST_HEADER),
        },
        {"type": "section", "text": _plain(told, _LONGEST_SECTION)},
    ]
    if where:
        target = escaped(where, _LONGEST_SECTION)
        text = {"type": "mrkdwn", "verbatim": True, "text": f"<{target}|Look: what moved, and the working>"}
        blocks.append({"type": "section", "text": text})
    fallback = "\n".join(part for part in (title, told, where) if part)
    return {
        "text": escaped(fallback, _LONGEST_TEXT),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": blocks,
    }


def escaped(text: str, limit: int) -> str:
    """``text`` without Slack's control characters, at most ``limit`` characters when escaped.

    >>> escaped("<!channel> a&b", 99), escaped("<<<<", 9)
    ('&lt;!channel&gt; a&amp;b', '&lt;&lt;…')
    """
    marks = [_ESCAPES.get(mark, mark) for mark in text]
    if sum(map(len, marks)) <= limit:
        return "".join(marks)
    length, kept = 1, []
    for mark in marks:
        length += len(mark)
        if length > limit:
            break
        kept.append(mark)
    return "".join(kept) + "…"


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "emoji": False, "text": escaped(text, limit)}


def _complaint(answer: Answer) -> str:
    """Slack says ``ok`` and nothing else."""
    said = json_object(answer)
    fine = answer.body.strip() == b"ok" or (said is not None and said.get("ok") is True)
    return "" if fine else 'the body is not "ok"'


CONFIG = SlackConfig


def open_notifier(config: SlackConfig) -> SlackNotifier:
    """The notifier; connects to nothing yet."""
    return SlackNotifier(config)
