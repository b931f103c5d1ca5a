"""Response types of the API. Their docstrings and keys are part of the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from driftwatch.core.schema import Unwatched
from driftwatch.results.results import Reason, State
from driftwatch.results.verdict_json import JudgedWindowJson, Moment, StatisticJson


class ErrorJson(TypedDict):
    """Why a request was not answered."""

    error: str


class ModelJson(TypedDict):
    """The model whose inputs a monitor watches."""

    name: str
    version: str


class SegmentJson(TypedDict):
    """The newest state of one segment; ``segment`` null is all rows."""

    segment: str | None
    state: State | None
    reason: Reason | None
    detail: str | None
    evidence: float | None
    window_end: Moment | None
    rows: int | None
    last_look: Moment | None
    kind: Literal["moved", "same", "blind"]
    headline: str


class OpenIncidentJson(TypedDict):
    """An open incident. ``segment`` is null for all rows, and where ``segments`` are several."""

    key: str
    kind: str
    segment: str | None
    segments: list[str | None]
    columns: list[str]
    opened: Moment
    onset: Moment | None
    muted_until: Moment | None


class MonitorJson(TypedDict):
    """One monitor as the fleet lists it."""

    monitor: str
    source: str
    model: ModelJson
    interval_seconds: int
    budget: str
    segments: list[SegmentJson]
    incidents: list[OpenIncidentJson]
    last_run: Moment | None
    last_success: Moment | None
    last_failure: str | None
    next_run: Moment | None
    newest_row: Moment | None
    owed_windows: int | None


class FleetJson(TypedDict):
    """A part of all monitors; ``next_offset`` is null when there are no more."""

    monitors: list[MonitorJson]
    total: int
    next_offset: int | None


class ColumnJson(TypedDict):
    """A column of the reference. ``reason`` says why it is what it is or not watched."""

    column: str
    kind: str
    role: str
    reason: str
    unwatched: Unwatched | None


# Functional syntax, because the key from is a keyword of Python.
ReferenceJson = TypedDict(
    "ReferenceJson",
    {
        "fingerprint": str,
        "rows": int,
        "source": str,
        "files": int,
        "built": Moment,
        "from": Moment | None,
        "to": Moment | None,
        "columns": list[ColumnJson],
        "set_aside": list[ColumnJson],
        "notes": list[str],
    },
)


class DetailJson(MonitorJson):
    """One monitor with its reference, its newest verdicts and the newest that could look."""

    reference: ReferenceJson | None
    windows: list[JudgedWindowJson]
    looked: list[JudgedWindowJson]


class WindowsJson(TypedDict):
    """Windows, newest first; ``next_before`` asks for older ones, null when there are none."""

    monitor: str
    segment: str | None
    windows: list[JudgedWindowJson]
    next_before: Moment | None


class EntryJson(TypedDict):
    """One thing that happened around a verdict; ``at`` null: only the order is known."""

    at: Moment | None
    what: str


class OwedJson(TypedDict):
    """A window that waits for its rows. ``waited_seconds`` of ``patience_seconds`` are over."""

    since: Moment
    waited_seconds: int
    patience_seconds: int


class WorkingJson(TypedDict):
    """The working of one verdict. ``configuration`` is null when it was not stored."""

    monitor: str
    window: JudgedWindowJson
    owed: OwedJson | None
    decided_at: Moment | None
    configuration: dict[str, object] | None
    log: list[EntryJson]


class QuantileJson(TypedDict):
    """One quantile on both sides; null where a side has no value."""

    share: float
    before: float | None
    after: float | None


class ComparedColumnJson(TypedDict):
    """One column of a comparison. ``distance`` in [0, 1]: KS, total variation or change of missing."""

    column: str
    kind: str
    distance: float
    missing_before: float | None
    missing_after: float | None
    quantiles: list[QuantileJson]


class PairJson(TypedDict):
    """Two columns whose correlation changed."""

    left: str
    right: str
    before: float | None
    after: float | None


class ComparisonJson(TypedDict):
    """Two sides on the same cells, columns furthest apart first; a side's end is null: the reference."""

    monitor: str
    segment: str | None
    a: Moment | None
    b: Moment | None
    rows_a: int
    rows_b: int
    columns: list[ComparedColumnJson]
    total: int
    next_offset: int | None
    correlations: list[PairJson]


class IncidentJson(OpenIncidentJson):
    """An incident, open or over. ``resolution`` is quiet, looked again, fixed or accepted."""

    resolved: Moment | None
    resolution: str | None


class IncidentsJson(TypedDict):
    """Incidents of a monitor, newest first."""

    monitor: str
    incidents: list[IncidentJson]
    total: int
    next_offset: int | None


class TrendJson(TypedDict):
    """One statistic over windows; ``usual`` is the band of healthy windows, null when there are too few."""

    detector: str
    values: list[float | None]
    usual: list[float] | None


class TrendsJson(TypedDict):
    """Every statistic of one column over the newest windows, oldest first."""

    monitor: str
    segment: str | None
    column: str
    ends: list[Moment]
    trends: list[TrendJson]
    newest: list[StatisticJson]


class AcknowledgementJson(TypedDict):
    """What somebody said about an incident; ``incident`` empty: every open one."""

    number: int
    incident: str
    verdict: str
    until: Moment | None
    note: str
    who: str
    asked: Moment
    applied: Moment | None
    outcome: str


class AcknowledgementsJson(TypedDict):
    """The audit trail, newest first."""

    monitor: str
    acknowledgements: list[AcknowledgementJson]
