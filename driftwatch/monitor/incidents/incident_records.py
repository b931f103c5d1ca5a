"""What one check changes in the stored incidents: one row and one message for one key in several segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from driftwatch.config.models import MonitorConfig
from driftwatch.decide.segment_state import BLIND, BROKEN, Incident, SegmentState
from driftwatch.monitor.evaluation.window_verdict import Decided, Evaluation
from driftwatch.monitor.incident_message import message_for, resolved_message
from driftwatch.monitor.incidents.ending_text import how_it_ended
from driftwatch.monitor.incidents.updated_message import updated_message
from driftwatch.notify.base import Message
from driftwatch.results.evidence_trail import TrailPoint
from driftwatch.results.results import Verdict
from driftwatch.store.outbox import message_from_json, message_to_json
from driftwatch.store.records import StoredIncident, again_kind

Segments = tuple[str | None, ...]
#: (sink, key, kind, segment, JSON text).
QueuedMessage = tuple[str, str, str, str | None, str]


def open_segments(
    evaluations: Mapping[str | None, Evaluation],
    segments: Sequence[str | None],
    state_of: Callable[[str | None], SegmentState],
) -> dict[str, Segments]:
    """Return the segments in which each key is open after a check; empty if it changes no incident.

    ``state_of`` returns the states of those that it did not decide: they may hold an incident, too.
    """
    if not any(item.opened or item.updated or item.resolved for item in evaluations.values()):
        return {}
    segments_by_key: dict[str, Segments] = {}
    for segment in segments:
        item = evaluations.get(segment)
        state = item.segment_state if isinstance(item, Decided) else state_of(segment)
        for incident in state.incidents:
            segments_by_key[incident.key] = (*segments_by_key.get(incident.key, ()), segment)
    return segments_by_key


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChanges:
    opened: tuple[StoredIncident, ...] = ()
    updated: tuple[StoredIncident, ...] = ()
    #: (key, resolution).
    resolved: tuple[tuple[str, str], ...] = ()
    messages: tuple[QueuedMessage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An incident as it is in one segment after a window, and the verdict that changed it."""

    incident: Incident
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWriter:
    config: MonitorConfig
    external_url: str
    sinks: tuple[str, ...]
    trail: Callable[[Verdict], tuple[TrailPoint, ...]]

    def changes(
        self,
        evaluations: Iterable[Evaluation],
        stored: Mapping[str, StoredIncident],
        segments: Mapping[str, Segments],
        now: int,
    ) -> IncidentChanges:
        """Return the changes of one check; ``segments`` are those in which each key is open after it."""
        evaluations = tuple(evaluations)
        opened, updated, messages = [], [], []
        for key, changes in _changes_by_key(evaluations).items():
            places = segments.get(key, ())
            row = stored.get(key)
            if row is None:
                row, text = self._opened(changes, places)
                opened.append(row)
                messages += self._queued(row, "firing", text)
            else:
                earlier = message_from_json(row.content)
                row = self._updated(row, changes, places)
                updated.append(row)
                messages += self._paged_again(row, changes, earlier)
        resolved, endings, left = self._ended(evaluations, stored, segments, now)
        keys = {item.key for item in (*opened, *updated)}
        return IncidentChanges(
            opened=tuple(opened),
            updated=(*updated, *(item for item in left if item.key not in keys)),
            resolved=resolved,
            messages=(*messages, *endings),
        )

    def _opened(self, changes: Sequence[Change], places: Segments) -> tuple[StoredIncident, str]:
        incident, verdict = _merged(changes), changes[0].verdict
        row = StoredIncident(
            key=incident.key,
            monitor=verdict.monitor,
            segment=verdict.segment,
            kind=incident.kind,
            columns=incident.columns,
            opened_at=incident.opened_at,
            onset=incident.onset,
            resolved_at=None,
            resolution=None,
            muted_until=None,
            content="",
        )
        row = in_segments(row, places)
        message = message_for(
            incident,
            verdict,
            self.config,
            self.external_url,
            self.trail(verdict),
            segments=row.segments,
            others=[item.verdict for item in changes[1:]],
        )
        text = message_to_json(message)
        return replace(row, content=text), text

    def _updated(self, row: StoredIncident, changes: Sequence[Change], places: Segments) -> StoredIncident:
        incident = _merged(changes)
        kind = BROKEN if BROKEN in (row.kind, incident.kind) else row.kind
        columns = tuple(dict.fromkeys([*row.columns, *incident.columns]))
        row = replace(row, kind=kind, columns=columns, onset=min(row.onset, incident.onset))
        row = in_segments(row, places)
        message = updated_message(
            message_from_json(row.content),
            _as_stored(incident, row),
            [item.verdict for item in changes],
            self.config,
            row.all_segments,
            pages=any(_pages_again(item) for item in changes),
        )
        return replace(row, content=message_to_json(message))

    def _paged_again(
        self, row: StoredIncident, changes: Sequence[Change], earlier: Message
    ) -> list[QueuedMessage]:
        pages = [item for item in changes if _pages_again(item)]
        if not pages:
            return []
        verdict = pages[0].verdict
        message = message_for(
            _as_stored(_merged(changes), row),
            verdict,
            self.config,
            self.external_url,
            self.trail(verdict),
            segments=row.segments,
            others=[item.verdict for item in changes if item is not pages[0]],
            earlier=earlier,
        )
        text = message_to_json(replace(message, segment=row.segment))
        return self._queued(row, again_kind(verdict.window.end), text)

    def _ended(
        self,
        evaluations: Sequence[Evaluation],
        stored: Mapping[str, StoredIncident],
        segments: Mapping[str, Segments],
        now: int,
    ) -> tuple[tuple[tuple[str, str], ...], list[QueuedMessage], list[StoredIncident]]:
        """Return resolutions, their messages, and rows of incidents that are open in fewer segments now."""
        ended = {
            incident.key: Change(incident=incident, verdict=item.verdict)
            for item in evaluations
            for incident in item.resolved
        }
        resolved, messages, left = [], [], []
        for key, change in ended.items():
            row, places = stored.get(key), segments.get(key, ())
            if places:
                if row is not None:
                    left.append(in_segments(row, places))
                continue
            resolved.append((key, "looked again" if change.incident.kind == BLIND else "quiet"))
            if row is not None:
                verdict = change.verdict
                incident = replace(change.incident, opened_at=row.opened_at, kind=row.kind)
                # A window is looked at again when that is possible, whenever its rows are from.
                end = now if incident.kind == BLIND else verdict.window.end
                text = resolved_message(
                    row.content, now, self.trail(verdict), ended=how_it_ended(incident, end)
                )
                messages += self._queued(row, "resolved", text)
        return tuple(resolved), messages, left

    def _queued(self, row: StoredIncident, kind: str, text: str) -> list[QueuedMessage]:
        # All messages of a key are in one queue, so that none overtakes another.
        return [(sink, row.key, kind, row.segment, text) for sink in self.sinks]


def _changes_by_key(evaluations: Iterable[Evaluation]) -> dict[str, list[Change]]:
    changes: dict[str, list[Change]] = {}
    for item in evaluations:
        for incident in (*item.opened, *item.updated):
            changes.setdefault(incident.key, []).append(Change(incident=incident, verdict=item.verdict))
    return changes


def _merged(changes: Sequence[Change]) -> Incident:
    """Return the incident as it is over the segments that a window changed."""
    incidents = [item.incident for item in changes]
    broken = [name for item in incidents if item.kind == BROKEN for name in item.broken or item.columns]
    return replace(
        incidents[0],
        kind=BROKEN if broken else incidents[0].kind,
        columns=tuple(dict.fromkeys(name for item in incidents for name in item.columns)),
        broken=tuple(dict.fromkeys(broken)),
        onset=min(item.onset for item in incidents),
    )


def _as_stored(incident: Incident, row: StoredIncident) -> Incident:
    # Times and columns of one segment are not those of all.
    return replace(
        incident, kind=row.kind, columns=row.columns, opened_at=row.opened_at, onset=row.onset, quiet=()
    )


def _pages_again(change: Change) -> bool:
    verdict = change.verdict
    return verdict.page and verdict.again and verdict.incident == change.incident.key


def in_segments(row: StoredIncident, places: Segments) -> StoredIncident:
    """Return the stored incident as open in ``places``; in the same ones if they are empty: it ends."""
    if not places or set(places) == set(row.all_segments):
        return row
    return replace(row, segments=() if places == (row.segment,) else places)


def with_keys(evaluation: Evaluation, keys: Mapping[str, str]) -> Evaluation:
    """Return the evaluation with other keys for some incidents, wherever it names them."""
    verdict = evaluation.verdict
    verdict = replace(
        verdict,
        incident=None if verdict.incident is None else keys.get(verdict.incident, verdict.incident),
        updates=tuple(replace(item, key=keys.get(item.key, item.key)) for item in verdict.updates),
        endings=tuple(replace(item, key=keys.get(item.key, item.key)) for item in verdict.endings),
        other_pages=tuple(replace(item, key=keys.get(item.key, item.key)) for item in verdict.other_pages),
    )
    evaluation = replace(
        evaluation,
        verdict=verdict,
        opened=_renamed(evaluation.opened, keys),
        updated=_renamed(evaluation.updated, keys),
    )
    if not isinstance(evaluation, Decided):
        return evaluation
    state = evaluation.segment_state
    state = replace(state, incidents=_renamed(state.incidents, keys))
    return replace(evaluation, segment_state=state)


def _renamed(incidents: Sequence[Incident], keys: Mapping[str, str]) -> tuple[Incident, ...]:
    return tuple(replace(item, key=keys.get(item.key, item.key)) for item in incidents)
