"""Integer columns: what is lost by counting them in the wrong kind. Prints the power of KS and chi-squared.

Null distributions are simulated for the reference at hand, so both tests have the same level.
"""

from __future__ import annotations

import argparse

import numpy as np


def statistics(windows: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """KS on the order and Pearson's chi-squared of counts ``[n, levels]`` against shares ``[levels]``."""
    rows = windows.sum(axis=1, keepdims=True)
    apart = np.abs(np.cumsum(windows / rows - expected, axis=1)).max(axis=1)
    return apart, ((windows - rows * expected) ** 2 / (rows * expected)).sum(axis=1)


def power(
    before: np.ndarray, after: np.ndarray, rows: int, draws: int, level: float, seed: int
) -> list[float]:
    """Power of (KS, chi-squared) for shares ``before`` turning into ``after``."""
    random = np.random.default_rng(seed)
    null = statistics(random.multinomial(rows, before, size=20 * draws), before)
    moved = statistics(random.multinomial(rows, after, size=draws), before)
    return [float((m > np.quantile(n, 1 - level)).mean()) for m, n in zip(moved, null, strict=True)]


def poisson(mean: float, levels: int = 9) -> np.ndarray:
    """Poisson shares, the tail in the last level."""
    count = np.arange(levels - 1)
    factorial = np.cumprod(np.concatenate([[1], count[1:]]))
    shares = np.exp(-mean) * mean**count / factorial
    return np.append(shares, 1 - shares.sum())


def main() -> None:
    """Print a small table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--level", type=float, default=0.01)
    options = parser.parse_args()
    random = np.random.default_rng(1)
    for to in (2.1, 2.2):
        both = power(poisson(2.0), poisson(to), options.rows, options.draws, options.level, 2)
        print(f"counts, Poisson 2 -> {to}: KS {both[0]:.2f}, chi-squared {both[1]:.2f}")
    for levels in (5, 10, 20):
        found = []
        for trial in range(50):
            before = random.dirichlet(np.full(levels, 5.0))
            after = before.copy()
            one, other = random.choice(levels, 2, replace=False)
            after[[one, other]] += np.array([-0.3, 0.3]) * before[one]
            found.append(power(before, after, options.rows, options.draws // 20, options.level, 3 + trial))
        ks, chi2 = np.mean(found, axis=0)
        print(f"{levels} codes, 30 % of a random level moves to another: KS {ks:.2f}, chi-squared {chi2:.2f}")


if __name__ == "__main__":
    main()
