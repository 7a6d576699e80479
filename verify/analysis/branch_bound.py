"""Branch and bound over boxes of parameters: a ball of parameters gives a sign that holds for all of them.

The model is q = N(mu, sigma^2) with t = log sigma, against p = N(0, 1).  With x = mu + sigma z, z ~ N(0, 1),
the logit of D* is l = log p - log q, and

    dC/dtheta   = E_z[d/dtheta log(1 - D*(x(z)))] at frozen D* = E_z[-D* l'(x) dx/dtheta]
    d2C/dtheta2 = E_z[(h + g g^T) log(1 - D*) + g g^T D*],    g = d log q, h = d2 log q

(D* is optimal, so by the envelope theorem its own derivative does not enter the first line).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flint import acb, arb

from verify.arithmetic.balls import between
from verify.arithmetic.decide import Verdict
from verify.densities.functions import phi, softplus

Box = tuple[tuple[float, float], ...]  # one interval for each parameter; its ends are binary fractions, hence exact
Test = Callable[[Box], Verdict]

CUT = 8  # the integral is over |z| <= CUT; the rest is bounded by moments of the normal
MAX_EVALUATIONS = 1000  # fewer give infinite balls, which split boxes; more waste time on boxes that are too wide


@dataclass(frozen=True)
class Cover:
    """The outcome of `cover`.

    Attributes
    ----------
    verdict
        Proved if all boxes are, refuted if one is, undecided if `limit` was reached.
    boxes
        The number of boxes that were proved.
    depth
        The number of halvings that led to the smallest of them, or to the box that was refuted.
    at
        The box that was refuted or not decided; None if all are proved.

    """

    verdict: Verdict
    boxes: int
    depth: int
    at: Box | None = None


def cover(box: Box, test: Test, *, limit: int) -> Cover:
    """Halve a box along its longest side, and the halves again, until the test decides every part.

    Parameters
    ----------
    box : tuple of (low, high)
        One interval for each parameter.
    test : callable
        ``test(box)`` returns the verdict on the statement for all points of a box.
    limit : int
        The number of tests after which the statement is undecided.

    Returns
    -------
    Cover
        The verdict and the boxes.

    Examples
    --------
    >>> short = lambda box: Verdict.PROVED if box[0][1] - box[0][0] < 0.3 else Verdict.UNDECIDED
    >>> found = cover(((1.0, 2.0),), short, limit=9)
    >>> found.verdict.value, found.boxes, found.depth
    ('proved', 4, 2)

    """
    stack, leaves, deepest = [(box, 0)], 0, 0
    for _ in range(limit):
        here, depth = stack.pop()
        verdict = test(here)
        if verdict is Verdict.REFUTED:
            return Cover(verdict, leaves, depth, here)
        if verdict is Verdict.PROVED:
            leaves, deepest = leaves + 1, max(deepest, depth)
        else:
            stack += [(half, depth + 1) for half in _halves(here)]
        if not stack:
            return Cover(Verdict.PROVED, leaves, deepest)
    return Cover(Verdict.UNDECIDED, leaves, deepest, stack[-1][0])


def _halves(box: Box) -> list[Box]:
    """Return both halves of a box, cut across its longest side."""
    side = max(range(len(box)), key=lambda k: box[k][1] - box[k][0])
    low, high = box[side]
    middle = (low + high) / 2
    return [(*box[:side], half, *box[side + 1 :]) for half in ((low, middle), (middle, high))]


def ball_of(interval: tuple[float, float]) -> arb:
    """Return a ball that contains an interval (low, high)."""
    return between(arb(interval[0]), arb(interval[1]))


def _expect(f: Callable[[Any, bool], Any], coefficient: arb, power: int) -> arb:
    """Enclose E[f(z)] for z ~ N(0, 1), where |f(z)| <= coefficient |z|^power for |z| > R = CUT, and power is even.

    M_k = E[|z|^k; |z| > R] = 2 R^(k-1) phi(R) + (k - 1) M_(k-2),    M_0 = erfc(R / sqrt 2)
    """
    inner = acb.integral(
        lambda z, analytic: f(z, analytic) * phi(z), -CUT, CUT,
        abs_tol=arb(2) ** -16, rel_tol=arb(2) ** -12, eval_limit=MAX_EVALUATIONS,
    ).real  # fmt: skip
    R = arb(CUT)
    moment = (R / arb(2).sqrt()).erfc()
    for k in range(2, power + 1, 2):
        moment = 2 * R ** (k - 1) * phi(R) + (k - 1) * moment
    tail = (coefficient * moment).abs_upper()
    return inner + between(-tail, tail)


def _logit(z: Any, mu: arb, sigma: arb, t: arb) -> Any:
    """Return l = log p - log q = (z^2 - x^2) / 2 + t at x = mu + sigma z, as a quadratic in z (narrower on balls)."""
    return ((1 - sigma * sigma) / 2 * z - mu * sigma) * z - mu * mu / 2 + t


def gradient(mu: arb, t: arb, i: int) -> arb:
    """Enclose dC/dmu (i = 0) or dC/dt (i = 1):    E[-D* l'(x)] or E[-D* l'(x) sigma z],    l'(x) = z / sigma - x.

    The tail bound uses 0 < D* < 1 and |l'| <= |mu| + (sigma + 1/sigma) |z|, times sigma |z| for i = 1, and |z| <= z^2
    beyond the cut.

    Parameters
    ----------
    mu, t : arb
        The parameters of q; the result holds for all values in these balls.
    i : int
        0 for the derivative with respect to mu, 1 for that with respect to t.

    Returns
    -------
    arb
        The derivative; not finite if the balls are too wide.

    """
    sigma = t.exp()

    def f(z: Any, analytic: bool) -> Any:
        slope = (1 / sigma - sigma) * z - mu
        by_mu = -slope / (1 + (-_logit(z, mu, sigma, t)).exp())
        return by_mu * sigma * z if i else by_mu

    return _expect(f, (abs(mu) + sigma + 1 / sigma) * (sigma if i else 1), 2)


def hessian(mu: arb, t: arb, i: int, j: int) -> arb:
    """Enclose d2C/dtheta_i dtheta_j, theta = (mu, t).

    log q = -(x - mu)^2 / (2 sigma^2) - t gives g = (z / sigma, z^2 - 1), h = (-1/sigma^2, -2 z / sigma, -2 z^2).
    Beyond the cut |h + g g|, |g g| <= 6 max(1, 1/sigma^2) z^4, and |log(1 - D*)| <= log 2 + |l| with
    |l| <= (1/2 + sigma^2) z^2 + mu^2 + |t|.

    Parameters
    ----------
    mu, t : arb
        The parameters of q; the result holds for all values in these balls.
    i, j : int
        The entry, each 0 for mu or 1 for t.

    Returns
    -------
    arb
        The second derivative; not finite if the balls are too wide.

    """
    sigma = t.exp()
    scale = (1 / sigma**2, 1 / sigma, arb(1))[i + j]

    def f(z: Any, analytic: bool) -> Any:
        w = z * z
        gg = (w, z * (w - 1), (w - 1) ** 2)[i + j]
        h_gg = (w - 1, z * (w - 3), (w - 4) * w + 1)[i + j]
        logit = _logit(z, mu, sigma, t)
        return scale * (gg / (1 + (-logit).exp()) - h_gg * softplus(logit, analytic))

    size = 6 * arb(1).max(1 / sigma**2) * (3 + sigma**2 + mu**2 + abs(t))  # 3 > 1/2 + log 2 + 1
    return _expect(f, size, 6)
