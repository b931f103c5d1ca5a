"""Slack's incoming webhook: the limits and types of its blocks, and the answers it gives."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from receivers import SECRET, HttpPeer, ReceivedMessage, expect, secret_file

_LIMITS = {"header": 150, "section": 3000}


def _unescaped(text: str, limit: int) -> str:
    """The text that is shown."""
    expect(0 < len(text) <= limit, f"{len(text)} characters")
    expect(not re.search(r"[<>]|&(?!amp;|lt;|gt;)", text), f"not escaped: {text}")
    return html.unescape(text)


class Peer(HttpPeer):
    success_answer = (200, b"ok")
    false_success_answer = (200, b'{"ok": false, "error": "ratelimited"}')

    def settings(self, folder: Path, *, port: int | None = None, timeout: float = 10.0) -> dict[str, Any]:
        url = f"http://127.0.0.1:{port or self.port}/services/T000/B000/{SECRET}"
        return {"type": "slack", "url_file": secret_file(folder, url), "timeout": timeout}

    def parse_message(self, path: str, headers: dict[str, str], body: Any) -> ReceivedMessage:
        expect(path == f"/services/T000/B000/{SECRET}", path)
        expect(set(body) <= {"text", "blocks", "mrkdwn", "unfurl_links", "unfurl_media"}, body)
        expect(1 <= len(body["blocks"]) <= 50, "blocks")
        fallback = _unescaped(body["text"], 4000)
        block_texts = [self._block(block) for block in body["blocks"]]
        key = body["blocks"][0]["block_id"]
        expect(len(key) <= 255 and fallback.startswith(block_texts[0][:40]), fallback)
        return ReceivedMessage(
            key=key,
            incident=key.rpartition("-")[0],
            resolved=key.endswith("-resolved"),
            text="\n".join(block_texts),
            whole=json.dumps(body, indent=2, ensure_ascii=False, sort_keys=True),
        )

    def _block(self, block: Any) -> str:
        limit, text = _LIMITS[block["type"]], block["text"]
        if text["type"] == "plain_text":
            expect(set(text) <= {"type", "text", "emoji"}, text)
            return _unescaped(text["text"], limit)
        expect(text["type"] == "mrkdwn" and block["type"] == "section" and text["verbatim"], block)
        link = re.fullmatch(r"<(https?://[^<>|\s]+)\|([^<>|]+)>", text["text"])
        assert link is not None, text
        return f"{link[2]} {html.unescape(link[1])}"
