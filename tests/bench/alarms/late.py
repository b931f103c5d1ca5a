"""One quarter of a world whose rows come late, and how long a shift of late rows takes to page."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from typing import Any

import numpy as np

from alarms.late_worlds import LATE_WORLDS, Day, LateWorld, glue, order_of_judging, plain
from alarms.path import Monitor, Rows, acknowledge, configure, summarise_window
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.decide.segment_state import SegmentState
from driftwatch.monitor.evaluation.late_rows import Growth, LateRows, evaluate_late_rows
from driftwatch.results.results import Verdict
from driftwatch.summary.summary import Summary

DAYS = 90
#: (rows on time, rows of each late part) of the shifted worlds, and days judged before the shift.
SHIFTED: dict[str, tuple[int, list[int]]] = {
    "late 90 %": (100, [900]),
    "late 90 % in nine": (100, [100] * 9),
    "late half": (500, [500]),
    "late half in five": (500, [100] * 5),
    "late tenth": (900, [100]),
}
_QUIET_DAYS, _SHIFTED_DAYS = 14, 14


class Judge:
    """Judges days: rows on time as a window, the others as its late parts."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor, self.state = monitor, monitor.first

    def summary(self, rows: Rows, t: int) -> Summary:
        plan, step = self.monitor.reference.plan, self.monitor.config.window.length * NANOSECONDS
        return summarise_window(plan, rows, Span(start=t * step, end=(t + 1) * step), None, t)

    def window(self, rows: Rows, t: int) -> Verdict:
        decided = self.monitor.evaluator.evaluate(self.sealed(rows, t), self.state, gauges=False)
        return self._take(decided.verdict, decided.segment_state)

    def sealed(self, rows: Rows, t: int) -> Summary:
        return self.summary(rows, t).seal(self.monitor.reference.plan)

    def late_part(self, earlier: list[Rows], rows: Rows, t: int, number: int) -> Verdict:
        before, after = self.sealed(glue(earlier), t), self.sealed(glue([*earlier, rows]), t)
        growth = Growth(start=0, versions=(number, number + 1), before={None: before}, after={None: after})
        late_rows = LateRows(
            window=before.span, part=number, growths=(growth,), earlier_rows={None: before.rows}
        )
        decided = evaluate_late_rows(self.monitor.evaluator, late_rows, self.state, None, gauges=False)
        assert decided is not None
        return self._take(decided.verdict, decided.segment_state)

    def _take(self, verdict: Verdict, segment_state: SegmentState) -> Verdict:
        self.state = acknowledge(segment_state)
        return verdict

    def day(self, day: Day, t: int) -> list[Verdict]:
        verdicts = [self.window(day[0], t)]
        for number in range(1, len(day)):
            verdicts.append(self.late_part(day[:number], day[number], t, number))
        return verdicts


def quarter(name: str, number: int, budget: str) -> dict[str, Any]:
    """Ninety days; every page is acknowledged at once."""
    world = LATE_WORLDS[name]
    # The same rows in order and out of order.
    rng = np.random.default_rng(
        [number, zlib.crc32(name.removeprefix("out_of_").removeprefix("in_").encode())]
    )
    judge, days = _draw_quarter(world, rng, budget)
    pages, part_pages, names, states = 0, 0, Counter[str](), Counter[str]()
    for t in order_of_judging(rng, DAYS, world.late_days):
        verdicts = judge.day(days[t], t)
        pages += sum(item.page for item in verdicts)
        part_pages += sum(item.page for item in verdicts[1:])
        states.update(str(item.state) for item in verdicts[1:])
        names.update(f"{item.column}/{item.detector}" for verdict in verdicts for item in verdict.named)
    return {
        "kind": "late", "world": name, "number": number, "budget": budget, "pages": pages,
        "part_pages": part_pages, "named": dict(names.most_common(8)), "states": dict(states),
    }  # fmt: skip


def _draw_quarter(world: LateWorld, rng: np.random.Generator, budget: str) -> tuple[Judge, list[Day]]:
    draw = world.make()
    reference = world.reference or draw
    blocks = [glue(reference(rng, t)) for t in range(-world.blocks, 0)]
    monitor = Monitor.learn(configure("1d", budget), blocks, sample_rows=200)
    return Judge(monitor), [draw(rng, t) for t in range(DAYS)]


def repeat(name: str, number: int, budget: str) -> dict[str, Any]:
    """Late rows of ``c0`` at x3: days and parts until the page, and days if all rows came in time."""
    on_time, late_rows = SHIFTED[name]
    rng = np.random.default_rng([number, zlib.crc32(name.encode())])
    total_rows = on_time + sum(late_rows)
    blocks = [plain(rng, total_rows) for _ in range(28)]
    monitor = Monitor.learn(configure("1d", budget), blocks, sample_rows=200)
    days = [
        [plain(rng, count) for count in (on_time, *late_rows)] for _ in range(_QUIET_DAYS + _SHIFTED_DAYS)
    ]
    for day in days[_QUIET_DAYS:]:
        for part in day[1:]:
            part["c0"] = np.asarray(part["c0"]) + math.log(3)  # the logarithm of a log-normal amount
    late, prompt = Judge(monitor), Judge(monitor)
    late_page, prompt_page = None, None
    for t, day in enumerate(days):
        verdicts = late.day(day, t) if late_page is None else []
        is_prompt_page = prompt_page is None and prompt.window(glue(day), t).page
        if t >= _QUIET_DAYS:
            parts = [place for place, verdict in enumerate(verdicts) if verdict.page]
            late_page = [t - _QUIET_DAYS + 1, parts[0]] if parts else late_page
            prompt_page = t - _QUIET_DAYS + 1 if is_prompt_page else prompt_page
    return {
        "kind": "late shift", "world": name, "number": number, "budget": budget,
        "page": late_page, "prompt": prompt_page,
    }  # fmt: skip
