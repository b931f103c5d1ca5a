"""A receiver of Alertmanager's webhook that verifies signatures as the README tells receivers to."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from receivers import SECRET, HttpPeer, ReceivedMessage, expect, secret_file

_KEYS = {
    "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
    "commonAnnotations", "externalURL", "alerts",
}  # fmt: skip
_ALERT = {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}


class Peer(HttpPeer):
    false_success_answer = (200, b'{"ok": false, "error": "queue full"}')

    def settings(self, folder: Path, *, port: int | None = None, timeout: float = 10.0) -> dict[str, Any]:
        url = f"http://127.0.0.1:{port or self.port}/hook"
        return {"type": "webhook", "url": url, "timeout": timeout, "secret_file": secret_file(folder)}

    def answer(
        self, path: str, headers: dict[str, str], raw: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        signed = headers["X-Driftwatch-Timestamp"].encode() + b"." + raw
        expected = "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, headers["X-Driftwatch-Signature"]):
            self.complaints.append("a wrong signature")
        return super().answer(path, headers, raw)

    def parse_message(self, path: str, headers: dict[str, str], body: Any) -> ReceivedMessage:
        expect(set(body) == _KEYS and body["version"] == "4", body)
        (alert,) = body["alerts"]
        expect(set(alert) == _ALERT and alert["status"] == body["status"], alert)
        annotations = alert["annotations"]
        return ReceivedMessage(
            key=headers["Idempotency-Key"],
            incident=alert["fingerprint"],
            resolved=body["status"] == "resolved",
            text=f"{annotations['summary']}\n{annotations['description']}",
            whole=json.dumps(body, indent=2, ensure_ascii=False, sort_keys=True),
        )
