"""Endpoints of the JSON API; one table defines the routes and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from driftwatch.core.schema import iso
from driftwatch.daemon.status.ports import RunningDaemon
from driftwatch.daemon.status.trends import read_trends
from driftwatch.daemon.web.api import payloads
from driftwatch.daemon.web.api.openapi import (
    COLUMN,
    END,
    END_BELOW,
    LIMIT,
    NAME,
    OFFSET,
    SEARCH,
    SEGMENT,
    Operation,
    Parameter,
    openapi_document,
    side_parameter,
)
from driftwatch.daemon.web.api.types import (
    AcknowledgementsJson,
    ComparisonJson,
    DetailJson,
    FleetJson,
    IncidentsJson,
    TrendsJson,
    WindowsJson,
    WorkingJson,
)
from driftwatch.daemon.web.http import query
from driftwatch.daemon.web.http.answer_threads import AnswerThreads
from driftwatch.daemon.web.pages.side_by_side import summary_pair

_JSON = "application/json"
_MONITOR = "/api/v1/monitors/{name}"
_STATE = Parameter(
    name="state",
    description="Only incidents that are open, or also those that are over; empty is as left out.",
    schema={"type": "string", "enum": ["open", "all", ""], "default": "all"},
)

OPERATIONS = (
    Operation(
        path="/api/v1/monitors",
        handler="monitors",
        summary="Every monitor with the newest state of each segment.",
        response=FleetJson,
        parameters=(SEARCH, LIMIT, OFFSET),
    ),
    Operation(
        path=_MONITOR,
        handler="monitor",
        summary="One monitor, its reference and its newest verdicts.",
        response=DetailJson,
        parameters=(NAME,),
    ),
    Operation(
        path=f"{_MONITOR}/windows",
        handler="windows",
        summary="Verdicts, newest first.",
        response=WindowsJson,
        parameters=(NAME, SEGMENT, END_BELOW, LIMIT),
    ),
    Operation(
        path=f"{_MONITOR}/windows/{{end}}",
        handler="window",
        summary="The working of one verdict.",
        response=WorkingJson,
        parameters=(NAME, END, SEGMENT),
    ),
    Operation(
        path=f"{_MONITOR}/compare",
        handler="compare",
        summary="Two windows, or a window and the reference, column by column.",
        response=ComparisonJson,
        parameters=(NAME, side_parameter("a"), side_parameter("b"), SEGMENT, LIMIT, OFFSET),
    ),
    Operation(
        path=f"{_MONITOR}/trends",
        handler="trends",
        summary="Every statistic of one column over the newest windows.",
        response=TrendsJson,
        parameters=(NAME, COLUMN, SEGMENT),
    ),
    Operation(
        path=f"{_MONITOR}/incidents",
        handler="incidents",
        summary="Incidents, newest first.",
        response=IncidentsJson,
        parameters=(NAME, _STATE, LIMIT, OFFSET),
    ),
    Operation(
        path=f"{_MONITOR}/acknowledgements",
        handler="acknowledgements",
        summary="What people said about incidents, newest first.",
        response=AcknowledgementsJson,
        parameters=(NAME, LIMIT),
    ),
)


class Api:
    def __init__(self, daemon: RunningDaemon, threads: AnswerThreads, *, secured: bool) -> None:
        self._daemon = daemon
        self._threads = threads
        self._secured = secured

    def routes(self) -> list[tuple[str, Callable[[Request], Any]]]:
        endpoints = [
            (operation.path, self._threads.endpoint(getattr(self, operation.handler)))
            for operation in OPERATIONS
        ]
        return [*endpoints, ("/api/v1/openapi.json", self.openapi)]

    def openapi(self, request: Request) -> Response:
        return _json(openapi_document(self._daemon.snapshot().version, OPERATIONS, secured=self._secured))

    def monitors(self, request: Request) -> Response:
        search, limit, offset = query.search(request).casefold(), query.limit(request), query.offset(request)
        matches = [
            view
            for view in self._daemon.snapshot().monitors
            if search in f"{view.name} {view.model_name} {view.model_version}".casefold()
        ]
        views = matches[offset : offset + limit]
        return _json(
            FleetJson(
                monitors=[payloads.monitor_json(view, self._daemon.now()) for view in views],
                total=len(matches),
                next_offset=payloads.next_offset(offset, len(views), len(matches)),
            )
        )

    def monitor(self, request: Request) -> Response:
        return _json(
            payloads.detail_json(
                query.monitor(self._daemon.snapshot(), request),
                self._daemon.now(),
                self._daemon.past.verdicts,
            )
        )

    def windows(self, request: Request) -> Response:
        view, segment = query.monitor_and_segment(self._daemon.snapshot(), request)
        limit = query.limit(request)
        verdicts = self._daemon.past.verdicts.newest(
            view.name, segment.segment, query.end_below(request), limit
        )
        older_windows = verdicts and self._daemon.past.browsing.windows(
            view.name, segment.segment, end_below=verdicts[-1].window.end, limit=1
        )
        return _json(
            WindowsJson(
                monitor=view.name,
                segment=segment.segment,
                windows=[payloads.verdict_json(item, self._daemon.past.verdicts) for item in verdicts],
                next_before=iso(verdicts[-1].window.end) if older_windows else None,
            )
        )

    def window(self, request: Request) -> Response:
        view, segment = query.monitor_and_segment(self._daemon.snapshot(), request)
        end = query.timestamp(request.path_params["end"])
        verdict_data = self._daemon.past.verdicts.data(view, segment.segment, end)
        if verdict_data is None:
            raise HTTPException(404, "No verdict is stored for a window that ends then.")
        return _json(payloads.verdict_data_json(view, verdict_data, self._daemon.past.browsing))

    def compare(self, request: Request) -> Response:
        view, segment = query.monitor_and_segment(self._daemon.snapshot(), request)
        limit, offset = query.limit(request), query.offset(request)
        first, second = query.side(request, "a"), query.side(request, "b")
        if first is None or second is None:
            raise HTTPException(400, 'a and b: expected the end of a window, or "reference".')
        pair = summary_pair(self._daemon.past.verdicts, view, segment.segment, (first, second))
        if isinstance(pair, str):
            raise HTTPException(404, pair)
        return _json(payloads.comparison_json(view, segment.segment, (first, second), pair, offset, limit))

    def trends(self, request: Request) -> Response:
        view, segment = query.monitor_and_segment(self._daemon.snapshot(), request)
        column = request.query_params.get("column")
        if column is None:
            raise HTTPException(400, "column: expected the name of a column.")
        reference = view.reference
        if reference is None or column not in {item.name for item in reference.plan.columns}:
            raise HTTPException(404, "The monitor watches no column of that name.")
        trends = read_trends(self._daemon.past.browsing, view.name, segment.segment, [column], None)
        return _json(payloads.trends_json(view, segment, column, trends))

    def incidents(self, request: Request) -> Response:
        view = query.monitor(self._daemon.snapshot(), request)
        limit, offset = query.limit(request), query.offset(request)
        only_open = query.choice(request, "state", ("open", "all")) == "open"
        incidents = self._daemon.past.incidents.of_monitor(view.name, only_open=only_open)[::-1]
        page = incidents[offset : offset + limit]
        return _json(
            IncidentsJson(
                monitor=view.name,
                incidents=[payloads.stored_incident_json(item) for item in page],
                total=len(incidents),
                next_offset=payloads.next_offset(offset, len(page), len(incidents)),
            )
        )

    def acknowledgements(self, request: Request) -> Response:
        view = query.monitor(self._daemon.snapshot(), request)
        acknowledgements = self._daemon.past.browsing.acknowledgements(view.name, query.limit(request))
        return _json(
            AcknowledgementsJson(
                monitor=view.name, acknowledgements=payloads.acknowledgements_json(acknowledgements)
            )
        )


def _json(value: Any) -> Response:
    return Response(payloads.dumps(value), media_type=_JSON)
