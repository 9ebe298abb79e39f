"""The only source of noise: mechanisms of OpenDP, each of which books what it spends before it says anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import isqrt
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mirror_connectors.errors import PrivacyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

_SLACK = 1e-9
"""Of a budget: what sums of parts of it may exceed it by, since floats round."""


@dataclass(frozen=True, slots=True)
class Noisy:
    """Numbers that a mechanism released."""

    values: np.ndarray
    """float64: counts, in rows that weigh one each."""
    scale: float
    """Standard deviation of the noise in each of them."""
    rho: float
    """What they cost."""


class _Discovery(Protocol):
    """A mechanism that releases keys with their counts."""

    def map(self, reach: tuple[int, int, int], /) -> tuple[float, float]:
        """Return the rho and delta that it costs."""

    def __call__(self, counts: dict[str, int], /) -> dict[str, int]: ...


class Account:
    """What may be said of one set of units: zero-concentrated differential privacy (Bun and Steinke 2016), added up over all that is said.

    ``rho`` and ``delta`` are the whole budget: approximate zCDP of its section 8. A mechanism that would exceed it raises
    PrivacyError and says nothing.
    """

    def __init__(self, rho: float, delta: float) -> None:
        self.rho, self.delta = rho, delta
        self.spent, self.lost = 0.0, 0.0

    def _book(self, rho: float, delta: float = 0.0) -> None:
        if self.spent + rho > self.rho * (1 + _SLACK) or self.lost + delta > self.delta * (1 + _SLACK):
            message = (
                f"wanted to spend rho {rho:.3g} and delta {delta:.3g}, found rho {self.rho - self.spent:.3g} and delta "
                f"{self.delta - self.lost:.3g} left of the budget; raise privacy.epsilon"
            )
            raise PrivacyError(message)
        self.spent += rho
        self.lost += delta

    def counts(self, sums: np.ndarray, *, sensitivity: int, grid: int, rho: float) -> Noisy:
        """Release sums (int64, any shape) of which one unit moves the L2 norm by at most ``sensitivity``, in units of 1 / ``grid`` rows.

        Adds discrete Gaussian noise (Canonne, Kamath and Steinke 2020).
        """
        dp = _opendp()
        scale = sensitivity / np.sqrt(2 * rho) * (1 + _SLACK)
        space = dp.domains.vector_domain(dp.domains.atom_domain(T="i64")), dp.metrics.l2_distance(T="f64")
        mechanism = dp.measurements.make_gaussian(*space, scale=float(scale))
        cost = mechanism.map(float(sensitivity))
        self._book(cost)
        found = np.array(mechanism(sums.ravel().tolist()), dtype=float).reshape(sums.shape)
        return Noisy(found / grid, float(scale) / grid, cost)

    def discovered(self, counts: Mapping[str, int], *, most: int, rho: float, delta: float) -> dict[str, float]:
        """Release those keys that many units have, with about how many; a unit has at most ``most`` of them and counts once in each.

        Partition selection by discrete Gaussian noise and a threshold (Rogers 2023), whose size follows from ``delta``.
        """
        if not counts:
            return {}
        dp = _opendp()
        norm = isqrt(most - 1) + 1
        reach = (most, norm, 1)
        scale = float(norm / np.sqrt(2 * rho) * (1 + _SLACK))
        space = (
            dp.domains.map_domain(dp.domains.atom_domain(T=str), dp.domains.atom_domain(T="i64")),
            dp.metrics.l02inf_distance(dp.metrics.absolute_distance(T="i64")),
        )

        def at(threshold: int) -> _Discovery:
            return dp.measurements.make_gaussian_threshold(*space, scale=scale, threshold=threshold)

        low, threshold = 2, int(40 * scale) + 2
        while low < threshold:
            middle = (low + threshold) // 2
            low, threshold = (low, middle) if at(middle).map(reach)[1] <= delta else (middle + 1, threshold)
        mechanism = at(threshold)
        cost, lost = mechanism.map(reach)
        self._book(cost, lost)
        return {str(key): float(count) for key, count in mechanism(dict(counts)).items()}

    def chosen(self, scores: np.ndarray, *, sensitivity: int, rho: float) -> int:
        """Return the place of about the greatest of int64 scores, each of which one unit moves by at most ``sensitivity``.

        Exponential noise, one maximum (McKenna and Sheldon 2020; as zCDP, Cesar and Rogers 2021).
        """
        dp = _opendp()
        space = dp.domains.vector_domain(dp.domains.atom_domain(T="i64")), dp.metrics.linf_distance(T="i64")
        scale = 2 * sensitivity / np.sqrt(8 * rho) * (1 + _SLACK)
        mechanism = dp.measurements.make_noisy_max(
            *space, dp.measures.zero_concentrated_divergence(), scale=float(scale)
        )
        self._book(mechanism.map(sensitivity))
        return int(mechanism(scores.tolist()))


@cache
def _opendp() -> ModuleType:
    try:
        # not the prelude, which imports whatever it could work with: a hundred megabytes
        import opendp
        from opendp import domains, measurements, measures, metrics, mod  # noqa: F401  found in the package from here on
    except ImportError as error:
        message = 'wanted OpenDP for privacy.mode = "dp", found none; install it: pip install "dbmirror[dp]"'
        raise PrivacyError(message) from error
    mod.enable_features("contrib")
    return opendp
