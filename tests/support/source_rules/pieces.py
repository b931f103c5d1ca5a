"""Pieces that are left out, because they ended their reader."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from source_stands import Stand
from source_tables import rows_in, rows_of

from driftwatch.results.results import FileProblem, RejectedFile
from driftwatch.sources.base import Piece, PieceChoice, Piecewise
from source_rules.rule import days, filled, rule


@rule(
    "A piece that is left out is never opened, and named in ``rejected``",
    needs=lambda stand: stand.piecewise,
)
def a_piece_that_is_left_out_is_named_and_never_opened(stand: Stand) -> None:
    source = filled(stand, days(3))
    assert isinstance(source, Piecewise)
    opened: list[Piece] = []
    source.piece_choice = PieceChoice(opened=opened.append)
    rows = rows_of(source.read(None, ["x"]), None)
    pieces = list(opened)
    assert pieces
    assert len(set(pieces)) == len(pieces)
    read = Counter[object]()
    for piece in pieces:
        source.piece_choice = PieceChoice(only=[piece.path])
        read.update(alone := rows_of(source.read(None, ["x"]), None))
        opened.clear()
        detail = "it ended its reader."
        for choice in (
            PieceChoice(left_out_paths={piece.path: detail}, opened=opened.append),
            PieceChoice(left_out={piece: detail}, opened=opened.append),
        ):
            source.piece_choice = choice
            reading = source.read(None, ["x"])
            assert rows_in(reading.batches, None) == rows - alone
            assert reading.rejected == [
                RejectedFile(name=piece.name, problem=FileProblem.QUARANTINED, detail=detail)
            ]
        source.extent()
        assert piece not in opened
    assert read == rows, "pieces read one by one are not all"


@rule(
    "A version changes when a piece comes to be left out, or is no longer",
    needs=lambda stand: stand.piecewise,
)
def a_version_tells_what_is_left_out(stand: Stand) -> None:
    source = filled(stand, days(3))
    assert isinstance(source, Piecewise)
    pieces, passed = list[Piece](), dict[Piece, str]()
    source.piece_choice = PieceChoice(opened=pieces.append)
    list(source.read(None, ["x"]).batches)
    version = source.version(None)
    source.piece_choice = PieceChoice(left_out={pieces[0]: "it ended its reader."}, passed=passed.__setitem__)
    assert source.version(None) != version
    assert passed == {pieces[0]: "it ended its reader."}
    # Once it has another size or time it is another piece.
    changed = replace(pieces[0], modified=pieces[0].modified + 1)
    for left_out in ({changed: "it ended its reader."}, {}):
        source.piece_choice = PieceChoice(left_out=left_out)
        assert source.version(None) == version
