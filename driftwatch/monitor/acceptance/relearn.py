"""Learns anew what is usual of accepted columns, and of joint detectors, on a rebased reference.

A window that is part of the reference is closer to it than any later one. So the scores of accepted windows
are measured against the accepted data without that window, where enough of them are left. Of fewer no score
is learned at all: the windows that follow teach it, and until then it is no evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from driftwatch.config.models import MonitorConfig
from driftwatch.core.arrays import BoolArray
from driftwatch.core.windows import season_slot, window_at
from driftwatch.decide.baseline.score_model import MIN_HISTORY_WINDOWS
from driftwatch.decide.baseline.share_history import BLOCK_SUMS, ShareHistory
from driftwatch.decide.decision import learn_block
from driftwatch.decide.evalues.stream_index import StreamIndex, owner_of
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.detectors.base import ReferenceContext, Target
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.evaluation.evaluator import streams
from driftwatch.results.streams import Streams
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary, total


def rebased_owners(monitor: Monitor, accepted: Sequence[str]) -> frozenset[str]:
    """Return the owners of streams that a rebased reference changes: what was accepted, and joint detectors.

    The sums of joint detectors cannot be told apart by column.
    """
    return frozenset(accepted) | monitor.evaluator.referring_joint


def owned(keys: StreamIndex, owners: frozenset[str]) -> BoolArray:
    return np.array([owner_of(key) in owners for key in keys], dtype=np.bool_)


def relearn(
    monitor: Monitor,
    segment_state: SegmentState,
    segment: str | None,
    accepted_tiles: Sequence[Summary],
    accepted: Sequence[str],
) -> SegmentState:
    """Return a state of the rebased reference; ``accepted_tiles`` are those that it was rebased on."""
    owners = rebased_owners(monitor, accepted)
    shares, scores = owned(segment_state.shares.keys, owners), owned(segment_state.scores.keys, owners)
    relearned = replace(
        segment_state,
        reference=monitor.reference.fingerprint,
        shares=_without_sums(segment_state.shares.reset(shares), shares),
        scores=segment_state.scores.forget(scores),
        score_model=None,
    )
    targets = [item for item in monitor.evaluator.targets if owner_of((item[0].name, item[1], "")) in owners]
    for window, measured in _accepted_windows(monitor, segment, accepted_tiles, targets):
        measurement = Measurement(
            window=window.span,
            rows=window.rows,
            statistics=(),
            streams=measured,
            slot=season_slot(window.span.start, tuple(monitor.config.season), monitor.config.timezone),
        )
        relearned = replace(learn_block(relearned, measurement), healthy_windows=relearned.healthy_windows)
    return relearned


def _without_sums(history: ShareHistory, flags: BoolArray) -> ShareHistory:
    # A design effect that is measured stays, however few windows are accepted.
    effects = np.where(flags, history.design_effects(), history.design_effect)
    by_label = flags[history.label_streams]
    sums: dict[str, Any] = {"design_effect": effects}
    # In sums over both, two levels would pass for one that varies.
    for name in BLOCK_SUMS:
        array = getattr(history, name)
        sums[name] = np.where(flags if array.shape[-1] == len(flags) else by_label, 0, array)
    return replace(history, pending=np.where(by_label, 0, history.pending), **sums)


def _accepted_windows(
    monitor: Monitor, segment: str | None, tiles: Sequence[Summary], targets: Sequence[Target]
) -> Iterator[tuple[Summary, Streams]]:
    reference, config = monitor.reference.for_segment(segment), monitor.config
    windows = [item for item in windows_of(tiles, config) if item.rows >= config.window.min_rows]
    whole = ReferenceContext(reference)
    own_past = [item for item in targets if not item[0].learns_from_reference]
    for window in windows:
        if len(windows) >= MIN_HISTORY_WINDOWS:
            context = ReferenceContext(_without_window(reference, window, targets))
            measured = streams(context.window(window), targets)
        else:
            # Shares are those of the rows themselves, whatever they are compared with.
            measured = Streams.concatenate(
                [
                    streams(whole.window(window), targets).shares_only(),
                    streams(whole.window(window), own_past),
                ]
            )
        yield window, measured


def windows_of(tiles: Sequence[Summary], config: MonitorConfig) -> list[Summary]:
    """Add up the slices of each window, oldest first."""

    def start_of(tile: Summary) -> int:
        return window_at(tile.span.start, config.window.length, config.timezone).start

    ordered = sorted(tiles, key=lambda tile: tile.span.start)
    return [total(list(slices)).drop_sample() for _, slices in groupby(ordered, start_of)]


def _without_window(reference: Reference, window: Summary, targets: Sequence[Target]) -> Reference:
    """Return the reference without a window of the accepted data, in what the targets read."""
    summary = reference.summary
    columns = {column for _, column in targets if column is not None}
    counts = {
        name: item - window.counts[name] if name in columns else item for name, item in summary.counts.items()
    }
    sums = None if summary.sums is None or window.sums is None else summary.sums - window.sums
    return replace(reference, summary=replace(summary, counts=counts, sums=sums, sample=None))
