"""Keys of incidents, and the columns that a page names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from driftwatch.core.schema import Span
from driftwatch.decide.evalues.policy import Policy


def incident_key(policy: Policy, kind: str, window: Span, columns: Iterable[str], part: int = 0) -> str:
    """Return the key of an incident, the same however often it is computed or sent.

    >>> from driftwatch.core.schema import Span
    >>> policy = Policy(monitor="m", segment=None, pages_per_second=1e-7)
    >>> incident_key(policy, "drift", Span(start=0, end=1), ["a"])
    'm-drift-a2f3d11bda'
    """
    parts = [policy.monitor, policy.segment or "", kind, str(window.end), *sorted(columns)]
    if part:
        parts.append(f"part {part}")
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{policy.monitor}-{kind}-{digest[:10]}"


def with_groups(columns: Iterable[str], groups: Mapping[str, str]) -> tuple[str, ...]:
    named = list(dict.fromkeys(columns))
    named_groups = {groups[column] for column in named if column in groups}
    return tuple(dict.fromkeys([*named, *(name for name, group in groups.items() if group in named_groups)]))
