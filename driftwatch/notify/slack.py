"""Notifies Slack, or a service with the same incoming webhooks (Mattermost).

The webhook's address is the secret: it comes from ``url_file`` or the environment and is never shown. Slack
has no key to recognise a resend by, so a possible duplicate says so; the ``block_id`` of the first block is
the same for every resend.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, SecretStr, model_validator

from driftwatch.core.settings import Secret, exclusive_setting, read_secret
from driftwatch.notify._http import Answer, json_object, post, valid_url
from driftwatch.notify._reach import Timeout
from driftwatch.notify._text import facts, incident_id, link, link_text, page_id, summary
from driftwatch.notify.base import Delivery, Message, NotifierConfig

# Slack's own limits are 150 for a header and 3,000 for a section.
_MAX_HEADER_CHARS = 150
_MAX_SECTION_CHARS = 2900
_MAX_TEXT_CHARS = 3500
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def _valid_secret_url(value: SecretStr) -> SecretStr:
    try:
        valid_url(value.get_secret_value())
    except ValueError as error:
        expected = "expected a URL such as https://hooks.slack.com/services/… Got one that is not shown."
        raise ValueError(expected) from error
    return value


class SlackConfig(NotifierConfig):
    """``url`` (from the environment) or ``url_file`` holds one channel's incoming webhook."""

    type: Literal["slack"] = "slack"
    url: Annotated[Secret, AfterValidator(_valid_secret_url)] | None = None
    url_file: Path | None = None
    timeout: Timeout = 5.0
    ca_file: Path | None = None

    @property
    def token_file(self) -> Path | None:
        # The address is the only secret.
        return None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        exclusive_setting(self, "url", "url_file")
        return self


class SlackNotifier:
    refresh_seconds: float | None = None

    def __init__(self, config: SlackConfig) -> None:
        self._config = config

    def send(self, message: Message, now: int) -> Delivery:
        body = json.dumps(payload(message), ensure_ascii=True).encode()
        try:
            url = valid_url(read_secret(self._config.url, self._config.url_file) or "")
        except (OSError, ValueError) as error:
            return Delivery(delivered=False, retryable=True, reason="secret", detail=type(error).__name__)
        return post(url, body, {}, self._config, now, _body_error)


def payload(message: Message) -> dict[str, Any]:
    """Return the webhook's payload. Names are plain text: nothing in them can mention, link or format."""
    title, fact_lines, url = summary(message), "\n".join(facts(message)), link(message)
    key = f"{incident_id(message.key)}-resolved" if message.resolved else _page_block(message)
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "block_id": key,
            "text": _plain_text(title, _MAX_HEADER_CHARS),
        },
        {"type": "section", "text": _plain_text(fact_lines, _MAX_SECTION_CHARS)},
    ]
    if url:
        target = escape(url, _MAX_SECTION_CHARS)
        text = {"type": "mrkdwn", "verbatim": True, "text": f"<{target}|Look: {link_text(message)}>"}
        blocks.append({"type": "section", "text": text})
    fallback = "\n".join(part for part in (title, fact_lines, url) if part)
    return {
        "text": escape(fallback, _MAX_TEXT_CHARS),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": blocks,
    }


def _page_block(message: Message) -> str:
    return page_id(message) if message.again else f"{incident_id(message.key)}-firing"


def escape(text: str, limit: int) -> str:
    """Escape Slack's control characters and cut the result to ``limit`` characters.

    >>> escape("<!channel> a&b", 99), escape("<<<<", 9)
    ('&lt;!channel&gt; a&amp;b', '&lt;&lt;…')
    """
    marks = [_ESCAPES.get(mark, mark) for mark in text]
    if sum(map(len, marks)) <= limit:
        return "".join(marks)
    length, short_marks = 1, []
    for mark in marks:
        length += len(mark)
        if length > limit:
            break
        short_marks.append(mark)
    return "".join(short_marks) + "…"


def _plain_text(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "emoji": False, "text": escape(text, limit)}


def _body_error(answer: Answer) -> str:
    response = json_object(answer)
    # Slack answers ``ok`` and nothing else.
    is_success = answer.body.strip() == b"ok" or (response is not None and response.get("ok") is True)
    return "" if is_success else 'the body is not "ok"'


CONFIG = SlackConfig


def open_notifier(config: SlackConfig) -> SlackNotifier:
    return SlackNotifier(config)
