"""What noise costs: from zero-concentrated differential privacy, which adds up, to epsilon and delta, which people read."""

from __future__ import annotations

from functools import cache
from math import log, sqrt

import numpy as np

_STEPS = 2_001
_REACH = 30.0
"""Times the order near which the best one lies, and parts of it, between which orders are tried."""


def epsilon_of(rho: float, delta: float) -> float:
    """Return an epsilon such that ``rho``-zCDP (Bun and Steinke 2016, definition 1.1) implies (epsilon, ``delta``)-differential privacy.

    Canonne, Kamath and Steinke 2020, proposition 12, at the best of some thousand orders: every order gives a bound that holds, and the best
    one lies near 1 + sqrt(ln(1 / delta) / rho), that of Bun and Steinke's proposition 1.3. What is spent on several releases adds up as rho.

    >>> round(epsilon_of(0.01497, 1e-9), 3), round(epsilon_of(8 * 0.01497, 1e-9), 2)
    (1.0, 2.99)
    """
    if rho <= 0:
        return 0.0
    near = sqrt(log(1 / delta) / rho)
    above = near * np.geomspace(1 / _REACH, _REACH, _STEPS)
    order = 1 + above
    found = order * rho + (log(1 / delta) - np.log(order)) / above + np.log1p(-1 / order)
    return float(found.min().clip(0))


@cache
def rho_of(epsilon: float, delta: float) -> float:
    """Return the greatest rho that `epsilon_of` turns into no more than ``epsilon``; never more than that.

    >>> round(rho_of(1.0, 1e-9), 5)
    0.01497
    """
    # the closed formula of Bun and Steinke 2016, proposition 1.3, solved for rho, is on the safe side
    low = (sqrt(log(1 / delta) + epsilon) - sqrt(log(1 / delta))) ** 2
    high = 2 * low
    while epsilon_of(high, delta) <= epsilon:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if epsilon_of(middle, delta) <= epsilon else (low, middle)
    return low
