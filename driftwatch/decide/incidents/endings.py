"""When incidents end: their columns are back, or whole again, for long enough.

A column that drifted is back after ``QUIET_WINDOWS`` quiet windows in a row, a broken one with its first
whole window; one that is half null then goes on as drift. What went away and returned is recurring: it ends
after it was away for twice its longest absence, so that a shift of every weekend is one incident.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from driftwatch.core.schema import NANOSECONDS
from driftwatch.decide.evalues.policy import QUIET_WINDOWS
from driftwatch.decide.segment_state import DRIFT, Incident, PastIncident
from driftwatch.results.results import ColumnEnding, IncidentEnding

#: An incident that went away is remembered for so many windows, and at least so long: once a month and once a
#: week, with hourly windows too, are rhythms.
_MAX_ABSENCE_WINDOWS, _MAX_ABSENCE = 35, 8 * 86400 * NANOSECONDS
#: Remembered incidents that ended.
_MAX_PAST_INCIDENTS = 20
#: Absences after which a recurring incident ends.
_ABSENCES = 2
#: Share of an incident's columns that were away before, from which on it is what returned.
_MIN_RETURNED_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledIncidents:
    open: tuple[Incident, ...]
    resolved: tuple[Incident, ...]
    #: Columns that belong to no incident any more.
    released: frozenset[str]
    past: tuple[PastIncident, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFindings:
    """What one window says about the columns of open incidents."""

    #: Nanoseconds.
    end: int
    length: int
    #: Whether each measured column is out of its normal range, or back where its page found it.
    out_of_band: Mapping[str, bool]
    returned: Mapping[str, bool]
    broken: frozenset[str]
    #: Columns of which this window alone is evidence that they are off the reference.
    off_reference: frozenset[str] = frozenset()
    #: A newer window was judged before.
    is_late: bool = False

    def is_loud(self, incident: Incident, column: str) -> bool:
        if column in self.broken:
            return True
        findings = self.returned if incident.absence else self.out_of_band
        # One that was not measured stays as it is.
        return findings.get(column, True)


def settle(
    incidents: Iterable[Incident], findings: WindowFindings, past: Iterable[PastIncident] = ()
) -> SettledIncidents:
    """Count quiet windows of incidents' columns and release those that are back.

    A window judged late says nothing about it: newer ones have.
    """
    incidents = tuple(incidents)
    open_incidents, resolved, ended = [], [], list(past)
    for incident in incidents:
        is_about = findings.end > incident.onset and not findings.is_late
        settled = _settled(incident, findings) if is_about else incident
        if settled.columns:
            open_incidents.append(settled)
            continue
        resolved.append(incident)
        if settled.loud_until is not None and incident.moved:
            names = tuple(dict.fromkeys([*incident.released, *incident.moved]))
            ended.append(PastIncident(columns=names, loud_until=settled.loud_until, absence=settled.absence))
    columns = {name for item in incidents for name in item.columns}
    oldest = findings.end - max_absence(findings.length)
    ended = [item for item in ended if item.loud_until + _ABSENCES * item.absence >= oldest]
    return SettledIncidents(
        open=tuple(open_incidents),
        resolved=tuple(resolved),
        released=frozenset(columns - {name for item in open_incidents for name in item.columns}),
        past=tuple(ended[-_MAX_PAST_INCIDENTS:]),
    )


def max_absence(length: int) -> int:
    return max(_MAX_ABSENCE_WINDOWS * length, _MAX_ABSENCE)


def _settled(incident: Incident, findings: WindowFindings) -> Incident:
    loud = {name for name in incident.columns if findings.is_loud(incident, name)}
    incident = _with_absence(incident, findings, is_loud=bool(loud & set(incident.moved)))
    counts = incident.quiet or (0,) * len(incident.columns)
    remaining: list[tuple[str, int]] = []
    for column, quiet in zip(incident.columns, counts, strict=True):
        count = 0 if column in loud else quiet + 1
        if column in incident.only_broken:
            # One that comes back by half goes on as drift.
            is_back = column not in findings.broken | findings.off_reference
        elif incident.absence:
            is_back = _is_over(incident, findings)
        else:
            is_back = count >= QUIET_WINDOWS
        if not is_back:
            remaining.append((column, count))
    names = tuple(name for name, _ in remaining)
    broken = tuple(name for name in incident.broken if name in findings.broken)
    return replace(
        incident,
        # What broke is whole again; what drifted goes on.
        kind=DRIFT if incident.broken and not broken and names else incident.kind,
        columns=names,
        quiet=tuple(count for _, count in remaining),
        broken=broken,
        only_broken=tuple(name for name in incident.only_broken if name in names),
        released=(*incident.released, *(name for name in incident.moved if name not in names)),
    )


def _with_absence(incident: Incident, findings: WindowFindings, *, is_loud: bool) -> Incident:
    if not is_loud:
        return incident
    start = findings.end - findings.length
    absence = incident.absence
    if absence and incident.loud_until is not None:
        absence = max(absence, start - incident.loud_until)
    return replace(incident, loud_until=max(findings.end, incident.loud_until or 0), absence=absence)


def _is_over(incident: Incident, findings: WindowFindings) -> bool:
    loud_until = incident.onset if incident.loud_until is None else incident.loud_until
    return findings.end - loud_until >= _ABSENCES * incident.absence


def with_recurrence(
    incident: Incident, columns: Iterable[str], past: Iterable[PastIncident], length: int
) -> Incident:
    """Return the incident, whose ``columns`` are new, as recurring if it is what went away.

    It is if at least half of its columns were away: the page of what returns need not name them all, and one
    column that was away says nothing of many that never were.
    """
    absences = _absences_of(past, incident.onset, length)
    returned = tuple(dict.fromkeys([*incident.returned, *(name for name in columns if name in absences)]))
    if len(returned) < _MIN_RETURNED_SHARE * len(incident.moved):
        return replace(incident, returned=returned, absence=0)
    absence = max([incident.absence, *(absences.get(name, 0) for name in returned)])
    return replace(incident, returned=returned, absence=absence)


def _absences_of(past: Iterable[PastIncident], onset: int, length: int) -> dict[str, int]:
    # The longest absence, in nanoseconds, of each column that was away before ``onset``.
    absences: dict[str, int] = {}
    for item in past:
        away = onset - item.loud_until
        if 0 < away <= max_absence(length):
            for name in item.columns:
                absences[name] = max(away, item.absence, absences.get(name, 0))
    return absences


def ending_of(incident: Incident, end: int, length: int) -> IncidentEnding:
    """Return what an incident waits for after the window that ends at ``end``."""
    counts = incident.quiet or (0,) * len(incident.columns)
    needed = dict.fromkeys(incident.columns, QUIET_WINDOWS) | dict.fromkeys(incident.only_broken, 1)
    if incident.absence:
        needed |= dict.fromkeys(incident.moved, -(-_ABSENCES * incident.absence // max(length, 1)))
        loud_until = incident.onset if incident.loud_until is None else incident.loud_until
        n_away = max(0, end - loud_until) // max(length, 1)
        counts = tuple(
            n_away if name in incident.moved else count
            for name, count in zip(incident.columns, counts, strict=True)
        )
    return IncidentEnding(
        key=incident.key,
        kind=incident.kind,
        recurring=bool(incident.absence),
        columns=tuple(
            ColumnEnding(column=name, quiet=count, needed=needed[name], broken=name in incident.broken)
            for name, count in zip(incident.columns, counts, strict=True)
        ),
    )
