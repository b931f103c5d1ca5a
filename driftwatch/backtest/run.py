"""Runs a configuration's checks over history, in memory, without storing or sending anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from driftwatch.backtest.page_rate import Prediction, predict
from driftwatch.backtest.replayed_window import ReplayedWindow, edges_to
from driftwatch.backtest.sensitivity import CalmPeriod, CalmPeriodFinder, Sensitivity, sensitivity
from driftwatch.config.models import MonitorConfig
from driftwatch.core.history_range import counting_period, history_range, window_rows
from driftwatch.core.schema import Span
from driftwatch.core.windows import window_boundaries
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import requires_sums
from driftwatch.errors import DataError
from driftwatch.monitor.check import configuration_hash
from driftwatch.monitor.evaluation.could_not_look import could_not_look
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.initial_state import initial_segment_state
from driftwatch.monitor.evaluation.pages_elsewhere import PagesElsewhere
from driftwatch.monitor.evaluation.window_verdict import render_gauges
from driftwatch.monitor.page_texts.moved_segment import with_places
from driftwatch.monitor.reading import Failure, Reading
from driftwatch.monitor.stray_rows import present_of, with_strays
from driftwatch.monitor.tiles import read_tiles
from driftwatch.results.page_json import pages_json
from driftwatch.results.results import Reason, State, Verdict
from driftwatch.results.verdict_json import window_json
from driftwatch.store.records import Blocks
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary, total

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import ReaderPool, TilesRead

#: Windows read at once: one pass over the files serves them all.
CHUNK_WINDOWS = 256
#: Later than any event time.
_END_OF_TIME = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    monitor: str
    #: One per window and segment: oldest first, segments of one window together.
    verdicts: tuple[Verdict, ...]
    prediction: Prediction
    #: Where faults can be injected.
    calm_period: CalmPeriod | None = None
    #: Results of injected faults, if requested.
    sensitivity: Sensitivity | None = None
    #: Of the segments of the window that was to be explained.
    explained: tuple[ReplayedWindow, ...] = ()

    @property
    def pages(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.page)

    def to_json(self) -> dict[str, Any]:
        return {
            "monitor": self.monitor,
            "windows": [window_json(verdict) for verdict in self.verdicts],
            "pages": pages_json(self.verdicts),
            "prediction": self.prediction.to_json(),
            "injected": None if self.sensitivity is None else self.sensitivity.to_json(),
        }


@dataclass(slots=True, kw_only=True)
class _Run:
    evaluator: Evaluator
    configuration: str
    segment_states: dict[str | None, SegmentState]
    #: Rows stamped before it, or at and after its end, are counted as outside.
    history: Span
    #: Its start was found by the rows of windows, not named by a person.
    starts_by_rows: bool
    gauges: bool = True
    #: End of the window to explain, and what it rests on by segment.
    explained_end: int | None = None
    explained: list[ReplayedWindow] = field(default_factory=list)
    calm_period_finder: CalmPeriodFinder = field(default_factory=CalmPeriodFinder)

    @property
    def config(self) -> MonitorConfig:
        return self.evaluator.config

    @property
    def reference(self) -> Reference:
        return self.evaluator.reference

    def window(
        self, span: Span, summaries: Mapping[str | None, Summary], reading: Reading
    ) -> Iterator[Verdict]:
        plan = self.reference.plan
        if summaries[None].rows == 0:
            self.calm_period_finder.end_period()
            failure = _failure_of_empty(reading)
            evaluations = could_not_look(reading, failure, span, self.evaluator, self.configuration, None)
            for evaluation in evaluations.values():
                self._explain(evaluation.verdict, self.segment_states[evaluation.verdict.segment], None)
                yield evaluation.verdict
            return
        pages = PagesElsewhere(self.segment_states)
        for segment in plan.segments:
            summary = summaries.get(segment) or Summary.zero(plan, span).seal(plan)
            summary, segment_state = replace(summary, span=span), self.segment_states[segment]
            evaluation = self.evaluator.evaluate(
                summary,
                segment_state,
                segment=segment,
                reading=reading,
                gauges=self.gauges or span.end == self.explained_end,
                other_pages=pages.of(segment),
            )
            pages.update(segment, evaluation.segment_state)
            self.segment_states[segment] = evaluation.segment_state
            if segment is None:
                self.calm_period_finder.add(segment_state, summary, evaluation.verdict)
            verdict = render_gauges(with_places(evaluation.verdict, self.reference, summaries))
            self._explain(verdict, segment_state, summary)
            yield verdict

    def _explain(self, verdict: Verdict, state_before: SegmentState, summary: Summary | None) -> None:
        if verdict.window.end == self.explained_end:
            self.explained.append(ReplayedWindow(verdict=verdict, state_before=state_before, summary=summary))


def _failure_of_empty(reading: Reading) -> Failure:
    # All data are there already, so a window without rows is quiet, not late.
    if reading.rejected:
        return Failure(state=State.SOURCE_ERROR, reason=Reason.ALL_FILES_UNREADABLE, detail="")
    if reading.undecodable:
        return Failure(state=State.SOURCE_ERROR, reason=Reason.UNDECODABLE, detail="")
    return Failure(state=State.NO_DATA, reason=Reason.NO_ROWS, detail="")


def backtest(
    config: MonitorConfig,
    reference: Reference,
    blocks: Blocks,
    readers: ReaderPool,
    *,
    start: int | None = None,
    end: int | None = None,
    now: int | None = None,
    gauges: bool = True,
    explained_end: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Backtest:
    """Replay ``[start, end)`` (None: as far as ``history_range``) window by window. The data is read once.

    Rows stamped after ``now`` and the window's lag, and after the end, are counted as future ones.

    ``explained_end`` is that of a window to explain, which must be one of them; none after it is judged.

    The arithmetic is the daemon's. Gauges cost more than all decisions; without ``gauges`` only verdicts that
    page have them. ``reference`` and its ``blocks`` are built from the configuration's files, even if an
    acknowledgement has rebased the reference in force: a backtest follows from configuration and data alone,
    so that two can be compared. Raises the sources' errors: a history that cannot be read gives no result.
    """
    edges = _window_edges(config, readers, start, end)
    if explained_end is not None:
        edges = edges_to(explained_end, edges, config.name)
    present = _END_OF_TIME if now is None else present_of(config, now)
    run = _initial_run(
        Evaluator.from_config(reference, config, blocks),
        blocks,
        config,
        history=Span(start=edges[0], end=max(edges[-1], present)),
        starts_by_rows=start is None,
        gauges=gauges,
        explained_end=explained_end,
    )
    verdicts: list[Verdict] = []
    n_done = 0
    for chunk_edges, tiles_read in _chunks_read_ahead(run, readers, edges):
        verdicts += _chunk_verdicts(run, tiles_read, chunk_edges)
        n_done += len(chunk_edges) - 1
        progress(n_done, len(edges) - 1)
    run.calm_period_finder.end_period()
    return Backtest(
        monitor=config.name,
        verdicts=tuple(verdicts),
        prediction=predict(verdicts, config.alarm.false_pages),
        calm_period=run.calm_period_finder.best,
        explained=tuple(run.explained),
    )


def _initial_run(
    evaluator: Evaluator,
    blocks: Blocks,
    config: MonitorConfig,
    *,
    history: Span,
    starts_by_rows: bool,
    gauges: bool,
    explained_end: int | None,
) -> _Run:
    configuration = configuration_hash(config)
    segment_states = {
        segment: initial_segment_state(
            evaluator.segment_context(segment), blocks(segment), evaluator.targets, config, configuration
        )
        for segment in evaluator.context.reference.plan.segments
    }
    return _Run(
        evaluator=evaluator,
        configuration=configuration,
        segment_states=segment_states,
        history=history,
        starts_by_rows=starts_by_rows,
        gauges=gauges,
        explained_end=explained_end,
    )


def with_sensitivity(
    result: Backtest, config: MonitorConfig, reference: Reference, progress: Callable[[int, int], None]
) -> Backtest:
    evaluator = Evaluator.from_config(reference, config)
    return replace(result, sensitivity=sensitivity(evaluator, result.calm_period, progress))


def _window_edges(
    config: MonitorConfig, readers: ReaderPool, start: int | None, end: int | None
) -> list[int]:
    if start is None or end is None:
        history = _history(config, readers)
        start = history.start if start is None else start
        end = history.end if end is None else end
    if end <= start:
        raise DataError(f"{config.name}: expected --to after --from. Nothing lies between them.")
    edges = window_boundaries(config.window.length, config.timezone, start, end)
    return edges if edges[-1] <= end else edges[:-1]


def _history(config: MonitorConfig, readers: ReaderPool) -> Span:
    """Return where the source's history begins and ends. Raises ``DataError`` without rows."""
    seconds, memory, window = config.limits.seconds, int(config.limits.memory), config.window
    period = counting_period(window.length)
    counts = readers.row_counts(config.source, period, seconds=seconds, memory=memory)
    if not counts:
        # A time column that no file has is an error of its own.
        readers.extent(config.source, seconds=seconds, memory=memory)
    history = history_range(window_rows(counts, window.length, config.timezone), window.min_rows)
    if history is None:
        raise DataError(f"{config.name}: expected rows with an event time in the source. Got none.")
    return history


def _chunks_read_ahead(
    run: _Run, readers: ReaderPool, edges: list[int]
) -> Iterator[tuple[list[int], TilesRead]]:
    read_chunk = partial(
        read_tiles,
        run.config,
        run.reference.plan,
        readers,
        history=run.history,
        sums=requires_sums(detector for detector, _ in run.evaluator.targets),
        sample=run.reference.summary.sample is not None,
    )
    chunks = [
        edges[first : first + CHUNK_WINDOWS + 1] for first in range(0, max(len(edges) - 1, 0), CHUNK_WINDOWS)
    ]
    thread = ThreadPoolExecutor(1, thread_name_prefix="reading-ahead")
    try:
        pending = [thread.submit(read_chunk, chunk) for chunk in chunks[:1]]
        for chunk, next_chunk in zip(chunks, [*chunks[1:], None], strict=True):
            tiles_read = pending.pop().result()
            if next_chunk is not None:
                pending.append(thread.submit(read_chunk, next_chunk))
            yield chunk, tiles_read
            del tiles_read
    finally:
        # An interrupt does not wait for a source that hangs: closing the readers ends the read.
        thread.shutdown(wait=False, cancel_futures=True)


def _chunk_verdicts(run: _Run, tiles_read: TilesRead, edges: list[int]) -> list[Verdict]:
    by_window: dict[int, dict[str | None, list[Summary]]] = {}
    for (start, segment), tile in tiles_read.tiles.items():
        by_window.setdefault(start, {}).setdefault(segment, []).append(tile)
    reading = Reading(
        rejected=tuple(tiles_read.rejected),
        rows_read=tiles_read.rows,
        untimed_rows=tiles_read.untimed_rows,
        other_columns=tiles_read.other_columns,
    )
    span = Span(start=edges[0], end=edges[-1])
    reading = with_strays(reading, tiles_read, tiles_read.rows, span, run.config.window)
    if run.starts_by_rows:
        reading = replace(reading, before_history_rows=sum(tiles_read.early_rows.values()))
    verdicts: list[Verdict] = []
    for start, end in pairwise(edges):
        span = Span(start=start, end=end)
        summaries = {name: total(tiles) for name, tiles in by_window.get(start, {}).items()}
        if None not in summaries:
            summaries[None] = Summary.zero(run.reference.plan, span).seal(run.reference.plan)
        undecodable = tuple(item for item in tiles_read.undecodable if item.start == start)
        types = tiles_read.types.get(start, {})
        verdicts += run.window(span, summaries, replace(reading, undecodable=undecodable, types=types))
    return verdicts
