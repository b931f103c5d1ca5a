"""Parses the path and query of a request; anything unexpected is answered with 400 or 404."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from driftwatch.core.windows import parse_time
from driftwatch.daemon.status.snapshot import MonitorView, SegmentView, Snapshot
from driftwatch.daemon.web.http.links import REFERENCE

#: Items in one answer.
DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
MAX_OFFSET = 1_000_000
_MAX_PAGE = 1_000_000
MAX_SEARCH_CHARS = 200
#: Characters of a time.
MAX_TIME_CHARS = 40


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: the window that ends at ``end`` (nanoseconds), or the reference if None."""

    end: int | None


def monitor(snapshot: Snapshot, request: Request) -> MonitorView:
    view = snapshot.monitor(request.path_params["name"])
    if view is None:
        raise HTTPException(404, "There is no monitor of that name.")
    return view


def monitor_and_segment(snapshot: Snapshot, request: Request) -> tuple[MonitorView, SegmentView]:
    """Return the requested monitor and current segment; all rows when no segment is named."""
    view = monitor(snapshot, request)
    name = request.query_params.get("segment")
    segment = view.segment(name)
    if segment is None and not name:
        segment = view.segment(None) or SegmentView(
            segment=None, verdict=None, usable_verdict=None, usable_at=None, trail=(), window=None
        )
    if segment is None:
        raise HTTPException(404, "The monitor has no segment of that name.")
    return view, view.current(segment)


def timestamp(text: str, status: int = 404, expectation: str = "the end of a window") -> int:
    """Parse a time in ISO 8601 or nanoseconds to nanoseconds."""
    http_error = HTTPException(status, f"Expected {expectation} as ISO 8601 or nanoseconds.")
    if len(text) > MAX_TIME_CHARS:
        raise http_error
    try:
        nanoseconds = int(text) if text.isascii() and text.isdigit() else parse_time(text)
    except (ValueError, OverflowError) as error:
        raise http_error from error
    if not 0 <= nanoseconds < 1 << 63:
        raise http_error
    return nanoseconds


def end_below(request: Request) -> int | None:
    text = request.query_params.get("before", "")
    return timestamp(text, 400, "before") if text else None


def side(request: Request, name: str) -> Side | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    return Side(
        None if text == REFERENCE else timestamp(text, 400, f"{name}: the reference, or a window's end")
    )


def limit(request: Request) -> int:
    return _number(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)


def offset(request: Request) -> int:
    return _number(request, "offset", 0, 0, MAX_OFFSET)


def page(request: Request) -> int:
    return _number(request, "page", 1, 1, _MAX_PAGE)


def search(request: Request) -> str:
    text = request.query_params.get("q", "").strip()
    if len(text) > MAX_SEARCH_CHARS:
        raise HTTPException(400, f"q: expected at most {MAX_SEARCH_CHARS} characters.")
    return text


def choice(request: Request, name: str, choices: tuple[str, ...]) -> str:
    text = request.query_params.get(name, "")
    if text and text not in choices:
        raise HTTPException(400, f"{name}: expected one of {', '.join(choices)}.")
    return text


def _number(request: Request, name: str, default: int, minimum: int, maximum: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 8 and minimum <= int(text) <= maximum):
        raise HTTPException(400, f"{name}: expected a number from {minimum} to {maximum}.")
    return int(text)
