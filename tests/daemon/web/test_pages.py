"""What people read: the golden pages, the three things told apart, and names that try to be markup."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import example
import pytest
from example_pages import PAGES, hostile_snapshot, wide_view
from web_site import Serve, Site

from driftwatch.core.schema import NANOSECONDS, iso
from driftwatch.daemon.status.headline import blind_since, headline_of
from driftwatch.daemon.status.snapshot import MonitorView, OpenIncident
from driftwatch.daemon.web.pages.cards import COLUMNS_PER_PAGE
from driftwatch.daemon.web.pages.view_models import incident_views
from driftwatch.results import text_format
from driftwatch.results.results import (
    ColumnEnding,
    IncidentEnding,
    IncidentUpdate,
    NamedColumn,
    Reason,
    State,
)

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_what_they_were(site: Site, name: str) -> None:
    text = site.get(PAGES[name]).data.decode()
    file = GOLDEN / f"{name}.html"
    if os.environ.get("DRIFTWATCH_WRITE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


HEADLINES = {
    State.OK: (text_format.SAME, "nothing moved in 4 of 8 columns"),
    State.DRIFTING: (text_format.MOVED, "inputs drifted: 3 of 8 columns, since 9 Feb"),
    State.BROKEN: (text_format.MOVED, "inputs are broken: 3 of 8 columns, since 9 Feb"),
    State.CALIBRATING: (text_format.BLIND, "could not look since 13 Feb: learning what is usual"),
    State.INSUFFICIENT: (text_format.BLIND, "could not look since 13 Feb: not enough to tell"),
    State.NO_DATA: (text_format.BLIND, "could not look since 13 Feb: source unreachable"),
    State.STALE: (text_format.BLIND, "could not look since 13 Feb: source unreachable"),
    State.SOURCE_ERROR: (text_format.BLIND, "could not look since 13 Feb: source unreachable"),
}


@pytest.mark.parametrize("state", State)
def test_every_state_is_one_of_three_things(state: State) -> None:
    view = example.drifting()
    segment = view.segments[0]
    assert segment.verdict is not None
    verdict = replace(segment.verdict, state=state, reason=Reason.SOURCE_UNAVAILABLE)
    trail = (*segment.trail[:-1], (example.END, None, str(state), False))
    if not state.moved:
        view = replace(view, incidents=())
    status = headline_of(view, replace(segment, verdict=verdict, trail=trail), example.NOW)
    assert (status.kind, status.headline) == HEADLINES[state]


def test_every_state_and_reason_has_words() -> None:
    assert set(text_format.STATE_WORDS) == set(State)
    assert set(text_format.REASON_WORDS) == set(Reason)


def joint_only_view() -> MonitorView:
    """An incident that no column caused by itself."""
    view = example.drifting()
    segment = view.segments[0]
    assert segment.usable_verdict is not None
    effect = "all columns together: 12 times the usual distance"
    named = (
        NamedColumn(column="joint:mmd", detector="mmd", share=0.9, effect=effect, onset=example.ONSET),
        NamedColumn(column="joint:correlation", detector="correlation", share=0.1, effect="", onset=1),
    )
    verdict = replace(segment.usable_verdict, named=named)
    incident = replace(view.incidents[0], columns=("joint:mmd", "joint:together", "joint:correlation"))
    segment = replace(segment, verdict=verdict, usable_verdict=verdict)
    return replace(view, segments=(segment,), incidents=(incident,))


def test_what_all_columns_show_together_is_said_in_words_and_counts_as_no_column(serve: Serve) -> None:
    view = joint_only_view()
    status = headline_of(view, view.segments[0], example.NOW)
    assert status.headline == "inputs drifted: all columns together, correlations, since 9 Feb"
    site = serve(example.ExampleDaemon(example.snapshot(view)))
    for path in ("/", PAGES["drifting"], PAGES["window"]):
        page = site.get(path).data.decode()
        assert "joint:" not in page
    banner = site.get(PAGES["drifting"]).data.decode().partition('class="moves"')[2].partition("</ul>")[0]
    assert "<li>all columns together: 12 times the usual distance</li>" in banner
    assert "<li>correlations: moved</li>" in banner
    mixed_incident = replace(view.incidents[0], columns=("carrier", "joint:mmd"))
    status = headline_of(replace(view, incidents=(mixed_incident,)), view.segments[0], example.NOW)
    assert status.headline == "inputs drifted: 1 of 8 columns, since 9 Feb"


def test_an_old_ok_is_not_an_ok() -> None:
    view = example.calm()
    segment = view.segments[0]
    assert segment.usable_at is not None
    limit = segment.usable_at + 3 * view.interval_seconds * NANOSECONDS
    assert headline_of(view, segment, limit).kind == text_format.SAME
    stale_status = headline_of(view, segment, limit + 1)
    assert (stale_status.kind, stale_status.headline) == (
        text_format.BLIND,
        "could not look: no check since 3 days ago",
    )


def test_an_open_incident_is_said_although_nothing_moves_now() -> None:
    view = example.drifting()
    segment = view.segments[0]
    assert segment.verdict is not None
    calm_segment = replace(segment, verdict=replace(segment.verdict, state=State.OK))
    view = replace(view, incidents=(replace(view.incidents[0], kind="broken"),))
    assert (
        headline_of(view, calm_segment, example.NOW).headline
        == "nothing moved of late, 1 incident still open"
    )


def test_a_drift_incident_that_late_rows_opened_leaves_no_ok() -> None:
    view = example.drifting()
    segment = view.segments[0]
    assert segment.verdict is not None
    calm = replace(segment.verdict, state=State.OK, reason=Reason.NOTHING_MOVED, incident=None, detail="")
    status = headline_of(view, replace(segment, verdict=calm), example.NOW)
    assert (status.kind, status.headline) == (
        text_format.MOVED,
        "inputs drifted: 3 of 8 columns, since 9 Feb",
    )
    late = "It was opened by rows that came late, in the window to 2013-02-11 00:05 UTC"
    assert status.why == f"An incident is still open. {late}"


def test_late_rows_that_broke_the_newest_window_are_said() -> None:
    view = example.drifting()
    segment = view.segments[0]
    assert segment.verdict is not None
    calm = replace(segment.verdict, state=State.OK, reason=Reason.NOTHING_MOVED, named=(), onset=None)
    broken = replace(view.incidents[0], kind="broken", columns=("visib",), opened_at=example.END, onset=1)
    view = replace(view, incidents=(broken,))
    status = headline_of(view, replace(segment, verdict=calm), example.NOW)
    assert status.headline == "inputs are broken: 1 of 8 columns, since 1 Jan 1970"


def test_blind_since_the_first_of_the_newest_failures() -> None:
    segment = example.blind().segments[0]
    assert blind_since(segment) == example.END - 2 * example.DAY


def test_no_check_yet(serve: Serve) -> None:
    view = replace(example.calm(), reference=None, segments=(), last_run_at=None, next_run_at=example.NOW)
    site = serve(example.ExampleDaemon(example.snapshot(view)))
    for path in ("/", "/monitors/churn"):
        assert "no check has completed yet" in site.get(path).data.decode()


class Tree(HTMLParser):
    """Elements in order with their attributes' names, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attributes)))
        self.links += [value or "" for name, value in attributes if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "]]></title></svg><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &#60;i&#62;",
    "javascript:alert(1)",
    "nul\0 bell\a rtl\u202e half\ud800",
    "line\u2028break\r\nSet-Cookie: a=b",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup(serve: Serve, name: str) -> None:
    """A page of hostile names has the very elements of a page of harmless ones."""
    end = "2013-02-14T00:00:00Z"
    paths = (
        "/",
        "/monitors/churn",
        f"/monitors/churn/windows/{end}",
        f"/monitors/churn/compare?a=reference&b={end}",
    )
    harmless_site = serve(example.ExampleDaemon(hostile_snapshot("harmless")))
    site = serve(example.ExampleDaemon(hostile_snapshot(name)))
    for path in paths:
        expected_tree, tree = (
            Tree(served_site.get(path).data.decode()) for served_site in (harmless_site, site)
        )
        assert tree.elements == expected_tree.elements
        assert text_format.escape_invisible(name) in "".join(tree.text)
        assert all(link.startswith(("/", "data:,", "#main")) for link in tree.links)
    segment_link = next(link for link in Tree(site.get("/").data.decode()).links if "segment=" in link)
    assert "half" in segment_link or site.get(segment_link).status == 200


def test_acknowledging_is_a_command_to_copy_even_with_odd_keys() -> None:
    view = hostile_snapshot("a b; rm -rf /").monitors[0]
    command = incident_views(view, None)[0].options[0].command
    assert command == "driftwatch ack CONFIG --monitor churn --incident 'a b; rm -rf /' --as fixed"


def column_names(page: str) -> list[str]:
    """Names of the columns drawn, in order."""
    return re.findall(r"<h3><a [^>]*><bdi>([^<]*)</bdi>", page)


def test_columns_come_page_by_page_named_and_furthest_first(serve: Serve) -> None:
    view = wide_view(90)
    site = serve(example.ExampleDaemon(example.snapshot(view)))
    first_page = site.get("/monitors/churn").data.decode()
    assert column_names(first_page)[:3] == ["column 3", "column 89", "column 88"]
    assert first_page.count("<article") == first_page.count('class="chart"') == COLUMNS_PER_PAGE
    assert "1 to 18 of 90 columns" in first_page
    second_page = site.get("/monitors/churn?page=2").data.decode()
    assert not set(column_names(first_page)) & set(column_names(second_page))
    all_names = [
        name
        for page in range(1, 6)
        for name in column_names(site.get(f"/monitors/churn?page={page}").data.decode())
    ]
    assert sorted(all_names) == sorted(f"column {n}" for n in range(90))
    assert column_names(site.get("/monitors/churn?page=99").data.decode()) == all_names[-18:]
    assert column_names(site.get("/monitors/churn?q=COLUMN+8").data.decode())[:2] == [
        "column 89",
        "column 88",
    ]
    assert "No column matches" in site.get("/monitors/churn?q=nothing").data.decode()


def test_a_window_on_other_cells_is_not_drawn(serve: Serve) -> None:
    view = example.calm()
    segment = replace(view.segments[0], window=wide_view(3).segments[0].window)
    view_with_other_window = replace(view, segments=(segment,))
    page = (
        serve(example.ExampleDaemon(example.snapshot(view_with_other_window)))
        .get("/monitors/churn")
        .data.decode()
    )
    assert page.count("<article") == 3
    assert 'class="chart"' not in page
    assert "past retention" in page


def test_an_open_incident_says_where_it_is_what_joined_it_and_when_it_ends(serve: Serve) -> None:
    view = example.drifting()
    segment = view.segments[0]
    assert segment.verdict is not None
    key = view.incidents[0].key
    columns = (
        ColumnEnding(column="visib", quiet=1, needed=3),
        ColumnEnding(column="carrier", quiet=0, needed=3),
    )
    verdict = replace(
        segment.verdict, reason=Reason.INCIDENT_OPEN, page=False,
        detail="correlations: at rest while an incident is open, since it is so; 3 rows are stray",
        endings=(IncidentEnding(key=key, kind="drift", columns=columns),),
        updates=(IncidentUpdate(key=key, columns=("carrier",)),),
    )  # fmt: skip
    segment = replace(segment, verdict=verdict, usable_verdict=verdict)
    incident = replace(
        view.incidents[0],
        segments=(None, "JFK"),
        joined=(
            (False, "2013-02-12 00:00Z in JFK: carrier: 3 → 9"),
            (True, "2013-02-13 00:00Z: visib: 4 → 2"),
        ),
        paged_again_at=verdict.window.end,
    )
    view = replace(view, segments=(segment, *view.segments[1:]), incidents=(incident,))
    site = serve(example.ExampleDaemon(example.snapshot(view)))
    page = site.get(f"/monitors/{view.name}").data.decode()
    line = "ends by itself after 3 quiet windows; so far 0"
    assert "<dt>segments</dt><dd><bdi>all rows</bdi>, <bdi>JFK</bdi>; one answer closes it in all" in page
    update = "<dt>updated</dt><dd>2013-02-12 00:00Z in JFK: carrier: 3 → 9 <span"
    assert f'{update} class="quiet">without a page</span></dd>' in page
    assert "<dt>paged again</dt><dd>2013-02-13 00:00Z: visib: 4 → 2</dd>" in page
    assert page.count(", paged again ") == site.get("/").data.decode().count(", paged again ") == 1
    assert f"<dt>still open</dt><dd>{line}: " in page
    assert f"An incident is still open. It {line}. 3 rows are stray.</p>" in page
    assert "<code>visib</code></bdi> back for 1 of 3 windows" in page
    assert "<code>carrier</code></bdi> still out of its range" in page
    assert f"<code>{key}</code>" in site.get(f"/monitors/{view.name}?segment=JFK").data.decode()
    window = site.get(f"/monitors/{view.name}/windows/{iso(verdict.window.end)}").data.decode()
    assert f"<dt>updated</dt><dd>{key}: carrier, without a page</dd>" in window
    assert line in window
    assert "at rest while an incident is open, since it is so" in window


def test_an_incident_that_late_rows_opened_links_to_their_window(serve: Serve) -> None:
    view = example.calm()
    incident = OpenIncident(
        key="churn-drift-77c1", kind="drift", segment=None, columns=("charges",),
        opened_at=example.LATE_END, onset=example.LATE_END - example.DAY, muted_until=None,
    )  # fmt: skip
    site = serve(example.ExampleDaemon(example.snapshot(replace(view, incidents=(incident,)))))
    page = site.get("/monitors/churn").data.decode()
    link = '<a href="/monitors/churn/windows/2013-02-12T00:00:00Z">2013-02-12 00:00 UTC</a>'
    assert f"{link} by rows that came late" in page
    assert "inputs drifted: 1 of 3 columns, since 11 Feb" in page
    assert "charges" in page.partition('class="moves"')[2].partition("</ul>")[0]


def test_one_owed_window_waits_for_its_rows_and_several_for_theirs(serve: Serve) -> None:
    texts = []
    for owed_windows in (1, 3):
        view = replace(example.calm(), owed_windows=owed_windows)
        site = serve(example.ExampleDaemon(example.snapshot(view)))
        page = site.get(f"/monitors/{view.name}").data.decode()
        texts += re.findall(r"<dd>(\d windows?) <span class=\"quiet\">(waits? for \w+ rows),", page)
    assert texts == [("1 window", "waits for its rows"), ("3 windows", "wait for their rows")]
