"""Every error driftwatch raises on purpose.

    DriftwatchError                 exit code 4 unless a subclass says otherwise
    ├── ConfigError                 2: the configuration or the command line is wrong
    ├── DataError                   3: data could not be read
    │   ├── SourceUnavailable       the source did not answer; trying again can help
    │   ├── SourceTimeout           reading took longer than the deadline; the reader was killed
    │   ├── ReaderDied              the child process that read foreign bytes died
    │   ├── TooManyRows             one read would take more rows than limits.rows allows
    │   ├── SchemaMismatch          what was read does not have the shape that was asked for
    │   └── ReferenceUnusable       the reference data cannot serve as a test distribution
    ├── SummaryMismatch             two summaries of different plans were added
    ├── StoreError                  the history cannot be read or written
    │   ├── StoreForgot             what was asked for is past its retention
    │   └── StoreUnusable           2: where the configuration says, no history can be opened
    │       └── StoreTooNew         a newer driftwatch wrote it
    └── MissingExtra                2: an optional dependency is not installed

An error's text says where, what was expected, what was got and what to do.
"""

from __future__ import annotations


class DriftwatchError(Exception):
    """Raised when driftwatch cannot go on; the root of all errors raised on purpose."""

    exit_code = 4


class ConfigError(DriftwatchError):
    """Raised when a configuration or a command line cannot be used.

    ``problems`` holds one line per problem, each ``file:line: path: what was expected. Got X.``
    """

    exit_code = 2

    def __init__(self, problems: str | list[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class DataError(DriftwatchError):
    """Raised when data could not be read."""

    exit_code = 3


class SourceUnavailable(DataError):
    """Raised when a source did not answer; trying again can help."""


class SourceTimeout(DataError):
    """Raised when reading took longer than its deadline and the reader was killed."""


class ReaderDied(DataError):
    """Raised when the child process that reads foreign bytes died (memory limit, crash)."""


class TooManyRows(DataError):
    """Raised when one read would take more rows than ``limits.rows`` allows."""


class SchemaMismatch(DataError):
    """Raised when what was read does not have the shape that was asked for."""


class ReferenceUnusable(DataError):
    """Raised when reference data cannot serve as a test distribution, with the reason."""


class SummaryMismatch(DriftwatchError):
    """Raised when summaries counted on different cells are added or compared."""


class StoreError(DriftwatchError):
    """Raised when the history cannot be read or written."""


class StoreUnusable(StoreError):
    """Raised when no history can be opened at the configured place, or another process holds it."""

    exit_code = 2


class StoreForgot(StoreError):
    """Raised when a replay needs what is past its retention."""


class StoreTooNew(StoreUnusable):
    """Raised when the history was written by a newer driftwatch than this one."""


class MissingExtra(DriftwatchError):
    """Raised when an optional dependency is needed and not installed."""

    exit_code = 2

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed. It is optional: run pip install 'driftwatch-daemon[{extra}]'."
        )
