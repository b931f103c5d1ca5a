"""Errors that driftwatch raises on purpose, and their exit codes.

Every error text says where, what was expected, what was got, and what to do. The name of a class is part of
the protocol with the reader process: the parent raises the class whose name it receives.
"""

from __future__ import annotations

# DriftwatchError                 exit code 4
# ├── ConfigError                 exit code 2
# ├── DataError                   exit code 3
# │   ├── SourceUnavailable
# │   ├── SourceTimeout
# │   ├── ReaderDied
# │   │   └── PieceLeftOut
# │   ├── TooManyRows
# │   ├── SchemaMismatch
# │   └── ReferenceUnusable
# │       └── NoFeatures          exit code 2
# ├── SummaryMismatch
# ├── StoreError
# │   ├── StoreDamaged          exit code 3
# │   ├── StoreForgot           exit code 3
# │   ├── DiskFault
# │   └── StoreUnusable           exit code 2
# │       └── StoreTooNew
# └── MissingExtra                exit code 2


class DriftwatchError(Exception):
    """Base class of all errors raised on purpose."""

    exit_code = 4


class ConfigError(DriftwatchError):
    """The configuration or the command line is wrong.

    ``problems`` has one line per problem: ``file:line: path: what was expected. Got X.``
    """

    exit_code = 2

    def __init__(self, problems: str | list[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class DataError(DriftwatchError):
    """Data could not be read."""

    exit_code = 3


class SourceUnavailable(DataError):
    """The source did not answer; a retry can help."""


class SourceTimeout(DataError):
    """Reading took longer than its deadline; the reader process was killed."""


class ReaderDied(DataError):
    """The child process that reads untrusted input died (memory limit, crash)."""


class PieceLeftOut(ReaderDied):
    """A file ended the reader amid a read, and is left out from now on: another read goes without it."""

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        super().__init__(text)
        self.names = names


class TooManyRows(DataError):
    """One read would take more rows than ``limits.rows`` allows."""


class SchemaMismatch(DataError):
    """The data does not have the expected schema."""


class ReferenceUnusable(DataError):
    """The reference data cannot serve as a test distribution; the text gives the reason."""


class NoFeatures(ReferenceUnusable):
    """No column of the data is a feature that can be watched."""

    exit_code = 2


class SummaryMismatch(DriftwatchError):
    """Summaries of different plans were added or compared."""


class StoreError(DriftwatchError):
    """The store cannot be read or written."""


class DiskFault(StoreError):
    """The store's disk is full, takes no writes or fails; that may pass."""


class StoreUnusable(StoreError):
    """The store cannot be opened at the configured path, or another process has it open."""

    exit_code = 2


class StoreDamaged(StoreError):
    """A row of the store is not what was written: its checksum or its content is wrong."""

    exit_code = 3


class StoreForgot(StoreError):
    """What the store had is gone, mostly since its retention ended."""

    exit_code = 3

    def __init__(self, text: str, *, start: int | None = None) -> None:
        super().__init__(text)
        #: Where the forgotten tiles begin, in nanoseconds; None where no retention would have kept it.
        self.start = start


class StoreTooNew(StoreUnusable):
    """The store was written by a newer version of driftwatch."""


class MissingExtra(DriftwatchError):
    """An optional dependency is not installed."""

    exit_code = 2

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed. It is optional: run pip install 'driftwatch-daemon[{extra}]'."
        )
