"""Results for people: tables on a terminal, colour only where there is one; and JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from driftwatch.predicting import LEVEL, Prediction
from driftwatch.summary.naming import named_words
from driftwatch.summary.result import State, Statistic, Verdict
from driftwatch.summary.schema import iso

if TYPE_CHECKING:
    from rich.table import Table

    from driftwatch.backtest import Backtest
    from driftwatch.comparison import Comparison
    from driftwatch.explaining import Explanation
    from driftwatch.sensitivity import Sensitivity

_STYLES = {
    State.OK: "green",
    State.DRIFTING: "bold red",
    State.BROKEN: "bold red",
    State.CALIBRATING: "cyan",
    State.INSUFFICIENT: "cyan",
}
_BLIND = "bold yellow"
_EVIDENCE_CELLS = 10
#: Characters of one cell, and columns of a table that goes to a file.
_LONGEST, _WIDE = 300, 160


def show_json(value: Any) -> None:
    """One JSON value on standard output; NaN cannot occur."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def clean(text: str) -> str:
    """Text from data without control characters, so that a column name cannot steer the terminal.

    >>> clean("a\\x1b[31mb")
    'a?[31mb'
    """
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return "".join(char if char.isprintable() else "?" for char in text)


def _print(item: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(item)


def _table(title: str, *columns: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(clean(title)), box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _row(table: Table, *cells: Any) -> None:
    from rich.text import Text

    table.add_row(*(Text(clean(cell)) if isinstance(cell, str) else cell for cell in cells))


def number(value: float | None) -> str:
    """A number for people; a dash where there is none.

    >>> number(None), number(0.012345), number(12345.0)
    ('-', '0.0123', '12345')
    """
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 10000 else f"{value:.3g}"


def evidence_bar(evidence: float | None) -> str:
    """Evidence as a bar; full is a page.

    >>> evidence_bar(0.5)
    '█████····· 0.5'
    """
    if evidence is None:
        return "-"
    filled = int(evidence * _EVIDENCE_CELLS)
    return f"{'█' * filled}{'·' * (_EVIDENCE_CELLS - filled)} {number(evidence)}"


def _state(verdict: Verdict) -> Any:
    from rich.text import Text

    style = _STYLES.get(verdict.state, _BLIND)
    return Text(f"{verdict.state}{' PAGE' if verdict.page else ''}", style=style)


def show_windows(verdicts: Sequence[Verdict]) -> None:
    """One line per verdict, then what moved."""
    table = _table("", "monitor", "segment", "window", "rows", "state", "evidence", "why")
    for verdict in verdicts:
        _row(
            table,
            verdict.monitor,
            verdict.segment or "all",
            f"{iso(verdict.window.start)} - {iso(verdict.window.end)}",
            str(verdict.rows),
            _state(verdict),
            evidence_bar(verdict.evidence),
            verdict.detail or str(verdict.reason).replace("_", " "),
        )
    _print(table)
    for verdict in verdicts:
        if verdict.statistics:
            _print(_statistics(verdict))


def _statistics(verdict: Verdict) -> Table:
    named = {item.column for item in verdict.named}
    title = f"{verdict.monitor} {verdict.segment or ''}: largest statistics"
    table = _table(title, "column", "detector", "statistic", "p", "what")
    order = sorted(verdict.statistics, key=lambda item: (item.column not in named, -_size(item)))
    for item in order[:15]:
        _row(
            table,
            item.column or "(jointly)",
            item.detector,
            number(item.value),
            number(item.p_value),
            item.effect,
        )
    return table


def _size(item: Statistic) -> float:
    comparable = item.detector in ("ks", "tv", "missing", "unseen", "out_of_range")
    return abs(item.value) if comparable and item.value is not None else -1.0


def pages_table(title: str, pages: Sequence[Verdict]) -> Table:
    """The pages and what each names."""
    table = _table(title, "window", "segment", "since", "named")
    for page in pages:
        named = [named_words(item) for item in page.named[:4]]
        named += [f"{item.column}: {item.detail}" for item in page.breakages[:4]]
        more = len(page.named) + len(page.breakages) - len(named)
        text = "; ".join(named) + (f"; and {more} more" if more > 0 else "")
        onset = "-" if page.onset is None else iso(page.onset)[:16]
        _row(table, iso(page.window.start)[:16], page.segment or "all", onset, text)
    return table


def show_pages(title: str, pages: Sequence[Verdict]) -> None:
    """Print the pages."""
    _print(pages_table(title, pages))


def show_backtest(result: Backtest) -> None:
    """States counted, then every page, what they predict, and the faults that would have paged."""
    counted: dict[str, int] = {}
    for verdict in result.verdicts:
        counted[str(verdict.state)] = counted.get(str(verdict.state), 0) + 1
    table = _table(f"{result.monitor}: {len(result.verdicts)} verdicts", "state", "windows")
    for state, count in sorted(counted.items(), key=lambda item: -item[1]):
        _row(table, state, str(count))
    _print(table)
    if result.pages:
        show_pages(f"{len(result.pages)} page(s)", result.pages)
    else:
        click.echo("No page.")
    _show_prediction(result.prediction)
    if result.injected is not None:
        _show_injected(result.injected)


def _show_prediction(item: Prediction) -> None:
    if item.interval is None:
        return
    low, high = map(number, item.interval)
    click.echo(
        f"{item.pages} pages in {item.seconds / 86400:.0f} days are {number(item.per_quarter)} in 90 days "
        f"({LEVEL:.0%} interval {low} to {high}, exact Poisson). Of false ones the budget allows "
        f"{number(item.budget)}."
    )
    shares = {
        "calibrating": item.share(State.CALIBRATING),
        "insufficient": item.share(State.INSUFFICIENT),
        "could not look": item.could_not_look,
    }
    click.echo("Windows: " + ", ".join(f"{share or 0:.0%} {name}" for name, share in shares.items()) + ".")


def _show_injected(item: Sensitivity) -> None:
    if item.stretch is None:
        click.echo("No fault was injected: no window was looked at that had no page.")
        return
    click.echo(
        f"Faults injected into {item.within} windows without a page ({item.stretch.words}; "
        f"{item.stretch.ok} of them ok), {len(item.columns)} of {item.watched} columns: the smallest that "
        "would have paged."
    )
    table = _table("", "column", "fault", "smallest size", "pages in window", "named", "why not")
    for caught in item.caught:
        found = caught.smallest
        _row(
            table,
            caught.column,
            str(caught.fault),
            "-" if found is None else caught.fault.words(found.size),
            "-" if found is None else str(found.delay),
            "-" if found is None else "yes" if found.named else "no",
            caught.reason or ("" if found else f"not even {caught.fault.words(caught.tried[0].size)}"),
        )
    _print(table)


def show_comparison(result: Comparison) -> None:
    """One line per column and detector, then what was not compared and why."""
    data = result.to_json()
    title = f"{data['reference_rows']:,} reference rows against {data['current_rows']:,}"
    table = _table(title, "column", "kind", "detector", "statistic", "p", "what")
    for column in data["columns"]:
        name, kind = column["column"], column["kind"]
        for detector, item in column["detectors"].items():
            cells = (detector, number(item["statistic"]), number(item["p_value"]), item.get("effect") or "")
            _row(table, name, kind, *cells)
            name = kind = ""
    for detector, item in data["joint"].items():
        p_value, effect = number(item["p_value"]), item.get("effect") or ""
        _row(table, "(jointly)", "", detector, number(item["statistic"]), p_value, effect)
    _print(table)
    for aside in data["set_aside"]:
        click.echo(f"set aside: {clean(aside['column'])}: {clean(aside['reason'])}")
    if data["only_current"]:
        click.echo(f"only in the current sample: {', '.join(map(clean, data['only_current']))}")


def show_explanation(item: Explanation) -> None:
    """A verdict and the working behind it."""
    show_windows([item.recomputed])
    verdict = item.recomputed
    click.echo(f"reference {verdict.reference[:12]}, {item.reference.summary.rows:,} rows")
    click.echo(f"configuration {verdict.configuration[:12]}, {item.healthy_windows} healthy windows known")
    before, after = number(verdict.evidence_before), number(verdict.evidence)
    click.echo(f"evidence {before} before, {after} after; a page is 1")
    effects = {name: value for name, value in item.design_effects.items() if value is not None}
    for name, value in sorted(effects.items(), key=lambda pair: -pair[1])[:15]:
        click.echo(f"  {clean(name)}: {value:.1f} rows count as one")
    click.echo(
        "recomputed from the store: every number is the same"
        if item.equal
        else "recomputed from the store: NOT the same; the configuration has changed since"
    )


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error when that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bars:
        task = bars.add_task(what, total=None)

        def advance(done: int, whole: int) -> None:
            bars.update(task, completed=done, total=whole)

        yield advance
