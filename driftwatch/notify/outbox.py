"""Messages on their way out: one row per message and notifier, and how a message is stored."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from driftwatch.notify.base import IncidentKind, Message

#: Seconds between two attempts at most, also when the receiver asks for more.
LONGEST_WAIT = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One message for one notifier.

    ``state`` is ``sending`` when an attempt was begun whose end nobody saw. ``queued_at`` (nanoseconds) is
    when it was written; None when unknown. ``reason`` is why the last attempt failed.
    """

    id: int
    sink: str
    message: Message
    attempts: int
    state: Literal["pending", "sending"]
    queued_at: int | None = None
    reason: str = ""


def message_to_json(message: Message) -> str:
    """A message as ASCII JSON."""
    return json.dumps(asdict(message), ensure_ascii=True, sort_keys=True)


def message_from_json(text: str) -> Message:
    """The message that ``message_to_json`` was given. Keys of a newer version are left out.

    An older version stored no trail.
    Raises ``ValueError`` or ``TypeError`` when ``text`` is no message.
    """
    data = json.loads(text)
    known = {name: data[name] for name in Message.__dataclass_fields__ if name in data}
    trail = tuple((end, evidence, state, page) for end, evidence, state, page in data.get("trail", ()))
    made = {"kind": IncidentKind(data["kind"]), "lines": tuple(data["lines"]), "trail": trail}
    return Message(**{**known, **made})
