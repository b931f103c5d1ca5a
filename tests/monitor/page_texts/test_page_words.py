"""What a page says of a column beside its strongest detector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from detector_worlds import SPAN, reference_of, window_of

from driftwatch.config.models import MonitorConfig
from driftwatch.decide.decision import Decision
from driftwatch.decide.segment_state import DRIFT, Incident
from driftwatch.detectors.base import ReferenceContext, get, pair_of
from driftwatch.monitor.column_labels import with_joint_last
from driftwatch.monitor.incident_message import message_for, title_of
from driftwatch.monitor.page_texts.page_words import PageWords
from driftwatch.notify.base import Message
from driftwatch.results.results import NamedColumn, Reason, State, Verdict, WatchedColumns
from driftwatch.results.streams import Streams
from driftwatch.results.verdict_json import named_json

RNG = np.random.default_rng(8)
ORDER = ("ks", "tv", "missing", "wrong_type", "unseen", "out_of_range")


def named(column: str, share: float, effect: str, *columns: str) -> NamedColumn:
    detector = column.removeprefix("joint:") if column.startswith("joint:") else "ks"
    return NamedColumn(column=column, detector=detector, share=share, effect=effect, onset=0, columns=columns)


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


def test_a_pair_whose_columns_are_named_does_not_lead_the_page() -> None:
    pair = named("joint:correlation", 0.9, "corr(a, b) 0.02 → 0.31", "a", "b")
    lone = named("joint:mmd", 0.04, "all columns together: 4 times the usual", "a", "z")
    a, b = named("a", 0.035, "median 0 → 1"), named("b", 0.025, "median 0 → 2")
    ordered = with_joint_last([pair, lone, a, b])
    assert [item.column for item in ordered] == ["joint:mmd", "a", "b", "joint:correlation"]
    assert with_joint_last([pair, a]) == (pair, a), "the other column did not move by itself"
    assert with_joint_last([named("joint:volume", 0.9, "rows 9 → 4"), a])[0].column == "joint:volume"


def test_page_words_put_such_a_pair_last() -> None:
    before = {name: RNG.normal(size=20_000) for name in ("a", "b")}
    reference = reference_of(before)
    window = window_of(reference, {name: values[:4000] + 1 for name, values in before.items()})
    context = ReferenceContext(reference).window(window.seal(reference.plan))
    page_words = PageWords.from_detectors(context, [get(name) for name in ORDER], ORDER)
    decision = Decision.__new__(Decision)
    pair = named("joint:correlation", 0.9, "corr(a, b) 0.02 → 0.31", "a", "b")
    singles = [named(name, 0.05, "median 0 → 1") for name in before]
    object.__setattr__(decision, "named", (pair, *singles))
    assert [item.column for item in page_words.named(decision, Streams.from_list([]))] == [
        "a", "b", "joint:correlation",
    ]  # fmt: skip


def message_of(*items: NamedColumn, name: str = "m", watched: int = 12) -> Message:
    verdict = Verdict(
        monitor=name, segment=None, window=SPAN, rows=9, state=State.DRIFTING,
        reason=Reason.EVIDENCE_COMPLETE, named=items, watched=WatchedColumns(drawn=watched, of=watched),
    )  # fmt: skip
    columns = tuple(item.column for item in items if not item.columns)
    incident = Incident(key="k", kind=DRIFT, columns=columns, opened_at=0, onset=0)
    return message_for(incident, verdict, MonitorConfig.model_construct(name=name), "")


def test_what_follows_from_two_columns_is_told_after_them_without_their_evidence() -> None:
    pair = named("joint:correlation", 0.9, "corr(a, b) 0.02 → 0.31", "a", "b")
    message = message_of(named("a", 0.075, "median 0 → 1"), named("b", 0.025, "median 0 → 2"), pair)
    assert message.title == "m: inputs drifted, a, b (2 of 12 columns)"
    assert message.lines[1:] == (
        "a: median 0 → 1 (75% of the evidence)",
        "b: median 0 → 2 (25% of the evidence)",
        "corr(a, b) 0.02 → 0.31",
    )


def test_a_page_of_all_columns_names_every_one() -> None:
    items = [named(f"x{number}", 1 / 12, "median 0 → 1") for number in range(12)]
    pair = named("joint:correlation", 0.0, "corr(x6, x7) 0.02 → 0.31", "x6", "x7")
    message = message_of(*items, pair)
    assert message.title == "m: inputs drifted, x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11"
    assert [line.partition(":")[0] for line in message.lines[1:5]] == ["x0", "x1", "x2", "x3"]
    assert message.lines[5:] == ("also moved: x4, x5, x6, x7, x8, x9, x10, x11",)
    many = message_of(*(named(f"a long name {number}", 0.001, "up") for number in range(900)), watched=900)
    assert len(many.title) <= 69
    assert many.title.endswith(" more")
    assert len(many.lines[5]) <= 180
    assert many.lines[5].endswith(" more")


def test_a_title_has_at_least_the_first_column() -> None:
    message = message_of(named("dep_delay", 1.0, "up"), named("b", 0.0, "up"), name="m" * 60)
    assert message.title == f"{'m' * 60}: inputs drifted, dep_delay and 1 more"


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
