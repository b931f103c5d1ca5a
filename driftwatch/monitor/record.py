"""What a check leaves behind: tiles, verdicts, tracks, incidents and messages, in one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftwatch.config.models import MonitorConfig
from driftwatch.config.shown import as_shown
from driftwatch.core.schema import Span
from driftwatch.decide.decision import Decision
from driftwatch.decide.incidents import BLIND
from driftwatch.decide.state import Incident, SegmentState, encode
from driftwatch.monitor.incident_message import message_for, resolved_message
from driftwatch.results.evidence_trail import Place
from driftwatch.results.results import Verdict
from driftwatch.results.verdict_json import verdict_to_json
from driftwatch.store.browsing import Browsing
from driftwatch.store.history import CHECKPOINT_EVERY, History
from driftwatch.store.outbox import message_to_json
from driftwatch.store.records import CheckRecord, StoredIncident, StoredSelftest, StoredTile
from driftwatch.summary.summary import Summary

Tiles = Mapping[tuple[int, str | None], Summary]
Decided = Mapping[str | None, tuple[Decision, Verdict]]
Queued = tuple[str, str, str, str | None, str]
#: Windows whose evidence a message carries.
TRAIL = 60


def configuration_of(config: MonitorConfig) -> tuple[str, str]:
    """A monitor's configuration as JSON without its secrets, after the sha256 that verdicts carry of it.

    The self-test is left out too: nothing is decided by it.
    """
    data = as_shown(config)
    del data["selftest"]
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest(), text


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What incidents that opened or resolved leave behind."""

    opened: tuple[StoredIncident, ...]
    resolved: tuple[tuple[str, str], ...]
    messages: tuple[Queued, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes checks of one monitor. ``sinks`` are the notifiers' names; links begin with ``external_url``."""

    config: MonitorConfig
    history: History
    browsing: Browsing
    sinks: tuple[str, ...] = ()
    external_url: str = ""
    keep_samples: bool = False

    def check(
        self,
        window: Span,
        now: int,
        tiles: Sequence[StoredTile],
        decided: Decided,
        selftest: StoredSelftest | None = None,
    ) -> bool:
        """Commit one looked-at window of all segments; False when it was decided before.

        ``selftest`` is what the window changed of it, if anything.
        """
        said = [
            self.say(decision.opened, decision.resolved, verdict, now)
            for decision, verdict in decided.values()
        ]
        count = decided[None][0].segment_state.healthy_windows
        return self.history.commit(
            CheckRecord(
                monitor=self.config.name,
                now=now,
                tiles=tiles,
                verdicts=[(name, window.end, verdict_to_json(v)) for name, (_, v) in decided.items()],
                segment_states=[
                    (name, window.end, encode(d.segment_state)) for name, (d, _) in decided.items()
                ],
                opened=[item for part in said for item in part.opened],
                resolved=[item for part in said for item in part.resolved],
                messages=[item for part in said for item in part.messages],
                checkpoint=count % CHECKPOINT_EVERY == 0,
                selftest=selftest,
                configuration=configuration_of(self.config),
            )
        )

    def stored(
        self, tiles: Tiles, versions: Mapping[int, int], sources: Mapping[int, str]
    ) -> list[StoredTile]:
        """Tiles as they are kept: without row samples unless the user turned them on.

        ``versions`` and ``sources`` are each slice's version and that of the source's data it was read from.
        """
        return [
            StoredTile(
                segment=segment,
                start=start,
                version=versions[start],
                source_version=sources[start],
                summary=part if self.keep_samples else part.drop_sample(),
            )
            for (start, segment), part in tiles.items()
        ]

    def blind(
        self,
        window: Span,
        now: int,
        final: Sequence[Verdict],
        verdict: Verdict,
        segment_state: SegmentState,
        opened: Incident | None,
    ) -> None:
        """Commit a window that could not be looked at (``final``), and the incident that says so."""
        said = self.say((opened,) if opened else (), (), verdict, now)
        self.history.commit(
            CheckRecord(
                monitor=self.config.name,
                now=now,
                verdicts=[(item.segment, window.end, verdict_to_json(item)) for item in final],
                segment_states=[(None, window.end, encode(segment_state))] if opened else [],
                opened=said.opened,
                messages=said.messages,
                configuration=configuration_of(self.config),
            )
        )

    def say(
        self, opened: Sequence[Incident], resolved: Sequence[Incident], verdict: Verdict, now: int
    ) -> Said:
        """Incidents and messages: one key per state change, the full text again on resolve."""
        incidents, messages = [], []
        trail = self._trail(verdict.segment, verdict) if opened or resolved else ()
        for item in opened:
            text = message_to_json(message_for(item, verdict, self.config, self.external_url, trail))
            incidents.append(_stored(item, verdict, text))
            messages += [(sink, item.key, "firing", verdict.segment, text) for sink in self.sinks]
        endings = []
        known = {item.key: item for item in self.history.incidents(self.config.name)} if resolved else {}
        for item in resolved:
            endings.append((item.key, "looked again" if item.kind == BLIND else "quiet"))
            if item.key in known:
                text = resolved_message(known[item.key].content, now, trail)
                messages += self._ending(known[item.key], text)
        return Said(opened=tuple(incidents), resolved=tuple(endings), messages=tuple(messages))

    def closing(self, incident: StoredIncident | None, now: int) -> list[Queued]:
        """The resolving messages of a stored incident that somebody closed, one per sink."""
        if incident is None:
            return []
        trail = self._trail(incident.segment, None)
        return self._ending(incident, resolved_message(incident.content, now, trail, by_hand=True))

    def _ending(self, incident: StoredIncident, text: str) -> list[Queued]:
        return [(sink, incident.key, "resolved", incident.segment, text) for sink in self.sinks]

    def _trail(self, segment: str | None, verdict: Verdict | None) -> tuple[Place, ...]:
        """Evidence of the newest windows, oldest first; ``verdict`` is not stored yet."""
        before = None if verdict is None else verdict.window.end
        places = list(self.browsing.trail(self.config.name, segment, before=before, limit=TRAIL))
        if verdict is not None:
            places.append((verdict.window.end, verdict.evidence, str(verdict.state), verdict.page))
        return tuple(places[-TRAIL:])


def _stored(incident: Incident, verdict: Verdict, text: str) -> StoredIncident:
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
