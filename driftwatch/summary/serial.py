"""Encode plans, summaries and references as stored bytes.

Header keys and array names are stored: they outlive the names of fields.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from driftwatch.core.codec import Arrays, pack, pack_nibbles, unpack_nibbles
from driftwatch.core.schema import Column, Kind, Role, Span, Unwatched
from driftwatch.core.spellings import Form
from driftwatch.core.stored_format import StoredFormat
from driftwatch.summary.column_counts import ColumnCounts
from driftwatch.summary.grid import Grid, LevelGrid, NumericGrid
from driftwatch.summary.named_rows import NamedColumns, NamedRows
from driftwatch.summary.plan import Plan, Segmentation
from driftwatch.summary.projection import Projection, Sums
from driftwatch.summary.reference import AcceptedSpan, JointNull, Provenance, Reference
from driftwatch.summary.sample import RowSample
from driftwatch.summary.summary import Summary

_SUMS = ("features", "values", "products", "agreeing", "paired")
_PROJECTION = ("inputs", "center", "scale", "frequencies", "pairs")
_JOINT = ("kernel", "smallest_rank", "variance")
PLAN = StoredFormat(name="plan", version=1)
#: ``cells`` are in full, or at four bits each in ``halves`` and ``large``, and ``named`` is left out if there
#: is nothing to name: all are version 1.
SUMMARY = StoredFormat(name="summary", version=1)
REFERENCE = StoredFormat(name="reference", version=1)


def encode_plan(plan: Plan) -> bytes:
    return PLAN.pack(*_plan_parts(plan))


def _plan_parts(plan: Plan) -> tuple[dict[str, Any], Arrays]:
    # The fingerprint covers these, so they must not change.
    arrays: Arrays = {}
    grids: dict[str, Any] = {}
    for position, (name, grid) in enumerate(plan.grids.items()):
        if isinstance(grid, NumericGrid):
            arrays[f"edges{position}"] = grid.edges
            grids[name] = {"edges": position, "first": grid.first, "last": grid.last, "exact": grid.exact}
            grids[name]["marks"] = list(grid.stream_edges)
            if grid.precision != "d":
                grids[name]["precision"] = grid.precision
        else:
            grids[name] = {"levels": list(grid.levels)}
            if grid.form is not Form.TEXT:
                grids[name]["form"] = grid.form.value
    if plan.projection is not None:
        arrays |= {f"projection.{key}": getattr(plan.projection, key) for key in _PROJECTION}
    header = {
        "columns": [_column_header(column) for column in plan.columns],
        "grids": grids,
        "order": list(plan.grids),
        "carried": list(plan.identity_columns),
        "time_column": plan.time_column,
        "timezone": plan.timezone,
        "segmentation": None if plan.segmentation is None else asdict(plan.segmentation),
        "projection": plan.projection is not None,
        "sample_rows": plan.sample_rows,
        "salt": plan.salt,
        "fingerprint": plan.fingerprint,
    }
    return header, arrays


def decode_plan(data: bytes) -> Plan:
    header, arrays = PLAN.unpack(data)
    grids: dict[str, Grid] = {}
    for name in header["order"]:
        item = header["grids"][name]
        if "levels" in item:
            grids[name] = LevelGrid(levels=tuple(item["levels"]), form=Form(item.get("form", Form.TEXT)))
        else:
            grids[name] = NumericGrid(
                edges=arrays[f"edges{item['edges']}"],
                first=item["first"],
                last=item["last"],
                exact=item["exact"],
                stream_edges=tuple(item["marks"]),
                precision=item.get("precision", "d"),
            )
    split = header["segmentation"]
    return Plan(
        columns=tuple(_column(item) for item in header["columns"]),
        grids=grids,
        identity_columns=tuple(header["carried"]),
        time_column=header["time_column"],
        timezone=header["timezone"],
        segmentation=split and Segmentation(column=split["column"], levels=tuple(split["levels"])),
        projection=(
            Projection(**{key: arrays[f"projection.{key}"] for key in _PROJECTION})
            if header["projection"]
            else None
        ),
        sample_rows=header["sample_rows"],
        salt=header["salt"],
        fingerprint=header["fingerprint"],
    )


def with_fingerprint(plan: Plan) -> Plan:
    bare = replace(plan, fingerprint="")
    return replace(plan, fingerprint=hashlib.sha256(pack(*_plan_parts(bare))).hexdigest())


def encode_summary(summary: Summary, *, level: int = 1) -> bytes:
    """Encode a summary; ``level`` is as in ``pack``."""
    header, arrays = _summary_parts(summary)
    if level and (packed := pack_nibbles(arrays["cells"])) is not None:
        del arrays["cells"]
        arrays |= {"halves": packed[0], "large": packed[1]}
    if summary.named:
        header["named"], named_arrays = _named_parts(summary.named)
        arrays |= named_arrays
    return SUMMARY.pack(header, arrays, level=level)


def _summary_parts(summary: Summary) -> tuple[dict[str, Any], Arrays]:
    # Fingerprints cover these, so they must not change.
    counts = ColumnCounts.from_mapping(summary.counts)
    arrays: Arrays = {"empty": np.empty(0), "cells": counts.cells, "special": counts.special}
    if summary.sample is not None:
        arrays |= {f"sample.{key}": getattr(summary.sample, key) for key in ("hashes", "weights", "rows")}
    if summary.sums is not None:
        arrays |= {f"sums.{key}": getattr(summary.sums, key) for key in _SUMS}
    header = {
        "plan": summary.plan,
        "span": [summary.span.start, summary.span.end],
        "rows": summary.rows,
        "columns": [list(column) for column in zip(counts.layout.names, counts.layout.sizes, strict=True)],
        "sample": None if summary.sample is None else summary.sample.limit,
        "sums": None if summary.sums is None else summary.sums.rows,
    }
    return header, arrays


def _named_parts(named: NamedColumns) -> tuple[list[list[Any]], Arrays]:
    # Per column: its name, its number of values, their names, the limit.
    columns = sorted(named)
    listing = [[name, len(named[name].keys), list(named[name].names), named[name].limit] for name in columns]
    arrays = {
        f"named.{key}": np.concatenate([getattr(named[name], key) for name in columns])
        for key in ("keys", "rows")
    }
    return listing, arrays


def _named_columns(listing: list[list[Any]], arrays: Arrays) -> NamedColumns:
    named, start = {}, 0
    for column, size, names, limit in listing:
        part = slice(start, start + size)
        named[column] = NamedRows(
            keys=arrays["named.keys"][part], rows=arrays["named.rows"][part], names=tuple(names), limit=limit
        )
        start += size
    return named


def decode_summary(data: bytes) -> Summary:
    header, arrays = SUMMARY.unpack(data)
    names, sizes = ([column[part] for column in header["columns"]] for part in (0, 1))
    cells = (
        arrays["cells"]
        if "cells" in arrays
        else unpack_nibbles(arrays["halves"], arrays["large"], sum(sizes))
    )
    counts = ColumnCounts.from_arrays(names, sizes, cells, arrays["special"])
    sample = sums = None
    if header["sample"] is not None:
        sample = RowSample(
            hashes=arrays["sample.hashes"],
            weights=arrays["sample.weights"],
            rows=arrays["sample.rows"],
            limit=header["sample"],
        )
    if header["sums"] is not None:
        sums = Sums(rows=header["sums"], **{key: arrays[f"sums.{key}"] for key in _SUMS})
    start, end = header["span"]
    return Summary(
        plan=header["plan"],
        span=Span(start=start, end=end),
        rows=header["rows"],
        counts=counts,
        sample=sample,
        sums=sums,
        named=_named_columns(header.get("named", []), arrays),
    )


def encode_reference(reference: Reference) -> bytes:
    blobs = {"plan": encode_plan(reference.plan), "summary": encode_summary(reference.summary)}
    names = list(reference.segments)
    blobs |= {f"segment{i}": encode_summary(reference.segments[name]) for i, name in enumerate(names)}
    arrays: Arrays = {name: np.frombuffer(blob, dtype=np.uint8) for name, blob in blobs.items()}
    if reference.joint is not None:
        arrays |= {f"joint.{key}": getattr(reference.joint, key) for key in _JOINT}
    provenance = asdict(reference.provenance)
    provenance["set_aside"] = [_column_header(column) for column in reference.provenance.set_aside]
    for name in ("types", "data_version", "accepted"):
        if not provenance[name]:
            # Stored as before there were such keys.
            del provenance[name]
    header = {
        "monitor": reference.monitor,
        "fingerprint": reference.fingerprint,
        "provenance": provenance,
        "blocks": reference.blocks,
        "block_rows": reference.block_rows,
        "joint": reference.joint is not None,
        "model": [reference.model_name, reference.model_version],
        "segments": names,
    }
    return REFERENCE.pack(header, arrays)


def decode_reference(data: bytes) -> Reference:
    header, arrays = REFERENCE.unpack(data)
    provenance = header["provenance"]
    span = provenance["time_range"]
    return Reference(
        monitor=header["monitor"],
        plan=decode_plan(arrays["plan"].tobytes()),
        summary=decode_summary(arrays["summary"].tobytes()),
        fingerprint=header["fingerprint"],
        provenance=Provenance(
            source=provenance["source"],
            files=provenance["files"],
            built_at=provenance["built_at"],
            time_range=span and Span(**span),
            set_aside=tuple(_column(item) for item in provenance["set_aside"]),
            notes=tuple(provenance["notes"]),
            types={name: tuple(names) for name, names in provenance.get("types", {}).items()},
            data_version=provenance.get("data_version", ""),
            accepted=tuple(
                AcceptedSpan(**{**item, "columns": tuple(item["columns"])})
                for item in provenance.get("accepted", ())
            ),
        ),
        blocks=header["blocks"],
        block_rows=header["block_rows"],
        joint=JointNull(**{key: arrays[f"joint.{key}"] for key in _JOINT}) if header["joint"] else None,
        model_name=header["model"][0],
        model_version=header["model"][1],
        segments={
            name: decode_summary(arrays[f"segment{i}"].tobytes()) for i, name in enumerate(header["segments"])
        },
    )


def fingerprint_reference(reference: Reference) -> str:
    """Return the sha256 over the reference's content, without its provenance."""
    digest = hashlib.sha256(reference.plan.fingerprint.encode())
    digest.update(pack(*_summary_parts(reference.summary)))
    for name in sorted(reference.segments):
        digest.update(name.encode("utf-8", "surrogatepass"))
        digest.update(pack(*_summary_parts(reference.segments[name])))
    digest.update(json.dumps([reference.model_name, reference.model_version]).encode())
    return digest.hexdigest()


def _column_header(column: Column) -> dict[str, Any]:
    # Fingerprints cover the keys of a plan's columns, which can all be counted.
    header = asdict(column)
    if column.unwatched is None:
        del header["unwatched"]
    return header


def _column(item: dict[str, Any]) -> Column:
    return Column(
        name=item["name"],
        kind=Kind(item["kind"]),
        role=Role(item["role"]),
        reason=item["reason"],
        unwatched=Unwatched(item["unwatched"]) if "unwatched" in item else None,
    )


__all__ = [
    "decode_plan",
    "decode_reference",
    "decode_summary",
    "encode_plan",
    "encode_reference",
    "encode_summary",
    "fingerprint_reference",
    "with_fingerprint",
]
