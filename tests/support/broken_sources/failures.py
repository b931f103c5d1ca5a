"""Sources that fail in the wrong way."""

from __future__ import annotations

from pathlib import Path

from pieces_source import PiecesConfig

from broken_sources.broken import Batches, Broken, Names, Part
from driftwatch.errors import SchemaMismatch, SourceUnavailable
from driftwatch.sources.base import Reading

_GIVEN_UP: set[Path] = set()


class CallsAnOutageFatal(Broken):
    breaks = "an_outage_is_retryable_and_passes"

    def unavailable(self, text: str) -> Exception:
        return SchemaMismatch(text)


class RaisesWhatItGets(Broken):
    breaks = "an_outage_is_retryable_and_passes"

    def unavailable(self, text: str) -> Exception:
        return FileNotFoundError(text)


class DoesNotSayWhere(Broken):
    breaks = "an_outage_is_retryable_and_passes"

    def unavailable(self, text: str) -> Exception:
        return SourceUnavailable("Something went wrong, please try again.")


class FailsInSeveralLines(Broken):
    breaks = "an_outage_is_retryable_and_passes"

    def unavailable(self, text: str) -> Exception:
        return SourceUnavailable(f"{text}\nTraceback (most recent call last).")


class GivesUpForEver(Broken):
    breaks = "an_outage_is_retryable_and_passes"

    def pieces(self) -> list[Path]:
        if not self.config.path.is_dir():
            _GIVEN_UP.add(self.config.path)
        if self.config.path in _GIVEN_UP:
            raise SourceUnavailable(f"{self.config.path}: expected a folder. Got none, some time ago.")
        return super().pieces()


class EndsQuietly(Broken):
    breaks = "a_reading_that_is_interrupted_says_so"

    def stored(self, piece: Path) -> Batches:
        if piece.exists():
            yield from super().stored(piece)


class RetriesMistakes(Broken):
    breaks = "a_mistake_is_fatal"

    def pieces(self) -> list[Path]:
        if self.config.password:
            raise SourceUnavailable(f"{self.config.path}: expected a password. Got another. Check it.")
        return super().pieces()


class StopsAtABadPiece(Broken):
    breaks = "a_piece_that_cannot_be_read_is_named_and_the_others_are_read"

    def reject(self, piece: Path, reading: Reading) -> None:
        raise SchemaMismatch(f"{self.config.path}: expected Arrow files. Got another.")


class PassesOverABadPiece(Broken):
    breaks = "a_piece_that_cannot_be_read_is_named_and_the_others_are_read"

    def reject(self, piece: Path, reading: Reading) -> None:
        return


class QuotesABadPiece(Broken):
    breaks = "a_piece_that_cannot_be_read_is_named_and_the_others_are_read"

    def reject(self, piece: Path, reading: Reading) -> None:
        super().reject(piece, reading)
        reading.rejected[-1] = type(reading.rejected[-1])(
            name=reading.rejected[-1].name,
            problem=reading.rejected[-1].problem,
            detail=f"Got {piece.read_bytes()!r}.",
        )


class TellsThePassword(Broken):
    breaks = "no_secret_is_shown"

    def pieces(self) -> list[Path]:
        if self.config.password:
            raise SourceUnavailable(f"{self.config.path}: expected a password. Got {self.config.password}.")
        return super().pieces()


class ShowsThePassword(Broken):
    breaks = "no_secret_is_shown"

    def __repr__(self) -> str:
        return f"ShowsThePassword({self.config.password})"


class OpensAtOnce(Broken):
    breaks = "opening_reads_nothing"

    def __init__(self, config: PiecesConfig) -> None:
        super().__init__(config)
        self.pieces()


class RaisesBareErrors(Broken):
    breaks = "nothing_else_is_raised"

    def batches(self, span: Part, columns: Names, reading: Reading) -> Batches:
        for name in columns or ():
            name.encode()
        return super().batches(span, columns, reading)
