"""PagerDuty's Events API, version 2: what its OpenAPI document requires, and the answers it gives."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from receivers import SECRET, HttpPeer, ReceivedMessage, expect, secret_file

_PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}


class Peer(HttpPeer):
    success_answer = (202, b'{"status": "success", "message": "Event processed", "dedup_key": "x"}')
    false_success_answer = (
        202,
        b'{"status": "throttle exceeded", "message": "Requests for this service are arriving too quickly"}',
    )

    def settings(self, folder: Path, *, port: int | None = None, timeout: float = 10.0) -> dict[str, Any]:
        url = f"http://127.0.0.1:{port or self.port}/v2/enqueue"
        key = secret_file(folder)
        return {"type": "pagerduty", "url": url, "routing_key_file": key, "timeout": timeout}

    def parse_message(self, path: str, headers: dict[str, str], body: Any) -> ReceivedMessage:
        expect(path == "/v2/enqueue" and headers["Content-Type"] == "application/json", path)
        expect(
            set(body)
            <= {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links"},
            body,
        )
        expect(body.pop("routing_key") == SECRET, "routing_key")
        expect(body["event_action"] in ("trigger", "resolve"), body["event_action"])
        expect(0 < len(body["dedup_key"]) <= 255, body["dedup_key"])
        payload = body["payload"]
        expect(set(payload) <= _PAYLOAD, payload)
        expect(0 < len(payload["summary"]) <= 1024 and payload["source"], payload)
        expect(payload["severity"] in ("critical", "error", "warning", "info"), payload)
        datetime.fromisoformat(payload["timestamp"])
        expect(len(json.dumps(body)) < 512 * 1024, "size")
        links = body.get("links", [])
        expect(
            all(set(link) == {"href", "text"} and link["href"].startswith("http") for link in links), links
        )
        lines = [payload["summary"], *payload["custom_details"]["facts"], *(link["href"] for link in links)]
        return ReceivedMessage(
            key=f"{body['dedup_key']} {body['event_action']}",
            incident=body["dedup_key"],
            resolved=body["event_action"] == "resolve",
            text="\n".join(lines),
            whole=json.dumps(body, indent=2, ensure_ascii=False, sort_keys=True),
        )
