"""Everything a verb or the daemon needs to look at monitors: configuration, history, readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from driftwatch.config.models import Config, MonitorConfig
from driftwatch.core.clock import Clock
from driftwatch.core.plugins import unknown
from driftwatch.errors import ConfigError
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.record import Recorder
from driftwatch.monitor.reference_in_force import References
from driftwatch.store.acknowledgements import Acknowledgements
from driftwatch.store.browsing import Browsing
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.trials import TrialReferences
from driftwatch.summary.reference import Reference

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import ReaderPool

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An opened configuration. ``say`` takes notes for people (standard error, the log)."""

    config: Config
    database: Database
    history: History
    acknowledgements: Acknowledgements
    readers: ReaderPool
    clock: Clock
    say: Say

    def monitor(self, config: MonitorConfig, *, force: bool = False) -> Monitor:
        """A monitor with its reference, built first when that is missing or out of date."""
        return self.with_reference(config, self.references().in_force(config, force=force))

    def references(self) -> References:
        """Where a monitor's references are found or built, as of now."""
        return References(
            history=self.history,
            trials=TrialReferences(self.database),
            readers=self.readers,
            now=self.clock.now(),
            say=self.say,
            keep_samples=self.config.storage.row_sample,
        )

    def with_reference(self, config: MonitorConfig, reference: Reference) -> Monitor:
        """A monitor on a reference that is known already."""
        web = self.config.web
        recorder = Recorder(
            config=config,
            history=self.history,
            browsing=Browsing(self.database),
            sinks=tuple(item.sink for item in self.config.notify),
            external_url=web.external_url or f"http://{web.listen}",
            keep_samples=self.config.storage.row_sample,
        )
        return Monitor(
            config=config,
            reference=reference,
            history=self.history,
            readers=self.readers,
            recorder=recorder,
        )

    def reconfigured(self, config: Config) -> Session:
        """The same store and readers under another configuration."""
        return replace(self, config=config)


@contextmanager
def opened(config: Config, clock: Clock, say: Say, *, checkpoints: bool = False) -> Iterator[Session]:
    """Open the store and the readers of a configuration, and close both."""
    from driftwatch.engines.local.pool import ReaderPool

    database = Database(config.storage.path, checkpoints=checkpoints)
    readers = ReaderPool(config.limits.workers)
    try:
        yield Session(
            config=config,
            database=database,
            history=History(database),
            acknowledgements=Acknowledgements(database),
            readers=readers,
            clock=clock,
            say=say,
        )
    finally:
        readers.close(0.0)
        database.close()


def chosen(config: Config, name: str | None) -> list[MonitorConfig]:
    """The named monitor, or all. Raises ``ConfigError`` with a suggestion."""
    if name is None:
        return list(config.monitors)
    found = config.monitor(name)
    if found is None:
        raise ConfigError(unknown("monitor", name, tuple(item.name for item in config.monitors)))
    return [found]
