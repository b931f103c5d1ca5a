"""Sources that are wrong about pieces that are left out."""

from __future__ import annotations

from pathlib import Path

from broken_sources.broken import Batches, Broken, Part
from driftwatch.sources.base import PieceChoice, Reading


class ReadsWhatIsLeftOut(Broken):
    breaks = "a_piece_that_is_left_out_is_named_and_never_opened"

    def is_left_out(self, piece: Path, reading: Reading) -> bool:
        super().is_left_out(piece, reading)
        return False


class HidesWhatIsLeftOut(Broken):
    breaks = "a_piece_that_is_left_out_is_named_and_never_opened"

    def is_left_out(self, piece: Path, reading: Reading) -> bool:
        return super().is_left_out(piece, Reading(batches=iter(()), version=""))


class HasTheVersionOfAllPieces(Broken):
    breaks = "a_version_tells_what_is_left_out"

    def kept_batches(self, piece: Path) -> Batches:
        return self.stored(piece)


class GoesByThePath(Broken):
    breaks = "a_version_tells_what_is_left_out"

    def version_of(self, span: Part) -> str:
        choice, paths = self.piece_choice, {piece.path for piece in self.piece_choice.left_out}
        self.piece_choice = PieceChoice()
        version = super().version_of(span)
        self.piece_choice = choice
        return version + str(sorted(paths))
