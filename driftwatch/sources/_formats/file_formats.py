"""Which format a file has, by its name."""

from __future__ import annotations

from typing import Literal

Format = Literal["parquet", "csv", "jsonl"]
SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def format_of(path: str) -> Format | None:
    """Format by suffix; csv and jsonl also with ``.gz``."""
    name = path.lower()
    plain = name.removesuffix(".gz")
    found = next((kind for suffix, kind in SUFFIXES.items() if plain.endswith(suffix)), None)
    return None if found == "parquet" and plain != name else found
