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
#: Weeks of reference and of production of the cyclic streams: where nothing happens, and where it shifts.
CALM, SHIFTED = (8, 13), (8, 5)
#: Production hours before the shift: two weeks and a Wednesday morning.
ONSET = 2 * data.HOURS_A_WEEK + 58
SHIFTS = (0.25, 0.5, 1.0)
CYCLES = (
    ("1h", ()), ("1h", ("hour_of_day",)), ("1h", ("hour_of_week",)), ("1d", ()), ("1d", ("day_of_week",)),
)  # fmt: skip


def replay(stream: data.Stream) -> dict[str, Any]:
    """What ``driftwatch backtest`` prints of a stream."""
    path = stream.folder / "driftwatch.yaml"
    path.write_text(stream.configuration(), encoding="utf-8")
    command = [sys.executable, "-m", "driftwatch", "backtest", str(path), "--no-inject", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def drift_pages(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Pages that the budget is for: breakages are facts."""
    return [page for page in told["pages"] if page["kind"] == "drift"]


def quarters(told: dict[str, Any]) -> float:
    return float(told["prediction"]["days"]) / QUARTER_DAYS


def upper95(pages: int) -> float:
    """One-sided 95 % limit of the mean of a Poisson count (Garwood 1936)."""
    return float(chdtri(2 * (pages + 1), 0.05)) / 2


def list_pages(told: dict[str, Any], explain: Callable[[dict[str, Any]], str] = lambda _: "") -> None:
    """Every page with what it names."""
    for page in told["pages"]:
        named = "; ".join(f"{item['column'] or 'jointly'}: {item['effect']}" for item in page["columns"])
        print(f"  {page['window_start'][:16]}  {page['kind']:<6} since {page['onset'][:16]}  {named}")
        if words := explain(page):
            print(f"{'':20}{words}")
    states = told["prediction"]["states"]
    shares = ", ".join(f"{share:.0%} {state}" for state, share in states.items() if share)
    print(f"  {len(told['pages'])} pages in {told['prediction']['days']:.0f} days; windows: {shares}")


def real_order(cache: Path) -> None:
    """Flights as they flew: each page is shown beside what the data says of its days."""
    frame = data.flights(cache)
    print("\n== flights of 2013 in real order, daily windows, reference January-March")
    reference = frame[frame["when"] < "2013-04-01"]

    def seen(page: dict[str, Any]) -> str:
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
        told = []
        for name, column, how, form in facts:
            both = [
                side[column].isna().mean() if how is None else side[column].agg(how)
                for side in (reference, days)
            ]
            told.append(" ".join([name, " -> ".join("none" if pd.isna(x) else form.format(x) for x in both)]))
        return "those days: " + ", ".join(told)

    list_pages(replay(data.in_order(frame, cache / "in-order")), seen)


def permuted(cache: Path, seeds: Sequence[int], run: ThreadPoolExecutor) -> None:
    """Days in random order: at most the budget."""
    print(f"\n== flights of 2013, days permuted (seeds {seeds[0]}-{seeds[-1]}), reference a random quarter")
    frame = data.flights(cache)
    monitor = f"window: {{length: 1d, min_rows: 200}}\n{data.FLIGHT_COLUMNS}"

    def one(seed: int) -> dict[str, Any]:
        return replay(data.shuffled(frame, cache / f"permuted-{seed}", seed, monitor=monitor))

    _rate(list(zip(seeds, run.map(one, seeds), strict=True)))


def _rate(found: Sequence[tuple[int, dict[str, Any]]]) -> None:
    for seed, told in found:
        if told["pages"]:
            print(f" seed {seed}")
            list_pages(told)
    pages, length = sum(len(drift_pages(told)) for _, told in found), sum(quarters(told) for _, told in found)
    print(
        f"  {pages} pages that were not breakages in {length:.1f} quarters: {pages / length:.2f} a quarter, "
        f"upper 95 % bound {upper95(pages) / length:.2f}, budget 1"
    )


def weeks_permuted(cache: Path, seeds: Sequence[int], run: ThreadPoolExecutor) -> None:
    """Weeks in random order, hourly: a real cycle in which nothing drifts."""
    frame = data.flights(cache).drop(columns=list(data.WEATHER))
    for season in ("", "hour_of_week"):
        print(f"\n== flights by the hour, weeks permuted (seeds {seeds[0]}-{seeds[-1]}), season: [{season}]")
        monitor = f"window: {{length: 1h, min_rows: 20}}\nseason: [{season}]\n{data.FLIGHT_COLUMNS}"

        def one(seed: int, season: str = season, monitor: str = monitor) -> dict[str, Any]:
            folder = cache / f"weeks-{seed}-{season or 'none'}"
            return replay(data.shuffled(frame, folder, seed, days=7, monitor=monitor))

        _rate(list(zip(seeds, run.map(one, seeds), strict=True)))


def loan(cache: Path, run: ThreadPoolExecutor) -> None:
    """No page before the known change, a page in the first window after it."""
    archive = data.wheel(cache)
    lengths = ("6h", "1d", "7d", "30d")
    streams = [data.car_loan(archive, cache / f"loan-{length}", length) for length in lengths]
    for length, (_, change), told in zip(
        lengths, streams, run.map(replay, [s for s, _ in streams]), strict=True
    ):
        print(
            f"\n== NannyML car loan, windows of {length}; changed from {change:%Y-%m-%d %H:%M} on "
            f"(row {data.LOAN_HEALTHY:,})"
        )
        list_pages(told)
        ends = [pd.Timestamp(page["window_end"]).tz_localize(None) for page in told["pages"]]
        starts = [pd.Timestamp(window["start"]).tz_localize(None) for window in told["windows"]]
        whole = next(start for start in starts if start >= change)
        before = sum(end <= change for end in ends)
        after = next((end for end in ends if end > change), None)
        late = None if after is None else sum(whole < start < after for start in starts)
        print(f"  pages before the change: {before}; windows after the first whole one with it: {late}")


def employed(cache: Path) -> None:
    """No known change: every page is shown, and beside it what a stream without any change gives."""
    orders = {
        "years": "rows of a year in random order (seed 1)",
        "mixed": "rows of all years in random order (seed 1): nothing can drift",
        "file": "rows in the order of the file",
    }
    for order, words in orders.items():
        print(f"\n== employment in Massachusetts (census), reference 2015, weeks made of {words}")
        list_pages(replay(data.employment(data.wheel(cache), cache / f"employment-{order}", order)))


def cycles(cache: Path, seeds: Sequence[int], run: ThreadPoolExecutor) -> None:
    """What same-slot calibration buys: false pages, and the delay of shifts of two columns."""
    print(
        f"\n== days, nights and weekends, 120 rows an hour, seeds {seeds[0]}-{seeds[-1]}, reference 8 weeks"
        "\n   median hours to the page that names `load` (seasonal) and `flat` (not), moved at once (runs)"
    )
    head = f"{'windows':<9}{'season':<16}{'pages/quarter':>14}{'upper 95':>10}{'in incident':>13}"
    print(head + "".join(f"{f'{shift} sd load':>14}{'flat':>12}" for shift in SHIFTS))
    for length, season in CYCLES:
        monitor = f"window: {{length: {length}, min_rows: 30}}\nseason: [{', '.join(season)}]"

        name = f"cyclic-{length}-{'-'.join(season) or 'none'}"

        def one(task: tuple[int, float], name: str = name, monitor: str = monitor) -> dict[str, Any]:
            seed, shift = task
            weeks = SHIFTED if shift else CALM
            folder = cache / f"{name}-{seed}-{shift:g}"
            return replay(data.cyclic(folder, seed, weeks, shift, ONSET, monitor))

        calm = list(run.map(one, [(seed, 0.0) for seed in seeds]))
        pages, span = sum(len(drift_pages(told)) for told in calm), sum(map(quarters, calm))
        busy = statistics.mean(told["prediction"]["states"]["drifting"] for told in calm)
        cells = []
        for shift in SHIFTS:
            shifted = list(run.map(one, [(seed, shift) for seed in seeds]))
            cells += [_found(shifted, "load"), _found(shifted, "flat")]
        print(
            f"{length:<9}{'+'.join(season) or 'none':<16}{pages / span:>14.2f}{upper95(pages) / span:>10.2f}"
            f"{busy:>13.0%}" + "".join(f"{cell:>{14 - 2 * (n % 2)}}" for n, cell in enumerate(cells)),
            flush=True,
        )


def _found(shifted: Sequence[dict[str, Any]], column: str) -> str:
    """Median hours from onset to the end of the window whose page names the column, and in how many runs."""
    onset = data.MONDAY + pd.Timedelta(hours=SHIFTED[0] * data.HOURS_A_WEEK + ONSET)
    delays = []
    for told in shifted:
        for page in told["pages"]:
            end = pd.Timestamp(page["window_end"]).tz_localize(None)
            if end > onset and any(item["column"] == column for item in page["columns"]):
                delays.append((end - onset) / pd.Timedelta(hours=1))
                break
    middle = f"{statistics.median(delays):.0f}" if delays else "-"
    return f"{middle} ({len(delays)}/{len(shifted)})"


def main() -> None:
    """Print every stream asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="flights,permuted,loan,employment,weeks,cycles", help="with commas")
    parser.add_argument("--permutations", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5, help="of the cyclic streams")
    parser.add_argument("--weeks", type=int, default=2, help="permutations of weeks")
    parser.add_argument("--cache", type=Path, default=Path(".bench"))
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    cache, began = asked.cache.resolve(), time.perf_counter()
    with ThreadPoolExecutor(asked.processes) as run:
        work: dict[str, Callable[[], None]] = {
            "flights": lambda: real_order(cache),
            "permuted": lambda: permuted(cache, range(1, asked.permutations + 1), run),
            "loan": lambda: loan(cache, run),
            "employment": lambda: employed(cache),
            "weeks": lambda: weeks_permuted(cache, range(1, asked.weeks + 1), run),
            "cycles": lambda: cycles(cache, range(1, asked.seeds + 1), run),
        }
        for name in asked.only.split(","):
            work[name]()
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
