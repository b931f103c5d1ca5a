"""How long a battery runs: its short form in ``make test``, its full length in ``make soak``."""

from __future__ import annotations

import os

#: Set by ``make soak``, which runs what is marked ``soak``.
IS_SOAK = os.environ.get("DRIFTWATCH_SOAK") == "1"
#: Hypothesis examples of a soak for one of the short form.
EXAMPLES_FACTOR = 100


def length(short: int, full: int) -> int:
    return full if IS_SOAK else short


def examples(short: int) -> int:
    """Number of Hypothesis examples."""
    return length(short, EXAMPLES_FACTOR * short)
