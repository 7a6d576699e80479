"""Three-valued checks of symbolic identities: proved by simplification, refuted at a point, or undecided.

If SymPy does not simplify an expression to zero, that proves nothing; a ball that does not contain zero refutes it.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy as sp
from flint import arb

from verify.arithmetic.balls import ball, exact
from verify.arithmetic.decide import Verdict
from verify.engine.proof import Proof

Point = Mapping[str, int | Fraction | str]


def identity(proof: Proof, name: str, difference: Any, at: Point | None = None) -> Verdict:
    """Check that an expression is zero; if it does not simplify to 0, try to refute it in balls at a rational point.

    By default all coordinates of the point lie between 2/5 and 1/2.

    >>> from verify.engine.proof import PROFILES
    >>> x = sp.Symbol("x", positive=True)
    >>> identity(Proof("doc.test", PROFILES["quick"]), "log x^2", sp.log(x**2) - 2 * sp.log(x), {"x": 3}).value
    'proved'
    >>> identity(Proof("doc.test", PROFILES["quick"]), "log x^2", sp.log(x**2) - sp.log(x), {"x": 3}).value
    'refuted'
    """
    expression = sp.sympify(difference)
    if is_zero(expression):
        return proof.holds(name, True)
    at = somewhere(expression) if at is None else at
    value = enclose(expression, at)
    if value.is_finite() and not value.contains(0):
        proof.enclose(f"{name}, at {', '.join(f'{k} = {v}' for k, v in at.items())}", value)
        return proof.holds(name, False)
    return proof.undecided(name)


def somewhere(expression: Any) -> Point:
    """Return a rational point: 2/5, 3/7, 4/9 ... for the symbols of an expression in the order of their names."""
    names = sorted(symbol.name for symbol in expression.free_symbols)
    return {name: Fraction(k + 2, 2 * k + 5) for k, name in enumerate(names)}


def positive(proof: Proof, name: str, expression: Any) -> Verdict:
    """Check that a rational expression is > 0 for all positive symbols, by positive coefficients after factoring.

    >>> from verify.engine.proof import PROFILES
    >>> x, y = sp.symbols("x y", positive=True)
    >>> positive(Proof("doc.test", PROFILES["quick"]), "1/x - 1/(x + y)", 1 / x - 1 / (x + y)).value
    'proved'
    """
    expression = sp.sympify(expression)
    symbols = sorted(expression.free_symbols, key=str)
    parts = [sp.Poly(sp.expand(part), *symbols or [sp.Dummy()]) for part in sp.fraction(sp.factor(expression))]
    if all(coefficient > 0 for part in parts for coefficient in part.coeffs()):
        return proof.holds(name, True)
    return proof.holds(name, False) if enclose(expression, somewhere(expression)) <= 0 else proof.undecided(name)


def is_zero(expression: Any) -> bool:
    """Return whether SymPy simplifies the expression to 0."""
    if sp.simplify(expression) == 0:
        return True
    # without force: logarithms are expanded only where SymPy knows the arguments to be positive
    opened = sp.sympify(expression).replace(sp.log, lambda x: sp.expand_log(sp.log(sp.factor(x))))
    return bool(sp.simplify(sp.expand(opened)) == 0)


def enclose(expression: Any, at: Point) -> arb:
    """Enclose an expression of rationals, pi, +, *, powers, log, exp and sqrt at a rational point."""
    if isinstance(expression, sp.Symbol):
        return ball(exact(expression.name, at[expression.name]))
    if isinstance(expression, sp.Rational):
        return ball(Fraction(int(expression.p), int(expression.q)))
    if expression is sp.pi:
        return arb.pi()
    if expression is sp.E:
        return arb(1).exp()
    inner = [enclose(arg, at) for arg in expression.args]
    if isinstance(expression, sp.Add):
        return sum(inner, arb(0))
    if isinstance(expression, sp.Mul):
        product = arb(1)
        for factor in inner:
            product *= factor
        return product
    if isinstance(expression, sp.Pow):
        power = expression.args[1]
        return inner[0] ** int(power) if power.is_Integer else inner[0] ** inner[1]
    if isinstance(expression, sp.log):
        return inner[0].log()
    if isinstance(expression, sp.exp):
        return inner[0].exp()
    raise ValueError(f"expression has {expression.func}; expected rationals, pi, +, *, powers, log, exp")
