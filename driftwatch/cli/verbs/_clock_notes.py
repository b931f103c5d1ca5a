"""Tells whoever checks by hand that the clock may be wrong: a single check cannot wait and see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftwatch.config.models import MonitorConfig
    from driftwatch.monitor.session import Session


def note_clock_set(session: Session) -> None:
    """Say by how much the clock was set since the last check or daemon, and remember how it stands."""
    from driftwatch.core.schema import NANOSECONDS, iso
    from driftwatch.daemon.own_health.clock.clock_belief import MAX_SLEW_SECONDS
    from driftwatch.results.text_format import format_coarse_duration
    from driftwatch.store.records import ClockReading

    clock, table = session.clock, session.history.clock
    if not clock.boot:
        return
    stored, now = table.get(), clock.now()
    offset = now - clock.steady()
    if stored is not None and stored.boot == clock.boot:
        seconds = (offset - stored.offset) / NANOSECONDS
        if abs(seconds) > MAX_SLEW_SECONDS:
            direction = "forward" if seconds > 0 else "back"
            session.say(
                f"the clock was set {direction} by {format_coarse_duration(abs(seconds))} since the last "
                f"check, to {iso(now)}. If that is wrong, windows are judged without all of their rows: look "
                "again when it is right."
            )
    table.write(ClockReading(boot=clock.boot, offset=offset, read_at=now))


def note_clock_behind(session: Session, config: MonitorConfig, last_end: int | None, now: int) -> None:
    from driftwatch.core.schema import iso

    if last_end is not None and last_end > now:
        session.say(
            f"{config.name}: the clock shows {iso(now)}, but the newest decided window ends at "
            f"{iso(last_end)}. Nothing is checked until then. Look whether the clock is right."
        )
