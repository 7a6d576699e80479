"""Divergences between distributions on finitely many points, given as vectors of rationals.

Everything that is rational stays rational; only logarithms become balls.    p, q (n,) with sum 1

    C(q)      = sum p log(p / (p + q)) + q log(q / (p + q))       V(D*), with D* = p / (p + q)
    KL(p||q)  = sum p log(p / q)
    JSD(p,q)  = KL(p || m) / 2 + KL(q || m) / 2,   m = (p + q) / 2
    TV(p,q)   = sum |p - q| / 2

C and JSD are separate formulas, so that C = -log 4 + 2 JSD is a statement that can fail.
"""

from fractions import Fraction

from flint import arb

from verify.arithmetic.balls import ball

Vector = tuple[Fraction, ...]


def criterion(p: Vector, q: Vector) -> arb:
    """Enclose C(q) = V(D*).

    >>> print(criterion((Fraction(1), Fraction(0)), (Fraction(0), Fraction(1))))
    0
    """
    return sum((ball(x) * ball(x / (a + b)).log() for a, b in zip(p, q, strict=True) for x in (a, b) if x), arb(0))


def kl(p: Vector, q: Vector) -> arb:
    """Enclose KL(p || q); it is infinite if p puts mass where q has none."""
    if any(a and not b for a, b in zip(p, q, strict=True)):
        return arb("inf")
    return sum((ball(a) * ball(a / b).log() for a, b in zip(p, q, strict=True) if a), arb(0))


def jsd(p: Vector, q: Vector) -> arb:
    """Enclose JSD(p, q)."""
    m = tuple((a + b) / 2 for a, b in zip(p, q, strict=True))
    return (kl(p, m) + kl(q, m)) / 2


def tv(p: Vector, q: Vector) -> Fraction:
    """Return TV(p, q), exactly."""
    return sum((abs(a - b) for a, b in zip(p, q, strict=True)), Fraction(0)) / 2
