"""Recognises the index of row numbers that pandas writes beside a table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import takewhile

#: What pandas calls an index without a name in Parquet, and one that it read back from CSV.
_UNNAMED_LEVEL = re.compile(r"__index_level_\d+__", re.ASCII)
_UNNAMED_FIRST = re.compile(r"(Unnamed: 0(\.\d+)?)?", re.ASCII)


def index_columns(names: Sequence[str], metadata: Mapping[bytes, bytes] | None = None) -> frozenset[str]:
    """Return the columns that are an index without a name; ``metadata`` is that of a Parquet schema.

    >>> sorted(index_columns(["Unnamed: 0", "age", "__index_level_0__"]))
    ['Unnamed: 0', '__index_level_0__']
    >>> sorted(index_columns(["", "age"])), sorted(index_columns(["age", ""]))
    ([''], [])
    """
    levels = {name for name in names if _UNNAMED_LEVEL.fullmatch(name)}
    first = takewhile(_UNNAMED_FIRST.fullmatch, names)
    return frozenset((*levels, *first, *(set(_unnamed(metadata)) & set(names))))


def _unnamed(metadata: Mapping[bytes, bytes] | None) -> list[str]:
    # Untrusted: any other writer may have put anything there.
    try:
        described = json.loads((metadata or {}).get(b"pandas", b"{}"))
        fields = {item["field_name"]: item["name"] for item in described.get("columns", ())}
        return [name for name in described.get("index_columns", ()) if fields.get(name, name) is None]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []
