"""Real streams through the real backtest: every page with what it names, and what season slots buy.

``make bench-streams``, or ``python tests/bench/streams.py --only loan,employment``. Each stream is written to
files below the cache folder and replayed by ``driftwatch backtest`` in a process of its own, with every
setting at its default (one false page in 90 days) unless a line says otherwise. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import streams_data as data
from scipy.special import chdtri

QUARTER_DAYS = 90
#: Weeks of reference and of production of the cyclic streams, without and with a shift.
CALM, SHIFTED = (8, 13), (8, 5)
#: Production hours before the shift: two weeks and a Wednesday morning.
ONSET = 2 * data.HOURS_A_WEEK + 58
SHIFTS = (0.25, 0.5, 1.0)
CYCLES = (
    ("1h", ()), ("1h", ("hour_of_day",)), ("1h", ("hour_of_week",)), ("1d", ()), ("1d", ("day_of_week",)),
)  # fmt: skip


def replay(stream: data.Stream) -> dict[str, Any]:
    """The JSON that ``driftwatch backtest`` prints of a stream."""
    path = stream.folder / "driftwatch.yaml"
    path.write_text(stream.configuration(), encoding="utf-8")
    command = [sys.executable, "-m", "driftwatch", "backtest", str(path), "--no-inject", "--format", "json"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{process.stderr}")
    result: dict[str, Any] = json.loads(process.stdout)
    return result


def drift_pages(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Pages that count against the budget; breakages do not."""
    return [page for page in result["pages"] if page["kind"] == "drift"]


def quarters(result: dict[str, Any]) -> float:
    return float(result["prediction"]["days"]) / QUARTER_DAYS


def upper95(pages: int) -> float:
    """One-sided 95 % limit of the mean of a Poisson count (Garwood 1936)."""
    return float(chdtri(2 * (pages + 1), 0.05)) / 2


def list_pages(result: dict[str, Any], explain: Callable[[dict[str, Any]], str] = lambda _: "") -> None:
    """Print every page with the columns that it names."""
    for page in result["pages"]:
        effects = "; ".join(f"{item['column'] or 'jointly'}: {item['effect']}" for item in page["columns"])
        print(f"  {page['window_start'][:16]}  {page['kind']:<6} since {page['onset'][:16]}  {effects}")
        if explanation := explain(page):
            print(f"{'':20}{explanation}")
    states = result["prediction"]["states"]
    shares = ", ".join(f"{share:.0%} {state}" for state, share in states.items() if share)
    print(f"  {len(result['pages'])} pages in {result['prediction']['days']:.0f} days; windows: {shares}")


def real_order(cache: Path) -> None:
    """Print the pages of the flights in real order, each with facts of its days."""
    frame = data.flights(cache)
    print("\n== flights of 2013 in real order, daily windows, reference January-March")
    reference = frame[frame["when"] < "2013-04-01"]

    def describe_days(page: dict[str, Any]) -> str:
        first, last = (pd.Timestamp(page[key]).tz_localize(None) for key in ("onset", "window_end"))
        days = frame[(frame["when"] >= first) & (frame["when"] < last)]
        facts = (
            ("temperature", "temp", "mean", "{:.0f} F"),
            ("visibility", "visib", "mean", "{:.1f} mi"),
            ("rain", "precip", "mean", "{:.4f} in/h"),
            ("departure delay", "dep_delay", "median", "{:.0f} min"),
            ("arrival delay", "arr_delay", "median", "{:.0f} min"),
            ("cancelled", "dep_delay", None, "{:.1%}"),
        )
        changes = []
        for name, column, aggregate, pattern in facts:
            figures = [
                side[column].isna().mean() if aggregate is None else side[column].agg(aggregate)
                for side in (reference, days)
            ]
            changes.append(
                " ".join([name, " -> ".join("none" if pd.isna(x) else pattern.format(x) for x in figures)])
            )
        return "those days: " + ", ".join(changes)

    list_pages(replay(data.ordered_stream(frame, cache / "in-order")), describe_days)


def permuted_days(cache: Path, seeds: Sequence[int], executor: ThreadPoolExecutor) -> None:
    """Print the rate of pages where days are in random order; the budget is its limit."""
    print(f"\n== flights of 2013, days permuted (seeds {seeds[0]}-{seeds[-1]}), reference a random quarter")
    frame = data.flights(cache)
    monitor = f"window: {{length: 1d, min_rows: 200}}\n{data.FLIGHT_COLUMNS}"

    def replay_seed(seed: int) -> dict[str, Any]:
        return replay(data.permute_blocks(frame, cache / f"permuted-{seed}", seed, monitor=monitor))

    print_rate(list(zip(seeds, executor.map(replay_seed, seeds), strict=True)))


def print_rate(results: Sequence[tuple[int, dict[str, Any]]]) -> None:
    for seed, result in results:
        if result["pages"]:
            print(f" seed {seed}")
            list_pages(result)
    pages, length = (
        sum(len(drift_pages(result)) for _, result in results),
        sum(quarters(result) for _, result in results),
    )
    print(
        f"  {pages} pages that were not breakages in {length:.1f} quarters: {pages / length:.2f} a quarter, "
        f"upper 95 % bound {upper95(pages) / length:.2f}, budget 1"
    )


def permuted_weeks(cache: Path, seeds: Sequence[int], executor: ThreadPoolExecutor) -> None:
    """Print the rate of pages where weeks are in random order: a real cycle in which nothing drifts."""
    frame = data.flights(cache).drop(columns=list(data.WEATHER))
    for season in ("", "hour_of_week"):
        print(f"\n== flights by the hour, weeks permuted (seeds {seeds[0]}-{seeds[-1]}), season: [{season}]")
        monitor = f"window: {{length: 1h, min_rows: 20}}\nseason: [{season}]\n{data.FLIGHT_COLUMNS}"

        def replay_seed(seed: int, season: str = season, monitor: str = monitor) -> dict[str, Any]:
            folder = cache / f"weeks-{seed}-{season or 'none'}"
            return replay(data.permute_blocks(frame, folder, seed, days=7, monitor=monitor))

        print_rate(list(zip(seeds, executor.map(replay_seed, seeds), strict=True)))


def loan(cache: Path, executor: ThreadPoolExecutor) -> None:
    """Print the pages of the car loan: none should be before the change, one in the first window after it."""
    archive = data.wheel(cache)
    lengths = ("6h", "1d", "7d", "30d")
    streams = [data.car_loan(archive, cache / f"loan-{length}", length) for length in lengths]
    for length, (_, change), result in zip(
        lengths, streams, executor.map(replay, [s for s, _ in streams]), strict=True
    ):
        print(
            f"\n== NannyML car loan, windows of {length}; changed from {change:%Y-%m-%d %H:%M} on "
            f"(row {data.LOAN_HEALTHY:,})"
        )
        list_pages(result)
        ends = [pd.Timestamp(page["window_end"]).tz_localize(None) for page in result["pages"]]
        starts = [pd.Timestamp(window["start"]).tz_localize(None) for window in result["windows"]]
        first_changed = next(start for start in starts if start >= change)
        n_early = sum(end <= change for end in ends)
        page_end = next((end for end in ends if end > change), None)
        delay_windows = (
            None if page_end is None else sum(first_changed < start < page_end for start in starts)
        )
        print(
            f"  pages before the change: {n_early}; "
            f"windows after the first whole one with it: {delay_windows}"
        )


def employment(cache: Path) -> None:
    """Print the pages of a stream without a known change, and those of one that cannot have drifted."""
    orders = {
        "years": "rows of a year in random order (seed 1)",
        "mixed": "rows of all years in random order (seed 1): nothing can drift",
        "file": "rows in the order of the file",
    }
    for order, description in orders.items():
        print(f"\n== employment in Massachusetts (census), reference 2015, weeks made of {description}")
        list_pages(replay(data.employment(data.wheel(cache), cache / f"employment-{order}", order)))


def cycles(cache: Path, seeds: Sequence[int], executor: ThreadPoolExecutor) -> None:
    """Print what season slots buy: false pages, and the delay of shifts of two columns."""
    print(
        f"\n== days, nights and weekends, 120 rows an hour, seeds {seeds[0]}-{seeds[-1]}, reference 8 weeks"
        "\n   median hours to the page that names `load` (seasonal) and `flat` (not), moved at once (runs)"
    )
    head = f"{'windows':<9}{'season':<16}{'pages/quarter':>14}{'upper 95':>10}{'in incident':>13}"
    print(head + "".join(f"{f'{shift} sd load':>14}{'flat':>12}" for shift in SHIFTS))
    for length, season in CYCLES:
        monitor = f"window: {{length: {length}, min_rows: 30}}\nseason: [{', '.join(season)}]"

        name = f"cyclic-{length}-{'-'.join(season) or 'none'}"

        def replay_task(task: tuple[int, float], name: str = name, monitor: str = monitor) -> dict[str, Any]:
            seed, shift = task
            weeks = SHIFTED if shift else CALM
            folder = cache / f"{name}-{seed}-{shift:g}"
            return replay(data.cyclic(folder, seed, weeks, shift, ONSET, monitor))

        calm_results = list(executor.map(replay_task, [(seed, 0.0) for seed in seeds]))
        pages, n_quarters = (
            sum(len(drift_pages(result)) for result in calm_results),
            sum(map(quarters, calm_results)),
        )
        drifting_share = statistics.mean(
            result["prediction"]["states"]["drifting"] for result in calm_results
        )
        cells = []
        for shift in SHIFTS:
            shifted_results = list(executor.map(replay_task, [(seed, shift) for seed in seeds]))
            cells += [_median_delay(shifted_results, "load"), _median_delay(shifted_results, "flat")]
        print(
            f"{length:<9}{'+'.join(season) or 'none':<16}{pages / n_quarters:>14.2f}"
            f"{upper95(pages) / n_quarters:>10.2f}{drifting_share:>13.0%}"
            + "".join(f"{cell:>{14 - 2 * (n % 2)}}" for n, cell in enumerate(cells)),
            flush=True,
        )


def _median_delay(results: Sequence[dict[str, Any]], column: str) -> str:
    """Median hours from onset to the end of the window whose page names the column, and in how many runs."""
    onset = data.MONDAY + pd.Timedelta(hours=SHIFTED[0] * data.HOURS_A_WEEK + ONSET)
    delays = []
    for result in results:
        for page in result["pages"]:
            end = pd.Timestamp(page["window_end"]).tz_localize(None)
            if end > onset and any(item["column"] == column for item in page["columns"]):
                delays.append((end - onset) / pd.Timedelta(hours=1))
                break
    median = f"{statistics.median(delays):.0f}" if delays else "-"
    return f"{median} ({len(delays)}/{len(results)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="flights,permuted,loan,employment,weeks,cycles", help="with commas")
    parser.add_argument("--permutations", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5, help="of the cyclic streams")
    parser.add_argument("--weeks", type=int, default=2, help="permutations of weeks")
    parser.add_argument("--cache", type=Path, default=Path(".bench"))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    cache, start = options.cache.resolve(), time.perf_counter()
    with ThreadPoolExecutor(options.processes) as executor:
        work: dict[str, Callable[[], None]] = {
            "flights": lambda: real_order(cache),
            "permuted": lambda: permuted_days(cache, range(1, options.permutations + 1), executor),
            "loan": lambda: loan(cache, executor),
            "employment": lambda: employment(cache),
            "weeks": lambda: permuted_weeks(cache, range(1, options.weeks + 1), executor),
            "cycles": lambda: cycles(cache, range(1, options.seeds + 1), executor),
        }
        for name in options.only.split(","):
            work[name]()
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
