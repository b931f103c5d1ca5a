"""Does the work of a verb for each of its monitors; one that fails stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from driftwatch.cli.verbs._options import INTERNAL_ERROR, Failure, attempt, say
from driftwatch.errors import DataError

if TYPE_CHECKING:
    from driftwatch.config.models import MonitorConfig

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorFailure:
    monitor: str
    failure: Failure

    @property
    def error(self) -> str:
        return "; ".join(self.failure.lines)

    @property
    def exit_code(self) -> int:
        """4 inside driftwatch, else 3: settings that do not fit one monitor's data are no broken file."""
        return INTERNAL_ERROR if self.failure.exit_code == INTERNAL_ERROR else DataError.exit_code

    def to_json(self) -> dict[str, str]:
        return {"monitor": self.monitor, "error": self.error}


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorResult(Generic[T]):
    monitor: str
    #: What the work returned, or why it ended.
    content: T | MonitorFailure


def for_each_monitor(
    monitors: Sequence[MonitorConfig],
    work: Callable[[MonitorConfig], T],
    advance: Callable[[int, int], None] = lambda _done, _all: None,
) -> tuple[MonitorResult[T], ...]:
    """Return the results in order. Raises the error of a monitor that is the only one."""
    results: list[MonitorResult[T]] = []
    for config in monitors:
        content = work(config) if len(monitors) == 1 else _attempt(config, work)
        results.append(MonitorResult(monitor=config.name, content=content))
        advance(len(results), len(monitors))
    return tuple(results)


def _attempt(config: MonitorConfig, work: Callable[[MonitorConfig], T]) -> T | MonitorFailure:
    content = attempt(lambda: work(config))
    return MonitorFailure(monitor=config.name, failure=content) if isinstance(content, Failure) else content


def failures_in(results: Iterable[MonitorResult[T]]) -> list[MonitorFailure]:
    return [item.content for item in results if isinstance(item.content, MonitorFailure)]


def report(failures: Iterable[MonitorFailure]) -> None:
    """Name them on standard error too, for whoever reads only that."""
    for item in failures:
        say(f"driftwatch: {item.monitor}: {item.error}")


def exit_code_of(codes: Iterable[int]) -> int:
    """Return the first that applies of 4, 1, 3, 5 and 0."""
    return min(codes, key=(4, 1, 3, 5, 0).index, default=0)
