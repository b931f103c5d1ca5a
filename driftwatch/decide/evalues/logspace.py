"""Sums of numbers that are known by their logs: a logarithm and an exponential over whole arrays.

The same as ``numpy.logaddexp``, which takes its elements one by one.
"""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array


def log_add(one: Float64Array, other: Float64Array) -> Float64Array:
    """``log(exp(one) + exp(other))``, elementwise; -inf is the log of nothing.

    >>> log_add(np.array([0.0, -np.inf]), np.array([0.0, -np.inf])).round(3).tolist()
    [0.693, -inf]
    """
    larger = np.maximum(one, other)
    # Of two that are nothing the difference is not a number.
    found = np.minimum(one, other) - np.where(np.isneginf(larger), 0.0, larger)
    np.exp(found, out=found)
    np.log1p(found, out=found)
    return np.asarray(np.add(found, larger, out=found))


def log_sum(*parts: Float64Array) -> float:
    """The log of the sum over all elements of these arrays; -inf where there are none.

    >>> round(log_sum(np.log([1.0, 2.0]), np.log([[3.0]])), 6) == round(float(np.log(6.0)), 6)
    True
    >>> log_sum(np.empty(0))
    -inf
    """
    largest = max(float(part.max(initial=-np.inf)) for part in parts)
    if np.isinf(largest):
        return largest
    return float(largest + np.log(sum(float(np.exp(part - largest).sum()) for part in parts)))
