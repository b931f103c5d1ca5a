"""What a reader's answers mean: results, or the error that they tell of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from driftwatch import errors
from driftwatch.engines.local.reader_process import Deadline, Reader
from driftwatch.errors import DataError, DriftwatchError, ReaderDied
from driftwatch.results.results import FileProblem, RejectedFile
from driftwatch.summary.plan import Plan
from driftwatch.summary.serial import encode_plan
from driftwatch.summary.summary import Summary

#: Plans a child remembers; it forgets the same ones in the same order.
PLANS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TilesRead:
    """What came of reading some tiles.

    ``tiles`` by (start in nanoseconds, segment; None is all rows), sealed if sums were asked for: only those
    whose version was not the known one, so none when ``unchanged``. ``versions`` are the source's, one per
    tile that was asked for; empty when several were and no known ones came along. ``files`` were read,
    ``rejected`` left out. ``rows`` were counted, ``untimed_rows`` had no usable time. ``seconds`` is the
    call's duration.
    """

    tiles: dict[tuple[int, str | None], Summary]
    versions: tuple[str, ...]
    unchanged: bool
    rejected: tuple[RejectedFile, ...]
    files: int
    rows: int
    newest_row: int | None
    untimed_rows: int
    seconds: float


@dataclass(slots=True, kw_only=True)
class FilesRead:
    """Which files a ``batches`` iterator read and left out, known once it is exhausted."""

    files: int = 0
    rejected: tuple[RejectedFile, ...] = ()


class SourceFailed(Exception):
    """Carries what the source raised out of a child that is as good as before."""

    def __init__(self, error: DriftwatchError) -> None:
        super().__init__(str(error))
        self.error = error


def planned(
    reader: Reader, header: dict[str, Any], plan: Plan, deadline: Deadline
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Answers to a request with a plan, which is sent only when the child does not remember it."""
    key = plan.fingerprint
    known = key in reader.plans
    reader.plans[key] = None
    reader.plans.move_to_end(key)
    while len(reader.plans) > PLANS:
        reader.plans.popitem(last=False)
    reader.ask(header, b"" if known else encode_plan(plan), deadline)
    for answer, blob in reader.answers(deadline):
        if answer.get("error") == "plan" and known:
            reader.ask(header, encode_plan(plan), deadline)
            yield from checked(reader.answers(deadline), header["memory"])
            return
        yield from checked(iter([(answer, blob)]), header["memory"])


def checked(
    answers: Iterator[tuple[dict[str, Any], bytes]], memory: int
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The same answers; an error becomes one here."""
    for answer, blob in answers:
        if answer["kind"] != "error":
            yield answer, blob
            continue
        failure, text = answer["error"], str(answer.get("text", ""))
        if failure == "memory":
            raise ReaderDied(
                f"reading took more than the {memory >> 20:,} MiB that limits.memory allows (beside "
                f"{answer['base'] >> 20:,} MiB of the reader itself); the reader was replaced. "
                "Raise limits.memory, write smaller row groups, or read a shorter window."
            )
        kind = getattr(errors, str(failure), None)
        if failure == "internal" or not (isinstance(kind, type) and issubclass(kind, DriftwatchError)):
            raise ReaderDied(f"the reader failed unexpectedly ({text}) and was replaced. Please report this.")
        raise SourceFailed(DataError(text) if kind is errors.MissingExtra else kind(text))


def tiles_read(done: dict[str, Any], tiles: dict[tuple[int, str | None], Summary]) -> TilesRead:
    return TilesRead(
        tiles=tiles,
        versions=tuple(done["versions"]),
        unchanged=done["unchanged"],
        rejected=tuple(rejected_files(done)),
        files=done["files"],
        rows=done["rows"],
        newest_row=done["newest_row"],
        untimed_rows=done["untimed"],
        seconds=0.0,
    )


def rejected_files(done: dict[str, Any]) -> list[RejectedFile]:
    return [
        RejectedFile(name=name, problem=FileProblem(problem), detail=detail)
        for name, problem, detail in done.get("rejected", ())
    ]
