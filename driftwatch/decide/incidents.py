"""Incidents: one per cause; opened by a page, resolved by quiet windows, never cleared by a state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from driftwatch.core.schema import Span
from driftwatch.decide.evalues.policy import QUIET, Policy
from driftwatch.decide.state import Incident

DRIFT, BROKEN, BLIND = "drift", "broken", "blind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The incidents after a window, with those that it opened and those that it resolved."""

    still_open: tuple[Incident, ...]
    resolved: tuple[Incident, ...]


def incident_key(policy: Policy, kind: str, window: Span, columns: Iterable[str]) -> str:
    """The same key for the same page, however often it is computed or sent.

    >>> from driftwatch.core.schema import Span
    >>> policy = Policy(monitor="m", segment=None, pages_per_second=1e-7)
    >>> incident_key(policy, "drift", Span(start=0, end=1), ["a"])
    'm-drift-a2f3d11bda'
    """
    parts = [policy.monitor, policy.segment or "", kind, str(window.end), *sorted(columns)]
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{policy.monitor}-{kind}-{digest[:10]}"


def settle(incidents: Iterable[Incident], out: Mapping[str, bool], broken: frozenset[str]) -> Changes:
    """Count quiet windows of each column of each open incident; ``QUIET`` in a row and it is watched again.

    The incident resolves with its last column. ``out[column]`` says whether the column's streams are
    outside their band in this window; a column that was not seen in this window stays.
    """
    still_open, resolved = [], []
    for incident in incidents:
        counts = incident.quiet or (0,) * len(incident.columns)
        left = []
        for column, quiet in zip(incident.columns, counts, strict=True):
            loud = column in broken if incident.kind == BROKEN else out.get(column, True)
            if loud or quiet + 1 < QUIET:
                left.append((column, 0 if loud else quiet + 1))
        if left:
            columns, quiets = (tuple(part) for part in zip(*left, strict=True))
            still_open.append(replace(incident, columns=columns, quiet=quiets))
        else:
            resolved.append(incident)
    return Changes(still_open=tuple(still_open), resolved=tuple(resolved))


def with_groups(columns: Iterable[str], groups: Mapping[str, str]) -> tuple[str, ...]:
    """The columns and everything declared to move together with them."""
    named = list(dict.fromkeys(columns))
    touched = {groups[column] for column in named if column in groups}
    return tuple(dict.fromkeys([*named, *(name for name, group in groups.items() if group in touched)]))
