"""What a page says of a column beside its strongest detector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from detector_worlds import SPAN, reference_of, window_of

from driftwatch.config.models import MonitorConfig
from driftwatch.decide.segment_state import DRIFT, Incident
from driftwatch.detectors.base import ReferenceContext, get, pair_of
from driftwatch.monitor.incident_message import title_of
from driftwatch.monitor.page_texts.page_words import PageWords
from driftwatch.results.results import NamedColumn, Reason, State, Verdict
from driftwatch.results.verdict_json import named_json

ORDER = ("ks", "tv", "missing", "wrong_type", "unseen", "out_of_range")


def words(before: dict[str, Any], after: dict[str, Any], detector: str, column: str = "x") -> str:
    reference = reference_of(before)
    window = window_of(reference, after).seal(reference.plan)
    context = ReferenceContext(reference).window(window)
    page_words = PageWords.from_detectors(context, [get(name) for name in ORDER], ORDER)
    measuring = next(item for item in page_words.column_detectors if item.name == detector)
    effect = measuring.measure(pair_of(context, column)).effect
    return page_words.column_text(
        NamedColumn(column=column, detector=detector, share=1.0, effect=effect, onset=0)
    )


RNG = np.random.default_rng(8)
INCOME, LATER = RNG.lognormal(10, 0.6, 40_000), RNG.lognormal(10, 0.6, 8000)


def test_median_and_range_are_both_told_whichever_was_stronger() -> None:
    before, after = RNG.uniform(15_000, 39_000, 40_000), RNG.uniform(15_000, 39_000, 8000) * 1.35
    ks, out = (words({"x": before}, {"x": after}, name) for name in ("ks", "out_of_range"))
    assert ks.startswith("median 2")
    assert "; above the reference's range 0 % → " in ks
    assert out.startswith("above the reference's range 0 % → ")
    assert "; median 2" in out
    assert all("looks like x1.35" in text for text in (ks, out))
    assert all(text.count("; ") == 1 and len(text) <= 110 for text in (ks, out))


def test_a_fact_that_did_not_move_is_not_told() -> None:
    after = np.where(np.arange(8000) < 800, np.nan, LATER)
    assert words({"x": INCOME}, {"x": after}, "missing") == "missing 0 % → 10 %"
    assert words({"x": INCOME}, {"x": LATER * 0.9}, "ks").count(";") == 0


def test_missing_values_beside_a_shift_are_told() -> None:
    after = np.where(np.arange(8000) < 800, np.nan, LATER * 0.5)
    text = words({"x": INCOME}, {"x": after}, "missing")
    assert text.startswith("missing 0 % → 10 %; median 2")
    assert words({"x": INCOME}, {"x": after}, "ks").endswith("; missing 0 % → 10 %")


def test_a_value_that_leaves_the_range_is_told_once() -> None:
    after = np.where(np.arange(8000) < 960, -999.0, LATER)
    for detector in ("ks", "out_of_range"):
        assert words({"x": INCOME}, {"x": after}, detector).count("-999") == 1


def test_a_new_level_and_the_one_that_it_replaces_are_both_told() -> None:
    before, after = ["north"] * 600 + ["south"] * 1400, ["NORTH"] * 300 + ["south"] * 700
    text = words({"x": before}, {"x": after}, "unseen")
    assert text == 'levels never seen 0 % → 30 %: "NORTH" 30 %; "north" 30 % → 0 %'
    assert words({"x": before}, {"x": after}, "tv").count("NORTH") == 1


@pytest.mark.parametrize("detector", ["ks", "out_of_range"])
def test_columns_that_changed_places_say_so_first(detector: str) -> None:
    before = {"c1_3": RNG.normal(4, 1, 9000), "c1_4": RNG.normal(9, 2, 9000)}
    after = {"c1_3": RNG.normal(9, 2, 2000), "c1_4": RNG.normal(4, 1, 2000)}
    for column in before:
        text = words(before, after, detector, column)
        assert (
            "; looks like c1_3 and c1_4 exchanged" in text or "; looks like c1_4 and c1_3 exchanged" in text
        )


def test_the_title_of_a_joint_page_names_its_columns() -> None:
    def title(columns: tuple[str, ...]) -> str:
        named = NamedColumn(
            column="joint:mmd", detector="mmd", share=1.0, effect="moved", onset=0, columns=columns
        )
        verdict = Verdict(
            monitor="m", segment=None, window=SPAN, rows=9, state=State.DRIFTING,
            reason=Reason.EVIDENCE_COMPLETE, named=(named,),
        )  # fmt: skip
        incident = Incident(key="k", kind=DRIFT, columns=("joint:mmd",), opened_at=0, onset=0)
        return title_of(incident, verdict, MonitorConfig.model_construct(name="m"))

    assert title(("amount", "rate")) == "m: inputs drifted, amount, rate together"
    assert title(tuple("abcde")) == "m: inputs drifted, a, b, c and 2 more together"
    assert title(("a\nb",)) == "m: inputs drifted, a\\nb"
    assert title(()) == "m: inputs drifted, all columns together"


def test_a_joint_entry_of_the_json_names_its_columns_and_no_owner() -> None:
    named = NamedColumn(
        column="joint:correlation", detector="correlation", share=1.0, effect="corr(a, b) 0.80 → -0.78",
        onset=0, columns=("a", "b"),
    )  # fmt: skip
    entry = named_json(named)
    assert (entry["column"], entry["columns"]) == (None, ["a", "b"])
    placed = NamedColumn(
        column="x", detector="ks", share=1.0, effect="up", onset=0, place="all of it in c = d"
    )
    assert named_json(placed)["effect"] == "up; all of it in c = d"
