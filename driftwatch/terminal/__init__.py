"""Results for people: tables and small plots, colour only on a terminal; JSON for scripts."""

from driftwatch.terminal.backtests import show_backtest, show_pages
from driftwatch.terminal.comparisons import show_comparison
from driftwatch.terminal.explanations import show_explanation
from driftwatch.terminal.progress import progress
from driftwatch.terminal.screen import show_json
from driftwatch.terminal.verdicts import show_checked

__all__ = [
    "progress",
    "show_backtest",
    "show_checked",
    "show_comparison",
    "show_explanation",
    "show_json",
    "show_pages",
]
