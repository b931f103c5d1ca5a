"""Display labels of columns and of joint detectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from driftwatch.decide.evalues.stream_index import COMBINED_SCORE
from driftwatch.detectors.base import effect_text, traits_of
from driftwatch.results import text_format
from driftwatch.results.results import NamedColumn, Statistic
from driftwatch.results.streams import JOINT_PREFIX

_ALL_COLUMNS = "all columns together"
#: Columns of a joint detector in a title, and characters of one name.
_MAX_TITLE_COLUMNS, _MAX_TITLE_NAME = 3, 30


def column_label(name: str) -> str:
    """Return the label of a column or of a joint detector.

    >>> column_label("age"), column_label("joint:volume"), column_label("joint:gone")
    ('age', 'row count', 'all columns together (gone)')
    """
    if not _is_joint(name):
        return name
    detector = name.removeprefix(JOINT_PREFIX)
    if detector == COMBINED_SCORE[0]:
        return _ALL_COLUMNS
    return traits_of(detector).label or f"{_ALL_COLUMNS} ({detector})"


def column_labels(names: Iterable[str]) -> list[str]:
    """Return distinct labels: columns in the given order, then joint detectors.

    >>> column_labels(["joint:mmd", "age", "joint:together"])
    ['age', 'all columns together']
    """
    return list(dict.fromkeys(column_label(name) for name in sorted(names, key=_is_joint)))


def single_columns(names: Iterable[str]) -> list[str]:
    return [name for name in names if not _is_joint(name)]


def comparable_size(statistic: Statistic) -> float:
    """Return how far a column is from its reference, as a share or distance in [0, 1]; -1 if unknown."""
    if statistic.value is None or not traits_of(statistic.detector).comparable:
        return -1.0
    return abs(statistic.value)


def named_column_text(item: NamedColumn) -> str:
    # The effect text of a joint detector already says what moved.
    if not item.words:
        return f"{column_label(item.column)}: moved"
    return item.words if _is_joint(item.column) else f"{item.column}: {item.words}"


def joint_title(named: Iterable[NamedColumn]) -> str:
    """Return the columns that joint detectors point to, for a title; empty if they point to none."""
    columns = list(dict.fromkeys(name for item in named for name in item.columns))
    if not columns:
        return ""
    names = text_format.listing([effect_text.escape(name) for name in columns], _MAX_TITLE_COLUMNS)
    return f"{names} together" if len(columns) > 1 else names


def moved_title(names: Sequence[str], watched: int | None, room: int) -> str:
    """Return the columns that moved, as many as fit, the first always; of how many, if that fits too.

    >>> moved_title(["age", "pay", "rate"], 41, 40), moved_title(["age", "pay"], 41, 9)
    ('age, pay, rate (3 of 41 columns)', 'age, pay')
    """
    columns = [text_format.truncate(effect_text.escape(name), _MAX_TITLE_NAME) for name in names]
    count = len(columns)
    if not count:
        return ""
    while count > 1 and len(text_format.listing(columns, count)) > room:
        count -= 1
    text = text_format.listing(columns, count)
    note = f" ({len(columns)} of {text_format.format_count(watched or 0, 'column')})"
    return text + (note if (watched or 0) >= len(columns) and len(text) + len(note) <= room else "")


def with_joint_last(named: Iterable[NamedColumn]) -> tuple[NamedColumn, ...]:
    """Return what is named, last the joint detectors that point to nothing but columns named beside them.

    Where two columns move, what a joint detector sees in them follows from that, however strongly.
    """
    named = tuple(named)
    followers = followers_of(named)
    return tuple(sorted(named, key=lambda item: item.column in followers))


def followers_of(named: Iterable[NamedColumn]) -> frozenset[str]:
    named = tuple(named)
    columns = {item.column for item in named}
    return frozenset(item.column for item in named if item.columns and columns.issuperset(item.columns))


def _is_joint(name: str) -> bool:
    return name.startswith(JOINT_PREFIX)
