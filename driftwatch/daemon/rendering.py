"""The templates: always escaping, strict about names, no path outside the package."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from driftwatch.daemon import charts, pages, words
from driftwatch.daemon.look import began, look_at
from driftwatch.daemon.pages import Links
from driftwatch.daemon.ranking import by_contribution
from driftwatch.daemon.snapshot import MonitorView, SegmentView, Snapshot
from driftwatch.settings import format_duration
from driftwatch.summary.naming import column_words, listed_words, named_words
from driftwatch.summary.result import State, Verdict
from driftwatch.summary.schema import iso


class Pages:
    """Renders pages for people. ``css`` only names the version of the style sheet."""

    def __init__(self, links: Links, css: bytes) -> None:
        self._links = links
        self._environment = Environment(
            loader=PackageLoader("driftwatch.daemon", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            number=words.number,
            percent=words.percent,
            p_value=words.p_value,
            instant=words.instant,
            ago=words.ago,
            day=words.day,
            seen=words.visible,
            named=named_words,
            column=column_words,
            columns=listed_words,
            plural=words.plural,
            duration=format_duration,
            iso=iso,
        )
        style = f"{links.prefix}/static/driftwatch.css?{hashlib.sha256(css).hexdigest()[:8]}"
        self._environment.globals.update(
            links=links,
            style=style,
            STATE_WORDS=words.STATE_WORDS,
            REASON_WORDS=words.REASON_WORDS,
            kind_of=words.kind_of,
            SYMBOL=words.SYMBOL,
            WORD=words.WORD,
            counted_as=pages.counted_as,
        )

    def index(self, snapshot: Snapshot, now: int) -> str:
        """Every monitor."""
        listed = pages.rows(snapshot, now, self._links)
        kinds = (words.MOVED, words.BLIND, words.SAME)
        counts = [(kind, sum(row.look.kind == kind for row in listed)) for kind in kinds]
        return self._render("index.html", snapshot=snapshot, now=now, rows=listed, counts=counts)

    def monitor(self, snapshot: Snapshot, view: MonitorView, segment: SegmentView, now: int) -> str:
        """One monitor, or one of its segments."""
        drawn, listed = pages.cards(view, segment)
        looked = segment.looked
        return self._render(
            "monitor.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            look=look_at(view, segment, now),
            segments=[(item, look_at(view, item, now)) for item in view.segments],
            evidence=pages.newest_evidence(segment),
            timeline=charts.timeline(segment.trail, now, began(view, segment)),
            windows=[
                (end, evidence, State(state), page)
                for end, evidence, state, page in reversed(segment.trail[-pages.MOST_WINDOWS :])
            ],
            incidents=pages.incidents(view, segment.segment),
            drawn=drawn,
            listed=listed,
            joint=[] if looked is None else [item for item in looked.statistics if item.column is None],
            together=[] if looked is None else pages.jointly(looked),
        )

    def window(
        self, snapshot: Snapshot, view: MonitorView, segment: SegmentView, verdict: Verdict, now: int
    ) -> str:
        """The working of one verdict."""
        ends = [end for end, *_ in segment.trail]
        place = ends.index(verdict.window.end) if verdict.window.end in ends else None
        rank = {column: place for place, column in enumerate(by_contribution(verdict))}
        columns = [item for item in verdict.statistics if item.column is not None]
        return self._render(
            "window.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            verdict=verdict,
            kind=words.kind_of(verdict.state),
            before=None if not place else ends[place - 1],
            after=None if place is None or place + 1 == len(ends) else ends[place + 1],
            statistics=sorted(columns, key=lambda item: rank[str(item.column)]),
            joint=[item for item in verdict.statistics if item.column is None],
            command=pages.explain_command(verdict),
        )

    def error(self, status: int, detail: str) -> str:
        """A page that could not be shown."""
        return self._render("error.html", status=status, phrase=HTTPStatus(status).phrase, detail=detail)

    def _render(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(**values)
