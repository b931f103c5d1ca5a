"""What a window's moves and breakages make of the open incidents: a page, an update, or both.

One cause is one page (``page_rules.py``). What moves further, or breaks, in a column of an incident pages
again under its key; a page that is due too soon waits. No window has two pages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.incidents.endings import with_recurrence
from driftwatch.decide.incidents.incident_key import incident_key, with_groups
from driftwatch.decide.incidents.page_rules import (
    NewestPage,
    is_of_cause,
    is_unfolding,
    last_page,
    may_page_again,
    newest_page,
)
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import BROKEN, DRIFT, Incident, PastIncident
from driftwatch.results.results import IncidentUpdate, NamedColumn
from driftwatch.results.streams import JOINT_PREFIX

#: Incidents of a segment that are told apart; what moves besides joins the newest, and pages under its key.
MAX_OPEN_INCIDENTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChanges:
    measurement: Measurement
    policy: Policy
    incidents: tuple[Incident, ...]
    past: tuple[PastIncident, ...] = ()
    #: Key of the incident that the window pages for.
    paged: str | None = None
    again: bool = False
    #: Keys of incidents that are new.
    opened_keys: frozenset[str] = frozenset()
    updates: tuple[IncidentUpdate, ...] = ()
    #: Columns that were broken and go on as drift.
    mended: frozenset[str] = frozenset()

    @property
    def opened(self) -> tuple[Incident, ...]:
        return tuple(item for item in self.incidents if item.key in self.opened_keys)

    @property
    def updated(self) -> tuple[Incident, ...]:
        keys = {item.key for item in self.updates} | ({self.paged} if self.again else set())
        return tuple(item for item in self.incidents if item.key in keys - self.opened_keys)

    def with_breakages(self) -> IncidentChanges:
        """Open, join or upgrade incidents for columns that are newly broken."""
        broken_before = {name for item in self.incidents for name in item.broken}
        columns = [item.column for item in self.measurement.breakages if item.column not in broken_before]
        changes, strangers = self, []
        for column in dict.fromkeys(columns):
            incident = next((item for item in changes.incidents if column in item.columns), None)
            if incident is None:
                strangers.append(column)
                continue
            upgraded = replace(incident, kind=BROKEN, broken=(*incident.broken, column))
            changes = changes._changed(upgraded, (column,), calls_for_page=True)
        if not strangers:
            return changes
        return changes._moved(tuple(strangers), self.measurement.window.start, BROKEN)

    def with_moves(self, named: Iterable[NamedColumn]) -> IncidentChanges:
        """Open or join an incident for named columns of no incident."""
        page = newest_page(self.incidents, self.measurement)
        named = tuple(named)
        # A joint detector that leaves out the columns beside it goes on without them.
        if self.mended or any(not item.column.startswith(JOINT_PREFIX) for item in named):
            named = tuple(item for item in named if item.column not in self.measurement.joint_readers)
        joining = [
            item for item in named if page is not None and is_of_cause(page, item.onset, self.measurement)
        ]
        strangers = [item for item in named if item not in joining]
        return self._with_named(joining)._with_named(strangers)

    def _with_named(self, named: Sequence[NamedColumn]) -> IncidentChanges:
        if not named:
            return self
        open_columns = {name for item in self.incidents for name in item.columns}
        grouped = with_groups((item.column for item in named), self.policy.groups)
        columns = tuple(name for name in grouped if name not in open_columns)
        changes = self.with_mended({item.column for item in named})
        return changes._moved(columns, min(item.onset for item in named), DRIFT)

    def with_mended(self, names: Collection[str]) -> IncidentChanges:
        """Let broken columns go on as drift: half of the values are back, or late rows show that it moved."""
        changes = self
        for incident in self.incidents:
            moved = tuple(name for name in incident.only_broken if name in names)
            if moved:
                only_broken = tuple(name for name in incident.only_broken if name not in moved)
                changed = replace(incident, only_broken=only_broken)
                changes = changes._changed(changed, moved, calls_for_page=False)
                changes = replace(changes, mended=changes.mended.union(moved))
        return changes

    def with_further_moves(self, named: Iterable[NamedColumn], grown: frozenset[str]) -> IncidentChanges:
        """Update the incidents of columns that moved further; ``grown`` ones have doubled their distance."""
        changes = self
        columns = [item.column for item in named]
        for incident in self.incidents:
            further = tuple(name for name in columns if name in incident.moved)
            if further:
                quiet = tuple(
                    0 if name in further else count
                    for name, count in zip(incident.columns, _quiet(incident), strict=True)
                )
                calls_for_page = bool(grown.intersection(further))
                current = next(item for item in changes.incidents if item.key == incident.key)
                changes = changes._changed(
                    replace(current, quiet=quiet), further, calls_for_page=calls_for_page
                )
        return changes

    def with_due_pages(self, grown: frozenset[str]) -> IncidentChanges:
        """Page for an incident that moved further too soon after its newest page, and still is there."""
        for incident in self.incidents:
            is_further = bool(grown.intersection(incident.moved) or incident.broken)
            if incident.page_due and is_further and self._may_page(incident):
                return self._paged_again(incident)
        return self

    def _moved(self, columns: tuple[str, ...], onset: int, kind: str) -> IncidentChanges:
        if not columns:
            return self
        newest = newest_page(self.incidents, self.measurement)
        if newest is not None and is_of_cause(newest, onset, self.measurement):
            return self._joined(newest, columns, onset, kind)
        if len(self.incidents) >= MAX_OPEN_INCIDENTS:
            last = last_page(self.incidents, self.measurement)
            changes = self._joined(last, columns, onset, kind)
            return changes._paged_again(next(item for item in changes.incidents if item.key == last.key))
        part = self.measurement.part
        incident = Incident(
            key=incident_key(self.policy, kind, self.measurement.window, columns, part),
            kind=kind,
            columns=columns,
            opened_at=self.measurement.window.end,
            onset=onset,
            broken=columns if kind == BROKEN else (),
            only_broken=columns if kind == BROKEN else (),
            paged_at=self.measurement.window.end,
            loud_until=self.measurement.window.end,
        )
        incident = self._recurring(incident, columns, kind)
        return replace(
            self,
            incidents=(*self.incidents, incident),
            paged=incident.key,
            opened_keys=self.opened_keys | {incident.key},
        )

    def _joined(self, newest: NewestPage, columns: tuple[str, ...], onset: int, kind: str) -> IncidentChanges:
        incident = next((item for item in self.incidents if item.key == newest.key), None)
        is_broken = kind == BROKEN
        if incident is None:
            incident = Incident(
                key=newest.key,
                kind=newest.kind,
                columns=(),
                opened_at=newest.paged_at,
                onset=onset,
                paged_at=newest.paged_at,
            )
            changes = replace(self, incidents=(*self.incidents, incident))
        else:
            changes = self
        joined = replace(
            incident,
            kind=BROKEN if is_broken else incident.kind,
            columns=(*incident.columns, *columns),
            quiet=(*_quiet(incident), *(0 for _ in columns)),
            broken=(*incident.broken, *columns) if is_broken else incident.broken,
            only_broken=(*incident.only_broken, *columns) if is_broken else incident.only_broken,
            onset=min(incident.onset, onset),
            loud_until=max(self.measurement.window.end, incident.loud_until or 0),
        )
        joined = self._recurring(joined, columns, kind)
        return changes._changed(joined, columns, calls_for_page=False)

    def _recurring(self, incident: Incident, columns: tuple[str, ...], kind: str) -> Incident:
        if kind == BROKEN:
            return incident
        return with_recurrence(incident, columns, self.past, self.measurement.length)

    def _changed(
        self, incident: Incident, columns: tuple[str, ...], *, calls_for_page: bool
    ) -> IncidentChanges:
        changes = self._with(incident)
        if calls_for_page and self._may_page(incident):
            return changes._paged_again(incident)
        if calls_for_page and not is_unfolding(incident, self.measurement):
            changes = changes._with(replace(incident, page_due=True))
        if incident.key == self.paged:
            return changes
        return replace(changes, updates=_with_update(self.updates, incident.key, columns))

    def _paged_again(self, incident: Incident) -> IncidentChanges:
        paged_at = max(self.measurement.window.end, incident.newest_page)
        changes = self._with(replace(incident, paged_at=paged_at, page_due=False))
        updates = tuple(item for item in self.updates if item.key != incident.key)
        return replace(changes, paged=incident.key, again=True, updates=updates)

    def _with(self, incident: Incident) -> IncidentChanges:
        return replace(
            self,
            incidents=tuple(incident if item.key == incident.key else item for item in self.incidents),
        )

    def _may_page(self, incident: Incident) -> bool:
        return self.paged is None and may_page_again(incident, self.measurement)


def _quiet(incident: Incident) -> tuple[int, ...]:
    return incident.quiet or (0,) * len(incident.columns)


def _with_update(
    updates: tuple[IncidentUpdate, ...], key: str, columns: tuple[str, ...]
) -> tuple[IncidentUpdate, ...]:
    columns_by_key: Mapping[str, tuple[str, ...]] = {item.key: item.columns for item in updates}
    names = tuple(dict.fromkeys([*columns_by_key.get(key, ()), *columns]))
    others = tuple(item for item in updates if item.key != key)
    return (*others, IncidentUpdate(key=key, columns=names))
