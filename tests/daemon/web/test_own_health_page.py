"""The page about the daemon itself: what it cannot do now, what it could not do lately, and the banner."""

from __future__ import annotations

from dataclasses import replace

import example
import pytest
from web_site import Serve

from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.own_health.own_health import ClockHealth, LoopHealth, OwnHealth, StoreHealth
from driftwatch.daemon.own_health.troubles import MAX_TROUBLES, Trouble, Troubles
from driftwatch.daemon.status.snapshot import Snapshot
from driftwatch.daemon.web.http.links import Links
from driftwatch.daemon.web.pages.own_health_page import own_health_page
from driftwatch.results import text_format
from driftwatch.store.records import StoreState

_STUCK = LoopHealth(name="deliver-pager", last_progress_at=None, silent_seconds=95.0, limit_seconds=22.0)
#: What is wrong, and what the page and the banner of every page say of it.
FAULTS = {
    "loop": (OwnHealth(loops=(_STUCK,)), "deliver-pager: no progress for 95 s, expected within 22 s."),
    "store": (
        OwnHealth(store=StoreHealth(state=StoreState.FULL, detail="The disk is full.")),
        "store: full. The disk is full.",
    ),
    "clock": (OwnHealth(clock=ClockHealth(doubt="set 2 h ahead.")), "clock: set 2 h ahead."),
    "trouble": (
        OwnHealth(troubles=(Trouble(subject="retention", words="Old rows stay.", began_at=example.NOW),)),
        "retention: Old rows stay.",
    ),
}


def snapshot_with(health: OwnHealth) -> Snapshot:
    return replace(example.snapshot(), own_health=health)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_it_cannot_do_now_is_on_its_page_and_on_the_fleets(serve: Serve, fault: str) -> None:
    health, words = FAULTS[fault]
    site = serve(example.ExampleDaemon(snapshot_with(health)))
    own, fleet = (site.get(path).data.decode() for path in ("/daemon", "/"))
    assert words in own
    assert "1 thing it cannot do now" in own
    assert words in fleet
    assert 'href="/daemon"' in fleet


def test_a_daemon_without_troubles_says_so() -> None:
    page = own_health_page(snapshot_with(OwnHealth()), Links())
    assert (page.kind, page.reasons) == (text_format.SAME, ())
    assert page.headline == "nothing that it could not do since it started"


def test_a_trouble_that_is_over_is_no_present_reason() -> None:
    trouble = Trouble(subject="clock", words="Set back.", began_at=example.NOW - 1, ended_at=example.NOW)
    page = own_health_page(snapshot_with(OwnHealth(troubles=(trouble,))), Links())
    assert (page.kind, page.reasons) == (text_format.BLIND, ())


def test_monitors_are_listed_with_what_could_not_be_looked_at() -> None:
    page = own_health_page(example.snapshot(), Links())
    words = {name: text for name, _, text in page.monitors}
    assert "2 windows owed" in words["credit-risk"]
    assert "1 file left out" in words["flight-delays"]
    assert "churn" not in words


def test_texts_that_try_to_be_markup_stay_text(serve: Serve) -> None:
    hostile = "<script>alert(1)</script>"
    trouble = Trouble(subject=hostile, words=hostile, began_at=example.NOW)
    health = OwnHealth(
        loops=(replace(_STUCK, name=hostile),), clock=ClockHealth(doubt=hostile), troubles=(trouble,)
    )
    site = serve(example.ExampleDaemon(snapshot_with(health)))
    assert all("<script>alert" not in site.get(path).data.decode() for path in ("/daemon", "/"))


def test_a_trouble_goes_on_under_its_subject_until_it_ends() -> None:
    troubles = Troubles()
    troubles.begin("store", "The disk is full.", 10)
    troubles.begin("store", "The disk is read-only.", 20)
    assert [(item.words, item.began_at, item.ended_at) for item in troubles.all()] == [
        ("The disk is read-only.", 10, None)
    ]
    troubles.end("store", 30)
    troubles.end("store", 40)
    assert [(item.words, item.ended_at) for item in troubles.all()] == [("The disk is read-only.", 30)]


def test_troubles_are_bounded_and_those_that_last_are_listed_first() -> None:
    troubles = Troubles()
    troubles.begin("store", "It lasts.", 0)
    for number in range(3 * MAX_TROUBLES):
        troubles.note("clock", f"Jump {number}.", number * NANOSECONDS)
    entries = troubles.all()
    assert len(entries) == MAX_TROUBLES
    assert entries[0].words == "It lasts."
    assert entries[1].words == f"Jump {3 * MAX_TROUBLES - 1}."
