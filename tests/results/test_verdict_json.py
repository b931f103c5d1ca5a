"""Verdicts in the store."""

from __future__ import annotations

import json

from driftwatch.core.schema import Span, TypeChange
from driftwatch.results.results import NewLevel, Reason, State, Verdict
from driftwatch.results.stored_verdict import verdict_from_json, verdict_to_json
from driftwatch.results.text_format import type_changes_text
from driftwatch.results.verdict_json import window_json


def test_undecodable_messages_are_stored_where_there_are_some() -> None:
    window = Span(start=0, end=1)
    for undecodable in ((), (("shape", 1), ("syntax", 12))):
        verdict = Verdict(
            monitor="m", segment=None, window=window, rows=1, state=State.OK, reason=Reason.NOTHING_MOVED,
            undecodable=undecodable,
        )  # fmt: skip
        data = json.loads(json.dumps(verdict_to_json(verdict)))
        assert ("undecodable" in data) == bool(undecodable)
        assert verdict_from_json(data) == verdict


def test_new_levels_are_stored_where_there_are_some_and_always_shown() -> None:
    levels = (NewLevel(column="pay", level="GIFT_CARD", rows=330, share=0.33),)
    shown = {"column": "pay", "level": "GIFT_CARD", "rows": 330, "share": 0.33}
    for new_levels in ((), levels):
        verdict = Verdict(
            monitor="m", segment=None, window=Span(start=0, end=1), rows=1000, state=State.OK,
            reason=Reason.NOTHING_MOVED, new_levels=new_levels,
        )  # fmt: skip
        data = json.loads(json.dumps(verdict_to_json(verdict)))
        assert ("new_levels" in data) == bool(new_levels)
        assert verdict_from_json(data) == verdict
        assert window_json(verdict)["new_levels"] == ([shown] if new_levels else [])


def test_other_types_are_stored_where_there_are_some_and_always_shown() -> None:
    changes = (TypeChange(column="age", reference="float64", window="float32"),)
    shown = {"column": "age", "reference": "float64", "current": "float32"}
    for type_changes in ((), changes):
        verdict = Verdict(
            monitor="m", segment=None, window=Span(start=0, end=1), rows=1000, state=State.OK,
            reason=Reason.NOTHING_MOVED, type_changes=type_changes,
        )  # fmt: skip
        data = json.loads(json.dumps(verdict_to_json(verdict)))
        assert ("type_changes" in data) == bool(type_changes)
        assert verdict_from_json(data) == verdict
        assert window_json(verdict)["type_changes"] == ([shown] if type_changes else [])


def test_one_line_names_five_columns_of_another_type() -> None:
    changes = [TypeChange(column=f"c{n:02}", reference="float64", window="float32") for n in range(20)]
    assert type_changes_text(changes[:5]).count("became") == 5
    assert type_changes_text(changes[:7]).endswith("c04: float64 became float32; and 2 more")
    assert type_changes_text(changes).endswith("and at least 15 more")
    hostile = type_changes_text([TypeChange(column="x\n" * 99, reference="text", window="a\x1b[31m")])
    assert hostile.isprintable()
    assert len(hostile) < 130
