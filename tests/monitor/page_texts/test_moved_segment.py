"""In which segment a move of all rows sits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from detector_worlds import SPAN, reference_of, window_of

from driftwatch.monitor.page_texts.moved_segment import with_places
from driftwatch.results.results import NamedColumn, Reason, State, Verdict
from driftwatch.summary.plan import OTHER_SEGMENT, Segmentation
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

RNG = np.random.default_rng(4)
LEVELS = ("JFK", "LGA", "EWR")
World = dict[str, Any]


def rows_of(count: int) -> World:
    origin = RNG.choice([*LEVELS, "ISP"], count, p=[0.4, 0.3, 0.2, 0.1])
    usual = np.where(origin == "JFK", 30.0, 20.0)
    return {"delay": usual + RNG.normal(0, 5, count), "kind": RNG.choice(["a", "b"], count), "origin": origin}


def parts_of(reference: Reference, columns: World) -> dict[str | None, Summary]:
    def summary(is_row: Any) -> Summary:
        return window_of(reference, {name: values[is_row] for name, values in columns.items()})

    origin = columns["origin"]
    parts: dict[str | None, Summary] = {level: summary(origin == level) for level in LEVELS}
    return parts | {OTHER_SEGMENT: summary(origin == "ISP"), None: window_of(reference, columns)}


def segmented() -> Reference:
    columns = rows_of(20_000)
    reference = reference_of(columns)
    plan = replace(reference.plan, segmentation=Segmentation(column="origin", levels=LEVELS))
    reference = replace(reference, plan=plan)
    parts = parts_of(reference, columns)
    return replace(reference, segments={name: part for name, part in parts.items() if name is not None})


REFERENCE = segmented()


def place(change: Callable[[World, Any], None], *, column: str = "delay", detector: str = "ks") -> str:
    columns = rows_of(4000)
    change(columns, columns["origin"])
    named = NamedColumn(column=column, detector=detector, share=1.0, effect="moved", onset=0)
    verdict = Verdict(
        monitor="m", segment=None, window=SPAN, rows=4000, state=State.DRIFTING,
        reason=Reason.EVIDENCE_COMPLETE, page=True, named=(named,),
    )  # fmt: skip
    named = with_places(verdict, REFERENCE, parts_of(REFERENCE, columns)).named[0]
    assert named.words == "; ".join(part for part in ("moved", named.place) if part)
    return named.place


def moved(levels: tuple[str, ...], amount: float = 6) -> Callable[[World, Any], None]:
    def change(columns: World, origin: Any) -> None:
        columns["delay"] = columns["delay"] + np.where(np.isin(origin, levels), amount, 0.0)

    return change


def missing(columns: World, origin: Any) -> None:
    columns["delay"] = np.where((origin == "LGA") & (RNG.random(len(origin)) < 0.6), np.nan, columns["delay"])


def levels(columns: World, origin: Any) -> None:
    columns["kind"] = np.where(origin == "EWR", "a", columns["kind"])


@pytest.mark.parametrize(
    ("named", "text"),
    [
        (("JFK",), "all of it in origin = JFK"),
        (("LGA",), "all of it in origin = LGA"),
        (("LGA", "EWR"), "all of it in origin = LGA and EWR"),
        (("ISP",), "all of it in other values of origin"),
        (LEVELS, ""),
        ((*LEVELS, "ISP"), ""),
    ],
)
def test_a_move_of_one_or_two_segments_says_where_it_sits(named: tuple[str, ...], text: str) -> None:
    assert place(moved(named)) == text


def test_missing_values_and_levels_have_a_place_too() -> None:
    assert place(missing, detector="missing") == "all of it in origin = LGA"
    assert place(levels, column="kind", detector="chi2") == "all of it in origin = EWR"


def test_a_change_of_the_mix_is_no_move_of_a_segment() -> None:
    def fewer(columns: World, origin: Any) -> None:
        is_left = (origin != "JFK") | (RNG.random(len(origin)) < 0.2)
        columns.update({name: values[is_left] for name, values in columns.items()})

    assert place(fewer) == ""


def test_moves_of_all_segments_alike_are_never_placed() -> None:
    """In 100 windows whose segments moved by the same amount."""
    assert not any(place(moved((*LEVELS, "ISP"), RNG.uniform(1, 8))) for _ in range(100))


def test_joint_detectors_and_single_segments_have_no_place() -> None:
    assert place(moved(("JFK",)), column="joint:mmd") == ""
