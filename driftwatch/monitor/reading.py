"""What reading a window gave: its tiles, facts about the read, or why nothing could be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from driftwatch.core.schema import Span, TypeNames
from driftwatch.decoders.base import UndecodableMessages
from driftwatch.errors import DataError, ReaderDied, SchemaMismatch, SourceTimeout, TooManyRows
from driftwatch.results.results import Reason, RejectedFile, State
from driftwatch.summary.plan import Plan
from driftwatch.summary.summary import Summary, total

#: By (start of the slice, segment).
Tiles = Mapping[tuple[int, str | None], Summary]
#: Of one slice, by segment.
Parts = dict[str | None, Summary]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a window could not be looked at."""

    state: State
    reason: Reason
    detail: str

    @classmethod
    def from_error(cls, error: DataError) -> Failure:
        reasons = (reason for kind, reason in _REASON_OF_ERROR if isinstance(error, kind))
        reason = next(reasons, Reason.SOURCE_UNAVAILABLE)
        return cls(state=State.SOURCE_ERROR, reason=reason, detail=str(error))


_REASON_OF_ERROR: tuple[tuple[type[DataError], Reason], ...] = (
    (SourceTimeout, Reason.SOURCE_TIMEOUT),
    (ReaderDied, Reason.READER_DIED),
    (TooManyRows, Reason.TOO_MANY_ROWS),
    (SchemaMismatch, Reason.SCHEMA_MISMATCH),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    tiles: Tiles = field(default_factory=dict)
    #: Tile version of each slice, by its start.
    versions: Mapping[int, int] = field(default_factory=dict)
    #: The source's version of each slice's data, by its start.
    source_versions: Mapping[int, str] = field(default_factory=dict)
    #: Read just now and not stored yet.
    new_tiles: Tiles = field(default_factory=dict)
    rejected: tuple[RejectedFile, ...] = ()
    rows_read: int = 0
    #: Rows of ``new_tiles`` beyond those of the stored ones.
    late_rows: int = 0
    #: Of ``new_tiles``, slices of which rows were changed or removed.
    corrected_slices: int = 0
    #: Slices whose stored version stays because the source has less: rows are gone, or a file is unreadable.
    retained_slices: int = 0
    #: Rows that were read without a usable event time, in no tile; None when nothing was read.
    untimed_rows: int | None = None
    #: Of the rows just read, those stamped before the history and after the present, in no tile either.
    before_history_rows: int = 0
    future_rows: int = 0
    #: Messages of the slices just read that could not be decoded.
    undecodable: tuple[UndecodableMessages, ...] = ()
    #: Where a column of the reference is missing, columns of the data that was just read.
    other_columns: tuple[str, ...] = ()
    #: Of the slices just read, the types in which values came.
    types: TypeNames = field(default_factory=dict)
    newest_row: int | None = None
    read_seconds: float = 0.0
    #: None when there is something to evaluate.
    failure: Failure | None = None

    @property
    def undecodable_counts(self) -> tuple[tuple[str, int], ...]:
        """Undecodable messages by reason."""
        counts: Counter[str] = Counter()
        for item in self.undecodable:
            counts[str(item.reason)] += item.messages
        return tuple(sorted(counts.items()))

    @property
    def rows(self) -> int:
        return sum(tile.rows for (_, segment), tile in self.tiles.items() if segment is None)

    def segment_summaries(self, plan: Plan, window: Span) -> dict[str | None, Summary]:
        summaries = {}
        for segment in plan.segments:
            segment_tiles = [
                tile for (_, tile_segment), tile in self.tiles.items() if tile_segment == segment
            ]
            window_sum = total(segment_tiles) if segment_tiles else Summary.zero(plan, window).seal(plan)
            summaries[segment] = replace(window_sum, span=window)
        return summaries

    def drop_tiles(self) -> Reading:
        """Return the facts alone: an outcome is shown until the next one, and tiles would fill the memory."""
        return replace(self, tiles={}, versions={}, source_versions={}, new_tiles={})

    def tile_versions(self, segment: str | None) -> tuple[tuple[int, int], ...]:
        return tuple(
            (start, self.versions[start])
            for start, tile_segment in sorted(self.tiles, key=str)
            if tile_segment == segment
        )


def same_rows(stored: Parts, current: Parts) -> bool:
    # Tiles of 0.1.0 name nothing, and do not change for that.
    is_named = any(part.named for part in stored.values())
    stored, current = (
        {
            name: replace(part.drop_sample(), named=part.named if is_named else {})
            for name, part in parts.items()
        }
        for parts in (stored, current)
    )
    return stored == current


def lost_rows(stored: Parts, current: Parts, *, incomplete: bool) -> bool:
    if current[None].rows == 0:
        return stored[None].rows > 0
    return incomplete and not all(
        segment in current and _no_cell_shrank(part, current[segment]) for segment, part in stored.items()
    )


def is_growth(before: Parts, after: Parts) -> bool:
    """Whether rows were added to a slice and none was changed or removed."""
    return after[None].rows > before[None].rows and all(
        segment in after and _no_cell_shrank(summary, after[segment]) for segment, summary in before.items()
    )


def _no_cell_shrank(stored: Summary, current: Summary) -> bool:
    return all(
        bool(
            (counts.cells <= current.counts[name].cells).all()
            and (counts.special <= current.counts[name].special).all()
        )
        for name, counts in stored.counts.items()
    )
