"""Results of detectors and checks.

The docstrings of the enumerations are descriptions in the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Span, TypeChange, Unwatched


class State(StrEnum):
    """What one check of one window says. One state per (monitor, segment)."""

    OK = "ok"
    DRIFTING = "drifting"
    BROKEN = "broken"
    CALIBRATING = "calibrating"
    INSUFFICIENT = "insufficient"
    NO_DATA = "no_data"
    STALE = "stale"
    SOURCE_ERROR = "source_error"

    @property
    def has_data(self) -> bool:
        """False if the check had no data to evaluate."""
        return self not in (State.NO_DATA, State.STALE, State.SOURCE_ERROR)

    @property
    def moved(self) -> bool:
        return self in (State.DRIFTING, State.BROKEN)


class Reason(StrEnum):
    """Why the state is what it is; a closed list, safe as a metric label."""

    NOTHING_MOVED = "nothing_moved"
    EVIDENCE_COMPLETE = "evidence_complete"
    INCIDENT_OPEN = "incident_open"
    COLUMN_MISSING = "column_missing"
    COLUMN_ALL_NULL = "column_all_null"
    COLUMN_WRONG_TYPE = "column_wrong_type"
    COLUMN_CONSTANT = "column_constant"
    BURN_IN = "burn_in"
    TOO_FEW_ROWS = "too_few_rows"
    EFFECT_TOO_SMALL_TO_SEE = "effect_too_small_to_see"
    NO_ROWS = "no_rows"
    SOURCE_BEHIND = "source_behind"
    SOURCE_UNAVAILABLE = "source_unavailable"
    SOURCE_TIMEOUT = "source_timeout"
    READER_DIED = "reader_died"
    TOO_MANY_ROWS = "too_many_rows"
    ALL_FILES_UNREADABLE = "all_files_unreadable"
    UNDECODABLE = "undecodable"
    SCHEMA_MISMATCH = "schema_mismatch"
    EXCLUDED = "excluded"
    COLUMNS_UNWATCHED = "columns_unwatched"


class FileProblem(StrEnum):
    """Why a file was left out; a closed list, safe as a metric label."""

    EMPTY = "empty"
    UNREADABLE = "unreadable"
    HALF_WRITTEN = "half_written"
    FOREIGN_SCHEMA = "foreign_schema"
    TOO_LARGE = "too_large"
    #: Read alone it ended its reader, and it is left out until it changes.
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFile:
    name: str
    problem: FileProblem
    #: Never holds values of rows.
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A detector's statistic for one column, or for all columns jointly (None)."""

    detector: str
    column: str | None
    #: None where undefined, never 0; ``p_value`` as well.
    value: float | None
    unit: str
    p_value: float | None = None
    #: ``low`` and ``high`` bracket a value that was computed from coarse cells.
    low: float | None = None
    high: float | None = None
    #: The shift in plain words: "median 41 → 29".
    effect: str = ""
    n_reference: int = 0
    n_window: int = 0
    #: Why there is no value.
    undefined: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shares:
    """Shares that a detector measures in one column, one per label: ``successes`` of ``trials`` rows."""

    detector: str
    column: str | None
    #: The same in every window of one plan.
    labels: tuple[str, ...]
    successes: Int64Array
    trials: Int64Array
    #: Shares of the reference, out of ``reference_trials`` rows.
    reference: Float64Array
    reference_trials: int
    #: Replaces the configured tolerance where that would hide what the detector measures.
    tolerance: float | None = None
    #: Such rows come in bursts on healthy days too: one window gives no more evidence than the ranks of the
    #: detector's scores allow.
    bursts: bool = False
    #: The labels are shares at or below rising edges, so they move together.
    ordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A number that a detector computes for a window; larger is further from the reference."""

    detector: str
    column: str | None
    label: str
    value: float
    #: A smaller excess over the baseline is never evidence.
    floor: float
    #: Large negative values are far from the reference, too.
    signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """A deterministic fault of one column, reported at once and outside the page budget."""

    column: str
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Representativeness:
    """The share of healthy traffic that the test set represents in one column, with a 95 % interval."""

    column: str
    share: float
    low: float
    high: float
    #: Number of healthy windows on which the share was measured.
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLevel:
    """A level that the reference never had. Its field names are stored."""

    column: str
    #: Truncated, with control and invisible characters escaped.
    level: str
    rows: int
    #: Of the rows with a value.
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedColumn:
    column: str
    #: The detector with the most evidence.
    detector: str
    #: The column's share of the evidence.
    share: float
    effect: str
    onset: int
    #: Of a joint detector, the columns that its statistic points to, the furthest first.
    columns: tuple[str, ...] = ()
    #: Of a move of all rows, the segment that it sits in. A replay of one segment cannot tell.
    place: str = ""

    @property
    def words(self) -> str:
        return "; ".join(part for part in (self.effect, self.place) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentUpdate:
    """What joined an open incident, or moved further in it, without waking anybody. Names are stored."""

    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPage:
    """The newest page of an incident that is open in another segment. Names are stored."""

    key: str
    #: End of the window that it was sent for.
    paged_at: int
    #: Start of the incident's first window.
    onset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnEnding:
    """How far a column of an open incident is from being back. Names are stored."""

    column: str
    #: Windows in a row, up to this one, in which it was back, and windows that it needs.
    quiet: int
    needed: int
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentEnding:
    """When an open incident ends by itself, and why not yet. Names are stored."""

    key: str
    kind: str
    columns: tuple[ColumnEnding, ...]
    #: It went away and returned: then it ends after twice its longest absence.
    recurring: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedColumns:
    """From how many of a monitor's features evidence was drawn."""

    drawn: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnwatchedColumn:
    column: str
    reason: Unwatched


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLimit:
    """Upper 95 % limit of how far a column moved since the onset, as a share of its rows."""

    column: str
    limit: float


#: Columns of another type that a verdict lists.
MAX_TYPE_CHANGES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The stored outcome of checking one window of one segment (None: all rows)."""

    monitor: str
    segment: str | None
    window: Span
    rows: int
    state: State
    reason: Reason
    detail: str = ""
    #: Start of the first of several windows judged together because each had too few rows; else None.
    judged_from: int | None = None
    #: Rows of all windows judged together.
    judged_rows: int = 0
    statistics: Sequence[Statistic] = ()
    breakages: tuple[Breakage, ...] = ()
    rejected_files: tuple[RejectedFile, ...] = ()
    evidence_before: float | None = None
    evidence: float | None = None
    #: It woke somebody, for the first time or ``again`` under the key of an open incident.
    page: bool = False
    again: bool = False
    #: The incident of the page, or else the newest open one.
    incident: str | None = None
    onset: int | None = None
    #: Those of the page, and of ``updates``.
    named: tuple[NamedColumn, ...] = ()
    updates: tuple[IncidentUpdate, ...] = ()
    #: Of the incidents that are open after the window.
    endings: tuple[IncidentEnding, ...] = ()
    #: Input of the decision: what is open in other segments.
    other_pages: tuple[OtherPage, ...] = ()
    #: None in verdicts that were stored before they said so.
    watched: WatchedColumns | None = None
    unwatched: tuple[UnwatchedColumn, ...] = ()
    #: Columns with as few values in the reference: evidence came from their missing share.
    missing_share_columns: tuple[str, ...] = ()
    #: Of each column the largest, the column with the largest first.
    new_levels: tuple[NewLevel, ...] = ()
    #: Columns whose move is below the tolerance, and those of which that cannot be told.
    unchanged: tuple[str, ...] = ()
    could_not_tell: tuple[str, ...] = ()
    #: Of the columns in both.
    move_limits: tuple[MoveLimit, ...] = ()
    smallest_effect: float | None = None
    smallest_effects: tuple[tuple[str, float | None], ...] = ()
    smallest_joint_effect: float | None = None
    represented: tuple[Representativeness, ...] = ()
    design_effect: float | None = None
    #: End of the burn-in, if data come in every window; None after it, and where the window was skipped.
    calibrating_until: int | None = None
    late_rows: int = 0
    untimed_rows: int = 0
    #: Rows that were read, stamped before the history and after the present.
    before_history_rows: int = 0
    future_rows: int = 0
    #: Messages that could not be decoded, as (reason, messages).
    undecodable: tuple[tuple[str, int], ...] = ()
    #: Beside a missing column, columns of the data, of which one may be its new name.
    other_columns: tuple[str, ...] = ()
    #: Of all rows only, by column; the first ``MAX_TYPE_CHANGES``.
    type_changes: tuple[TypeChange, ...] = ()
    reference: str = ""
    configuration: str = ""
    tiles: tuple[tuple[int, int], ...] = ()
    newest_row: int | None = None
    #: Nobody could look yet; the window is judged when its rows come, until its patience ends.
    owed: bool = False
    #: Judged a window's length or more after the window ended, because its rows came late.
    late: bool = False
    #: The number of the part of late rows that was judged; 0 is the window itself.
    part: int = 0
    #: Of a part, the tiles that were judged before: it is ``tiles`` minus these.
    earlier_tiles: tuple[tuple[int, int], ...] = ()
    #: Of a part, the rows of its window that were judged before.
    earlier_rows: int = 0
