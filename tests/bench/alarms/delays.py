"""One repeat of one setting: a reference, healthy windows, then every line's change on the same windows.

All lines of a repeat share the reference, the first ``WARM_WINDOWS`` production windows and the healthy rows
beneath the change. A segment state is immutable, so every line goes on from the same one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alarms import oracle
from alarms.healthy import RARE, S_SHARES, SETTINGS, Setting, codes
from alarms.path import MeasuredWindow, Monitor, Rows, acknowledge, altered_columns, configure, size, take
from alarms.rivals import SHIPPED, TUNED, Gauge, Panel, gauges
from alarms.shifts import LINES, Line
from driftwatch.decide.decision import Decision
from driftwatch.decide.segment_state import SegmentState

#: Healthy production windows before the change.
WARM_WINDOWS = 10
#: Rows that a window needs (``window.min_rows``): a segment of 3 % has 30 of 1000.
MIN_ROWS = 10
#: Segments of a monitor split by ``s``: all rows, its levels, other.
SEGMENTS = 2 + len(S_SHARES)
Result = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmMonitor:
    """A monitor after its warm-up, with its healthy windows from the change on."""

    monitor: Monitor
    segment_state: SegmentState
    draw: Callable[[int], Rows]
    bases: dict[int, MeasuredWindow] = field(default_factory=dict)
    gauge_cache: dict[int, dict[str, Gauge]] = field(default_factory=dict)

    def base(self, t: int) -> MeasuredWindow:
        """Healthy window ``t`` after the change, measured once."""
        if t not in self.bases:
            self.bases[t] = self.monitor.base(self.draw(WARM_WINDOWS + t), WARM_WINDOWS + t)
        return self.bases[t]

    def gauges(self, t: int) -> dict[str, Gauge]:
        """Gauges of other rules on healthy window ``t``."""
        if t not in self.gauge_cache:
            self.gauge_cache[t] = gauges(self.monitor.reference, self.base(t).summary)
        return self.gauge_cache[t]


def repeat(
    name: str, number: int, budget: str, lines: Sequence[str], max_windows: int, rivals: bool
) -> list[Result]:
    """Every line's delay in this repeat, in windows; 1 is the first changed window."""
    setting, seed = SETTINGS[name], (number, zlib.crc32(name.encode()))

    def draw(t: int) -> Rows:
        return setting.draw(seed, t)

    parts = [draw(t) for t in range(-setting.blocks, 0)]
    config = configure(setting.length, budget, min_rows=MIN_ROWS, design_effect=setting.design_effect)
    monitor = Monitor.learn(config, parts)
    panel_rng = np.random.default_rng([*seed, 3])
    panel = Panel.learn(monitor, parts, panel_rng) if rivals else None
    all_rows = _warm_up(monitor, draw, panel, panel_rng)
    monitors: dict[bool, tuple[WarmMonitor, ...]] = {False: (all_rows,)}
    if any(LINES[line].segmented for line in lines):
        monitors[True] = tuple(_split_by_segment(monitor, parts, draw))
    del parts
    results = []
    for line in lines:
        spec = LINES[line]
        result = _our_result(setting, spec, monitors[spec.segmented], seed, max_windows)
        result |= {"kind": "shift", "setting": name, "number": number, "budget": budget, "line": line}
        result |= (
            {"rivals": _rule_records(setting, spec, all_rows, panel, seed, max_windows)} if panel else {}
        )
        results.append(result)
    return results


def _warm_up(
    monitor: Monitor, draw: Callable[[int], Rows], panel: Panel | None, rng: np.random.Generator
) -> WarmMonitor:
    segment_state = monitor.first
    for t in range(WARM_WINDOWS):
        rows = draw(t)
        segment_state = acknowledge(monitor.decide(segment_state, monitor.measure(rows, t)).segment_state)
        if panel is not None:
            panel.feed(rows, rng)
    return WarmMonitor(monitor=monitor, segment_state=segment_state, draw=draw)


def _split_by_segment(
    monitor: Monitor, parts: Sequence[Rows], draw: Callable[[int], Rows]
) -> Iterator[WarmMonitor]:
    """All rows and the rare segment of a monitor split by ``s``; the other segments do not change."""
    yield _warm_up(replace(monitor, segments=SEGMENTS), draw, None, np.random.default_rng(0))

    def draw_rare(t: int) -> Rows:
        return _rare_rows(draw(t))

    rare_monitor = monitor.of_segment(RARE, SEGMENTS, [_rare_rows(part) for part in parts])
    yield _warm_up(rare_monitor, draw_rare, None, np.random.default_rng(0))


def _rare_rows(rows: Rows) -> Rows:
    return take(rows, np.flatnonzero(codes(rows, "s")[0] == len(S_SHARES) - 1))


def _changed_rows(setting: Setting, line: Line, base: MeasuredWindow, seed: tuple[int, ...], t: int) -> Rows:
    return line.change(setting, base.rows, t, np.random.default_rng([*seed, 4, t]))


def _our_result(
    setting: Setting, line: Line, monitors: Sequence[WarmMonitor], seed: tuple[int, ...], max_windows: int
) -> Result:
    """Our delay, the content of our page, and the oracles' delays on the same windows."""
    last = monitors[-1]
    weight = max(
        oracle.log_weight(
            warm_monitor.monitor, warm_monitor.segment_state, warm_monitor.base(0).summary.span, line.names
        )
        for warm_monitor in monitors
    )
    segment_states, evidence, outcome = (
        [warm_monitor.segment_state for warm_monitor in monitors],
        [],
        Result(delay=None, right=None),
    )
    for t in range(max_windows):
        decisions = []
        for place, warm_monitor in enumerate(monitors):
            base = warm_monitor.base(t)
            rows = _changed_rows(setting, line, base, seed, t)
            window = warm_monitor.monitor.change(base, rows)
            decisions.append(warm_monitor.monitor.decide(segment_states[place], window))
            segment_states[place] = decisions[-1].segment_state
        evidence.append(round(max(item.evidence for item in decisions), 4))
        pages = [item for item in decisions if item.page]
        if pages:
            outcome = {"delay": t + 1, **_page_content(line, pages[0], last.monitor)}
            break
    gains = [
        line.gain(setting, _changed_rows(setting, line, monitors[0].base(t), seed, t), t)
        for t in range(max_windows)
    ]
    learned_gains = gains if line.new else oracle.learned_gains(gains, setting.blocks + WARM_WINDOWS)
    return outcome | {
        "evidence": evidence,
        "needed": -weight,
        "oracle": oracle.delay(gains, weight),
        "learned": oracle.delay(learned_gains, weight),
    }


def _page_content(line: Line, decision: Decision, monitor: Monitor) -> Result:
    """Whether the right column was named, how many wrong ones, and how far off the onset is, in windows."""
    names = [item.column for item in decision.named] or [
        column for item in decision.opened for column in item.columns
    ]  # fmt: skip
    step = monitor.config.window.length * 1_000_000_000
    wrong = [name for name in names if name not in line.names and not name.startswith("joint:")]
    return {
        "right": any(name in line.names for name in names),
        "wrong": len(wrong),
        "named": names[:6],
        "onset_error": decision.opened[0].onset // step - WARM_WINDOWS,
    }


def _rule_records(
    setting: Setting, line: Line, all_rows: WarmMonitor, panel: Panel, seed: tuple[int, ...], max_windows: int
) -> Result:
    """Windows in which a rule's score is a new maximum, by rule: ``[[window, score], ...]``."""
    fork, rng = panel.fork(), np.random.default_rng([*seed, 5])
    records: dict[str, list[list[float]]] = {rule: [] for rule in {*SHIPPED, *TUNED}}
    for t in range(max_windows):
        base = all_rows.base(t)
        rows = _changed_rows(setting, line, base, seed, t)
        moved_columns = None if size(rows) != size(base.rows) else altered_columns(base.rows, rows)
        column_gauges = gauges(
            all_rows.monitor.reference,
            all_rows.monitor.recount(base, rows),
            all_rows.gauges(t),
            moved_columns,
        )
        for rule, score in fork.scores(rows, column_gauges, rng).items():
            best = records[rule][-1][1] if records[rule] else -np.inf
            if score > best:
                records[rule].append([t + 1, float(f"{score:.5g}")])
    return records
