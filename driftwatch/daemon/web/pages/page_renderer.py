"""Renders the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from driftwatch.daemon.status.column_order import by_contribution
from driftwatch.daemon.status.headline import headline_of, moved_columns, onset
from driftwatch.daemon.status.ports import RunningDaemon
from driftwatch.daemon.status.snapshot import MonitorView, SegmentView, Snapshot
from driftwatch.daemon.status.trends import read_trends
from driftwatch.daemon.status.verdict_reader import VerdictData
from driftwatch.daemon.status.worklog import worklog
from driftwatch.daemon.web.http.assets import Asset
from driftwatch.daemon.web.http.links import Links
from driftwatch.daemon.web.http.query import Side
from driftwatch.daemon.web.pages import view_models
from driftwatch.daemon.web.pages.cards import ComparedSummaries, column_cards
from driftwatch.daemon.web.pages.incident_text import incident_text
from driftwatch.daemon.web.pages.own_health_page import own_health_page
from driftwatch.daemon.web.pages.sample_rows import sample_rows
from driftwatch.daemon.web.pages.sections import TIMELINE_WINDOWS, ColumnSelection, timeline, verdict_columns
from driftwatch.daemon.web.pages.side_by_side import Comparison
from driftwatch.daemon.web.pages.template_environment import template_environment
from driftwatch.daemon.web.pages.trend_lines import trend_chart
from driftwatch.daemon.web.pages.view_models import User
from driftwatch.results import text_format
from driftwatch.store.browsing import Browsing

#: Windows in a list, and in a comparison's selectors.
WINDOWS_PER_PAGE, MAX_CHOICES = 100, 400
#: Accepted incidents that can be taken back from the page.
MAX_ACCEPTED = 3


class PageRenderer:
    def __init__(self, links: Links, assets: Mapping[str, Asset], daemon: RunningDaemon) -> None:
        self.links = links
        self._daemon = daemon
        self._environment = template_environment(links, assets)

    @property
    def _browsing(self) -> Browsing:
        return self._daemon.past.browsing

    def index(self, snapshot: Snapshot, now: int, search: str = "", kind: str = "", page: int = 1) -> str:
        fleet = view_models.fleet(snapshot, now, self.links, search, kind, page)
        return self._render("index.html", snapshot=snapshot, now=now, fleet=fleet)

    def daemon(self, snapshot: Snapshot, now: int) -> str:
        page = own_health_page(snapshot, self.links)
        return self._render("daemon.html", snapshot=snapshot, now=now, page=page)

    def monitor(
        self,
        snapshot: Snapshot,
        view: MonitorView,
        segment: SegmentView,
        now: int,
        selection: ColumnSelection,
        user: User | None = None,
        # The acknowledgement that the user has just requested.
        acknowledgement_id: int | None = None,
        *,
        is_repeat: bool = False,  # the form was sent twice
    ) -> str:
        usable_verdict, status = segment.usable_verdict, headline_of(view, segment, now)
        reference = None if view.reference is None else view.reference.for_segment(segment.segment)
        window = segment.window
        if reference is None or window is None or window.plan != reference.plan.fingerprint:
            window = None
        leading_columns = moved_columns(view, segment)
        acknowledgements = self._browsing.acknowledgements(view.name)
        windows = self._browsing.windows(view.name, segment.segment, limit=TIMELINE_WINDOWS)
        return self._render(
            "monitor.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            status=status,
            text=incident_text(view, segment, status, now),
            segments=[(item, headline_of(view, item, now)) for item in view.segments],
            evidence=view_models.newest_evidence(segment),
            timeline=self._timeline(view, segment, windows, now),
            # The gauges may show a younger window than the newest one that was decided.
            newest_end=windows[0].end if windows else None,
            window_ends={item.end for item in windows},
            # Ends of windows of which only late rows paged.
            late_pages={item.end for item in windows if item.has_page and not item.page},
            incidents=view_models.incident_views(view, segment.segment),
            accepted=self._accepted(view),
            columns=verdict_columns(
                reference,
                usable_verdict,
                window,
                leading_columns,
                selection,
                self._browsing,
                self._column_url(view, segment),
            ),
            column_page=lambda page: self.links.monitor(
                view.name, segment.segment, q=selection.search, page=page
            ),
            joint_statistics=[]
            if usable_verdict is None
            else [item for item in usable_verdict.statistics if item.column is None],
            acknowledgements=acknowledgements,
            is_repeat=is_repeat,
            acknowledgement=next((item for item in acknowledgements if item.id == acknowledgement_id), None),
            user=user,
        )

    def _accepted(self, view: MonitorView) -> list[view_models.AcceptedView]:
        return view_models.accepted_views(
            self._daemon.past.incidents.newest_accepted(view.name, MAX_ACCEPTED)
        )

    def _timeline(self, view: MonitorView, segment: SegmentView, windows: Sequence[Any], now: int) -> str:
        versions = self._browsing.versions(view.name)
        url = partial(self.links.window, view.name, segment=segment.segment)
        return timeline(windows, versions, now, onset(view, segment), url)

    def _column_url(self, view: MonitorView, segment: SegmentView) -> Any:
        return partial(self.links.column, view.name, segment=segment.segment)

    def windows(
        self, snapshot: Snapshot, view: MonitorView, segment: SegmentView, now: int, end_below: int | None
    ) -> str:
        windows = self._browsing.windows(
            view.name, segment.segment, end_below=end_below, limit=WINDOWS_PER_PAGE
        )
        older_windows = (
            self._browsing.windows(view.name, segment.segment, end_below=windows[-1].end, limit=1)
            if windows
            else []
        )
        newer_windows = []
        if windows and end_below is not None:
            newer_windows = self._browsing.following(
                view.name, segment.segment, windows[0].end, WINDOWS_PER_PAGE + 1
            )
        return self._render(
            "windows.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            windows=windows,
            total=self._browsing.count(view.name, segment.segment),
            older_end=windows[-1].end if older_windows else None,
            is_newest=end_below is None or not newer_windows,
            newer_end=newer_windows[-1].end if len(newer_windows) > WINDOWS_PER_PAGE else None,
            timeline=self._timeline(view, segment, windows, now),
        )

    def window(
        self,
        snapshot: Snapshot,
        view: MonitorView,
        segment: SegmentView,
        verdict_data: VerdictData,
        now: int,
        selection: ColumnSelection,
        user: User | None = None,
    ) -> str:
        """Render a window's page; only an authenticated user sees stored rows."""
        verdict = verdict_data.verdict
        end, segment_name = verdict.window.end, segment.segment
        older_windows = self._browsing.windows(view.name, segment_name, end_below=end, limit=1)
        newer_windows = self._browsing.following(view.name, segment_name, end, 1)
        leading_columns = [item.column for item in verdict.breakages] + [
            item.column for item in verdict.named
        ]
        return self._render(
            "window.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            verdict=verdict,
            verdict_data=verdict_data,
            kind=text_format.state_kind(verdict.state),
            older_end=older_windows[0].end if older_windows else None,
            newer_end=newer_windows[0].end if newer_windows else None,
            columns=verdict_columns(
                verdict_data.reference,
                verdict,
                verdict_data.window,
                leading_columns,
                selection,
                self._browsing,
                self._column_url(view, segment),
            ),
            joint_statistics=[item for item in verdict.statistics if item.column is None],
            joint_named=view_models.joint_named(verdict),
            owed=None
            if verdict_data.owed is None
            else view_models.owed_text(verdict_data.owed, view.patience_seconds),
            late_parts=view_models.late_part_views(verdict_data),
            configuration=self._browsing.configuration(verdict.monitor, verdict.configuration),
            sample=None
            if user is None or verdict_data.reference is None
            else sample_rows(
                verdict_data.reference.plan,
                verdict_data.window,
                [*leading_columns, *by_contribution(verdict)],
            ),
            log=worklog(verdict_data, self._browsing),
            command=view_models.explain_command(verdict),
            column_page=lambda page: self.links.window(
                view.name, end, segment_name, q=selection.search, page=page
            ),
        )

    def column(
        self, snapshot: Snapshot, view: MonitorView, segment: SegmentView, name: str, now: int
    ) -> str | None:
        """Render a column's page; None when the reference lacks the column."""
        reference = None if view.reference is None else view.reference.for_segment(segment.segment)
        columns = {} if reference is None else {item.name: item for item in reference.plan.columns}
        if reference is None or name not in columns:
            return None
        trends = read_trends(self._browsing, view.name, segment.segment, [name], None, TIMELINE_WINDOWS)
        window = segment.window
        if window is not None and window.plan != reference.plan.fingerprint:
            window = None
        summaries = ComparedSummaries(
            columns=columns, grids=reference.plan.grids, first=reference.summary, second=window
        )
        (card,) = column_cards(summaries, [name], self._column_url(view, segment), segment.usable_verdict)
        return self._render(
            "column.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            card=card,
            trends=[
                (detector, trend, trend_chart(trend, f"{name}, {detector}"))
                for (_, detector), trend in trends.items()
            ],
        )

    def compare(
        self,
        snapshot: Snapshot,
        view: MonitorView,
        segment: SegmentView,
        sides: tuple[Side | None, Side | None],
        comparison: Comparison,
        now: int,
        selection: ColumnSelection,
    ) -> str:
        recent_ends = [
            item.end for item in self._browsing.windows(view.name, segment.segment, limit=MAX_CHOICES)
        ]
        ends = [None if side is None else side.end for side in sides]
        selected_ends = {side.end for side in sides if side is not None and side.end is not None}
        return self._render(
            "compare.html",
            snapshot=snapshot,
            now=now,
            view=view,
            segment=segment,
            choices=sorted({*recent_ends, *selected_ends}, reverse=True),
            ends=ends,
            comparison=comparison,
            column_page=lambda page: self.links.compare(
                view.name, ends[0], ends[1], segment.segment, q=selection.search, page=page
            ),
        )

    def error(self, status: int, detail: str) -> str:
        return self._render("error.html", status=status, phrase=HTTPStatus(status).phrase, detail=detail)

    def _render(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(**values)
