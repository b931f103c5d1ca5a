"""Records a check in one transaction: tiles, verdicts, segment states, incidents and messages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftwatch.config.models import MonitorConfig
from driftwatch.config.shown import redacted_settings
from driftwatch.core.schema import Span
from driftwatch.decide.state_codec import encode
from driftwatch.monitor.evaluation.window_verdict import Decided, Evaluation
from driftwatch.monitor.incident_message import Ending, resolved_message
from driftwatch.monitor.incidents.ending_text import lasting
from driftwatch.monitor.incidents.incident_records import (
    ChangeWriter,
    IncidentChanges,
    QueuedMessage,
    Segments,
    with_keys,
)
from driftwatch.monitor.reading import Reading
from driftwatch.results.evidence_trail import TrailPoint
from driftwatch.results.results import Verdict
from driftwatch.results.stored_verdict import verdict_to_json
from driftwatch.store.acknowledgements import ACCEPTED, FIXED
from driftwatch.store.browsing import Browsing
from driftwatch.store.history import CHECKPOINT_WINDOWS, History
from driftwatch.store.records import CheckRecord, OwedWindow, StoredIncident, StoredSelftest, StoredTile

Evaluations = Mapping[str | None, Evaluation]
#: How an incident ended that somebody answered.
_ANSWERS = {FIXED: "somebody said that it is fixed", ACCEPTED: "somebody accepted it as the new normal"}
#: Windows whose evidence a message carries.
TRAIL_WINDOWS = 60


def configuration_of(config: MonitorConfig) -> tuple[str, str]:
    """Return the configuration's SHA-256 and JSON, without secrets and the self-test (verdicts ignore it)."""
    data = redacted_settings(config)
    del data["selftest"]
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest(), text


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
        open_in: Mapping[str, Segments],
        tiles: Sequence[StoredTile],
        selftest: StoredSelftest | None,
        owed: OwedWindow | None = None,
        part: int = 0,
    ) -> bool:
        """Commit a check; return False if the window, or the part of its late rows, was already decided.

        The verdicts of an ``owed`` window may be replaced. ``selftest`` is None when unchanged. ``open_in``
        are the segments in which each key is open after it.
        """
        decided = {segment: item for segment, item in evaluations.items() if isinstance(item, Decided)}
        changes = self._incident_changes(evaluations, open_in, now)
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
                opened=changes.opened,
                updated=changes.updated,
                resolved=changes.resolved,
                messages=changes.messages,
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
        keys = {
            incident.key: self._unused_key(incident.key)
            for item in evaluations.values()
            for incident in item.opened
        }
        if all(key == new_key for key, new_key in keys.items()):
            return evaluations
        return {segment: with_keys(item, keys) for segment, item in evaluations.items()}

    def _unused_key(self, key: str) -> str:
        number, candidate = 1, key
        while (stored := self.history.incidents.get(candidate)) and stored.resolution in list(Ending):
            number += 1
            candidate = f"{key}-{number}"
        return candidate

    def tiles_to_store(self, reading: Reading) -> list[StoredTile]:
        return [
            StoredTile(
                segment=segment,
                start=start,
                version=reading.versions[start],
                source_version=reading.source_versions[start],
                summary=part if self.keep_samples else part.drop_sample(),
            )
            for (start, segment), part in reading.new_tiles.items()
        ]

    def _incident_changes(
        self, evaluations: Evaluations, open_in: Mapping[str, Segments], now: int
    ) -> IncidentChanges:
        items = [item for item in evaluations.values() if item.opened or item.updated or item.resolved]
        if not items:
            return IncidentChanges()
        stored = {item.key: item for item in self.history.incidents.of_monitor(self.config.name)}
        writer = ChangeWriter(
            config=self.config,
            external_url=self.external_url,
            sinks=self.sinks,
            trail=lambda verdict: self._trail(verdict.segment, verdict),
        )
        return writer.changes(items, stored, open_in, now)

    def closing_messages(
        self, incident: StoredIncident | None, now: int, answer: str = ""
    ) -> list[QueuedMessage]:
        """Return the messages that somebody closed an incident, with what they said (``fixed``)."""
        if incident is None:
            return []
        trail = self._trail(incident.segment, None)
        since = lasting(incident.opened_at, now)
        ended = f"{_ANSWERS.get(answer, 'somebody closed it')}{since}"
        text = resolved_message(incident.content, now, trail, by_hand=True, ended=ended)
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
