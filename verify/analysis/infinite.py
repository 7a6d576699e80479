"""Proofs that KL(p || q) is infinite, by the supports and the tails of the densities alone, in rational numbers.

    KL(p || q) = integral p log p + integral p (-log q),    and its negative part is at most the mass of q

so it is infinite if p puts mass where q has none, or if p has a tail y^-(nu + 1) and -log q grows like y^k, k >= nu:
then integral y^k y^-(nu + 1) diverges, while integral p log p over the tail, of y^-(nu + 1) log y, does not.
At a finite edge no density here diverges faster than u^(e - 1), e > 0, against which log u is integrable.
"""

from fractions import Fraction

from verify.analysis.integrate import pieces
from verify.densities import Cauchy, Density, Exponential, Laplace, Logistic, Mixture, Normal, Radial, StudentT

SUPPORT = "p puts mass where q has none"
GROWTH: dict[type, int] = {Normal: 2, Radial: 2, Laplace: 1, Logistic: 1, Exponential: 1, Cauchy: 0, StudentT: 0}


def why_infinite(p: Density, q: Density) -> str | None:
    """Return why KL(p || q) is infinite.

    Parameters
    ----------
    p, q : Density
        Two densities on the line.

    Returns
    -------
    str or None
        The reason, which is a proof: the support or a moment.  None is no proof that KL is finite.  It is finite for
        the densities of `verify.densities`, but may be infinite for a class defined elsewhere.

    Examples
    --------
    >>> why_infinite(Cauchy(0, 1), Normal(0, 1))
    'infinite by a moment: p has no moment of order 2 (its tail has 1 degrees of freedom), and -log q grows like |x|^2'
    >>> why_infinite(Normal(0, 1), Exponential(1))
    'infinite by support: p puts mass where q has none'
    >>> why_infinite(Cauchy(0, 1), StudentT("1/2")) is None
    True

    """
    for piece in pieces((p, q)):
        if not p.positive_at(piece.at):
            continue
        if not q.positive_at(piece.at):
            return f"infinite by support: {SUPPORT}"
        if piece.low is None or piece.high is None:
            degrees, growth = _degrees(p, piece.at), _growth(q, piece.at)
            if degrees is not None and growth is not None and degrees <= growth:
                return (
                    f"infinite by a moment: p has no moment of order {growth} (its tail has {degrees} degrees of "
                    f"freedom), and -log q grows like |x|^{growth}"
                )
    return None


def _parts(p: Density, at: Fraction) -> list[Density]:
    """Return the components of a mixture, or p itself, that are positive at `at`."""
    if not isinstance(p, Mixture):
        return [p] if p.positive_at(at) else []
    return [part for w, one in zip(p.weights, p.components, strict=True) if w for part in _parts(one, at)]


def _degrees(p: Density, at: Fraction) -> Fraction | None:
    """Return nu of the heaviest tail y^-(nu + 1) of a component, or None if no component is known to have one."""
    found = [x.degrees for x in _parts(p, at) if isinstance(x, Cauchy | StudentT) and type(x) in GROWTH]
    return min(found, default=None)


def _growth(q: Density, at: Fraction) -> int | None:
    """Return the least k such that -log of a component grows like y^k (0: log y); None if one is not known."""
    orders = [GROWTH.get(type(x)) for x in _parts(q, at)]
    known = [k for k in orders if k is not None]
    return min(known) if known and len(known) == len(orders) else None
