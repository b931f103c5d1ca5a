"""Derives a file's format from its name."""

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
    name = path.lower()
    plain = name.removesuffix(".gz")
    match = next((kind for suffix, kind in SUFFIXES.items() if plain.endswith(suffix)), None)
    return None if match == "parquet" and plain != name else match
