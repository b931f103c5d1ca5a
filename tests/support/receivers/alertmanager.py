"""Alertmanager's API as its OpenAPI document describes it; the real one is in ``test_real_alertmanager``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from receivers import HttpPeer, Taken, expect, secret_file


@dataclass
class Peer(HttpPeer):
    #: Nanoseconds; stands at the moment at which the contract suite sends.
    clock: Callable[[], int] = lambda: 1_795_424_470_000_000_000
    lie = (200, b"<!DOCTYPE html><title>Please log in</title>")

    def settings(self, folder: Path, *, port: int | None = None, timeout: float = 10.0) -> dict[str, Any]:
        urls = [f"http://127.0.0.1:{port or self.port}"]
        return {"type": "alertmanager", "urls": urls, "timeout": timeout, "token_file": secret_file(folder)}

    def understand(self, path: str, headers: dict[str, str], body: Any) -> Taken:
        expect(path == "/api/v2/alerts", path)
        (alert,) = body
        expect(set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}, alert)
        for name, value in [*alert["labels"].items(), *alert["annotations"].items()]:
            expect(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) and isinstance(value, str), name)
        expect(alert["labels"]["alertname"], "no alertname")
        begun, ended = (datetime.fromisoformat(alert[key]) for key in ("startsAt", "endsAt"))
        expect(begun <= ended, alert)
        told, identity = alert["annotations"], json.dumps(alert["labels"], sort_keys=True)
        # Alertmanager learns of an end by its time.
        resolved = ended.timestamp() <= self.clock() / 1e9
        return Taken(
            key=f"{identity} {resolved}",
            incident=identity,
            resolved=resolved,
            text=f"{told['summary']}\n{told['description']}",
            whole=json.dumps(alert, indent=2, ensure_ascii=False, sort_keys=True),
        )
