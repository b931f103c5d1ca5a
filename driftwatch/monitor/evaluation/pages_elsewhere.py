"""The newest pages of incidents that are open in the segments of a monitor while one window is decided."""

from __future__ import annotations

from collections.abc import Mapping

from driftwatch.decide.segment_state import BLIND, SegmentState
from driftwatch.results.results import OtherPage


class PagesElsewhere:
    """Segments that were decided already count with their new states, the others with the old ones."""

    def __init__(self, states: Mapping[str | None, SegmentState]) -> None:
        self._pages: dict[str | None, tuple[OtherPage, ...]] = {}
        for segment, state in states.items():
            self.update(segment, state)

    def update(self, segment: str | None, state: SegmentState) -> None:
        self._pages[segment] = tuple(
            OtherPage(key=item.key, paged_at=item.newest_page, onset=item.onset)
            for item in state.incidents
            if item.kind != BLIND
        )

    def of(self, segment: str | None) -> tuple[OtherPage, ...]:
        """Return what is open in the other segments, by key."""
        newest: dict[str, OtherPage] = {}
        for name, pages in self._pages.items():
            for page in pages if name != segment else ():
                stored = newest.get(page.key, page)
                newest[page.key] = OtherPage(
                    key=page.key,
                    paged_at=max(page.paged_at, stored.paged_at),
                    onset=min(page.onset, stored.onset),
                )
        return tuple(newest[key] for key in sorted(newest))
