"""A realistic snapshot: one monitor drifting, one where nothing moved, one that could not look.

Rows have a fixed seed and are counted by the real summaries, so that pages look as they do in production.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from driftwatch.core.schema import NANOSECONDS, Column, Kind, Role, Span, Unwatched
from driftwatch.core.windows import parse_time
from driftwatch.daemon.own_health.own_health import ClockHealth, LoopHealth, OwnHealth
from driftwatch.daemon.own_health.troubles import Trouble
from driftwatch.daemon.status.history_view import HistoryView
from driftwatch.daemon.status.snapshot import (
    MonitorView,
    OpenIncident,
    SegmentView,
    SelftestView,
    SinkView,
    Snapshot,
)
from driftwatch.results.results import (
    FileProblem,
    MoveLimit,
    NamedColumn,
    Reason,
    RejectedFile,
    Representativeness,
    State,
    Statistic,
    UnwatchedColumn,
    Verdict,
    WatchedColumns,
)
from driftwatch.results.stored_verdict import verdict_to_json
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.records import CheckRecord, OwedWindow, StoredIncident, StoredTile
from driftwatch.summary.batch import Batch, Levels, Numbers
from driftwatch.summary.grid import Grid, LevelGrid, numeric_grid
from driftwatch.summary.plan import Plan, Segmentation
from driftwatch.summary.reference import Provenance, Reference
from driftwatch.summary.serial import with_fingerprint
from driftwatch.summary.summary import Summary

DAY = 86400 * NANOSECONDS
NOW = parse_time("2013-02-14T06:05:00Z")
END = parse_time("2013-02-14T00:00:00Z")
WINDOW = Span(start=END - DAY, end=END)
ONSET = parse_time("2013-02-09T00:00:00Z")
#: End of the window of which rows came late.
LATE_END = parse_time("2013-02-12T00:00:00Z")
_CARRIERS = ("UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX", "FL", "AS", "F9", "YV", "HA")
Values = dict[str, Numbers | Levels]


def _levels(rng: np.random.Generator, levels: tuple[str, ...], weights: list[float], rows: int) -> Levels:
    probabilities = np.array(weights) / sum(weights)
    return Levels(codes=rng.choice(len(levels), rows, p=probabilities).astype(np.int32), levels=levels)


def flights(rng: np.random.Generator, rows: int, *, storm: bool) -> Values:
    """Departures; in a storm they leave late, visibility is poor and one carrier is new."""
    is_late = rng.random(rows) < (0.46 if storm else 0.2)
    delay = np.where(is_late, rng.exponential(62 if storm else 38, rows), rng.normal(-4, 4, rows)).round()
    is_missing = rng.random(rows) < (0.06 if storm else 0.02)
    delay[is_missing] = np.nan
    zipf = [1 / (rank + 1) for rank in range(len(_CARRIERS))]
    carriers = (*_CARRIERS, "G4 (new)") if storm else _CARRIERS
    visibility = np.minimum(10, np.round(rng.gamma(3 if storm else 14, 1.1, rows) * 4) / 4)
    return {
        "dep_delay": Numbers(values=delay, nulls=np.flatnonzero(is_missing)),
        "carrier": _levels(rng, carriers, [*zipf, 0.35][: len(carriers)], rows),
        "visib": Numbers(values=visibility),
        "distance": Numbers(values=rng.choice([187.0, 214, 502, 733, 1008, 1400, 2475, 2586], rows)),
        "origin": _levels(rng, ("EWR", "JFK", "LGA"), [0.36, 0.33, 0.31], rows),
        "hour": Numbers(values=np.clip(np.round(rng.normal(13.5, 4.4, rows)), 5, 23)),
    }


def churn(rng: np.random.Generator, rows: int) -> Values:
    """Customers of a telephone company."""
    return {
        "tenure": Numbers(values=rng.gamma(2, 16, rows).round(1)),
        "contract": _levels(rng, ("monthly", "yearly", "two years"), [0.55, 0.24, 0.21], rows),
        "charges": Numbers(values=rng.normal(64, 30, rows).clip(18, 119).round(2)),
    }


def batch(values: Values, rng: np.random.Generator) -> Batch:
    first = next(iter(values.values()))
    rows = len(first.values if isinstance(first, Numbers) else first.codes)
    return Batch(rows=rows, columns=values, content_hashes=rng.integers(0, 1 << 63, rows).astype(np.uint64))


def reference_of(name: str, values: Values, rng: np.random.Generator, **plan_options: object) -> Reference:
    """A reference built from rows: every column's cells, then their counts."""
    columns, grids = [], {}
    for column, data in values.items():
        grid: Grid
        if isinstance(data, Numbers):
            columns.append(Column(name=column, kind=Kind.NUMERIC))
            grid = numeric_grid(data.values[~np.isnan(data.values)])
        else:
            columns.append(Column(name=column, kind=Kind.CATEGORICAL))
            counts = np.bincount(data.codes[data.codes >= 0], minlength=len(data.levels))
            grid = LevelGrid(levels=tuple(data.levels[i] for i in np.argsort(-counts) if counts[i]))
        grids[column] = grid
    plan = with_fingerprint(Plan(columns=tuple(columns), grids=grids, **plan_options))
    span = Span(start=parse_time("2012-10-01"), end=parse_time("2013-01-01"))
    summary = Summary.from_batch(plan, batch(values, rng), span)
    provenance = Provenance(
        source=f"data/{name}/reference/*.parquet",
        files=3,
        built_at=parse_time("2013-01-02T09:30:00Z"),
        time_range=span,
        set_aside=(
            Column(name="tailnum", kind=Kind.CATEGORICAL, role=Role.ID, reason="4,044 levels: read as an id"),
            Column(name="time_hour", kind=Kind.DATETIME, role=Role.TIME, reason="the time column"),
        ),
        notes=("3 constant columns are watched only for breakage: year, source_system, tz.",),
    )
    return Reference(
        monitor=name,
        plan=plan,
        summary=summary,
        fingerprint=hashlib.sha256(name.encode()).hexdigest(),
        provenance=provenance,
    )


def statistics(reference: Reference, window: Summary) -> tuple[Statistic, ...]:
    """KS or total variation, and the missing share, of every column; textbook p-values for KS."""
    results = []
    for column in reference.plan.columns:
        expected, counts = reference.summary.counts[column.name], window.counts[column.name]
        common_fields = {"n_reference": expected.present, "n_window": counts.present, "column": column.name}
        reference_shares, window_shares = expected.cells / expected.present, counts.cells / counts.present
        if column.kind is Kind.NUMERIC:
            distance = round(float(np.abs(np.cumsum(reference_shares) - np.cumsum(window_shares)).max()), 6)
            size = expected.present * counts.present / (expected.present + counts.present)
            p_value = float(f"{min(1.0, 2 * np.exp(-2 * size * distance**2)):.6g}")
            results.append(
                Statistic(
                    detector="ks", value=distance, unit="share of rows", p_value=p_value, **common_fields
                )
            )
        else:
            distance = round(float(np.abs(reference_shares - window_shares).sum() / 2), 6)
            results.append(Statistic(detector="tv", value=distance, unit="share of rows", **common_fields))
        share = round(abs(counts.missing / counts.rows - expected.missing / expected.rows), 6)
        results.append(Statistic(detector="missing", value=share, unit="share of rows", **common_fields))
    joint_fields = {"column": None, "n_reference": reference.summary.rows, "n_window": window.rows}
    results.append(
        Statistic(
            detector="mmd",
            value=0.0412,
            unit="squared distance",
            p_value=0.0012,
            low=0.04,
            high=0.043,
            **joint_fields,
        )
    )
    results.append(
        Statistic(
            detector="correlation",
            value=None,
            unit="",
            undefined="fewer than 50 complete rows",
            **joint_fields,
        )
    )
    return tuple(results)


def _trail(
    states: list[State], evidence: list[float | None]
) -> tuple[tuple[int, float | None, str, bool], ...]:
    pairs = list(zip(states, evidence, strict=True))
    return tuple(
        (END - (len(pairs) - 1 - n) * DAY, value, str(state), value == 1.0)
        for n, (state, value) in enumerate(pairs)
    )


def _monitor(
    name: str, reference: Reference, segments: tuple[SegmentView, ...], **overrides: object
) -> MonitorView:
    values: dict[str, object] = {
        "name": name,
        "source_type": "files",
        "model_name": name.split("-", maxsplit=1)[0],
        "model_version": "7",
        "interval_seconds": 86400,
        "reference": reference,
        "reference_loaded_at": NOW - 9 * DAY,
        "segments": segments,
        "incidents": (),
        "budget": "1 per 90d",
        "last_run_at": NOW - 300 * NANOSECONDS,
        "last_success_at": NOW - 300 * NANOSECONDS,
        "last_failure": "",
        "next_run_at": NOW + DAY - 300 * NANOSECONDS,
        "duration_seconds": 1.75,
        "read_seconds": 1.5,
        "decide_seconds": 0.25,
        "newest_row_at": END - 90 * NANOSECONDS,
        "checks": 9,
        "failures": (),
        "skipped": (),
        "rejected": (),
        "rows_read": 8211,
        "late_rows": 12,
        "corrected_slices": 2,
        "owed_windows": 0,
        "patience_seconds": 7 * 86400,
        "untimed_rows": 3,
        "stray_rows": (2, 1),
    }
    return MonitorView(**{**values, **overrides})  # type: ignore[arg-type]


def drifting() -> MonitorView:
    """A storm since 9 February; carrier, delay and visibility moved."""
    rng = np.random.default_rng(11)
    segmentation = Segmentation(column="origin", levels=("EWR", "JFK"))
    reference = reference_of(
        "flight-delays", flights(rng, 30_000, storm=False), rng, segmentation=segmentation
    )
    window = Summary.from_batch(reference.plan, batch(flights(rng, 912, storm=True), rng), WINDOW)
    effects = {
        "dep_delay": ("ks", 0.52, "median −2 → 8 min; 24 % more rows above 15"),
        "visib": ("ks", 0.31, "median 10 → 3.25; 61 % of rows below 5, reference 2 %"),
        "carrier": ("unseen", 0.17, '"G4 (new)" 0 % → 9.6 %, never in the reference'),
    }
    verdict = Verdict(
        monitor="flight-delays",
        segment=None,
        window=WINDOW,
        rows=912,
        state=State.DRIFTING,
        reason=Reason.INCIDENT_OPEN,
        detail="Evidence was complete on 11 Feb after 3 windows; this is page 1 of the period.",
        statistics=statistics(reference, window),
        rejected_files=(
            RejectedFile(
                name="2013-02-13/part-7.parquet", problem=FileProblem.HALF_WRITTEN, detail="no footer"
            ),
        ),
        evidence_before=0.08,
        evidence=0.11,
        incident="flight-delays-drift-4f2a",
        onset=ONSET,
        named=tuple(
            NamedColumn(column=column, detector=detector, share=share, effect=effect, onset=ONSET)
            for column, (detector, share, effect) in effects.items()
        ),
        watched=WatchedColumns(drawn=4, of=8),
        unwatched=(
            UnwatchedColumn(column="carrier", reason=Unwatched.INCIDENT_OPEN),
            UnwatchedColumn(column="dep_delay", reason=Unwatched.INCIDENT_OPEN),
            UnwatchedColumn(column="request.legs", reason=Unwatched.NESTED),
            UnwatchedColumn(column="visib", reason=Unwatched.INCIDENT_OPEN),
        ),
        unchanged=("distance", "origin", "hour"),
        could_not_tell=("wind_gust",),
        move_limits=(
            MoveLimit(column="distance", limit=0.031),
            MoveLimit(column="origin", limit=0.044),
            MoveLimit(column="hour", limit=0.0262),
            MoveLimit(column="wind_gust", limit=0.18),
        ),
        smallest_effect=0.06,
        represented=(Representativeness(column="dep_delay", share=0.91, low=0.88, high=0.94, windows=60),),
        design_effect=3.2,
        late_rows=12,
        reference=reference.fingerprint,
        configuration="9b1c" * 16,
        newest_row=END - 90 * NANOSECONDS,
    )
    states = (
        [State.CALIBRATING] * 7 + [State.OK] * 24 + [State.STALE] * 2 + [State.OK] * 6 + [State.DRIFTING] * 4
    )
    quiet_evidence = [round(0.05 + 0.03 * float(value), 3) for value in rng.random(30)]
    evidence = [None] * 7 + quiet_evidence[:24] + [None] * 2 + quiet_evidence[24:] + [1.0, 0.06, 0.08, 0.11]
    evidence[-6:-4] = [0.24, 0.61]
    trail = _trail(states, evidence)
    segment_fields = {"usable_at": NOW - 300 * NANOSECONDS, "window": window}
    calm_verdict = replace(
        verdict,
        segment="JFK",
        state=State.OK,
        reason=Reason.NOTHING_MOVED,
        detail="",
        rows=301,
        named=(),
        onset=None,
        incident=None,
    )
    insufficient_verdict = replace(
        calm_verdict,
        segment="EWR",
        state=State.INSUFFICIENT,
        reason=Reason.TOO_FEW_ROWS,
        detail="87 rows; 200 are needed.",
        rows=87,
        smallest_effect=0.19,
        evidence=None,
    )
    calm_trail = tuple((end, 0.04, "ok", False) for end, *_ in trail)
    segments = (
        SegmentView(segment=None, verdict=verdict, usable_verdict=verdict, trail=trail, **segment_fields),
        SegmentView(
            segment="EWR",
            verdict=insufficient_verdict,
            usable_verdict=insufficient_verdict,
            trail=(*calm_trail[:-1], (END, None, "insufficient", False)),
            **segment_fields,
        ),
        SegmentView(
            segment="JFK",
            verdict=calm_verdict,
            usable_verdict=calm_verdict,
            trail=calm_trail,
            **segment_fields,
        ),
    )
    incident = OpenIncident(
        key="flight-delays-drift-4f2a",
        kind="drift",
        segment=None,
        columns=("dep_delay", "visib", "carrier"),
        opened_at=parse_time("2013-02-11T00:05:00Z"),
        onset=ONSET,
        muted_until=None,
    )
    return _monitor(
        "flight-delays", reference, segments, incidents=(incident,), rejected=(("half_written", 1),)
    )


def calm() -> MonitorView:
    """Nothing moved."""
    rng = np.random.default_rng(12)
    reference = reference_of("churn", churn(rng, 20_000), rng)
    window = Summary.from_batch(reference.plan, batch(churn(rng, 2480), rng), WINDOW)
    verdict = Verdict(
        monitor="churn",
        segment=None,
        window=WINDOW,
        rows=2480,
        state=State.OK,
        reason=Reason.NOTHING_MOVED,
        statistics=statistics(reference, window),
        evidence_before=0.02,
        evidence=0.03,
        watched=WatchedColumns(drawn=3, of=3),
        unchanged=("tenure", "contract", "charges"),
        move_limits=tuple(
            MoveLimit(column=name, limit=limit)
            for name, limit in (("tenure", 0.021), ("contract", 0.019), ("charges", 0.03))
        ),
        design_effect=1.0,
        reference=reference.fingerprint,
        configuration="9b1c" * 16,
    )
    trail = _trail([State.OK] * 40, [round(0.02 + 0.05 * float(value), 3) for value in rng.random(40)])
    segment = SegmentView(
        segment=None,
        verdict=verdict,
        usable_verdict=verdict,
        usable_at=NOW - 400 * NANOSECONDS,
        trail=trail,
        window=window,
    )
    selftest = SelftestView(
        outcomes=(("detected", 11), ("missed", 1), ("false_alarm", 0), ("abandoned", 2)),
        delay_windows=24,
        measured_at=END - 3 * DAY,
        words="selftest: found 11 of 12 injected shifts of 0.5 spreads, median 2 windows; 0 false alarms",
    )
    return _monitor("churn", reference, (segment,), model_version="2013-01", selftest=selftest)


def blind() -> MonitorView:
    """The source has been unreachable for two days; nothing had moved before."""
    rng = np.random.default_rng(13)
    reference = reference_of("credit-risk", churn(rng, 5000), rng)
    usable_window = Span(start=WINDOW.start - 2 * DAY, end=WINDOW.end - 2 * DAY)
    window = Summary.from_batch(reference.plan, batch(churn(rng, 700), rng), usable_window)
    usable_verdict = Verdict(
        monitor="credit-risk",
        segment=None,
        window=usable_window,
        rows=700,
        state=State.OK,
        reason=Reason.NOTHING_MOVED,
        statistics=statistics(reference, window),
        evidence_before=0.05,
        evidence=0.06,
        watched=WatchedColumns(drawn=3, of=3),
        unchanged=("tenure", "contract", "charges"),
        move_limits=tuple(
            MoveLimit(column=name, limit=limit)
            for name, limit in (("tenure", 0.021), ("contract", 0.019), ("charges", 0.03))
        ),
        reference=reference.fingerprint,
        configuration="9b1c" * 16,
    )
    failed_verdict = replace(
        usable_verdict,
        window=WINDOW,
        rows=0,
        state=State.SOURCE_ERROR,
        reason=Reason.SOURCE_UNAVAILABLE,
        detail="s3://inputs/credit answered 503 five times; the next try is in 30 s.",
        statistics=(),
        evidence=None,
        evidence_before=None,
        watched=WatchedColumns(drawn=0, of=3),
        unwatched=tuple(
            UnwatchedColumn(column=name, reason=Unwatched.UNREADABLE)
            for name in ("charges", "contract", "tenure")
        ),
        unchanged=(),
        move_limits=(),
        owed=True,
    )
    values: list[float | None] = [round(0.03 + 0.04 * float(value), 3) for value in rng.random(38)]
    trail = _trail([State.OK] * 38 + [State.SOURCE_ERROR] * 2, [*values, None, None])
    segment = SegmentView(
        segment=None,
        verdict=failed_verdict,
        usable_verdict=usable_verdict,
        usable_at=NOW - 2 * DAY - 300 * NANOSECONDS,
        trail=trail,
        window=window,
    )
    incident = OpenIncident(
        key="credit-risk-blind-0b7e",
        kind="blind",
        segment=None,
        columns=(),
        opened_at=parse_time("2013-02-13T00:05:00Z"),
        onset=None,
        muted_until=None,
    )
    return _monitor(
        "credit-risk",
        reference,
        (segment,),
        source_type="sql",
        incidents=(incident,),
        last_success_at=NOW - 2 * DAY - 300 * NANOSECONDS,
        last_failure="source_unavailable: s3://inputs/credit answered 503",
        failures=(("source_unavailable", 5),),
        skipped=(("catch_up_limit", 1),),
        owed_windows=2,
        read_seconds=None,
        decide_seconds=None,
    )


def snapshot(*monitors: MonitorView) -> Snapshot:
    """The whole process at NOW; without arguments, the three example monitors."""
    return Snapshot(
        version="0.1.0",
        taken_at=NOW,
        started_at=NOW - 9 * DAY,
        ready=True,
        scheduler_tick_at=NOW - NANOSECONDS,
        scheduler_alive=True,
        scheduler_ticks_lost=2,
        reload_successful=True,
        reload_success_at=NOW - 9 * DAY,
        store_errors=0,
        checks_running=1,
        monitors=monitors or (calm(), blind(), drifting()),
        sinks=(SinkView(name="alertmanager", delivered=4, failed=(("timeout", 2),), pending=1),),
        own_health=OwnHealth(
            loops=(
                LoopHealth(
                    name="scheduler",
                    last_progress_at=NOW - NANOSECONDS,
                    silent_seconds=1.0,
                    limit_seconds=12.0,
                ),
            ),
            clock=ClockHealth(jumps=1),
            oldest_check_seconds=3.5,
            troubles=(
                Trouble(
                    subject="clock",
                    words="The clock was set back by 60 s.",
                    began_at=NOW - DAY,
                    ended_at=NOW - DAY,
                ),
            ),
        ),
    )


class ExampleDaemon:
    """A ``RunningDaemon`` with a fixed snapshot and a real store.

    The store holds a verdict for every window of the trails, the tiles of the newest ones, the references and
    the incidents.
    """

    def __init__(self, current_snapshot: Snapshot | None = None) -> None:
        self.current_snapshot = current_snapshot or snapshot()
        self.reloads = 0
        self.refusal: Exception | None = None
        self.notes: tuple[str, ...] = ()
        folder = Path(tempfile.mkdtemp(prefix="driftwatch-example-"))
        self.database = Database(folder)
        self.close = weakref.finalize(self, _forget, self.database, folder)
        self.history = History(self.database)
        self.past = HistoryView(self.database)
        for view in self.current_snapshot.monitors:
            self._store(view)

    def _store(self, view: MonitorView) -> None:
        if view.reference is not None:
            self.history.references.store(view.reference, "example", {}, NOW - 60 * DAY)
        rng = np.random.default_rng(zlib.crc32(view.name.encode()))
        windows: dict[int, list[tuple[Verdict, list[StoredTile]]]] = {}
        for segment in view.segments:
            # No source can deliver half a surrogate pair, and no store keeps one.
            if "\ud800" not in (segment.segment or ""):
                for end, verdict, tiles in self._trail(view, segment, rng):
                    windows.setdefault(end, []).append((verdict, tiles))
        for end, items in sorted(windows.items()):
            self._store_window(view.name, end, items)
        if view.name == "churn" and view.reference is not None and "tenure" in view.reference.plan.grids:
            self._store_late_rows(view.reference)
        incidents = [
            StoredIncident(
                monitor=view.name, content="{}", resolved_at=None, resolution=None,
                key=incident.key, kind=incident.kind, segment=incident.segment, columns=incident.columns,
                opened_at=incident.opened_at, onset=incident.onset or incident.opened_at,
                muted_until=incident.muted_until,
            )
            for incident in view.incidents
            if "\ud800" not in incident.key
        ]  # fmt: skip
        self.history.commit(CheckRecord(monitor=view.name, now=NOW, opened=incidents))

    def _trail(
        self, view: MonitorView, segment: SegmentView, rng: np.random.Generator
    ) -> Iterator[tuple[int, Verdict, list[StoredTile]]]:
        verdicts = {
            item.window.end: item for item in (segment.usable_verdict, segment.verdict) if item is not None
        }
        template = segment.usable_verdict
        ends = {end: (evidence, state, page) for end, evidence, state, page in segment.trail}
        for end in sorted({*ends, *verdicts}):
            verdict = verdicts.get(end)
            if verdict is None and template is not None:
                evidence, state, page = ends[end]
                verdict = _earlier_verdict(template, end, evidence, State(state), rng, page=page)
                is_owed = not verdict.state.has_data and end > END - (view.owed_windows or 0) * DAY
                verdict = replace(verdict, owed=is_owed)
            if verdict is None:
                continue
            tiles = []
            if verdict is segment.usable_verdict and segment.window is not None:
                verdict = replace(verdict, tiles=((verdict.window.start, 1),))
                tiles = [
                    StoredTile(
                        segment=segment.segment, start=verdict.window.start, version=1,
                        source_version="a", summary=segment.window,
                    )
                ]  # fmt: skip
            yield end, replace(verdict, segment=segment.segment), tiles

    def _store_window(self, name: str, end: int, items: Sequence[tuple[Verdict, list[StoredTile]]]) -> None:
        first = items[0][0]
        waited = 8 * 3600 * NANOSECONDS
        self.history.commit(
            CheckRecord(
                monitor=name,
                now=end + 300 * NANOSECONDS,
                tiles=[tile for _, tiles in items for tile in tiles],
                verdicts=[(verdict.segment, end, verdict_to_json(verdict)) for verdict, _ in items],
                owed=OwedWindow(window=first.window, waited=waited) if first.owed else None,
                configuration=(first.configuration, '{"name": "example", "window": {"length": "1d"}}'),
            )
        )

    def _store_late_rows(self, reference: Reference) -> None:
        """Late rows of one window: two parts, a correction in place, and rows too few to be judged."""
        data = self.history.verdicts.get("churn", None, LATE_END)
        assert data is not None
        rng, window = np.random.default_rng(14), Span(start=LATE_END - DAY, end=LATE_END)
        parts, growths = late_parts(reference, window), (2480, 1240, 320, None, 40)
        summary, versions = Summary.zero(reference.plan, window), []
        for version, rows in enumerate(growths, start=1):
            if rows is None:
                summary = Summary.from_batch(reference.plan, batch(churn(rng, summary.rows), rng), window)
            else:
                part = Summary.from_batch(reference.plan, batch(churn(rng, rows), rng), window)
                summary = replace(summary + part, span=window)
            versions.append(
                StoredTile(
                    segment=None, start=window.start, version=version, source_version=str(version),
                    summary=summary,
                )
            )  # fmt: skip
        self.history.commit(CheckRecord(monitor="churn", now=LATE_END, tiles=versions))
        with self.database.transaction() as connection:
            content = json.dumps({**data, "tiles": [[window.start, 1]]})
            key = (content, "churn", LATE_END)
            connection.execute(
                "UPDATE verdicts SET content = ?, checksum = NULL WHERE monitor = ? AND window_end = ?", key
            )
        for hours, verdict in zip((9, 30), parts, strict=True):
            self.history.commit(
                CheckRecord(
                    monitor="churn",
                    now=LATE_END + hours * 3600 * NANOSECONDS,
                    part=verdict.part,
                    verdicts=[(None, LATE_END, verdict_to_json(verdict))],
                )
            )

    def snapshot(self) -> Snapshot:
        return self.current_snapshot

    def now(self) -> int:
        return NOW

    def reload(self) -> tuple[str, ...]:
        if self.refusal is not None:
            raise self.refusal
        self.reloads += 1
        return self.notes


def late_parts(reference: Reference, window: Span) -> tuple[Verdict, Verdict]:
    """The first part of a window's late rows paged, and the cause was repaired; the second is healthy."""
    rng = np.random.default_rng(15)
    late = Summary.from_batch(reference.plan, batch(churn(rng, 1240), rng), window)
    effect = "median 64 → 192; looks like ×3"
    moved = Verdict(
        monitor="churn",
        segment=None,
        window=window,
        rows=1240,
        state=State.DRIFTING,
        reason=Reason.EVIDENCE_COMPLETE,
        detail="1,240 rows that came after the window was decided on 2,480",
        statistics=tuple(
            replace(item, value=0.71, p_value=0.0, effect=effect)
            if (item.column, item.detector) == ("charges", "ks")
            else item
            for item in statistics(reference, late)
        ),
        evidence_before=0.04,
        evidence=1.0,
        page=True,
        incident="churn-drift-77c1",
        onset=window.start,
        named=(NamedColumn(column="charges", detector="ks", share=0.97, effect=effect, onset=window.start),),
        watched=WatchedColumns(drawn=3, of=3),
        reference=reference.fingerprint,
        configuration="9b1c" * 16,
        tiles=((window.start, 2),),
        late=True,
        part=1,
        earlier_tiles=((window.start, 1),),
        earlier_rows=2480,
    )
    calm_part = replace(
        moved,
        rows=320,
        state=State.OK,
        reason=Reason.NOTHING_MOVED,
        detail="320 rows that came after the window was decided on 3,720",
        statistics=statistics(reference, late),
        evidence_before=0.0,
        evidence=0.0,
        page=False,
        incident=None,
        onset=None,
        named=(),
        tiles=((window.start, 3),),
        part=2,
        earlier_tiles=((window.start, 2),),
        earlier_rows=3720,
    )
    return moved, calm_part


def _forget(database: Database, folder: Path) -> None:
    database.close()
    shutil.rmtree(folder)


def _earlier_verdict(
    template: Verdict, end: int, evidence: float | None, state: State, rng: np.random.Generator, *, page: bool
) -> Verdict:
    """An earlier verdict: small statistics when nothing moved, else as large as now."""
    scale = 1.0 if state.moved else 0.2
    statistics = tuple(
        replace(
            item, value=None if item.value is None else round(item.value * scale * rng.uniform(0.6, 1.1), 6)
        )
        for item in template.statistics
    )
    return replace(
        template,
        window=Span(start=end - DAY, end=end),
        state=state,
        reason=Reason.NOTHING_MOVED if state is State.OK else Reason.EVIDENCE_COMPLETE,
        evidence=evidence,
        page=page,
        statistics=statistics if state.has_data else (),
        named=template.named if state.moved else (),
        tiles=(),
    )
