"""Which incident a move belongs to, and how often one incident pages.

What begins up to two windows after the newest page's window is of its cause, in any segment. What begins
later is another cause. For what moves further one incident pages at most once in seven windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import DRIFT, Incident

#: Half a window less than the first that is too late, or that may page: days have 23 to 25 hours.
_JOIN_WINDOWS, _PAGE_WINDOWS = 1.5, 6.5


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestPage:
    """The newest page of an open incident, also of another segment's; times in nanoseconds."""

    key: str
    paged_at: int
    onset: int
    kind: str = DRIFT


def newest_page(incidents: Iterable[Incident], measurement: Measurement) -> NewestPage | None:
    """Return the newest page of what had begun by the window's end; one judged late may be older."""
    pages = [
        NewestPage(key=item.key, paged_at=page_time(item, measurement), onset=item.onset, kind=item.kind)
        for item in incidents
    ]
    keys = {item.key for item in pages}
    pages += [
        NewestPage(key=item.key, paged_at=item.paged_at, onset=item.onset)
        for item in measurement.other_pages
        if item.key not in keys
    ]
    begun = [item for item in pages if item.onset < measurement.window.end]
    return max(begun, key=lambda item: (item.paged_at, item.key), default=None)


def last_page(incidents: Iterable[Incident], measurement: Measurement) -> NewestPage:
    """Return the page that another cause joins where too many incidents are open: one that still wakes."""
    pages = [
        (
            (item.muted_until or 0) <= measurement.window.end,
            page_time(item, measurement),
            item.key,
            item,
        )
        for item in incidents
    ]
    _, paged_at, key, incident = max(pages, key=lambda page: page[:3])
    return NewestPage(key=key, paged_at=paged_at, onset=incident.onset, kind=incident.kind)


def page_time(incident: Incident, measurement: Measurement) -> int:
    """Return the end of the window of the incident's newest page, in whichever segment."""
    others = [item.paged_at for item in measurement.other_pages if item.key == incident.key]
    return max([incident.newest_page, *others])


def with_pages_elsewhere(incidents: Iterable[Incident], measurement: Measurement) -> tuple[Incident, ...]:
    """Return the incidents with the times of newer pages that other segments had for them."""
    times = [(item, page_time(item, measurement)) for item in incidents]
    return tuple(
        replace(item, paged_at=time, page_due=False) if time > item.newest_page else item
        for item, time in times
    )


def is_of_cause(page: NewestPage, onset: int, measurement: Measurement) -> bool:
    return onset < page.paged_at + _JOIN_WINDOWS * measurement.length


def is_unfolding(incident: Incident, measurement: Measurement) -> bool:
    """Whether the window is so close to the incident's newest page that its cause still unfolds."""
    limit = page_time(incident, measurement) + _JOIN_WINDOWS * measurement.length
    return measurement.window.start < limit


def may_page_again(incident: Incident, measurement: Measurement) -> bool:
    end = measurement.window.end
    has_page = any(item.paged_at == end for item in measurement.other_pages)
    return not has_page and end >= page_time(incident, measurement) + _PAGE_WINDOWS * measurement.length
