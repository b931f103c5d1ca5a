"""The healthy world beneath the shifts: fifty columns, equal for equal seed and window.

45 independent normal columns ``n0`` .. ``n44`` and a positive one ``amount``, a pair ``a``, ``b`` of
correlation .9, a category ``k`` and a category ``s`` whose rarest level is 3 % of the traffic. The number
of rows in a window varies by a tenth (log-normal). Rows are independent, or come ten per user with
correlation .8, one level per user.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from alarms.path import Rows
from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.summary.batch import Levels

NORMAL, PAIR, LOG_ROWS_SD = 45, 0.9, 0.1
ICC, USER = 0.8, 10
K_SHARES = np.array([0.40, 0.25, 0.15, 0.10, 0.05, 0.05])
S_SHARES = np.array([0.60, 0.25, 0.12, 0.03])
RARE = f"s{len(S_SHARES) - 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """``rows`` a window of ``length``; ``burst`` rows per user, 1 for independent rows.

    ``design_effect`` is stated in the configuration; with None the monitor measures it.
    """

    rows: int
    length: str
    burst: int = 1
    design_effect: float | None = None

    @property
    def blocks(self) -> int:
        """Windows of the reference: 28 days, or 14 days of hours."""
        return 28 if self.length == "1d" else 14 * 24

    @property
    def icc(self) -> float:
        """Correlation of a user's rows."""
        return 0.0 if self.burst == 1 else ICC

    @property
    def users(self) -> float:
        """Users in the reference."""
        return self.rows * self.blocks / self.burst

    def draw(self, seed: tuple[int, ...], t: int) -> Rows:
        """The healthy rows of window ``t``: equal for equal seed and window, in any order of calls."""
        rng = np.random.default_rng([*seed, 5_000 + t])
        count = max(2, round(self.rows / self.burst * math.exp(LOG_ROWS_SD * rng.standard_normal())))
        values = self._normal(rng, count, NORMAL + 3)
        rows: Rows = {f"n{i}": np.ascontiguousarray(values[:, i]) for i in range(NORMAL)}
        rows["amount"] = np.exp(values[:, NORMAL])
        rows["a"] = a = np.ascontiguousarray(values[:, NORMAL + 1])
        rows["b"] = PAIR * a + math.sqrt(1 - PAIR**2) * values[:, NORMAL + 2]
        for name, shares in (("k", K_SHARES), ("s", S_SHARES)):
            code = np.repeat(rng.choice(len(shares), size=count, p=shares), self.burst)
            rows[name] = Levels(
                codes=code.astype(np.int32), levels=tuple(f"{name}{i}" for i in range(len(shares)))
            )  # fmt: skip
        return rows

    def _normal(self, rng: np.random.Generator, users: int, columns: int) -> Float64Array:
        if self.burst == 1:
            return rng.standard_normal((users, columns))
        person = np.repeat(rng.standard_normal((users, columns)), self.burst, axis=0)
        noise = rng.standard_normal(person.shape)
        return math.sqrt(self.icc) * person + math.sqrt(1 - self.icc) * noise

    def choose_users(self, rng: np.random.Generator, rows: int, share: float) -> BoolArray:
        """A mask of the rows of randomly chosen users."""
        return np.repeat(rng.random(rows // self.burst) < share, self.burst)

    @property
    def weight(self) -> float:
        """Weight of a row: the inverse design effect of a mean, ``1 / (1 + (burst - 1) icc)``."""
        return 1 / (1 + (self.burst - 1) * self.icc)


SETTINGS: dict[str, Setting] = {
    f"{length}_{rows}_{kind}": Setting(rows=rows, length=length, burst=burst)
    for kind, burst in (("independent", 1), ("bursty", USER))
    for length, rows in (("1h", 100), ("1h", 1000), ("1h", 10_000), ("1d", 1000))
}
#: Few windows give a poor estimate of a design effect; here the configuration states ten rows per user.
SETTINGS["1d_1000_declared"] = Setting(rows=1000, length="1d", burst=USER, design_effect=USER)


def numbers(rows: Rows, name: str) -> Float64Array:
    values = rows[name]
    assert not isinstance(values, Levels)
    return values


def codes(rows: Rows, name: str) -> tuple[Int64Array, int]:
    """Codes of a category, and the number of levels in the healthy world."""
    values = rows[name]
    assert isinstance(values, Levels)
    healthy = {"k": len(K_SHARES), "s": len(S_SHARES)}[name]
    return values.codes.astype(np.int64), healthy
