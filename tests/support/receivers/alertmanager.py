"""Alertmanager's API by its OpenAPI document; the real one is in ``tests/notify/test_alertmanager.py``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from receivers import HttpPeer, ReceivedMessage, expect, secret_file


@dataclass
class Peer(HttpPeer):
    #: Nanoseconds; the moment at which the contract suite sends.
    clock: Callable[[], int] = lambda: 1_795_424_470_000_000_000
    false_success_answer = (200, b"<!DOCTYPE html><title>Please log in</title>")

    def settings(self, folder: Path, *, port: int | None = None, timeout: float = 10.0) -> dict[str, Any]:
        urls = [f"http://127.0.0.1:{port or self.port}"]
        return {"type": "alertmanager", "urls": urls, "timeout": timeout, "token_file": secret_file(folder)}

    def parse_message(self, path: str, headers: dict[str, str], body: Any) -> ReceivedMessage:
        expect(path == "/api/v2/alerts", path)
        (alert,) = body
        expect(set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}, alert)
        for name, value in [*alert["labels"].items(), *alert["annotations"].items()]:
            expect(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) and isinstance(value, str), name)
        expect(alert["labels"]["alertname"], "no alertname")
        start, end = (datetime.fromisoformat(alert[key]) for key in ("startsAt", "endsAt"))
        expect(start <= end, alert)
        annotations, identity = alert["annotations"], json.dumps(alert["labels"], sort_keys=True)
        # Alertmanager resolves an alert by its end time.
        resolved = end.timestamp() <= self.clock() / 1e9
        return ReceivedMessage(
            key=f"{identity} {resolved}",
            incident=identity,
            resolved=resolved,
            text=f"{annotations['summary']}\n{annotations['description']}",
            whole=json.dumps(alert, indent=2, ensure_ascii=False, sort_keys=True),
        )
