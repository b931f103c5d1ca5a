"""The newest pages of incidents that are open in the segments of a monitor while one window is decided."""

from __future__ import annotations

from collections.abc import Mapping

from driftwatch.decide.segment_state import BLIND, SegmentState
from driftwatch.results.results import OtherPage


class PagesElsewhere:
    """Segments that were decided already count with their new states, the others with the old ones."""

    def __init__(self, states: Mapping[str | None, SegmentState]) -> None:
        self._pages: dict[str | None, dict[str, int]] = {}
        for segment, state in states.items():
            self.update(segment, state)

    def update(self, segment: str | None, state: SegmentState) -> None:
        self._pages[segment] = {item.key: item.newest_page for item in state.incidents if item.kind != BLIND}

    def of(self, segment: str | None) -> tuple[OtherPage, ...]:
        """Return what is open in the other segments, by key."""
        newest: dict[str, int] = {}
        for name, pages in self._pages.items():
            if name != segment:
                for key, paged_at in pages.items():
                    newest[key] = max(paged_at, newest.get(key, paged_at))
        return tuple(OtherPage(key=key, paged_at=newest[key]) for key in sorted(newest))
