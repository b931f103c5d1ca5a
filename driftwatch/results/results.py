"""What detectors yield and what a check decides: frozen values, units in their names, no behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Span


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
    def looked(self) -> bool:
        """False when the check could not look at all."""
        return self not in (State.NO_DATA, State.STALE, State.SOURCE_ERROR)

    @property
    def moved(self) -> bool:
        """True when the inputs moved."""
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
    SCHEMA_MISMATCH = "schema_mismatch"
    EXCLUDED = "excluded"


class FileProblem(StrEnum):
    """Why a file was left out; a closed list, safe as a metric label."""

    EMPTY = "empty"
    UNREADABLE = "unreadable"
    HALF_WRITTEN = "half_written"
    FOREIGN_SCHEMA = "foreign_schema"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFile:
    """A file that was left out of a window, and why. ``detail`` never holds values of rows."""

    name: str
    problem: FileProblem
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """One detector's gauge on one column (None: all columns jointly).

    ``value`` and ``p_value`` are None where undefined, never 0; ``undefined`` then says why. ``low`` and
    ``high`` bracket the value when it is known from coarse cells only. ``effect`` is in plain words.
    """

    detector: str
    column: str | None
    value: float | None
    unit: str
    p_value: float | None = None
    low: float | None = None
    high: float | None = None
    effect: str = ""
    n_reference: int = 0
    n_window: int = 0
    undefined: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shares:
    """Share streams of one detector on one column: ``successes[k]`` of ``trials[k]`` rows.

    ``reference[k]`` are the reference's shares, of ``reference_trials`` rows. ``labels[k]`` are stable
    names, the same in every window of one plan. ``tolerance`` is the detector's own where the usual one would
    hide what it looks for. ``bursts`` says that such rows come in bursts on healthy days too: then one window
    says no more than the ranks of the detector's scores allow. ``ordered`` says that the labels are shares at
    or below rising marks, so that they move together.
    """

    detector: str
    column: str | None
    labels: tuple[str, ...]
    successes: Int64Array
    trials: Int64Array
    reference: Float64Array
    reference_trials: int
    tolerance: float | None = None
    bursts: bool = False
    ordered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One number per window, bigger means further away; a ``signed`` one moves away in both directions.

    An excess over what is usual of less than ``floor`` is never evidence.
    """

    detector: str
    column: str | None
    label: str
    value: float
    floor: float
    signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """A deterministic fault of one column: named at once, outside the page budget."""

    column: str
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Represented:
    """The share of usual traffic that the test set stands for in one column, with its 95 % interval.

    ``windows`` are the healthy windows it was measured on.
    """

    column: str
    share: float
    low: float
    high: float
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedColumn:
    """A column a page names: its share of the evidence, the strongest detector, the effect in words."""

    column: str
    detector: str
    share: float
    effect: str
    onset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The stored outcome of one check of one window of one segment (None: all rows).

    ``judged_from`` is the start of the first window that was judged together with this one because each
    had too few rows, None when it stands alone; ``judged_rows`` are the rows of all of them.
    """

    monitor: str
    segment: str | None
    window: Span
    rows: int
    state: State
    reason: Reason
    detail: str = ""
    judged_from: int | None = None
    judged_rows: int = 0
    statistics: Sequence[Statistic] = ()
    breakages: tuple[Breakage, ...] = ()
    rejected_files: tuple[RejectedFile, ...] = ()
    evidence_before: float | None = None
    evidence: float | None = None
    page: bool = False
    incident: str | None = None
    onset: int | None = None
    named: tuple[NamedColumn, ...] = ()
    unchanged: tuple[str, ...] = ()
    smallest_effect: float | None = None
    smallest_effects: tuple[tuple[str, float | None], ...] = ()
    smallest_joint_effect: float | None = None
    represented: tuple[Represented, ...] = ()
    design_effect: float | None = None
    late_rows: int = 0
    untimed_rows: int = 0
    reference: str = ""
    configuration: str = ""
    tiles: tuple[tuple[int, int], ...] = ()
    newest_row: int | None = None
