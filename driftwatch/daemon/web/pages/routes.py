"""The templates: always escaping, strict about names, no path outside the package."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from driftwatch.core.schema import iso
from driftwatch.core.settings import format_duration
from driftwatch.daemon.status.column_order import by_contribution
from driftwatch.daemon.status.headline import began, look_at, moved_columns
from driftwatch.daemon.status.history_view import Past, Working
from driftwatch.daemon.status.ports import State
from driftwatch.daemon.status.snapshot import MonitorView, SegmentView, Snapshot
from driftwatch.daemon.status.worklog import worklog
from driftwatch.daemon.web.http.assets import Asset
from driftwatch.daemon.web.http.links import Links
from driftwatch.daemon.web.http.query import Side
from driftwatch.daemon.web.pages import view_models
from driftwatch.daemon.web.pages.cards import Sides, cards_of
from driftwatch.daemon.web.pages.incident_text import tell
from driftwatch.daemon.web.pages.sample_rows import sample_rows
from driftwatch.daemon.web.pages.sections import DRAWN, Asked, judged_columns, timeline
from driftwatch.daemon.web.pages.side_by_side import Compared
from driftwatch.daemon.web.pages.trend_lines import trend
from driftwatch.daemon.web.pages.view_models import Visitor
from driftwatch.results import words
from driftwatch.results.names import column_words, listed_words, named_words

#: Windows in a list, and in the selectors of a comparison.
LISTED, CHOICES = 100, 400
#: Longest name shown whole; page after page of longer ones would not stay small.
_LONGEST = 100
_LONGEST_SETTINGS = 60_000


class Pages:
    """Renders pages for people. Of ``assets`` only the addresses are used."""

    def __init__(self, links: Links, assets: Mapping[str, Asset], state: State) -> None:
        self.links = links
        self._state = state
        self._environment = Environment(
            loader=PackageLoader("driftwatch.daemon.web", "templates"),
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
            seen=lambda text: words.shortened(words.visible(str(text)), 6 * _LONGEST),
            name=lambda text: words.shortened(words.visible(str(text)), _LONGEST),
            named=named_words,
            column=column_words,
            columns=listed_words,
            plural=words.plural,
            duration=format_duration,
            iso=iso,
            json=lambda value: words.shortened(
                json.dumps(value, indent=1, sort_keys=True), _LONGEST_SETTINGS
            ),
        )
        self._environment.globals.update(
            links=links,
            assets={name: links.prefix + asset.url for name, asset in assets.items()},
            STATE_WORDS=words.STATE_WORDS,
            REASON_WORDS=words.REASON_WORDS,
            kind_of=words.kind_of,
            SYMBOL=words.SYMBOL,
            WORD=words.WORD,
            counted_as=view_models.counted_as,
        )

    @property
    def _past(self) -> Past:
        return self._state.past

    def index(self, snapshot: Snapshot, now: int, search: str = "", kind: str = "", page: int = 1) -> str:
        """The monitors that match, page by page."""
        fleet = view_models.fleet(snapshot, now, self.links, search, kind, page)
        return self._render("index.html", snapshot=snapshot, now=now, fleet=fleet)

    def monitor(
        self,
        snapshot: Snapshot,
        view: MonitorView,
        segment: SegmentView,
        now: int,
        asked: Asked,
        visitor: Visitor | None = None,
        said: int | None = None,
    ) -> str:
        """One monitor, or one of its segments. ``said`` is the number of what the visitor just asked for."""
        looked, look = segment.looked, look_at(view, segment, now)
        reference = None if view.reference is None else view.reference.at(segment.segment)
        window = segment.window
        if reference is None or window is None or window.plan != reference.plan.fingerprint:
            window = None
        first = moved_columns(view, segment)
        acknowledgements = self._past.acknowledgements(view.name)
        windows = self._past.windows(view.name, segment.segment, None, DRAWN)
        return self._render(
            "monitor.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            look=look,
            told=tell(view, segment, look, now),
            segments=[(item, look_at(view, item, now)) for item in view.segments],
            evidence=view_models.newest_evidence(segment),
            timeline=self._timeline(view, segment, windows, now),
            # What the gauges show may be younger than any window that was decided.
            decided=windows[0].end if windows else None,
            incidents=view_models.incidents(view, segment.segment),
            columns=judged_columns(
                reference, looked, window, first, asked, self._past, self._column_url(view, segment)
            ),
            column_page=lambda page: self.links.monitor(
                view.name, segment.segment, q=asked.search, page=page
            ),
            joint=[] if looked is None else [item for item in looked.statistics if item.column is None],
            acknowledgements=acknowledgements,
            said=next((item for item in acknowledgements if item.id == said), None),
            visitor=visitor,
        )

    def _timeline(self, view: MonitorView, segment: SegmentView, windows: Sequence[Any], now: int) -> str:
        versions = self._past.versions(view.name)
        url = partial(self.links.window, view.name, segment=segment.segment)
        return timeline(windows, versions, now, began(view, segment), url)

    def _column_url(self, view: MonitorView, segment: SegmentView) -> Any:
        return partial(self.links.column, view.name, segment=segment.segment)

    def windows(
        self, snapshot: Snapshot, view: MonitorView, segment: SegmentView, now: int, before: int | None
    ) -> str:
        """The windows that end before ``before``, newest first."""
        listed = self._past.windows(view.name, segment.segment, before, LISTED)
        older = self._past.windows(view.name, segment.segment, listed[-1].end, 1) if listed else []
        newer = []
        if listed and before is not None:
            newer = self._past.following(view.name, segment.segment, listed[0].end, LISTED + 1)
        return self._render(
            "windows.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            listed=listed,
            total=self._past.count(view.name, segment.segment),
            older=listed[-1].end if older else None,
            newest=before is None or not newer,
            newer=newer[-1].end if len(newer) > LISTED else None,
            timeline=self._timeline(view, segment, listed, now),
        )

    def window(
        self,
        snapshot: Snapshot,
        view: MonitorView,
        segment: SegmentView,
        working: Working,
        now: int,
        asked: Asked,
        visitor: Visitor | None = None,
    ) -> str:
        """The working of one verdict; stored rows only for a visitor who proved who they are."""
        verdict = working.verdict
        end, name = verdict.window.end, segment.segment
        older = self._past.windows(view.name, name, end, 1)
        newer = self._past.following(view.name, name, end, 1)
        first = [item.column for item in verdict.breakages] + [item.column for item in verdict.named]
        return self._render(
            "window.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            verdict=verdict,
            working=working,
            kind=words.kind_of(verdict.state),
            older=older[0].end if older else None,
            newer=newer[0].end if newer else None,
            columns=judged_columns(
                working.reference,
                verdict,
                working.window,
                first,
                asked,
                self._past,
                self._column_url(view, segment),
            ),
            joint=[item for item in verdict.statistics if item.column is None],
            together=view_models.jointly(verdict),
            configuration=self._past.configuration(verdict),
            sample=None
            if visitor is None or working.reference is None
            else sample_rows(working.reference.plan, working.window, [*first, *by_contribution(verdict)]),
            log=worklog(working, self._past),
            command=view_models.explain_command(verdict),
            column_page=lambda page: self.links.window(view.name, end, name, q=asked.search, page=page),
        )

    def column(
        self, snapshot: Snapshot, view: MonitorView, segment: SegmentView, name: str, now: int
    ) -> str | None:
        """One column over time; None when the reference does not watch it."""
        reference = None if view.reference is None else view.reference.at(segment.segment)
        known = {} if reference is None else {item.name: item for item in reference.plan.columns}
        if reference is None or name not in known:
            return None
        trends = self._past.trends(view.name, segment.segment, [name], None, DRAWN)
        window = segment.window
        if window is not None and window.plan != reference.plan.fingerprint:
            window = None
        sides = Sides(columns=known, grids=reference.plan.grids, before=reference.summary, after=window)
        (card,) = cards_of(sides, [name], self._column_url(view, segment), segment.looked)
        return self._render(
            "column.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            card=card,
            trends=[
                (detector, found, trend(found, f"{name}, {detector}"))
                for (_, detector), found in trends.items()
            ],
        )

    def compare(
        self,
        snapshot: Snapshot,
        view: MonitorView,
        segment: SegmentView,
        sides: tuple[Side | None, Side | None],
        compared: Compared,
        now: int,
        asked: Asked,
    ) -> str:
        """Two windows, or a window and the reference, side by side; ``compared`` says what was found."""
        choices = [item.end for item in self._past.windows(view.name, segment.segment, None, CHOICES)]
        ends = [None if side is None else side.end for side in sides]
        chosen = {side.end for side in sides if side is not None and side.end is not None}
        return self._render(
            "compare.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            choices=sorted({*choices, *chosen}, reverse=True),
            ends=ends,
            compared=compared,
            column_page=lambda page: self.links.compare(
                view.name, ends[0], ends[1], segment.segment, q=asked.search, page=page
            ),
        )

    def error(self, status: int, detail: str) -> str:
        """A page that could not be shown."""
        return self._render("error.html", status=status, phrase=HTTPStatus(status).phrase, detail=detail)

    def _render(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(**values)
