"""Supervises the thread that starts reader processes; the kernel ends them all when it ends."""

from __future__ import annotations

from typing import Protocol

from driftwatch.daemon.own_health.loops.heartbeat import Moment
from driftwatch.daemon.own_health.loops.loop_supervisor import Revival
from driftwatch.daemon.own_health.own_health import LoopHealth

#: Starting a process takes milliseconds; several may wait for one another on a loaded machine.
_START_SECONDS = 60.0


class StartsReaders(Protocol):
    def starting_seconds(self) -> float:
        """Return the age of the oldest start that has not ended; 0 without one."""

    @property
    def is_dead(self) -> bool: ...


class ReaderStarter:
    def __init__(self, starter: StartsReaders) -> None:
        self._starter = starter

    def loops(self, moment: Moment) -> tuple[LoopHealth, ...]:
        return (moment.health("readers", self._starter.starting_seconds(), _START_SECONDS),)

    def revive(self) -> Revival:
        if not self._starter.is_dead:
            return Revival()
        return Revival(lost="The thread that starts readers has ended, and no source can be read without it.")
