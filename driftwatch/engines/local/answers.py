"""Decodes a reader process's answers into results, or raises the error that they carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from driftwatch import errors
from driftwatch.core.schema import TypeNames
from driftwatch.decoders.base import UndecodableMessages, UndecodableReason
from driftwatch.engines.local.readers.frames import MAX_PLANS
from driftwatch.engines.local.readers.reader_handle import (
    Deadline,
    Evidence,
    Reader,
    ReaderLost,
    SourceFailed,
)
from driftwatch.errors import DataError, DriftwatchError
from driftwatch.results.results import FileProblem, RejectedFile
from driftwatch.summary.plan import Plan
from driftwatch.summary.serial import decode_summary, encode_plan
from driftwatch.summary.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class TilesRead:
    """The result of reading some tiles."""

    #: By (start in nanoseconds, segment; None is all rows), sealed when sums were requested. Only tiles whose
    #: version differs from the stored one: none when ``unchanged``.
    tiles: Mapping[tuple[int, str | None], Summary]
    #: The source's versions, one per requested tile; empty when several tiles were requested without stored
    #: versions.
    versions: tuple[str, ...]
    unchanged: bool
    #: Files that were not read.
    rejected: tuple[RejectedFile, ...]
    #: Number of files read.
    files: int
    #: Counted rows.
    rows: int
    newest_row: int | None
    #: Rows without a usable event time.
    untimed_rows: int
    #: Rows outside the tiles by day since 1970 UTC: before the history, and at and after its end.
    early_rows: Mapping[int, int] = field(default_factory=dict)
    future_rows: Mapping[int, int] = field(default_factory=dict)
    undecodable: tuple[UndecodableMessages, ...]
    #: Where a column of the plan is missing, columns that are there instead.
    other_columns: tuple[str, ...] = ()
    #: By start of the tile, of columns with a value in it.
    types: Mapping[int, TypeNames] = field(default_factory=dict)
    #: Duration of the call.
    seconds: float


@dataclass(slots=True, kw_only=True)
class FilesRead:
    """Files that a ``batches`` iterator read or rejected; complete when it is exhausted."""

    files: int = 0
    rejected: tuple[RejectedFile, ...] = ()


def planned(
    reader: Reader, header: dict[str, Any], plan: Plan, deadline: Deadline
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the answers to a request; its plan is sent only if the child does not have it."""
    key = plan.fingerprint
    is_remembered = key in reader.plans
    reader.plans[key] = None
    reader.plans.move_to_end(key)
    while len(reader.plans) > MAX_PLANS:
        reader.plans.popitem(last=False)
    reader.ask(header, b"" if is_remembered else encode_plan(plan), deadline)
    for answer, blob in reader.answers(deadline):
        if answer.get("error") == "plan" and is_remembered:
            reader.ask(header, encode_plan(plan), deadline)
            yield from checked(reader.answers(deadline), header["memory"])
            return
        yield from checked(iter([(answer, blob)]), header["memory"])


def checked(
    answers: Iterator[tuple[dict[str, Any], bytes]], memory: int
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield the answers, but raise an answer of kind ``error``."""
    for answer, blob in answers:
        if answer["kind"] != "error":
            yield answer, blob
            continue
        failure, text = answer["error"], str(answer.get("text", ""))
        if failure == "memory":
            raise ReaderLost(
                f"reading took more than the {memory >> 20:,} MiB that limits.memory allows (beside "
                f"{answer['base'] >> 20:,} MiB of the reader itself); the reader was replaced. "
                "Raise limits.memory, write smaller row groups, or read a shorter window.",
                Evidence.MEMORY,
            )
        kind = getattr(errors, str(failure), None)
        if failure == "internal" or not (isinstance(kind, type) and issubclass(kind, DriftwatchError)):
            raise ReaderLost(
                f"the reader failed unexpectedly ({text}) and was replaced. Please report this.",
                Evidence.CRASH,
            )
        raise SourceFailed(DataError(text) if kind is errors.MissingExtra else kind(text))


def tiles_read(answers: Iterator[tuple[dict[str, Any], bytes]]) -> TilesRead:
    done: dict[str, Any] = {}
    tiles: dict[tuple[int, str | None], Summary] = {}
    types: dict[int, TypeNames] = {}
    for answer, blob in answers:
        if answer["kind"] == "tile":
            tiles[answer["start"], answer["segment"]] = decode_summary(blob)
            if answer["types"]:
                types[answer["start"]] = {name: tuple(names) for name, names in answer["types"].items()}
        done = answer
    return TilesRead(
        tiles=tiles,
        versions=tuple(done["versions"]),
        unchanged=done["unchanged"],
        rejected=tuple(rejected_files(done)),
        files=done["files"],
        rows=done["rows"],
        newest_row=done["newest_row"],
        untimed_rows=done["untimed"],
        early_rows=dict(done["early_rows"]),
        future_rows=dict(done["future_rows"]),
        undecodable=tuple(
            UndecodableMessages(start=start, reason=UndecodableReason(reason), messages=messages)
            for start, reason, messages in done["undecodable"]
        ),
        other_columns=tuple(done["other_columns"]),
        types=types,
        seconds=0.0,
    )


def rejected_files(done: dict[str, Any]) -> list[RejectedFile]:
    return [
        RejectedFile(name=name, problem=FileProblem(problem), detail=detail)
        for name, problem, detail in done.get("rejected", ())
    ]
