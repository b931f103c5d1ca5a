"""Records a check in one transaction: tiles, verdicts, segment states, incidents and messages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from driftwatch.config.models import MonitorConfig
from driftwatch.config.shown import redacted_settings
from driftwatch.core.schema import Span
from driftwatch.decide.segment_state import BLIND, Incident
from driftwatch.decide.state_codec import encode
from driftwatch.monitor.evaluation.window_verdict import Decided, Evaluation
from driftwatch.monitor.incident_message import Ending, message_for, resolved_message
from driftwatch.monitor.reading import Tiles
from driftwatch.results.evidence_trail import TrailPoint
from driftwatch.results.results import Verdict
from driftwatch.results.stored_verdict import verdict_to_json
from driftwatch.store.browsing import Browsing
from driftwatch.store.history import CHECKPOINT_WINDOWS, History
from driftwatch.store.outbox import message_to_json
from driftwatch.store.records import CheckRecord, OwedWindow, StoredIncident, StoredSelftest, StoredTile

Evaluations = Mapping[str | None, Evaluation]
QueuedMessage = tuple[str, str, str, str | None, str]
#: Windows whose evidence a message carries.
TRAIL_WINDOWS = 60


def configuration_of(config: MonitorConfig) -> tuple[str, str]:
    """Return the configuration's SHA-256 and JSON, without secrets and the self-test (verdicts ignore it)."""
    data = redacted_settings(config)
    del data["selftest"]
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest(), text


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChanges:
    opened: tuple[StoredIncident, ...]
    resolved: tuple[tuple[str, str], ...]
    messages: tuple[QueuedMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    config: MonitorConfig
    history: History
    browsing: Browsing
    #: Names of the notifiers.
    sinks: tuple[str, ...] = ()
    #: Links in messages begin with it.
    external_url: str = ""
    keep_samples: bool = False
    #: Judged windows between two check points.
    checkpoint_windows: int = CHECKPOINT_WINDOWS

    def commit(
        self,
        window: Span,
        now: int,
        evaluations: Evaluations,
        *,
        tiles: Sequence[StoredTile],
        selftest: StoredSelftest | None,
        owed: OwedWindow | None = None,
        part: int = 0,
    ) -> bool:
        """Commit a check; return False if the window, or the part of its late rows, was already decided.

        The verdicts of an ``owed`` window may be replaced. ``selftest`` is None when unchanged.
        """
        decided = {segment: item for segment, item in evaluations.items() if isinstance(item, Decided)}
        changes = [
            self.incident_changes(item.opened, item.resolved, item.verdict, now)
            for item in evaluations.values()
        ]
        all_rows = decided.get(None)
        return self.history.commit(
            CheckRecord(
                monitor=self.config.name,
                now=now,
                tiles=tiles,
                part=part,
                owed=owed,
                verdicts=[
                    (segment, window.end, verdict_to_json(item.verdict))
                    for segment, item in evaluations.items()
                ],
                segment_states=[
                    (segment, item.segment_state.decided_until or window.end, encode(item.segment_state))
                    for segment, item in decided.items()
                ],
                opened=[item for change in changes for item in change.opened],
                resolved=[item for change in changes for item in change.resolved],
                messages=[item for change in changes for item in change.messages],
                checkpoint=all_rows is not None
                and all_rows.verdict.state.has_data
                and all_rows.segment_state.healthy_windows % self.checkpoint_windows == 0,
                selftest=selftest,
                configuration=configuration_of(self.config),
            )
        )

    def with_new_keys(self, evaluations: Evaluations) -> Evaluations:
        """Give another key to incidents whose key is that of one that a change ended.

        A monitor that was removed and came back still cannot look at the same window: receivers resolved the
        old key and would ignore it.
        """
        return {
            segment: self._with_new_key(item) if isinstance(item, Decided) and item.opened else item
            for segment, item in evaluations.items()
        }

    def _with_new_key(self, decided: Decided) -> Decided:
        keys = {item.key: self._unused_key(item.key) for item in decided.opened}
        return replace(
            decided,
            opened=tuple(replace(item, key=keys[item.key]) for item in decided.opened),
            segment_state=replace(
                decided.segment_state,
                incidents=tuple(
                    replace(item, key=keys.get(item.key, item.key))
                    for item in decided.segment_state.incidents
                ),
            ),
        )

    def _unused_key(self, key: str) -> str:
        number, candidate = 1, key
        while (stored := self.history.incidents.get(candidate)) and stored.resolution in list(Ending):
            number += 1
            candidate = f"{key}-{number}"
        return candidate

    def stored_tiles(
        self, tiles: Tiles, versions: Mapping[int, int], source_versions: Mapping[int, str]
    ) -> list[StoredTile]:
        return [
            StoredTile(
                segment=segment,
                start=start,
                version=versions[start],
                source_version=source_versions[start],
                summary=part if self.keep_samples else part.drop_sample(),
            )
            for (start, segment), part in tiles.items()
        ]

    def incident_changes(
        self, opened: Sequence[Incident], resolved: Sequence[Incident], verdict: Verdict, now: int
    ) -> IncidentChanges:
        incidents, messages = [], []
        trail = self._trail(verdict.segment, verdict) if opened or resolved else ()
        for item in opened:
            text = message_to_json(message_for(item, verdict, self.config, self.external_url, trail))
            incidents.append(_stored_incident(item, verdict, text))
            messages += [(sink, item.key, "firing", verdict.segment, text) for sink in self.sinks]
        resolutions = []
        stored_incidents = (
            {item.key: item for item in self.history.incidents.of_monitor(self.config.name)}
            if resolved
            else {}
        )
        for item in resolved:
            resolutions.append((item.key, "looked again" if item.kind == BLIND else "quiet"))
            if item.key in stored_incidents:
                text = resolved_message(stored_incidents[item.key].content, now, trail)
                messages += self._resolved_messages(stored_incidents[item.key], text)
        return IncidentChanges(opened=tuple(incidents), resolved=tuple(resolutions), messages=tuple(messages))

    def closing_messages(self, incident: StoredIncident | None, now: int) -> list[QueuedMessage]:
        if incident is None:
            return []
        trail = self._trail(incident.segment, None)
        return self._resolved_messages(incident, resolved_message(incident.content, now, trail, by_hand=True))

    def _resolved_messages(self, incident: StoredIncident, text: str) -> list[QueuedMessage]:
        return [(sink, incident.key, "resolved", incident.segment, text) for sink in self.sinks]

    def _trail(self, segment: str | None, verdict: Verdict | None) -> tuple[TrailPoint, ...]:
        window_end = None if verdict is None else verdict.window.end
        trail = list(
            self.browsing.trail(self.config.name, segment, end_below=window_end, limit=TRAIL_WINDOWS)
        )
        if verdict is not None:
            # Not stored yet.
            trail.append((verdict.window.end, verdict.evidence, str(verdict.state), verdict.page))
        return tuple(trail[-TRAIL_WINDOWS:])


def _stored_incident(incident: Incident, verdict: Verdict, text: str) -> StoredIncident:
    return StoredIncident(
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
        content=text,
    )
