"""Gathers what the parts of the daemon know of their own health; no part waits for a disk or a lock here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from driftwatch.daemon.own_health.own_health import NO_DAMAGE, ClockHealth, LoopHealth, OwnHealth, StoreHealth
from driftwatch.daemon.own_health.troubles import Troubles


@dataclass(slots=True, kw_only=True)
class HealthBoard:
    """Each part puts in a function that answers from memory, at once."""

    troubles: Troubles = field(default_factory=Troubles)
    loops: Callable[[], tuple[LoopHealth, ...]] = tuple
    store: Callable[[], StoreHealth] = StoreHealth
    clock: Callable[[], ClockHealth] = ClockHealth
    oldest_check_seconds: Callable[[], float | None] = lambda: None
    damaged_rows: Callable[[], tuple[tuple[str, int], ...]] = lambda: NO_DAMAGE

    def view(self) -> OwnHealth:
        return OwnHealth(
            loops=self.loops(),
            store=self.store(),
            clock=self.clock(),
            oldest_check_seconds=self.oldest_check_seconds(),
            damaged_rows=self.damaged_rows(),
            troubles=self.troubles.all(),
        )
