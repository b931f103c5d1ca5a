"""The daemon's own health: what ``/-/healthy``, ``/-/ready``, ``/metrics`` and the page say of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from driftwatch.daemon.own_health.troubles import Trouble
from driftwatch.store.damage import TABLES
from driftwatch.store.records import StoreState

NO_DAMAGE = tuple((table, 0) for table in TABLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopHealth:
    """A thread, process or server that must go on by itself."""

    #: ``scheduler``, ``web``, ``deliver-SINK``, ``load``, ``check``, ``readers``.
    name: str
    #: Nanoseconds since 1970; None before the first step.
    last_progress_at: int | None
    #: Seconds on the monotonic clock since the last progress.
    silent_seconds: float
    #: Its longest allowed step plus two ticks.
    limit_seconds: float
    #: How often it was started again since the process started, because its thread had ended.
    restarts: int = 0

    @property
    def is_stuck(self) -> bool:
        return self.silent_seconds > self.limit_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    state: StoreState = StoreState.OK
    #: What happened and what to do, for people; empty when the state is ok.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockHealth:
    #: Jumps of the wall clock against the monotonic one since the process started.
    jumps: int = 0
    #: Why the present time is not believed, for people; empty when it is.
    doubt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHealth:
    loops: tuple[LoopHealth, ...] = ()
    store: StoreHealth = field(default_factory=StoreHealth)
    clock: ClockHealth = field(default_factory=ClockHealth)
    #: Age of the check that runs longest, in seconds; None when none runs.
    oldest_check_seconds: float | None = None
    #: (table, damaged rows that were skipped since the process started).
    damaged_rows: tuple[tuple[str, int], ...] = NO_DAMAGE
    troubles: tuple[Trouble, ...] = ()

    def unhealthy_reasons(self) -> tuple[str, ...]:
        """Return why the process should be restarted; empty when it should not."""
        return tuple(
            f"{loop.name}: no progress for {loop.silent_seconds:.0f} s, expected within "
            f"{loop.limit_seconds:.0f} s."
            for loop in self.loops
            if loop.is_stuck
        )

    def not_ready_reasons(self) -> tuple[str, ...]:
        """Return why nothing new is decided at present; empty when it is."""
        if self.store.state is StoreState.OK:
            return ()
        return (f"store: {self.store.state}. {self.store.detail}".rstrip(),)
