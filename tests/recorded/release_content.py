"""What a store holds, with its stored bytes decoded, so that a format's number makes no difference."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from history_hashes import digest, json_digest

from driftwatch.core.codec import unpack
from driftwatch.summary.serial import decode_summary, encode_summary

#: Places that are named of each table, of the steps and of the verbs.
_LISTED = 4


def tables_content(store: sqlite3.Connection, cut: int) -> dict[str, dict[str, Any]]:
    """Every table's rows by their keys; of verdicts before the cut there is only a hash."""
    names = store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    return {name: dict(_rows(store, name, cut)) for (name,) in names}


def _rows(store: sqlite3.Connection, table: str, cut: int) -> Iterator[tuple[str, dict[str, Any]]]:
    info = store.execute("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid", (table,)).fetchall()
    keys = [name for name, rank in sorted(info, key=lambda item: item[1]) if rank]
    for values in store.execute(f"SELECT * FROM {table} ORDER BY {', '.join(keys)}"):
        row = dict(zip((name for name, _ in info), values, strict=True))
        content = {name: _value(table, value) for name, value in row.items()}
        if table == "verdicts":
            is_new = row["window_end"] > cut
            content["content"] = json.loads(row["content"]) if is_new else digest([row["content"]])
        yield "/".join(str(row[key]) for key in keys), content


def _value(table: str, value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    content = blob_content(value)
    return content if table == "tracks" else json_digest(content)


def blob_content(blob: bytes) -> dict[str, Any]:
    """The header, and hashes of the arrays, of a state, a trial, a reference, a plan or a summary."""
    header, arrays = unpack(blob)
    if "span" in header:
        # Counts are stored in one of two forms.
        header, arrays = unpack(encode_summary(decode_summary(blob), level=0))
    content = {
        name: blob_content(array.tobytes())
        if array[:3].tobytes() == b"DW1"
        else [array.dtype.str, list(array.shape), digest([array.tobytes()])]
        for name, array in sorted(arrays.items())
    }
    # The number says how the content is stored, not what it is.
    return {"header": {name: value for name, value in header.items() if name != "version"}, **content}


def decisions(content: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What people notice of each window after the cut: state, page, incident, and the columns named."""
    return {
        key: [
            *(verdict[name] for name in ("state", "reason", "page", "incident", "onset")),
            [item["column"] for item in verdict["named"]],
            [item["column"] for item in verdict["breakages"]],
        ]
        for key, row in content["tables"]["verdicts"].items()
        if isinstance(verdict := row["content"], dict)
    }


def differences(release: Mapping[str, Any], today: Mapping[str, Any]) -> list[str]:
    """Every line names a place that differs. What the release had no table or column for is left out."""
    lines = []
    for table, rows in release["tables"].items():
        columns = list(next(iter(rows.values()), {}))
        today_rows = today["tables"].get(table, {})
        today_rows = {key: {name: row.get(name) for name in columns} for key, row in today_rows.items()}
        lines += _listed(_differences(rows, today_rows, table))
    for kind in ("steps", "verbs"):
        lines += _listed(_differences(release[kind], today[kind], kind))
    return lines


def _listed(lines: Iterator[str]) -> list[str]:
    first = list(islice(lines, _LISTED))
    rest = sum(1 for _ in lines)
    return [*first, f"and {rest} more places"] if rest else first


def _differences(old: Any, new: Any, place: str) -> Iterator[str]:
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        old, new = dict(enumerate(old)), dict(enumerate(new))
    if not (isinstance(old, dict) and isinstance(new, dict)):
        # As JSON: 1 is not 1.0, and nan is nan.
        if json.dumps(old) != json.dumps(new):
            yield f"{place}: {json.dumps(new)[:200]}, of the release {json.dumps(old)[:200]}"
        return
    for name in dict.fromkeys([*old, *new]):
        if name not in old or name not in new:
            yield f"{place}.{name}: {'only of the release' if name in old else 'not of the release'}"
        else:
            yield from _differences(old[name], new[name], f"{place}.{name}")
