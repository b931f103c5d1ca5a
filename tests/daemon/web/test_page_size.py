"""Thousands of columns, hundreds of monitors, names of any length: no page grows beyond 300 kB."""

from __future__ import annotations

from dataclasses import replace

import example
import numpy as np
import pytest
import urllib3
from peers import until
from web_site import Serve, Site

from driftwatch.daemon.status.snapshot import MonitorView
from driftwatch.results.results import NamedColumn, Reason, State, Statistic
from driftwatch.summary.batch import Levels, Numbers
from driftwatch.summary.summary import Summary

MAX_PAGE_BYTES = 300_000
COLUMNS, MONITORS = 1500, 300
DETECTORS = ("ks", "psi", "js", "wasserstein", "chi2", "tv", "missing", "unseen", "out_of_range")
#: As long as detectors let it be.
EFFECT = 'median 1,234.56 → 1,734.56; "' + "é" * 40 + '" 24 % → 41 %'


def huge_view(name: str) -> MonitorView:
    """Every fourth column has levels; everything moved."""
    rng = np.random.default_rng(6)
    levels = tuple(f"{name} {n}" for n in range(30))
    rows = {
        f"{name} {n}": Levels(codes=rng.integers(0, 30, 60).astype(np.int32), levels=levels)
        if n % 4 == 3
        else Numbers(values=rng.normal(size=60) * 1234.567)
        for n in range(COLUMNS)
    }
    reference = example.reference_of("churn", rows, rng)
    window = Summary.from_batch(reference.plan, example.batch(rows, rng), example.WINDOW)
    names = [column.name for column in reference.plan.columns]
    view = example.calm()
    usable_verdict = view.segments[0].usable_verdict
    assert usable_verdict is not None
    verdict = replace(
        usable_verdict,
        state=State.DRIFTING,
        reason=Reason.INCIDENT_OPEN,
        reference=reference.fingerprint,
        unchanged=tuple(names[200:]),
        named=tuple(
            NamedColumn(column=column_name, detector="ks", share=0.005, effect=EFFECT, onset=example.ONSET)
            for column_name in names[:200]
        ),
        statistics=tuple(
            Statistic(
                detector=detector, column=column_name, value=0.123456, unit="share of rows", p_value=1e-12,
                low=0.1, high=0.2, effect=EFFECT, n_reference=60, n_window=60,
            )
            for column_name in names
            for detector in DETECTORS
        ),
    )  # fmt: skip
    trail = ((example.END, 0.3, "drifting", False),)
    segment = replace(view.segments[0], verdict=verdict, usable_verdict=verdict, window=window, trail=trail)
    incident = replace(example.drifting().incidents[0], columns=tuple(names[:200]))
    return replace(view, reference=reference, segments=(segment,), incidents=(incident,))


@pytest.fixture(scope="module", params=["feature", "\u202e<&" * 500], ids=["usual names", "endless names"])
def site(request: pytest.FixtureRequest, serve: Serve) -> Site:
    view = huge_view(request.param)
    daemon = example.ExampleDaemon(example.snapshot(view))
    drifting_views = [replace(example.drifting(), name=f"model-{n:04}") for n in range(MONITORS)]
    daemon.current_snapshot = example.snapshot(view, *drifting_views)
    return serve(daemon)


def answer_of(site: Site, path: str) -> urllib3.BaseHTTPResponse:
    """A page of endless names takes a second, and five beside other tests: the answer is then "later"."""
    answer: urllib3.BaseHTTPResponse = until(
        lambda: answer if (answer := site.get(path)).status != 503 else None
    )
    return answer


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?page=3",
        "/monitors/churn",
        "/monitors/churn?page=7",
        "/monitors/churn/windows",
        "/monitors/churn/windows/2013-02-14T00:00:00Z",
        "/monitors/churn/windows/2013-02-14T00:00:00Z?page=84",
        "/monitors/churn/compare?a=reference&b=2013-02-14T00:00:00Z",
    ],
)
def test_no_page_is_larger_than_a_phone_likes(site: Site, path: str) -> None:
    answer = answer_of(site, path)
    assert answer.status == 200
    assert len(answer.data) < MAX_PAGE_BYTES


def test_the_api_answers_in_parts(site: Site) -> None:
    part = answer_of(
        site, "/api/v1/monitors/churn/compare?a=reference&b=2013-02-14T00:00:00Z&limit=1000"
    ).json()
    assert (len(part["columns"]), part["total"], part["next_offset"]) == (1000, COLUMNS, 1000)
