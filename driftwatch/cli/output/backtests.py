"""A replayed history for people: evidence over time, every page, what they predict, what would be caught."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from driftwatch.backtest.page_rate import LEVEL, Prediction
from driftwatch.backtest.run import Backtest
from driftwatch.backtest.sensitivity import Sensitivity
from driftwatch.cli.output.plots import timeline
from driftwatch.cli.output.screen import WIDEST, row, said, show, table, width
from driftwatch.results import words
from driftwatch.results.evidence_trail import shortened
from driftwatch.results.names import named_words
from driftwatch.results.results import State, Verdict

_NAMED, _MARGIN = 4, 12


def show_backtest(result: Backtest) -> None:
    """How it went over time, then every page, what they predict, and the faults that would have paged."""
    whole = [verdict for verdict in result.verdicts if verdict.segment is None]
    counted = Counter(str(verdict.state) for verdict in whole)
    states = ", ".join(f"{count:,} {state}" for state, count in counted.most_common())
    head = said(result.monitor, "bold").append(f"  {words.plural(len(whole), 'window')}: {states}")
    if len(result.verdicts) > len(whole):
        head.append(f"; {words.plural(len(result.verdicts) - len(whole), 'verdict')} of segments besides")
    show("", head)
    room = min(width(), WIDEST) - _MARGIN
    trail = shortened(whole, room)
    if trail:
        show("", *timeline(trail, room))
    if result.pages:
        show("")
        show_pages(words.plural(len(result.pages), "page"), result.pages)
    else:
        show("", "No page.")
    _show_prediction(result.prediction)
    if result.injected is not None:
        _show_injected(result.injected)


def show_pages(title: str, pages: Sequence[Verdict]) -> None:
    """The pages and what each names."""
    segments = any(page.segment is not None for page in pages)
    made = table("window from", *(["segment"] if segments else []), "since", "named")
    for page in pages:
        named = [named_words(item) for item in page.named[:_NAMED]]
        named += [f"{item.column}: {item.detail}" for item in page.breakages[:_NAMED]]
        more = len(page.named) + len(page.breakages) - len(named)
        text = "; ".join(named) + (f"; and {more} more" if more > 0 else "")
        where = [page.segment or "all"] if segments else []
        row(made, _minute(page.window.start), *where, _minute(page.onset), text)
    show(said(title, "bold"), made)


def _minute(moment: int | None) -> str:
    return words.instant(moment).removesuffix(" UTC")


def _show_prediction(item: Prediction) -> None:
    if item.interval is None:
        return
    low, high = map(words.number, item.interval)
    shares = {
        "calibrating": item.share(State.CALIBRATING),
        "insufficient": item.share(State.INSUFFICIENT),
        "could not look": item.could_not_look,
    }
    show(
        "",
        f"{words.plural(item.pages, 'page')} in {item.seconds / 86400:.0f} days: "
        f"{words.number(item.per_quarter)} in 90 days ({LEVEL:.0%} interval {low} to {high}, exact Poisson). "
        f"Of false ones the budget allows {words.number(item.budget)}.",
        "Windows: " + ", ".join(f"{words.percent(share)} {name}" for name, share in shares.items()) + ".",
    )


def _show_injected(item: Sensitivity) -> None:
    if item.stretch is None:
        show("", "No fault was injected: no window was looked at that had no page.")
        return
    made = table("column", "fault", ">smallest size", ">pages in window", "named", "why not")
    for caught in item.caught:
        found = caught.smallest
        largest = caught.fault.words(caught.tried[0].size) if caught.tried else ""
        row(
            made,
            caught.column,
            str(caught.fault),
            "–" if found is None else caught.fault.words(found.size),
            "–" if found is None else str(found.delay),
            "–" if found is None else "yes" if found.named else "no",
            caught.reason or ("" if found else f"not even {largest}"),
        )
    show(
        "",
        f"Faults injected into {item.within} windows without a page ({item.stretch.words}; "
        f"{item.stretch.ok} of them ok), {len(item.columns)} of {item.watched} columns: the smallest that "
        "would have paged.",
        "",
        made,
    )
