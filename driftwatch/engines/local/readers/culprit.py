"""Finds the piece, such as a file, that ends its reader.

The reader says what it opens, so that the pieces opened last are read alone, the newest first. One that fails
alone is put into quarantine if others are read well without it, in the same look: else the request may be
what fails, or the machine. A time-out or a kill is a suspicion only, since a slow disk does it to any piece:
there all others must be read well. A look costs at most two more limits of wall time, and of a source whose
time-outs have no culprit an hour goes by before another search.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from driftwatch.engines.local.readers.open_pieces import Opened
from driftwatch.engines.local.readers.quarantine import Quarantine
from driftwatch.engines.local.readers.reader_handle import Evidence
from driftwatch.errors import DataError, ReaderDied, SourceTimeout
from driftwatch.sources.base import Piece

T = TypeVar("T")
#: Limits of wall time that a search may take, and pieces that it may find.
_MAX_LIMITS, _MAX_PIECES = 2, 100
#: Seconds without a search in a source after one of weak evidence found nothing.
_PAUSE_SECONDS = 3600.0

_DETAILS = {
    Evidence.CRASH: "read alone it ends the process that reads it: its bytes are damaged, or made to do so.",
    Evidence.MEMORY: "read alone it takes more memory than limits.memory allows.",
    Evidence.TIMEOUT: "read alone it takes longer than limits.seconds, while the others are read in time.",
    Evidence.KILLED: "its reader is killed when it is read alone, as by a system without memory, and the "
    "others are read well.",
}
_UNTIL = " It is left out until it changes, or limits do."


class ReadFailed(Exception):
    """Raised when a reader was lost, with what it had opened."""

    def __init__(self, error: DataError, evidence: Evidence, opened: Opened) -> None:
        super().__init__(str(error))
        self.error = error
        self.evidence = evidence
        self.opened = opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How one attempt reads: without some pieces, or only some."""

    left_out: Mapping[Piece, str]
    seconds: float
    #: By path: a piece may change while it is searched for.
    left_out_paths: Mapping[str, str] = field(default_factory=dict)
    only: Collection[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    seconds: float
    memory: int | None


#: Reads in a child, and says what it opened. Raises ``ReadFailed``.
Attempt = Callable[[Choice], tuple[T, Opened]]


@dataclass(slots=True)
class _Budget:
    limit: float
    ends: float = field(init=False)

    def __post_init__(self) -> None:
        self.ends = time.monotonic() + _MAX_LIMITS * self.limit

    @property
    def seconds(self) -> float:
        return min(self.limit, self.ends - time.monotonic())

    @property
    def is_short(self) -> bool:
        """A time-out would be the search's, not the limit's."""
        return self.seconds < 0.9 * self.limit


@dataclass(slots=True, kw_only=True)
class Searches:
    """Reads, and searches for a culprit where that fails."""

    quarantine: Quarantine
    #: By source, on the monotonic clock.
    _pauses: dict[str, float] = field(default_factory=dict)

    def read(self, attempt: Attempt[T], source: str, limits: Limits) -> T:
        """Read without the pieces in quarantine. Raises the errors of ``ReaderPool``."""
        left_out = self.quarantine.of(source, limits.seconds, limits.memory)
        try:
            return attempt(Choice(left_out=left_out, seconds=limits.seconds))[0]
        except ReadFailed as failure:
            search = _Search(
                attempt=attempt, quarantine=self.quarantine, source=source, limits=limits, left_out=left_out
            )
            return self._search(search, failure)

    def find(self, attempt: Attempt[None], source: str, limits: Limits, failure: ReadFailed) -> list[Piece]:
        """Return pieces that are left out from now on, after a read that cannot begin anew by itself."""
        left_out = self.quarantine.of(source, limits.seconds, limits.memory)
        search = _Search(
            attempt=attempt, quarantine=self.quarantine, source=source, limits=limits, left_out=left_out
        )
        with contextlib.suppress(ReaderDied, SourceTimeout):
            self._search(search, failure)
        return search.found

    def _search(self, search: _Search[T], failure: ReadFailed) -> T:
        source = search.source
        if failure.evidence.is_weak and time.monotonic() < self._pauses.get(source, 0.0):
            raise failure.error
        try:
            return search.without_culprits(failure)
        finally:
            if not search.found and failure.evidence.is_weak:
                self._pauses[source] = time.monotonic() + _PAUSE_SECONDS


@dataclass(slots=True, kw_only=True)
class _Search(Generic[T]):
    attempt: Attempt[T]
    quarantine: Quarantine
    source: str
    limits: Limits
    left_out: Mapping[Piece, str]
    suspects: dict[Piece, Evidence] = field(default_factory=dict)
    #: By path of a suspect.
    details: dict[str, str] = field(default_factory=dict)
    #: Whether some piece was read well.
    others_pass: bool = False
    #: Pieces put into quarantine.
    found: list[Piece] = field(default_factory=list)

    def without_culprits(self, first: ReadFailed) -> T:
        budget, failure = _Budget(self.limits.seconds), first
        for _ in range(_MAX_PIECES):
            self.others_pass |= failure.opened.has_passed
            culprit = self._culprit(failure, budget)
            if culprit is None:
                break
            piece, evidence = culprit
            self.details[piece.path] = _DETAILS[evidence] + _UNTIL
            self.suspects[piece] = evidence
            if budget.seconds <= 0:
                break
            try:
                value, opened = self.attempt(self._choice(budget))
            except ReadFailed as error:
                if evidence.is_weak:
                    # The others fail as well.
                    break
                failure = error
                continue
            if not opened.count:
                # Nothing else is there to tell a file from a machine or a request.
                break
            self._convict(self.suspects)
            return value
        if self.others_pass:
            self._convict({piece: how for piece, how in self.suspects.items() if not how.is_weak})
        raise first.error

    def _choice(self, budget: _Budget, only: Collection[str] | None = None) -> Choice:
        return Choice(left_out=self.left_out, left_out_paths=self.details, seconds=budget.seconds, only=only)

    def _convict(self, suspects: Mapping[Piece, Evidence]) -> None:
        for piece, evidence in suspects.items():
            self.found.append(piece)
            self.quarantine.add(
                self.source,
                piece,
                self.details[piece.path],
                self.limits.seconds,
                self.limits.memory,
                is_proved=not evidence.is_weak,
            )

    def _culprit(self, failure: ReadFailed, budget: _Budget) -> tuple[Piece, Evidence] | None:
        """Return the piece that fails alone, and how."""
        is_late = failure.evidence is Evidence.TIMEOUT
        # At a deadline only the piece that was open can be the slow one.
        for piece in failure.opened.pieces[: 1 if is_late else None]:
            was_short = budget.is_short
            if budget.seconds <= 0 or (is_late and was_short):
                return None
            evidence = self._evidence_alone(piece, budget)
            if evidence is None:
                self.others_pass = True
            elif evidence is Evidence.TIMEOUT and was_short:
                return None
            else:
                return piece, evidence
        return None

    def _evidence_alone(self, piece: Piece, budget: _Budget) -> Evidence | None:
        try:
            self.attempt(self._choice(budget, only=[piece.path]))
        except ReadFailed as failure:
            return failure.evidence
        except DataError:
            # Such as no column that it needs: it did not end the reader.
            return None
        return None
