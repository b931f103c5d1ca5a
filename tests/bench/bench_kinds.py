"""Power of KS and chi-squared for integer columns: what is lost by counting them in the wrong kind.

Null distributions are simulated for the reference at hand, so both tests have the same level.
"""

from __future__ import annotations

import argparse

import numpy as np


def statistics(windows: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """KS distance and Pearson's chi-squared of counts ``[windows, levels]`` against shares ``[levels]``."""
    rows = windows.sum(axis=1, keepdims=True)
    distances = np.abs(np.cumsum(windows / rows - expected, axis=1)).max(axis=1)
    return distances, ((windows - rows * expected) ** 2 / (rows * expected)).sum(axis=1)


def power(
    reference_shares: np.ndarray, window_shares: np.ndarray, rows: int, draws: int, level: float, seed: int
) -> list[float]:
    """Power of (KS, chi-squared) where ``reference_shares`` become ``window_shares``."""
    random = np.random.default_rng(seed)
    null = statistics(random.multinomial(rows, reference_shares, size=20 * draws), reference_shares)
    alternative = statistics(random.multinomial(rows, window_shares, size=draws), reference_shares)
    return [float((m > np.quantile(n, 1 - level)).mean()) for m, n in zip(alternative, null, strict=True)]


def poisson(mean: float, levels: int = 9) -> np.ndarray:
    """Poisson shares; the last level holds the tail."""
    count = np.arange(levels - 1)
    factorial = np.cumprod(np.concatenate([[1], count[1:]]))
    shares = np.exp(-mean) * mean**count / factorial
    return np.append(shares, 1 - shares.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--level", type=float, default=0.01)
    options = parser.parse_args()
    random = np.random.default_rng(1)
    for shifted_mean in (2.1, 2.2):
        powers = power(poisson(2.0), poisson(shifted_mean), options.rows, options.draws, options.level, 2)
        print(f"counts, Poisson 2 -> {shifted_mean}: KS {powers[0]:.2f}, chi-squared {powers[1]:.2f}")
    for levels in (5, 10, 20):
        powers_of_trials = []
        for trial in range(50):
            reference_shares = random.dirichlet(np.full(levels, 5.0))
            window_shares = reference_shares.copy()
            source, target = random.choice(levels, 2, replace=False)
            window_shares[[source, target]] += np.array([-0.3, 0.3]) * reference_shares[source]
            powers_of_trials.append(
                power(
                    reference_shares,
                    window_shares,
                    options.rows,
                    options.draws // 20,
                    options.level,
                    3 + trial,
                )
            )
        ks, chi2 = np.mean(powers_of_trials, axis=0)
        print(f"{levels} codes, 30 % of a random level moves to another: KS {ks:.2f}, chi-squared {chi2:.2f}")


if __name__ == "__main__":
    main()
