"""Statistical checks by bounds that hold for every sample size n, with a stated probability of failure.

    Dvoretzky-Kiefer-Wolfowitz (constant by Massart 1990):  P(sup |F_n - F| > eps) <= 2 exp(-2 n eps^2)
    Hoeffding 1963, values in an interval of width w:       P(|mean - mu| > eps)   <= 2 exp(-2 n eps^2 / w^2)

If all the tested code is right, all statistical assertions together fail with probability at most ALPHA: each fails
with probability at most ALPHA_PER_ASSERTION, and there are at most MAX_ASSERTIONS of them (a test counts them).  The
seeds are fixed as well.

Power: a true distance above 2 eps is detected with probability at least 1 - ALPHA_PER_ASSERTION, because the sample is
within eps of its law with this probability.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.arithmetic.decide import Verdict
from verify.engine.float_checks import check_error
from verify.engine.proof import Proof

ALPHA = 1e-9
MAX_ASSERTIONS = 100
ALPHA_PER_ASSERTION = ALPHA / MAX_ASSERTIONS

Floats = NDArray[np.float64]


def epsilon(n: int, *, width: float = 1.0, alpha: float = ALPHA_PER_ASSERTION) -> float:
    """Return eps with 2 exp(-2 n eps^2 / width^2) = alpha.

    Parameters
    ----------
    n : int
        The sample size.
    width : float
        The width of the interval that contains the values; by default 1.
    alpha : float
        A bound on the probability that a sample is farther than eps from its law; by default that of one assertion.

    Returns
    -------
    float
        The distance eps.

    Examples
    --------
    >>> [round(epsilon(n, alpha=1e-9), 5) for n in (10**4, 10**5, 10**6)]
    [0.03272, 0.01035, 0.00327]

    """
    return width * math.sqrt(math.log(2 / alpha) / (2 * n))


def check_distribution(proof: Proof, name: str, x: Floats, cdf: Callable[[Floats], Any]) -> Verdict:
    """Check sup |F_n - F| <= eps for a sample x (n,) and a continuous distribution function F."""
    n = len(x)
    F = np.asarray(cdf(np.sort(x)), dtype=float)
    steps = np.arange(n + 1) / n
    distance = float(max((steps[1:] - F).max(), (F - steps[:-1]).max()))
    return check_distance(proof, f"{name}: sup |F_n - F|", distance, n)


def check_mean(proof: Proof, name: str, x: Floats, mean: float, *, alpha: float = ALPHA_PER_ASSERTION) -> Verdict:
    """Check |mean of x - mean| <= eps for independent values x (n,) in an interval of width 1."""
    distance = abs(float(np.mean(x, dtype=float)) - mean)
    return check_distance(proof, f"{name}: |mean - expectation|", distance, x.size, alpha=alpha)


def check_distance(
    proof: Proof, name: str, distance: float, n: int, *, width: float = 1.0, alpha: float = ALPHA_PER_ASSERTION
) -> Verdict:
    """Check that a distance is at most eps(n), and note the failure probability and the power."""
    eps = epsilon(n, width=width, alpha=alpha)
    proof.note("failure probability", f"{alpha:.2g} an assertion, {ALPHA:g} all statistical assertions together")
    proof.note(f"power, n = {n}", f"a true distance above {2 * eps:.3g} is seen with probability 1 - {alpha:.2g}")
    return check_error(proof, f"{name}, n = {n}", distance, f"{eps:.6g}")
