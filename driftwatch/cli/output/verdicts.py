"""Verdicts for people: what moved, since when, how sure, what did not; many at a glance first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from driftwatch.cli.output.plots import meter, sparkline
from driftwatch.cli.output.screen import clean, facts, row, said, show, table, width
from driftwatch.results import words
from driftwatch.results.evidence_trail import Trail
from driftwatch.results.names import named_words
from driftwatch.results.results import State, Statistic, Verdict

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

#: The trail of each (monitor, segment), its newest window last.
Trails = Mapping[tuple[str, str | None], Trail]

_STYLES = {
    State.OK: "green",
    State.DRIFTING: "bold red",
    State.BROKEN: "bold red",
    State.CALIBRATING: "cyan",
    State.INSUFFICIENT: "cyan",
}
_BLIND = "bold yellow"
_STATISTICS, _LISTED, _SPARK = 12, 8, 60
#: Detectors whose statistic is a share of rows, so that one column can be held against another.
COMPARABLE = ("ks", "tv", "missing", "unseen", "out_of_range")


def show_checked(verdicts: Sequence[Verdict], trails: Trails) -> None:
    """A line per verdict when there are several, then everything of the one, or of those to look at."""
    if len(verdicts) > 1:
        show(_glance(verdicts, trails))
    for verdict in verdicts:
        whole = verdict.segment is None
        if len(verdicts) == 1 or verdict.state.moved or (whole and verdict.state is not State.OK):
            show_verdict(verdict, trails.get((verdict.monitor, verdict.segment), ()))


def _glance(verdicts: Sequence[Verdict], trails: Trails) -> Table:
    made = table("monitor", "segment", "state", "evidence", "lately", ">rows", "window to")
    most = min(max(width() - 80, 6), 24)
    for verdict in verdicts:
        trail = trails.get((verdict.monitor, verdict.segment), ())
        row(
            made,
            verdict.monitor,
            verdict.segment or "all",
            state_word(verdict),
            meter(verdict.evidence),
            sparkline(trail[-most:])[0],
            f"{verdict.rows:,}",
            words.instant(verdict.window.end).removesuffix(" UTC"),
        )
    return made


def state_word(verdict: Verdict) -> Text:
    """The state, and whether it was a page."""
    style = _STYLES.get(verdict.state, _BLIND)
    return said(f"{verdict.state}{' PAGE' if verdict.page else ''}", style)


def show_verdict(verdict: Verdict, trail: Trail) -> None:
    """Everything one verdict says, then its largest differences."""
    segment = "" if verdict.segment is None else f", segment {verdict.segment}"
    head = said(f"{verdict.monitor}{segment}", "bold").append("  ").append_text(state_word(verdict))
    made = facts()
    for label, cells in _facts(verdict, trail):
        for place, cell in enumerate(cells):
            row(made, f"  {label}" if place == 0 else "", cell)
    show("", head, made)
    if any(item.value for item in verdict.statistics):
        show("", *_statistics(verdict))


def _facts(verdict: Verdict, trail: Trail) -> list[tuple[str, Sequence[Any]]]:
    start, end = (words.instant(moment) for moment in (verdict.window.start, verdict.window.end))
    found: list[tuple[str, Sequence[Any]]] = [
        ("says", [f"{words.STATE_WORDS[verdict.state]}: {words.REASON_WORDS[verdict.reason]}"]),
        ("window", [f"{start.removesuffix(' UTC')} – {end}, {verdict.rows:,} rows"]),
        ("evidence", [_evidence(verdict)]),
    ]
    if len(trail) > 1:
        shown = trail[-min(_SPARK, width() - 14) :]
        found.append(("lately", [*sparkline(shown), f"{words.plural(len(shown), 'window')}, newest last"]))
    if verdict.onset is not None:
        found.append(("since", [words.instant(verdict.onset)]))
    if verdict.incident:
        found.append(("incident", [verdict.incident]))
    if verdict.breakages:
        found.append(("broken", _few([f"{item.column}: {item.detail}" for item in verdict.breakages])))
    elif verdict.detail:
        found.append(("detail", [verdict.detail]))
    if verdict.named:
        found.append(("named", _few([named_words(item) for item in verdict.named])))
    if verdict.unchanged:
        found.append(("unchanged", [_listed(verdict.unchanged)]))
    if verdict.rejected_files:
        files = [f"{item.name}: {item.problem} {item.detail}" for item in verdict.rejected_files]
        found.append(("left out", _few(files)))
    return found


def _evidence(verdict: Verdict) -> Text:
    drawn = meter(verdict.evidence)
    if verdict.evidence is None:
        return drawn
    before = words.number(None if verdict.evidence_before is None else round(verdict.evidence_before, 3))
    return drawn.append(f"; {before} before this window; a page is 1", "dim")


def _few(items: Sequence[str]) -> list[str]:
    more = len(items) - _LISTED
    return [*items[:_LISTED], f"and {more} more"] if more > 0 else list(items)


def _listed(names: Sequence[str]) -> str:
    """Names in one text that is not cut within a name."""
    shown: list[str] = []
    for name in names:
        if sum(len(item) + 2 for item in shown) + len(name) > 240:
            break
        shown.append(words.shortened(clean(name), 60))
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _statistics(verdict: Verdict) -> tuple[Text, Table]:
    known = [item for item in verdict.statistics if item.value]
    named = {item.column for item in verdict.named}
    known.sort(key=lambda item: (item.column not in named, -size(item)))
    shown = known[:_STATISTICS]
    made = table("column", "detector", ">statistic", ">p", "what")
    for item in shown:
        name = item.column or "(jointly)"
        row(made, name, item.detector, words.number(item.value), words.p_value(item.p_value), item.effect)
    return said(f"largest differences, {len(shown)} of {len(known)}", "bold"), made


def size(item: Statistic) -> float:
    """How large a difference is beside those of other columns; below zero where it cannot be told."""
    return abs(item.value) if item.detector in COMPARABLE and item.value is not None else -1.0
