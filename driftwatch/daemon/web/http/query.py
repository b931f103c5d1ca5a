"""What a request asks for, read from its path and query. Whatever is not as expected is a 400 or 404."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from driftwatch.core.windows import parse_time
from driftwatch.daemon.status.snapshot import MonitorView, SegmentView, Snapshot
from driftwatch.daemon.web.http.links import REFERENCE

#: Items of one answer unless the request says otherwise, and at most.
USUAL, MOST = 100, 1000
MOST_OFFSET = 1_000_000
_MOST_PAGES = 1_000_000
LONGEST_SEARCH = 200


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: the window that ends at ``end``, or the reference when that is None."""

    end: int | None


def monitor(snapshot: Snapshot, request: Request) -> MonitorView:
    """The monitor named in the path."""
    view = snapshot.monitor(request.path_params["name"])
    if view is None:
        raise HTTPException(404, "There is no monitor of that name.")
    return view


def found(snapshot: Snapshot, request: Request) -> tuple[MonitorView, SegmentView]:
    """The monitor named in the path and the segment named in the query; none is all rows."""
    view = monitor(snapshot, request)
    asked = request.query_params.get("segment")
    segment = view.segment(asked)
    if segment is None and not asked:
        segment = view.segment(None) or SegmentView(
            segment=None, verdict=None, looked=None, looked_at=None, trail=(), window=None
        )
    if segment is None:
        raise HTTPException(404, "The monitor has no segment of that name.")
    return view, segment


def moment(text: str, status: int = 404, what: str = "the end of a window") -> int:
    """A time in nanoseconds from ISO 8601 or nanoseconds."""
    wrong = HTTPException(status, f"Expected {what} as ISO 8601 or nanoseconds.")
    try:
        known = int(text) if text.isascii() and text.isdigit() else parse_time(text)
    except (ValueError, OverflowError) as error:
        raise wrong from error
    if not 0 <= known < 1 << 63:
        raise wrong
    return known


def before(request: Request) -> int | None:
    """Windows that end earlier than this are asked for; None is no limit."""
    text = request.query_params.get("before", "")
    return moment(text, 400, "before") if text else None


def side(request: Request, name: str) -> Side | None:
    """A side of a comparison; None when the request does not name it."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    return Side(None if text == REFERENCE else moment(text, 400, f"{name}: the reference, or a window's end"))


def limit(request: Request) -> int:
    """How many items are asked for."""
    return _number(request, "limit", USUAL, 1, MOST)


def offset(request: Request) -> int:
    """How many items are passed over."""
    return _number(request, "offset", 0, 0, MOST_OFFSET)


def page(request: Request) -> int:
    """Which page of a list, from 1."""
    return _number(request, "page", 1, 1, _MOST_PAGES)


def search(request: Request) -> str:
    """What names are searched for, as it was typed."""
    text = request.query_params.get("q", "").strip()
    if len(text) > LONGEST_SEARCH:
        raise HTTPException(400, f"q: expected at most {LONGEST_SEARCH} characters.")
    return text


def choice(request: Request, name: str, known: tuple[str, ...]) -> str:
    """One of some words, or nothing."""
    text = request.query_params.get(name, "")
    if text and text not in known:
        raise HTTPException(400, f"{name}: expected one of {', '.join(known)}.")
    return text


def _number(request: Request, name: str, usual: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) < 8 and least <= int(text) <= most):
        raise HTTPException(400, f"{name}: expected a number from {least} to {most}.")
    return int(text)
