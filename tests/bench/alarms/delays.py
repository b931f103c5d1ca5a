"""One repeat of one setting: a reference, healthy windows, then every line's change on the same windows.

The reference and the first ``WARM`` production windows are shared by all lines of a repeat, and so are the
healthy rows beneath the change. A track is immutable, so every line goes on from the same one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alarms import oracle
from alarms.healthy import RARE, S_SHARES, SETTINGS, Setting, codes
from alarms.path import Looked, Monitor, Rows, acknowledged, altered, configure, size, take
from alarms.rivals import SHIPPED, TUNED, Gauge, Panel, gauges
from alarms.shifts import LINES, Line
from driftwatch.decide.decision import Decision
from driftwatch.decide.state import SegmentState

#: Healthy production windows before the change.
WARM = 10
#: Rows from which on a window is judged, ``window.min_rows``: a segment of 3 % has 30 of 1000.
FEWEST = 10
#: Segments of a monitor split by ``s``: all rows, its levels, other.
SEGMENTS = 2 + len(S_SHARES)
Result = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A monitor that has seen the healthy windows, and its healthy windows from the change on."""

    monitor: Monitor
    segment_state: SegmentState
    draw: Callable[[int], Rows]
    bases: dict[int, Looked] = field(default_factory=dict)
    told: dict[int, dict[str, Gauge]] = field(default_factory=dict)

    def base(self, t: int) -> Looked:
        """Healthy window ``t`` after the change, measured once."""
        if t not in self.bases:
            self.bases[t] = self.monitor.base(self.draw(WARM + t), WARM + t)
        return self.bases[t]

    def gauges(self, t: int) -> dict[str, Gauge]:
        """What other rules read off healthy window ``t``."""
        if t not in self.told:
            self.told[t] = gauges(self.monitor.reference, self.base(t).summary)
        return self.told[t]


def repeat(
    name: str, number: int, budget: str, lines: Sequence[str], within: int, rivals: bool
) -> list[Result]:
    """Every line's delay in this repeat; delays count windows, 1 is the first changed one."""
    setting, seed = SETTINGS[name], (number, zlib.crc32(name.encode()))

    def draw(t: int) -> Rows:
        return setting.draw(seed, t)

    parts = [draw(t) for t in range(-setting.blocks, 0)]
    config = configure(setting.length, budget, min_rows=FEWEST, design_effect=setting.declared)
    monitor = Monitor.learn(config, parts)
    aside = np.random.default_rng([*seed, 3])
    panel = Panel.learn(monitor, parts, aside) if rivals else None
    whole = _warmed(monitor, draw, panel, aside)
    watched: dict[bool, tuple[Watched, ...]] = {False: (whole,)}
    if any(LINES[line].segmented for line in lines):
        watched[True] = tuple(_split(monitor, parts, draw))
    del parts
    found = []
    for line in lines:
        at = LINES[line]
        result = _ours(setting, at, watched[at.segmented], seed, within)
        result |= {"kind": "shift", "setting": name, "number": number, "budget": budget, "line": line}
        result |= {"rivals": _theirs(setting, at, whole, panel, seed, within)} if panel else {}
        found.append(result)
    return found


def _warmed(
    monitor: Monitor, draw: Callable[[int], Rows], panel: Panel | None, rng: np.random.Generator
) -> Watched:
    segment_state = monitor.first
    for t in range(WARM):
        rows = draw(t)
        segment_state = acknowledged(monitor.decide(segment_state, monitor.look(rows, t)).segment_state)
        if panel is not None:
            panel.feed(rows, rng)
    return Watched(monitor=monitor, segment_state=segment_state, draw=draw)


def _split(monitor: Monitor, parts: Sequence[Rows], draw: Callable[[int], Rows]) -> Iterator[Watched]:
    """All rows and the rare segment of a monitor split by ``s``; the other segments see nothing new."""
    yield _warmed(replace(monitor, segments=SEGMENTS), draw, None, np.random.default_rng(0))

    def rare(t: int) -> Rows:
        return _inside(draw(t))

    own = monitor.of_segment(RARE, SEGMENTS, [_inside(part) for part in parts])
    yield _warmed(own, rare, None, np.random.default_rng(0))


def _inside(rows: Rows) -> Rows:
    return take(rows, np.flatnonzero(codes(rows, "s")[0] == len(S_SHARES) - 1))


def _changed(setting: Setting, line: Line, base: Looked, seed: tuple[int, ...], t: int) -> Rows:
    return line.change(setting, base.rows, t, np.random.default_rng([*seed, 4, t]))


def _ours(
    setting: Setting, line: Line, watched: Sequence[Watched], seed: tuple[int, ...], within: int
) -> Result:
    """Our delay and what the page said, and the oracle's delay on the same windows."""
    last = watched[-1]
    weight = max(
        oracle.log_weight(one.monitor, one.segment_state, one.base(0).summary.span, line.names)
        for one in watched
    )
    segment_states, evidence, found = (
        [one.segment_state for one in watched],
        [],
        Result(delay=None, right=None),
    )
    for t in range(within):
        decisions = []
        for place, one in enumerate(watched):
            base = one.base(t)
            rows = _changed(setting, line, base, seed, t)
            seen = one.monitor.changed(base, rows)
            decisions.append(one.monitor.decide(segment_states[place], seen))
            segment_states[place] = decisions[-1].segment_state
        evidence.append(round(max(item.evidence for item in decisions), 4))
        paged = [item for item in decisions if item.page]
        if paged:
            found = {"delay": t + 1, **_said(line, paged[0], last.monitor)}
            break
    gains = [
        line.gain(setting, _changed(setting, line, watched[0].base(t), seed, t), t) for t in range(within)
    ]
    learned = gains if line.new else oracle.learned(gains, setting.blocks + WARM)
    return found | {
        "evidence": evidence,
        "needed": -weight,
        "oracle": oracle.delay(gains, weight),
        "learned": oracle.delay(learned, weight),
    }


def _said(line: Line, decision: Decision, monitor: Monitor) -> Result:
    """Whether the right column was named, how many wrong ones, and how far off the onset is, in windows."""
    named = [item.column for item in decision.named] or [
        column for item in decision.opened for column in item.columns
    ]  # fmt: skip
    step = monitor.config.window.length * 1_000_000_000
    wrong = [name for name in named if name not in line.names and not name.startswith("joint:")]
    return {
        "right": any(name in line.names for name in named),
        "wrong": len(wrong),
        "named": named[:6],
        "onset_error": decision.opened[0].onset // step - WARM,
    }


def _theirs(
    setting: Setting, line: Line, whole: Watched, panel: Panel, seed: tuple[int, ...], within: int
) -> Result:
    """Per rule the windows in which its score rose above all before: ``[[window, score], ...]``."""
    fork, rng = panel.fork(), np.random.default_rng([*seed, 5])
    records: dict[str, list[list[float]]] = {rule: [] for rule in {*SHIPPED, *TUNED}}
    for t in range(within):
        base = whole.base(t)
        rows = _changed(setting, line, base, seed, t)
        moved = None if size(rows) != size(base.rows) else altered(base.rows, rows)
        told = gauges(whole.monitor.reference, whole.monitor.recounted(base, rows), whole.gauges(t), moved)
        for rule, score in fork.scores(rows, told, rng).items():
            best = records[rule][-1][1] if records[rule] else -np.inf
            if score > best:
                records[rule].append([t + 1, float(f"{score:.5g}")])
    return records
