"""Many checks over history, in memory: what this configuration would have said. Writes and sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from driftwatch.backtest.page_rate import Prediction, predict
from driftwatch.backtest.sensitivity import Calm, Sensitivity, Stretch, sensitivity
from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import Span
from driftwatch.core.windows import boundaries
from driftwatch.decide.state import SegmentState
from driftwatch.detectors.base import reads_sums
from driftwatch.errors import DataError
from driftwatch.monitor.check import configuration_hash
from driftwatch.monitor.evaluate import Look, fresh_track, judge, looks, with_untimed, worded
from driftwatch.monitor.tiles import read_tiles
from driftwatch.results.results import Reason, RejectedFile, State, Verdict
from driftwatch.results.verdict_json import page_json, window_json
from driftwatch.store.records import Blocks
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary, total

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import ReaderPool, TilesRead

#: Windows read at once: one pass over the files serves them all.
CHUNK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Every window's verdict, oldest first, segments of one window together, and what they predict.

    ``calm`` is the stretch that faults can be injected into, ``injected`` what became of them, if asked.
    """

    monitor: str
    verdicts: tuple[Verdict, ...]
    prediction: Prediction
    calm: Stretch | None = None
    injected: Sensitivity | None = None

    @property
    def pages(self) -> tuple[Verdict, ...]:
        """The pages there would have been."""
        return tuple(verdict for verdict in self.verdicts if verdict.page)

    def to_json(self) -> dict[str, Any]:
        """The object ``backtest --format json`` prints."""
        return {
            "monitor": self.monitor,
            "windows": [window_json(verdict) for verdict in self.verdicts],
            "pages": [page_json(verdict) for verdict in self.pages],
            "prediction": self.prediction.to_json(),
            "injected": None if self.injected is None else self.injected.to_json(),
        }


@dataclass(slots=True, kw_only=True)
class _Run:
    config: MonitorConfig
    reference: Reference
    chosen: tuple[Look, ...]
    segment_states: dict[str | None, SegmentState]
    gauges: bool = True
    calm: Calm = field(default_factory=Calm)

    def window(
        self, span: Span, parts: dict[str | None, Summary], rejected: tuple[RejectedFile, ...], untimed: int
    ) -> Iterator[Verdict]:
        segments = self.reference.plan.segments
        for name in segments:
            part = parts.get(name) or Summary.zero(self.reference.plan, span).seal(self.reference.plan)
            if parts[None].rows == 0:
                self.calm.cut()
                yield self._empty(span, name, rejected, untimed)
                continue
            part, before = replace(part, span=span), self.segment_states[name]
            decision, verdict = judge(
                self.reference, part, self.chosen, before, self.config, segment=name, rejected=rejected,
                untimed=untimed if name is None else 0, gauges=self.gauges,
            )  # fmt: skip
            self.segment_states[name] = decision.segment_state
            if name is None:
                self.calm.add(before, part, verdict)
            yield worded(verdict)

    def _empty(
        self, span: Span, name: str | None, rejected: tuple[RejectedFile, ...], untimed: int
    ) -> Verdict:
        return Verdict(
            monitor=self.config.name, segment=name, window=span, rows=0,
            state=State.SOURCE_ERROR if rejected else State.NO_DATA,
            reason=Reason.ALL_FILES_UNREADABLE if rejected else Reason.NO_ROWS,
            detail=with_untimed("", untimed), untimed_rows=untimed,
            rejected_files=rejected, reference=self.reference.fingerprint,
            configuration=configuration_hash(self.config),
        )  # fmt: skip


def backtest(
    config: MonitorConfig,
    reference: Reference,
    blocks: Blocks,
    readers: ReaderPool,
    *,
    start: int | None = None,
    end: int | None = None,
    gauges: bool = True,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Backtest:
    """Replay ``[start, end)`` (None: all the source has) window by window. Cost: one read of the data.

    The arithmetic is the daemon's own; only the store and the notifiers are left out. Without ``gauges``,
    which cost more than all decisions, only the verdicts of pages carry any. ``reference`` is the
    one built from the configuration's files, with its ``blocks``, also where an acknowledgement has rebased
    the one in force: acceptances are not replayed, so that a backtest follows from configuration and data
    alone and two of them can be compared. Raises the sources' errors: a history that cannot be read gives no
    result at all.
    """
    edges = _edges(config, readers, start, end)
    chosen = looks(reference, config.detectors)
    segment_states = {
        name: fresh_track(
            reference.at(name),
            blocks(name),
            chosen,
            config,
            configuration_hash(config),
        )
        for name in reference.plan.segments
    }
    run = _Run(
        config=config, reference=reference, chosen=chosen, segment_states=segment_states, gauges=gauges
    )
    verdicts: list[Verdict] = []
    done = 0
    for part, read in _ahead(run, readers, edges):
        verdicts += _chunk(run, read, part)
        done += len(part) - 1
        progress(done, len(edges) - 1)
    run.calm.cut()
    return Backtest(
        monitor=config.name,
        verdicts=tuple(verdicts),
        prediction=predict(verdicts, config.alarm.false_pages),
        calm=run.calm.best,
    )


def with_faults(
    result: Backtest, config: MonitorConfig, reference: Reference, progress: Callable[[int, int], None]
) -> Backtest:
    """The result with the smallest faults the configuration would have caught. Reads nothing."""
    chosen = looks(reference, config.detectors)
    return replace(result, injected=sensitivity(config, reference, chosen, result.calm, progress))


def _edges(config: MonitorConfig, readers: ReaderPool, start: int | None, end: int | None) -> list[int]:
    limits, length = config.limits, config.window.length
    if start is None or end is None:
        extent = readers.extent(config.source, seconds=limits.seconds, memory=int(limits.memory))
        if extent is None:
            raise DataError(f"{config.name}: expected rows with an event time in the source. Got none.")
        whole = boundaries(length, config.timezone, extent.start, extent.end)
        start = whole[0] if start is None else start
        end = whole[-1] if end is None else end
    if end <= start:
        raise DataError(f"{config.name}: expected --to after --from. Nothing lies between them.")
    edges = boundaries(length, config.timezone, start, end)
    return edges if edges[-1] <= end else edges[:-1]


def _ahead(run: _Run, readers: ReaderPool, edges: list[int]) -> Iterator[tuple[list[int], TilesRead]]:
    """The edges of each chunk and what was read of it: the next is read while one is decided."""
    read = partial(
        read_tiles,
        run.config,
        run.reference.plan,
        readers,
        sums=reads_sums(detector for detector, _ in run.chosen),
        sample=run.reference.summary.sample is not None,
    )
    parts = [edges[first : first + CHUNK + 1] for first in range(0, max(len(edges) - 1, 0), CHUNK)]
    thread = ThreadPoolExecutor(1, thread_name_prefix="reading-ahead")
    try:
        coming = [thread.submit(read, part) for part in parts[:1]]
        for part, after in zip(parts, [*parts[1:], None], strict=True):
            got = coming.pop().result()
            if after is not None:
                coming.append(thread.submit(read, after))
            yield part, got
            del got
    finally:
        # Who interrupts does not wait for a source that hangs: closing the readers ends the read.
        thread.shutdown(wait=False, cancel_futures=True)


def _chunk(run: _Run, read: TilesRead, edges: list[int]) -> list[Verdict]:
    by_window: dict[int, dict[str | None, list[Summary]]] = {}
    for (start, segment), part in read.tiles.items():
        by_window.setdefault(start, {}).setdefault(segment, []).append(part)
    rejected = tuple(read.rejected)
    verdicts: list[Verdict] = []
    for start, stop in pairwise(edges):
        span = Span(start=start, end=stop)
        parts = {name: total(items) for name, items in by_window.get(start, {}).items()}
        if None not in parts:
            parts[None] = Summary.zero(run.reference.plan, span).seal(run.reference.plan)
        verdicts += run.window(span, parts, rejected, read.untimed_rows)
    return verdicts
