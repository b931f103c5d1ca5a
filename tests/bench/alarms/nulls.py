"""One quarter of one null world: how often it paged, and how often other rules would have."""

from __future__ import annotations

import zlib
from collections import Counter
from typing import Any

import numpy as np

from alarms.path import Monitor, acknowledged, configure
from alarms.rivals import SHIPPED, TUNED, Panel, Scores, gauges
from alarms.worlds import WORLDS
from driftwatch.results.results import State

#: Windows after which a monitor should hardly be calibrating any more.
SETTLED = 60
#: Largest scores of a quarter that are kept, so that thresholds can be tuned afterwards.
KEPT = 40


def quarter(name: str, number: int, budget: str, rivals: bool) -> dict[str, Any]:
    """Ninety days. Every page is acknowledged at once, so that an open incident hides no further one."""
    world, seed = WORLDS[name], [number, zlib.crc32(name.encode())]
    rng, aside = np.random.default_rng(seed), np.random.default_rng([*seed, 1])
    draw = world.make(rng)
    extra = None if world.uncounted is None else world.uncounted(np.random.default_rng([*seed, 2]))
    config = configure(world.length, budget, season=world.slots)
    parts = [draw(rng, t) for t in range(-world.blocks, 0)]
    monitor = Monitor.learn(config, parts, timed=world.timed, sample_rows=200, extra=extra)
    panel = Panel.learn(monitor, parts, aside) if rivals else None
    del parts
    segment_state, states, named = monitor.first, [], Counter[str]()
    paged, told = [], list[Scores]()
    for t in range(world.per_quarter):
        seen = monitor.look(draw(rng, t), t)
        decision = monitor.decide(segment_state, seen)
        segment_state = acknowledged(decision.segment_state)
        states.append(decision.state is State.CALIBRATING)
        if decision.page:
            paged.append(t)
            named.update([f"{item.column}/{item.detector}" for item in decision.named] or ["broken"])
        if panel is not None:
            told.append(panel.scores(seen.rows, gauges(monitor.reference, seen.summary), aside))
    return {
        "kind": "null", "world": name, "number": number, "budget": budget, "windows": world.per_quarter,
        "pages": len(paged), "at": paged, "calibrating": sum(states), "settled": len(states[SETTLED:]),
        "calibrating_settled": sum(states[SETTLED:]), "named": dict(named.most_common(8)),
        "rivals": _rivals(told) if rivals else {},
    }  # fmt: skip


def _rivals(told: list[Scores]) -> dict[str, Any]:
    """Windows in which each rule alarms, and the largest scores of those whose threshold can be tuned."""
    alarms = {
        rule: sum(scores.get(rule, -np.inf) >= threshold for scores in told)
        for rule, threshold in SHIPPED.items()
        if any(rule in scores for scores in told)
    }
    top = {
        rule: [
            float(f"{value:.5g}")
            for value in sorted((s[rule] for s in told if rule in s), reverse=True)[:KEPT]
        ]
        for rule in TUNED
        if any(rule in scores for scores in told)
    }
    return {"alarms": alarms, "top": top}
