"""One piece of one null world, mostly a quarter: its pages, and the alarms of other rules."""

from __future__ import annotations

import zlib
from collections import Counter
from typing import Any

import numpy as np

from alarms.path import Monitor, acknowledge, configure
from alarms.rare_worlds import NULL_WORLDS
from alarms.rivals import SHIPPED, TUNED, Panel, Scores, gauges
from driftwatch.results.results import State

#: Windows after which a monitor should have calibrated.
SETTLED_WINDOWS = 60
#: Number of largest scores of a quarter in the results, for tuning thresholds later.
MAX_TOP_SCORES = 40


def quarter(name: str, number: int, budget: str, rivals: bool) -> dict[str, Any]:
    """Ninety days or more in a row; each page is acknowledged at once, so that it hides no later one."""
    world, seed = NULL_WORLDS[name], [number, zlib.crc32(name.encode())]
    rng, panel_rng = np.random.default_rng(seed), np.random.default_rng([*seed, 1])
    draw = world.make(rng)
    extra = None if world.extra_counts is None else world.extra_counts(np.random.default_rng([*seed, 2]))
    config = configure(world.length, budget, season=world.slots)
    parts = [draw(rng, t) for t in range(-world.blocks, 0)]
    monitor = Monitor.learn(config, parts, has_times=world.timed, sample_rows=200, extra=extra)
    panel = Panel.learn(monitor, parts, panel_rng) if rivals else None
    del parts
    segment_state, calibrating, names = monitor.first, [], Counter[str]()
    page_windows, window_scores = [], list[Scores]()
    for t in range(world.windows):
        window = monitor.measure(draw(rng, t), t)
        decision = monitor.decide(segment_state, window)
        segment_state = acknowledge(decision.segment_state)
        calibrating.append(decision.state is State.CALIBRATING)
        if decision.page:
            page_windows.append(t)
            names.update([f"{item.column}/{item.detector}" for item in decision.named] or ["broken"])
        if panel is not None:
            window_scores.append(
                panel.scores(window.rows, gauges(monitor.reference, window.summary), panel_rng)
            )
    return {
        "kind": "null", "world": name, "number": number, "budget": budget, "windows": world.windows,
        "quarters": world.quarters, "pages": len(page_windows), "at": page_windows,
        "calibrating": sum(calibrating), "settled": len(calibrating[SETTLED_WINDOWS:]),
        "calibrating_settled": sum(calibrating[SETTLED_WINDOWS:]), "named": dict(names.most_common(8)),
        "rivals": _rule_summary(window_scores) if rivals else {},
    }  # fmt: skip


def _rule_summary(window_scores: list[Scores]) -> dict[str, Any]:
    """Windows in which each rule alarms, and the largest scores of those whose threshold can be tuned."""
    alarms = {
        rule: sum(scores.get(rule, -np.inf) >= threshold for scores in window_scores)
        for rule, threshold in SHIPPED.items()
        if any(rule in scores for scores in window_scores)
    }
    top = {
        rule: [
            float(f"{value:.5g}")
            for value in sorted((s[rule] for s in window_scores if rule in s), reverse=True)[:MAX_TOP_SCORES]
        ]
        for rule in TUNED
        if any(rule in scores for scores in window_scores)
    }
    return {"alarms": alarms, "top": top}
