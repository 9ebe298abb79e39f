"""What chance alone explains: intervals around shares that were counted."""

from __future__ import annotations

LEVEL = 0.95


def share_interval(hits: float, trials: float) -> tuple[float, float]:
    """Return the 95 % interval of a share of which ``hits`` of ``trials`` were seen (Clopper and Pearson 1934).

    Counts need not be whole numbers. Of no trials nothing is known: 0 to 1.
    """
    from scipy.special import betaincinv

    if trials <= 0:
        return 0.0, 1.0
    tail = (1 - LEVEL) / 2
    low = float(betaincinv(hits, trials - hits + 1, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 1 - tail)) if hits < trials else 1.0
    return low, high


def exceeding_interval(beyond: int, others: int, trials: int) -> tuple[float, float]:
    """Return in which interval the share of ``trials`` beyond a threshold lies in 95 of 100 cases, if they are like the others.

    The threshold is the value that ``beyond`` of the ``others`` exceed at most. How many of as many more draws from the same
    distribution exceed an order statistic follows the beta-binomial (negative hypergeometric) distribution, whatever
    the distribution is: David and Nagaraja, Order Statistics (2003), 7.3.
    """
    from scipy.stats import betabinom

    tail = (1 - LEVEL) / 2
    found = betabinom(trials, beyond + 1, max(others - beyond, 1))
    return float(found.ppf(tail)) / trials, float(found.ppf(1 - tail)) / trials
