"""Display labels of columns and of joint detectors."""

from __future__ import annotations

from collections.abc import Iterable

from driftwatch.results.results import NamedColumn

#: Detectors whose statistic is a share or a distance in [0, 1] that means the same for every column, so that
#: columns can be ordered by it: distance of distribution functions, total variation, shares of rows.
COMPARABLE_DETECTORS = ("ks", "tv", "missing", "unseen", "out_of_range")
#: Prefix of the name of a joint detector in evidence, incidents and pages.
_JOINT_PREFIX = "joint:"
_JOINT_LABELS = {
    "mmd": "all columns together",
    "mmd_exact": "all columns together",
    "together": "all columns together",
    "correlation": "correlations",
    "volume": "row count",
}


def column_label(name: str) -> str:
    """Return the label of a column or of a joint detector.

    >>> column_label("age"), column_label("joint:volume"), column_label("joint:mine")
    ('age', 'row count', 'all columns together (mine)')
    """
    if not _is_joint(name):
        return name
    detector = name.removeprefix(_JOINT_PREFIX)
    return _JOINT_LABELS.get(detector, f"all columns together ({detector})")


def column_labels(names: Iterable[str]) -> list[str]:
    """Return distinct labels: columns in the given order, then joint detectors.

    >>> column_labels(["joint:mmd", "age", "joint:together"])
    ['age', 'all columns together']
    """
    return list(dict.fromkeys(column_label(name) for name in sorted(names, key=_is_joint)))


def single_columns(names: Iterable[str]) -> list[str]:
    return [name for name in names if not _is_joint(name)]


def named_column_text(item: NamedColumn) -> str:
    # The effect text of a joint detector already says what moved.
    if not item.effect:
        return f"{column_label(item.column)}: moved"
    return item.effect if _is_joint(item.column) else f"{item.column}: {item.effect}"


def _is_joint(name: str) -> bool:
    return name.startswith(_JOINT_PREFIX)
