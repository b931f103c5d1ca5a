"""Appends every message to a file, one line of JSON each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from driftwatch.core.schema import iso
from driftwatch.notify.base import Delivery, Message, NotifierConfig, message_text


class LineFileConfig(NotifierConfig):
    type: Literal["line_file"] = "line_file"
    path: Path


class LineFile:
    #: The file forgets nothing, so a firing message is written once.
    refresh_seconds: float | None = None

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, message: Message, now: int) -> Delivery:
        line = {
            "at": iso(now),
            "incident": message_text.incident_id(message.key),
            "resolved": message.resolved,
            "summary": message_text.summary(message),
            "facts": message_text.facts(message),
        }
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            return Delivery(
                delivered=False, retryable=True, reason="connection", detail=error.strerror or "no reason"
            )
        return Delivery(delivered=True)


CONFIG = LineFileConfig


def open_notifier(config: LineFileConfig) -> LineFile:
    return LineFile(config.path)
