"""Who answers below ``/api/v1``. One table makes both the routes and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from driftwatch.core.schema import iso
from driftwatch.daemon.status.ports import State
from driftwatch.daemon.web.api import payloads
from driftwatch.daemon.web.api.openapi import (
    BEFORE,
    COLUMN,
    END,
    LIMIT,
    NAME,
    OFFSET,
    SEARCH,
    SEGMENT,
    Operation,
    Parameter,
    document,
    side,
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
from driftwatch.daemon.web.pages.side_by_side import pair_of
from driftwatch.results.verdict_json import window_json

_JSON = "application/json"
_MONITOR = "/api/v1/monitors/{name}"
_STATE = Parameter(
    name="state",
    about="Only incidents that are open, or also those that are over.",
    schema={"type": "string", "enum": ["open", "all"], "default": "all"},
)

OPERATIONS = (
    Operation(
        path="/api/v1/monitors",
        handler="monitors",
        about="Every monitor with the newest state of each segment.",
        answer=FleetJson,
        parameters=(SEARCH, LIMIT, OFFSET),
    ),
    Operation(
        path=_MONITOR,
        handler="monitor",
        about="One monitor, its reference and its newest verdicts.",
        answer=DetailJson,
        parameters=(NAME,),
    ),
    Operation(
        path=f"{_MONITOR}/windows",
        handler="windows",
        about="Verdicts, newest first.",
        answer=WindowsJson,
        parameters=(NAME, SEGMENT, BEFORE, LIMIT),
    ),
    Operation(
        path=f"{_MONITOR}/windows/{{end}}",
        handler="window",
        about="The working of one verdict.",
        answer=WorkingJson,
        parameters=(NAME, END, SEGMENT),
    ),
    Operation(
        path=f"{_MONITOR}/compare",
        handler="compare",
        about="Two windows, or a window and the reference, column by column.",
        answer=ComparisonJson,
        parameters=(NAME, side("a"), side("b"), SEGMENT, LIMIT, OFFSET),
    ),
    Operation(
        path=f"{_MONITOR}/trends",
        handler="trends",
        about="Every statistic of one column over the newest windows.",
        answer=TrendsJson,
        parameters=(NAME, COLUMN, SEGMENT),
    ),
    Operation(
        path=f"{_MONITOR}/incidents",
        handler="incidents",
        about="Incidents, newest first.",
        answer=IncidentsJson,
        parameters=(NAME, _STATE, LIMIT, OFFSET),
    ),
    Operation(
        path=f"{_MONITOR}/acknowledgements",
        handler="acknowledgements",
        about="What people said about incidents, newest first.",
        answer=AcknowledgementsJson,
        parameters=(NAME, LIMIT),
    ),
)


class Api:
    """Answers from a running daemon's state. ``version`` is driftwatch's."""

    def __init__(self, state: State, *, secured: bool) -> None:
        self._state = state
        self._secured = secured

    def routes(self) -> list[tuple[str, Callable[[Request], Any]]]:
        """Every path and who answers it."""
        known = [(item.path, getattr(self, item.handler)) for item in OPERATIONS]
        return [*known, ("/api/v1/openapi.json", self.openapi)]

    def openapi(self, request: Request) -> Response:
        """The document."""
        return _json(document(self._state.snapshot().version, OPERATIONS, secured=self._secured))

    def monitors(self, request: Request) -> Response:
        """The fleet."""
        search, limit, offset = query.search(request).casefold(), query.limit(request), query.offset(request)
        known = [
            view
            for view in self._state.snapshot().monitors
            if search in f"{view.name} {view.model_name} {view.model_version}".casefold()
        ]
        shown = known[offset : offset + limit]
        return _json(
            FleetJson(
                monitors=[payloads.monitor_json(view, self._state.now()) for view in shown],
                total=len(known),
                next_offset=payloads.next_offset(offset, len(shown), len(known)),
            )
        )

    def monitor(self, request: Request) -> Response:
        """One monitor."""
        return _json(payloads.detail_json(query.monitor(self._state.snapshot(), request), self._state.now()))

    def windows(self, request: Request) -> Response:
        """Verdicts."""
        view, segment = query.found(self._state.snapshot(), request)
        limit = query.limit(request)
        found = self._state.past.verdicts(view.name, segment.segment, query.before(request), limit)
        older = found and self._state.past.windows(view.name, segment.segment, found[-1].window.end, 1)
        return _json(
            WindowsJson(
                monitor=view.name,
                segment=segment.segment,
                windows=[window_json(verdict) for verdict in found],
                next_before=iso(found[-1].window.end) if older else None,
            )
        )

    def window(self, request: Request) -> Response:
        """One verdict."""
        view, segment = query.found(self._state.snapshot(), request)
        end = query.moment(request.path_params["end"])
        working = self._state.past.working(view, segment.segment, end)
        if working is None:
            raise HTTPException(404, "No verdict is stored for a window that ends then.")
        return _json(payloads.working_json(working, self._state.past))

    def compare(self, request: Request) -> Response:
        """Two sides."""
        view, segment = query.found(self._state.snapshot(), request)
        limit, offset = query.limit(request), query.offset(request)
        first, second = query.side(request, "a"), query.side(request, "b")
        if first is None or second is None:
            raise HTTPException(400, 'a and b: expected the end of a window, or "reference".')
        pair = pair_of(self._state.past, view, segment.segment, (first, second))
        if isinstance(pair, str):
            raise HTTPException(404, pair)
        return _json(payloads.comparison_json(view, segment.segment, (first, second), pair, offset, limit))

    def trends(self, request: Request) -> Response:
        """One column over time."""
        view, segment = query.found(self._state.snapshot(), request)
        column = request.query_params.get("column")
        if column is None:
            raise HTTPException(400, "column: expected the name of a column.")
        reference = view.reference
        if reference is None or column not in {item.name for item in reference.plan.columns}:
            raise HTTPException(404, "The monitor watches no column of that name.")
        found = self._state.past.trends(view.name, segment.segment, [column], None)
        return _json(payloads.trends_json(view, segment, column, found))

    def incidents(self, request: Request) -> Response:
        """Incidents, over or not."""
        view = query.monitor(self._state.snapshot(), request)
        limit, offset = query.limit(request), query.offset(request)
        only_open = query.choice(request, "state", ("open", "all")) == "open"
        known = self._state.past.incidents(view.name, only_open=only_open)[::-1]
        shown = known[offset : offset + limit]
        return _json(
            IncidentsJson(
                monitor=view.name,
                incidents=[payloads.stored_incident_json(item) for item in shown],
                total=len(known),
                next_offset=payloads.next_offset(offset, len(shown), len(known)),
            )
        )

    def acknowledgements(self, request: Request) -> Response:
        """The audit trail."""
        view = query.monitor(self._state.snapshot(), request)
        found = self._state.past.acknowledgements(view.name, query.limit(request))
        return _json(
            AcknowledgementsJson(monitor=view.name, acknowledgements=payloads.acknowledgements_json(found))
        )


def _json(value: Any) -> Response:
    return Response(payloads.dumps(value), media_type=_JSON)
