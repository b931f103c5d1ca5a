"""Shows a backtest as text: evidence over time, pages, predicted page rate, sensitivity to faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from driftwatch.backtest.page_rate import CONFIDENCE_LEVEL, Prediction
from driftwatch.backtest.run import Backtest
from driftwatch.backtest.sensitivity import Sensitivity
from driftwatch.cli.output.plots import timeline
from driftwatch.cli.output.screen import MAX_DRAWING_WIDTH, add_row, literal, show, table, width
from driftwatch.monitor.column_labels import column_labels, named_column_text
from driftwatch.results import text_format
from driftwatch.results.evidence_trail import downsample
from driftwatch.results.page_json import later_updates, pages_json
from driftwatch.results.results import State, Verdict

#: Columns that a page lists, and characters left and right of a timeline.
_MAX_NAMED, _MARGIN_CHARS = 4, 12
#: Updates of open incidents that are listed.
_MAX_UPDATES = 20


def show_backtest(result: Backtest) -> None:
    all_rows = [verdict for verdict in result.verdicts if verdict.segment is None]
    state_counts = Counter(str(verdict.state) for verdict in all_rows)
    states = ", ".join(f"{count:,} {state}" for state, count in state_counts.most_common())
    head = literal(result.monitor, "bold").append(
        f"  {text_format.format_count(len(all_rows), 'window')}: {states}"
    )
    if len(result.verdicts) > len(all_rows):
        count = len(result.verdicts) - len(all_rows)
        head.append(f"; {text_format.format_count(count, 'verdict')} of segments besides")
    show("", head)
    columns = min(width(), MAX_DRAWING_WIDTH) - _MARGIN_CHARS
    trail = downsample(all_rows, columns)
    if trail:
        show("", *timeline(trail, columns))
    if result.pages:
        show("")
        places = [page["segments"] for page in pages_json(result.verdicts)]
        show_pages(text_format.format_count(len(result.pages), "page"), result.pages, places)
    else:
        show("", "No page.")
    _show_updates(result.verdicts)
    _show_prediction(result.prediction)
    _show_burn_in(all_rows)
    if result.sensitivity is not None:
        _show_sensitivity(result.sensitivity)


def show_pages(
    title: str, pages: Sequence[Verdict], places: Sequence[Sequence[str | None]] | None = None
) -> None:
    """Show a line for each page; ``places`` are the segments of each incident."""
    places = [(page.segment,) for page in pages] if places is None else places
    has_segments = any(list(names) != [None] for names in places)
    rows = table("window from", *(["segment"] if has_segments else []), "since", "named")
    for page, names in zip(pages, places, strict=True):
        texts = [named_column_text(item) for item in page.named[:_MAX_NAMED]]
        texts += [f"{item.column}: {item.detail}" for item in page.breakages[:_MAX_NAMED]]
        n_hidden = len(page.named) + len(page.breakages) - len(texts)
        text = "; ".join(texts) + (f"; and {n_hidden} more" if n_hidden > 0 else "")
        text = f"again: {text}" if page.again else text
        segment = [text_format.listing([name or "all" for name in names], _MAX_NAMED)] if has_segments else []
        add_row(rows, _minute(page.window.start), *segment, _minute(page.onset), text)
    show(literal(title, "bold"), rows)


def _show_updates(verdicts: Sequence[Verdict]) -> None:
    updates = later_updates(verdicts)
    if not updates:
        return
    has_segments = any(item.segments != (None,) for item in updates)
    rows = table("window from", *(["segment"] if has_segments else []), "incident", "joined or moved on")
    for item in updates[:_MAX_UPDATES]:
        columns = text_format.listing(column_labels(item.names), _MAX_NAMED)
        places = text_format.listing([name or "all" for name in item.segments], _MAX_NAMED)
        add_row(rows, _minute(item.window.start), *([places] if has_segments else []), item.key, columns)
    n_hidden = len(updates) - _MAX_UPDATES
    more = [f"and {n_hidden} more"] if n_hidden > 0 else []
    title = f"{text_format.format_count(len(updates), 'update')} of open incidents, without a page"
    show("", literal(title, "bold"), rows, *more)


def _minute(moment: int | None) -> str:
    return text_format.format_time(moment).removesuffix(" UTC")


def _show_prediction(item: Prediction) -> None:
    if item.interval is None:
        return
    low, high, per_quarter, budget = map(
        text_format.format_number, (*item.interval, item.per_quarter, item.budget)
    )
    shares = {
        "calibrating": item.share(State.CALIBRATING),
        "insufficient": item.share(State.INSUFFICIENT),
        "could not look": item.could_not_look,
    }
    show(
        "",
        f"{text_format.format_count(item.pages, 'page')} in {item.seconds / 86400:.0f} days: "
        f"{per_quarter} in 90 days ({CONFIDENCE_LEVEL:.0%} interval {low} to {high}, exact Poisson). "
        f"Of false ones the budget allows {budget}.",
        "Windows: "
        + ", ".join(f"{text_format.format_percent(share)} {name}" for name, share in shares.items())
        + ".",
    )


def _show_burn_in(verdicts: Sequence[Verdict]) -> None:
    windows = [verdict for verdict in verdicts if verdict.calibrating_until is not None]
    if windows:
        show("", f"{_minute(windows[0].window.start)}, {windows[0].state}: {windows[0].detail}.")


def _show_sensitivity(item: Sensitivity) -> None:
    if item.calm_period is None:
        show("", "No fault was injected: no window was looked at that had no page.")
        return
    rows = table("column", "fault", ">smallest size", ">pages in window", "named", "why not")
    for fault in item.faults:
        smallest = fault.smallest_detected
        largest = fault.fault.size_text(fault.trials[0].size) if fault.trials else ""
        add_row(
            rows,
            fault.column,
            str(fault.fault),
            "–" if smallest is None else fault.fault.size_text(smallest.size),
            "–" if smallest is None else str(smallest.delay),
            "–" if smallest is None else "yes" if smallest.named else "no",
            fault.reason or ("" if smallest else f"not even {largest}"),
        )
    show(
        "",
        f"Faults injected into {item.n_windows} windows without a page ({item.calm_period.span_text}; "
        f"{item.calm_period.ok_windows} of them ok), {len(item.columns)} of {item.n_watched} columns: "
        "the smallest that would have paged.",
        "",
        rows,
    )
