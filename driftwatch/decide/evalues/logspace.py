"""Log-sum-exp on whole arrays, because ``numpy.logaddexp`` goes element by element."""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array


def log_add(log_a: Float64Array, log_b: Float64Array) -> Float64Array:
    """Return ``log(a + b)`` elementwise, where -inf is log 0.

    >>> log_add(np.array([0.0, -np.inf]), np.array([0.0, -np.inf])).round(3).tolist()
    [0.693, -inf]
    """
    larger = np.maximum(log_a, log_b)
    # -inf - -inf would be NaN.
    result = np.minimum(log_a, log_b) - np.where(np.isneginf(larger), 0.0, larger)
    np.exp(result, out=result)
    np.log1p(result, out=result)
    return np.asarray(np.add(result, larger, out=result))


def log_sum(*parts: Float64Array) -> float:
    """Return the log of the sum over all elements, -inf without elements.

    >>> round(log_sum(np.log([1.0, 2.0]), np.log([[3.0]])), 6) == round(float(np.log(6.0)), 6)
    True
    >>> log_sum(np.empty(0))
    -inf
    """
    largest = max(float(part.max(initial=-np.inf)) for part in parts)
    if np.isinf(largest):
        return largest
    return float(largest + np.log(sum(float(np.exp(part - largest).sum()) for part in parts)))
