"""Shows verdicts as text: what moved, since when, how sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from driftwatch.cli.output.plots import meter, sparkline
from driftwatch.cli.output.screen import add_row, clean, fact_table, literal, show, show_line, table, width
from driftwatch.monitor.column_labels import comparable_size, named_column_text
from driftwatch.monitor.incidents.ending_text import ending_texts, update_text
from driftwatch.results import text_format
from driftwatch.results.evidence_trail import Trail
from driftwatch.results.results import State, Verdict

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
_BLIND_STYLE = "bold yellow"
#: Rows of a table of statistics, items of a list, windows of a sparkline.
_MAX_STATISTICS, _MAX_ITEMS, _MAX_WINDOWS = 12, 8, 60
#: Characters of a list of column names, and of one name in it.
_MAX_LIST_CHARS, _MAX_NAME_CHARS = 240, 60


def show_checks(results: Sequence[tuple[str, Sequence[Verdict] | str]], trails: Trails) -> None:
    """Show each monitor's verdicts, or the error in their place.

    If there are several verdicts, a table has a line of each; then come details of those that are not ok.
    """
    verdicts = [verdict for _, content in results if not isinstance(content, str) for verdict in content]
    if len(verdicts) > 1:
        show(_verdict_table(verdicts, trails))
    for name, content in results:
        if isinstance(content, str):
            show_failure(name, content)
            continue
        for verdict in content:
            is_whole = verdict.segment is None
            if len(verdicts) == 1 or verdict.state.moved or (is_whole and verdict.state is not State.OK):
                show_verdict(verdict, trails.get((verdict.monitor, verdict.segment), ()))


def show_failure(monitor: str, error: str) -> None:
    """Show why there is no result of a monitor."""
    show_line(f"{monitor}: ", error.removeprefix(f"{monitor}: "), _BLIND_STYLE)


def show_late_verdicts(verdicts: Sequence[Verdict], title: str) -> None:
    """Show a line for each window or part of late rows, then details of those that moved."""
    if not verdicts:
        return
    rows = table("monitor", "segment", "window to", "judged", "state", "evidence", ">rows")
    for verdict in verdicts:
        add_row(
            rows,
            verdict.monitor,
            verdict.segment or "all",
            text_format.format_time(verdict.window.end).removesuffix(" UTC"),
            f"late rows, part {verdict.part}" if verdict.part else "the window",
            _state_text(verdict),
            meter(verdict.evidence),
            f"{verdict.rows:,}",
        )
    show("", literal(title, "bold"), rows)
    for verdict in verdicts:
        if verdict.state.moved:
            show_verdict(verdict, ())


def _verdict_table(verdicts: Sequence[Verdict], trails: Trails) -> Table:
    rows = table("monitor", "segment", "state", "evidence", "lately", ">rows", "window to")
    n_windows = min(max(width() - 80, 6), 24)
    for verdict in verdicts:
        trail = trails.get((verdict.monitor, verdict.segment), ())
        add_row(
            rows,
            verdict.monitor,
            verdict.segment or "all",
            _state_text(verdict),
            meter(verdict.evidence),
            sparkline(trail[-n_windows:])[0],
            f"{verdict.rows:,}",
            text_format.format_time(verdict.window.end).removesuffix(" UTC"),
        )
    return rows


def _state_text(verdict: Verdict) -> Text:
    style = _STYLES.get(verdict.state, _BLIND_STYLE)
    return literal(f"{verdict.state}{' PAGE' if verdict.page else ''}", style)


def show_verdict(verdict: Verdict, trail: Trail) -> None:
    segment = "" if verdict.segment is None else f", segment {verdict.segment}"
    head = literal(f"{verdict.monitor}{segment}", "bold").append("  ").append_text(_state_text(verdict))
    facts = fact_table()
    for label, cells in _facts(verdict, trail):
        for index, cell in enumerate(cells):
            add_row(facts, f"  {label}" if index == 0 else "", cell)
    show("", head, facts)
    if any(item.value for item in verdict.statistics):
        show("", *_statistics(verdict))


def _facts(verdict: Verdict, trail: Trail) -> list[tuple[str, Sequence[Any]]]:
    start, end = (text_format.format_time(moment) for moment in (verdict.window.start, verdict.window.end))
    facts: list[tuple[str, Sequence[Any]]] = [
        ("says", [f"{text_format.STATE_WORDS[verdict.state]}: {text_format.REASON_WORDS[verdict.reason]}"]),
        ("window", [f"{start.removesuffix(' UTC')} – {end}, {verdict.rows:,} {_rows_word(verdict)}"]),
        ("evidence", [_evidence(verdict)]),
    ]
    if len(trail) > 1:
        newest = trail[-min(_MAX_WINDOWS, width() - 14) :]
        facts.append(
            (
                "lately",
                [*sparkline(newest), f"{text_format.format_count(len(newest), 'window')}, newest last"],
            )
        )
    if verdict.owed:
        facts.append(("owed", ["it is judged when its rows come, see window.patience"]))
    if verdict.onset is not None:
        facts.append(("since", [text_format.format_time(verdict.onset)]))
    if verdict.incident:
        facts.append(("incident", [verdict.incident + (", paged again" if verdict.again else "")]))
    if verdict.updates:
        facts.append(("updated", _first_items([update_text(item, verdict) for item in verdict.updates])))
    if verdict.endings:
        facts.append(("still open", _first_items(ending_texts(verdict.endings, verdict.window.seconds))))
    if verdict.breakages:
        facts.append(
            ("broken", _first_items([f"{item.column}: {item.detail}" for item in verdict.breakages]))
        )
    elif verdict.detail:
        # A cell is cut: each of several notes has its own.
        facts.append(("detail", verdict.detail.split("; ")))
    if verdict.named:
        facts.append(("named", _first_items([named_column_text(item) for item in verdict.named])))
    if verdict.watched is not None:
        facts.append(("looked at", [text_format.watched_text(verdict)]))
    if verdict.unwatched:
        facts.append(
            ("not at", _first_items([text_format.unwatched_text(item) for item in verdict.unwatched]))
        )
    for label, names in (("did not change", verdict.unchanged), ("could not tell", verdict.could_not_tell)):
        # Late rows alone tell nothing of the columns of their window.
        if names and not verdict.part:
            facts.append((label, [_name_list(text_format.move_texts(names, verdict.move_limits))]))
    if verdict.type_changes:
        facts.append(("another type", [text_format.type_changes_text(verdict.type_changes)]))
    if verdict.rejected_files:
        files = [f"{item.name}: {item.problem} {item.detail}" for item in verdict.rejected_files]
        facts.append(("left out", _first_items(files)))
    return facts


def _rows_word(verdict: Verdict) -> str:
    return f"late rows, part {verdict.part}" if verdict.part else "rows"


def _evidence(verdict: Verdict) -> Text:
    text = meter(verdict.evidence)
    if verdict.evidence is None:
        return text
    previous = text_format.format_number(
        None if verdict.evidence_before is None else round(verdict.evidence_before, 3)
    )
    return text.append(f"; {previous} before this window; a page is 1", "dim")


def _first_items(items: Sequence[str]) -> list[str]:
    n_hidden = len(items) - _MAX_ITEMS
    return [*items[:_MAX_ITEMS], f"and {n_hidden} more"] if n_hidden > 0 else list(items)


def _name_list(names: Sequence[str]) -> str:
    shortened_names: list[str] = []
    for name in names:
        if sum(len(item) + 2 for item in shortened_names) + len(name) > _MAX_LIST_CHARS:
            break
        shortened_names.append(text_format.truncate(clean(name), _MAX_NAME_CHARS))
    n_hidden = len(names) - len(shortened_names)
    return ", ".join(shortened_names) + (f" and {n_hidden} more" if n_hidden else "")


def _statistics(verdict: Verdict) -> tuple[Text, Table]:
    statistics = [item for item in verdict.statistics if item.value]
    named_columns = {item.column for item in verdict.named}
    statistics.sort(key=lambda item: (item.column not in named_columns, -comparable_size(item)))
    largest = statistics[:_MAX_STATISTICS]
    rows = table("column", "detector", ">statistic", ">p", "what")
    for item in largest:
        name = item.column or "(jointly)"
        add_row(
            rows,
            name,
            item.detector,
            text_format.format_number(item.value),
            text_format.format_p_value(item.p_value),
            item.effect,
        )
    return literal(f"largest differences, {len(largest)} of {len(statistics)}", "bold"), rows
