"""Shows results as tables and small plots for people, and as JSON for scripts."""

from driftwatch.cli.output.backtests import show_backtest, show_pages
from driftwatch.cli.output.comparisons import show_comparison
from driftwatch.cli.output.explanations import show_explanation
from driftwatch.cli.output.progress import progress
from driftwatch.cli.output.screen import show_json
from driftwatch.cli.output.verdicts import show_checks, show_failure, show_late_verdicts

__all__ = [
    "progress",
    "show_backtest",
    "show_checks",
    "show_comparison",
    "show_explanation",
    "show_failure",
    "show_json",
    "show_late_verdicts",
    "show_pages",
]
