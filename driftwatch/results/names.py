"""What a page names, in words for people: columns, and what a detector says of all of them together."""

from __future__ import annotations

from collections.abc import Iterable

from driftwatch.results.results import NamedColumn

#: Evidence, incidents and pages call what a detector says of all columns together this and its name.
_JOINT = "joint:"
_WORDS = {
    "mmd": "all columns together",
    "mmd_exact": "all columns together",
    "together": "all columns together",
    "correlation": "correlations",
    "volume": "row count",
}


def column_words(name: str) -> str:
    """One name.

    >>> column_words("age"), column_words("joint:volume"), column_words("joint:mine")
    ('age', 'row count', 'all columns together (mine)')
    """
    if not _is_joint(name):
        return name
    detector = name.removeprefix(_JOINT)
    return _WORDS.get(detector, f"all columns together ({detector})")


def listed_words(names: Iterable[str]) -> list[str]:
    """Names, each once: columns in their order, then what all of them show together.

    >>> listed_words(["joint:mmd", "age", "joint:together"])
    ['age', 'all columns together']
    """
    return list(dict.fromkeys(column_words(name) for name in sorted(names, key=_is_joint)))


def columns_only(names: Iterable[str]) -> list[str]:
    """The names that are columns."""
    return [name for name in names if not _is_joint(name)]


def named_words(item: NamedColumn) -> str:
    """A named column and its effect; the effect of all columns together says itself what it is of."""
    if not item.effect:
        return f"{column_words(item.column)}: moved"
    return item.effect if _is_joint(item.column) else f"{item.column}: {item.effect}"


def _is_joint(name: str) -> bool:
    return name.startswith(_JOINT)
