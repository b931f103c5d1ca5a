"""Every page of the served example, and snapshots with hostile names or many columns."""

from __future__ import annotations

from dataclasses import replace

import example
import numpy as np

from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident, Snapshot
from driftwatch.results.results import (
    Breakage,
    FileProblem,
    NamedColumn,
    Reason,
    RejectedFile,
    State,
    Statistic,
    Verdict,
)
from driftwatch.summary.batch import Levels, Numbers
from driftwatch.summary.summary import Summary

PAGES = {
    "index": "/",
    "daemon": "/daemon",
    "drifting": "/monitors/flight-delays",
    "insufficient": "/monitors/flight-delays?segment=EWR",
    "ok": "/monitors/churn",
    "source_error": "/monitors/credit-risk",
    "window": "/monitors/flight-delays/windows/2013-02-14T00:00:00Z",
    "windows": "/monitors/flight-delays/windows",
    "owed": "/monitors/credit-risk/windows/2013-02-14T00:00:00Z",
    "owed_windows": "/monitors/credit-risk/windows",
    "late_rows": "/monitors/churn/windows/2013-02-12T00:00:00Z",
    "late_windows": "/monitors/churn/windows",
    "column": "/monitors/churn/column?name=tenure",
    "compare": "/monitors/churn/compare?a=reference&b=2013-02-14T00:00:00Z",
    "compare_nothing": "/monitors/churn/compare",
    "missing": "/nothing",
}


def hostile_snapshot(name: str) -> Snapshot:
    """Every text that comes from data is ``name``."""
    rng = np.random.default_rng(5)
    codes = (np.arange(400) % 3).astype(np.int32)
    levels = (name + "1", name + "2", name + "3")
    reference_rows = {name: Levels(codes=codes, levels=levels), "n" + name: Numbers(values=rng.random(400))}
    reference = example.reference_of("churn", reference_rows, rng)
    provenance = replace(
        reference.provenance,
        source=name,
        notes=(name,),
        set_aside=tuple(replace(column, reason=name) for column in reference.plan.columns),
    )
    reference = replace(reference, provenance=provenance, model_name=name)
    window_rows = {
        name: Levels(codes=codes, levels=("x", *levels[:2])),
        "n" + name: Numbers(values=rng.random(400)),
    }
    window = Summary.from_batch(reference.plan, example.batch(window_rows, rng), example.WINDOW)
    incident = OpenIncident(
        key=name, kind="drift", segment=None, columns=(name,), opened_at=1, onset=None, muted_until=None
    )
    verdict = Verdict(
        monitor="churn",
        segment=None,
        window=example.WINDOW,
        rows=400,
        state=State.DRIFTING,
        reason=Reason.EVIDENCE_COMPLETE,
        detail=name,
        statistics=(
            Statistic(detector="ks", column=name, value=0.1, unit="u", effect=name),
            Statistic(detector="psi", column=name, value=None, unit="", undefined=name),
        ),
        breakages=(Breakage(column=name, reason=Reason.COLUMN_MISSING, detail=name),),
        rejected_files=(RejectedFile(name=name, problem=FileProblem.EMPTY, detail=name),),
        named=(NamedColumn(column=name, detector="ks", share=0.5, effect=name, onset=1),),
        unchanged=(name,),
        incident=name,
        reference=reference.fingerprint,
        evidence=1.0,
        page=True,
    )
    view = example.calm()
    segment = replace(view.segments[0], verdict=verdict, usable_verdict=verdict, window=window)
    named_segment = replace(segment, segment=name, verdict=replace(verdict, segment=name))
    hostile_view = replace(
        view,
        reference=reference,
        segments=(segment, named_segment),
        incidents=(incident,),
        model_name=name,
        last_failure=name,
    )
    return example.snapshot(hostile_view)


def wide_view(columns: int) -> MonitorView:
    rng = np.random.default_rng(6)
    rows = {f"column {n}": Numbers(values=rng.random(50)) for n in range(columns)}
    reference = example.reference_of("churn", rows, rng)
    view = example.calm()
    window = Summary.from_batch(reference.plan, example.batch(rows, rng), example.WINDOW)
    usable_verdict = view.segments[0].usable_verdict
    assert usable_verdict is not None
    statistics = tuple(
        Statistic(detector="ks", column=f"column {n}", value=n / columns, unit="") for n in range(columns)
    )
    named = (NamedColumn(column="column 3", detector="ks", share=1.0, effect="", onset=1),)
    usable_verdict = replace(usable_verdict, statistics=statistics, named=named)
    segment = replace(view.segments[0], verdict=usable_verdict, usable_verdict=usable_verdict, window=window)
    return replace(view, reference=reference, segments=(segment,))
