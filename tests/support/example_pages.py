"""Every page of the served example, and snapshots that no page is made for: hostile names, many columns."""

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
    "drifting": "/monitors/flight-delays",
    "insufficient": "/monitors/flight-delays?segment=EWR",
    "ok": "/monitors/churn",
    "source_error": "/monitors/credit-risk",
    "window": "/monitors/flight-delays/windows/2013-02-14T00:00:00Z",
    "windows": "/monitors/flight-delays/windows",
    "column": "/monitors/churn/column?name=tenure",
    "compare": "/monitors/churn/compare?a=reference&b=2013-02-14T00:00:00Z",
    "compare_nothing": "/monitors/churn/compare",
    "missing": "/nothing",
}


def hostile(name: str) -> Snapshot:
    """Every text that comes from data is ``name``."""
    rng = np.random.default_rng(5)
    codes = (np.arange(400) % 3).astype(np.int32)
    levels = (name + "1", name + "2", name + "3")
    reference_rows = {name: Levels(codes=codes, levels=levels), "n" + name: Numbers(values=rng.random(400))}
    reference = example.reference_of("churn", reference_rows, rng)
    made = replace(
        reference.provenance,
        source=name,
        notes=(name,),
        set_aside=tuple(replace(column, reason=name) for column in reference.plan.columns),
    )
    reference = replace(reference, provenance=made, model_name=name)
    moved = {
        name: Levels(codes=codes, levels=("x", *levels[:2])),
        "n" + name: Numbers(values=rng.random(400)),
    }
    window = Summary.of(reference.plan, example.batch(moved, rng), example.WINDOW)
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
    segment = replace(view.segments[0], verdict=verdict, looked=verdict, window=window)
    other = replace(segment, segment=name, verdict=replace(verdict, segment=name))
    shown = replace(
        view,
        reference=reference,
        segments=(segment, other),
        incidents=(incident,),
        model_name=name,
        last_failure=name,
    )
    return example.snapshot(shown)


def wide(columns: int) -> MonitorView:
    rng = np.random.default_rng(6)
    rows = {f"column {n}": Numbers(values=rng.random(50)) for n in range(columns)}
    reference = example.reference_of("churn", rows, rng)
    view = example.calm()
    window = Summary.of(reference.plan, example.batch(rows, rng), example.WINDOW)
    looked = view.segments[0].looked
    assert looked is not None
    statistics = tuple(
        Statistic(detector="ks", column=f"column {n}", value=n / columns, unit="") for n in range(columns)
    )
    named = (NamedColumn(column="column 3", detector="ks", share=1.0, effect="", onset=1),)
    looked = replace(looked, statistics=statistics, named=named)
    segment = replace(view.segments[0], verdict=looked, looked=looked, window=window)
    return replace(view, reference=reference, segments=(segment,))
