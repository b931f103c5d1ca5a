"""Opens a configuration with its store and readers, for verbs and the daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from driftwatch.config.models import Config, MonitorConfig
from driftwatch.core.clock import Clock, SystemClock
from driftwatch.core.plugins import unknown_name_message
from driftwatch.errors import ConfigError
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.record import Recorder
from driftwatch.monitor.reference_in_force import References
from driftwatch.store.acknowledgements import Acknowledgements
from driftwatch.store.browsing import Browsing
from driftwatch.store.database import Database
from driftwatch.store.history import History, checkpoint_windows
from driftwatch.store.locks import refuse_orphans
from driftwatch.store.tables.reference_tables import BacktestReferences
from driftwatch.summary.reference import Reference

if TYPE_CHECKING:
    from driftwatch.engines.local.pool import ReaderPool

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    config: Config
    database: Database
    history: History
    acknowledgements: Acknowledgements
    readers: ReaderPool
    clock: Clock
    #: Takes notes for people (standard error, the log).
    say: Say

    def monitor(self, config: MonitorConfig, *, force: bool = False) -> Monitor:
        """Return a monitor with its reference, built first when missing or out of date."""
        return self.with_reference(config, self.references().in_force(config, force=force))

    def references(self) -> References:
        return References(
            stored=self.history.references,
            trials=BacktestReferences(self.database),
            readers=self.readers,
            now=self.clock.now(),
            say=self.say,
            keep_samples=self.config.storage.row_sample,
        )

    def with_reference(self, config: MonitorConfig, reference: Reference) -> Monitor:
        web = self.config.web
        recorder = Recorder(
            config=config,
            history=self.history,
            browsing=Browsing(self.database),
            sinks=tuple(item.sink for item in self.config.notify),
            external_url=web.site_url,
            keep_samples=self.config.storage.row_sample,
            checkpoint_windows=checkpoint_windows(config.window.length, self.config.retention.tiles),
        )
        return Monitor(
            config=config,
            reference=reference,
            history=self.history,
            readers=self.readers,
            recorder=recorder,
        )

    def reconfigured(self, config: Config) -> Session:
        return replace(self, config=config)


@contextmanager
def open_session(
    config: Config,
    clock: Clock,
    say: Say,
    *,
    checkpoints: bool = False,
    prepare: Callable[[], object] | None = None,
) -> Iterator[Session]:
    from driftwatch.engines.local.pool import ReaderPool
    from driftwatch.engines.local.readers.quarantine import Quarantine
    from driftwatch.store.tables.quarantine_table import QuarantineTable

    if not checkpoints:
        refuse_orphans(config.storage.path)
    database = Database(config.storage.path, checkpoints=checkpoints, prepare=prepare)
    quarantine = Quarantine(QuarantineTable(database), clock.now)
    # The daemon builds as many references at a time as it has workers; one more reader is left to its checks.
    workers = config.limits.workers + checkpoints
    # A replayed time is not that of the files.
    now = clock.now if clock.boot else SystemClock().now
    readers = ReaderPool(workers, quarantine=quarantine, now=now)
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


def select_monitors(config: Config, name: str | None) -> list[MonitorConfig]:
    """Return the named monitor, or all for None. Raises ``ConfigError`` for an unknown name."""
    if name is None:
        return list(config.monitors)
    monitor = config.monitor(name)
    if monitor is None:
        raise ConfigError(unknown_name_message("monitor", name, tuple(item.name for item in config.monitors)))
    return [monitor]
