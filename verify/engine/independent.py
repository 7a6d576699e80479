"""An independent check of C and JSD, with densities, integrals and tail bounds of its own.

It shares no code with the rest of the package.  A pair is given by name, as in
"JSD(Normal(mu=0, sigma=1), Uniform(low=0, high=1/2))".  Each piece of the line is split into two halves
x = edge + side e^v, a substitution that resolves singular edges and heavy tails.  The bound on what is left out needs
no formula: a density has mass 1, so its mass outside is 1 minus its integral inside.
"""

import ast
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from flint import acb, arb, ctx, fmpq


class Parsed(NamedTuple):
    """A density by its class name and its parameters."""

    kind: str
    parameters: dict[str, Any]


def knows(name: str) -> bool:
    """Return whether a ball of this name can be computed here.

    >>> knows("JSD(Normal(mu=0, sigma=1), Cauchy(mu=0, gamma=1))"), knows("C(limit) + log 4")
    (True, False)
    """
    try:
        parse(name)
    except ValueError:
        return False
    return True


def parse(text: str) -> tuple[str, list[Parsed]]:
    """Read "JSD(Normal(...), Cauchy(...))"; ValueError for anything else.

    >>> parse("C(Uniform(low=0, high=1/2), Cauchy(mu=0, gamma=1))")[1][0]
    Parsed(kind='Uniform', parameters={'low': Fraction(0, 1), 'high': Fraction(1, 2)})
    """
    try:
        call: Any = ast.parse(text, mode="eval").body
        if call.func.id not in ("C", "JSD") or len(call.args) != 2:
            raise ValueError
        return call.func.id, [_density(arg) for arg in call.args]
    except (
        AttributeError,
        SyntaxError,
        TypeError,
        ValueError,
        KeyError,
        ZeroDivisionError,
        RecursionError,
        MemoryError,
    ):
        raise ValueError(f"{text!r} is no pair that the checker knows; expected C(p, q) or JSD(p, q)") from None


def _density(node: Any) -> Parsed:
    if node.func.id not in {*LOG_DENSITIES, "Mixture", "Discrete"} or node.args:
        raise ValueError
    return Parsed(node.func.id, {keyword.arg: _value(keyword.value) for keyword in node.keywords})


def _value(node: Any) -> Any:
    if isinstance(node, ast.List):
        return [_value(one) for one in node.elts]
    if isinstance(node, ast.Call):
        return _density(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _value(node.left) / _value(node.right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if type(node.value) is not int:  # a text such as '1e-99999999' would be built digit by digit
        raise ValueError
    return Fraction(node.value)


def _b(x: Fraction) -> arb:
    return arb(fmpq(x.numerator, x.denominator))


# log p(x).  `log` reports a branch cut where acb.integral needs analyticity; `side` is +1 right of mu, -1 left of it.


def _normal(x: Any, log: Any, side: int, mu: arb, sigma: arb) -> Any:
    return -(((x - mu) / sigma) ** 2) / 2 - (sigma * (2 * arb.pi()).sqrt()).log()


def _laplace(x: Any, log: Any, side: int, mu: arb, b: arb) -> Any:
    return -side * (x - mu) / b - (2 * b).log()


def _logistic(x: Any, log: Any, side: int, mu: arb, b: arb) -> Any:
    t = side * (x - mu) / b
    return -t - 2 * log(1 + (-t).exp()) - b.log()


def _student(x: Any, log: Any, side: int, nu: arb, mu: arb, scale: arb) -> Any:
    c = (nu / 2 + arb(1) / 2).lgamma() - (nu / 2).lgamma() - (nu * arb.pi()).log() / 2 - scale.log()
    return c - (nu + 1) / 2 * log(1 + ((x - mu) / scale) ** 2 / nu)


def _cauchy(x: Any, log: Any, side: int, mu: arb, gamma: arb) -> Any:
    return -log(1 + ((x - mu) / gamma) ** 2) - (arb.pi() * gamma).log()


def _exponential(x: Any, log: Any, side: int, rate: arb) -> Any:
    return rate.log() - rate * x


def _uniform(x: Any, log: Any, side: int, low: arb, high: arb) -> Any:
    return 0 * x - (high - low).log()


def _beta(x: Any, log: Any, side: int, a: arb, b: arb, low: arb, high: arb) -> Any:
    c = a.lgamma() + b.lgamma() - (a + b).lgamma() + (a + b - 1) * (high - low).log()
    return (a - 1) * log(x - low) + (b - 1) * log(high - x) - c


def _radial(x: Any, log: Any, side: int, d: arb, sigma: arb) -> Any:
    c = (1 - d / 2) * arb(2).log() - (d / 2).lgamma() - d * sigma.log()
    return c + (d - 1) * log(x) - (x / sigma) ** 2 / 2


LOG_DENSITIES: dict[str, Callable[..., Any]] = {
    "Normal": _normal, "Laplace": _laplace, "Logistic": _logistic, "StudentT": _student, "Cauchy": _cauchy,
    "Exponential": _exponential, "Uniform": _uniform, "Beta": _beta, "IsotropicNormal": _radial, "Radial": _radial,
}  # fmt: skip


def _support(p: Parsed) -> tuple[Fraction | None, Fraction | None]:
    if p.kind in ("Uniform", "Beta"):
        return p.parameters["low"], p.parameters["high"]
    return (Fraction(0), None) if p.kind in ("Exponential", "Radial", "IsotropicNormal") else (None, None)


def _flat(p: Parsed) -> list[tuple[Fraction, Parsed]]:
    if p.kind != "Mixture":
        return [(Fraction(1), p)]
    parts = zip(p.parameters["weights"], p.parameters["components"], strict=True)
    return [(w * v, inner) for w, part in parts if w for v, inner in _flat(part)]


def _edges(p: Parsed) -> set[Fraction]:
    found = {end for _, part in _flat(p) for end in _support(part) if end is not None}
    return found | {part.parameters["mu"] for _, part in _flat(p) if part.kind in ("Laplace", "Logistic")}


def _density_on(p: Parsed, at: Fraction) -> Callable[[Any, Any], Any] | None:
    """Return (x, log) -> log p(x) on the piece that contains `at`, or None where p = 0."""
    active = []
    for w, part in _flat(p):
        low, high = _support(part)
        if (low is None or low < at) and (high is None or at < high):
            side = 1 if at > part.parameters.get("mu", Fraction(0)) else -1
            active.append((_b(w), LOG_DENSITIES[part.kind], side, {k: _b(v) for k, v in part.parameters.items()}))
    if not active:
        return None

    def log_density(x: Any, log: Any) -> Any:
        terms = [w.log() + f(x, log, side, **parameters) for w, f, side, parameters in active]
        total = terms[0]
        for term in terms[1:]:
            total = _log_add(total, term, log)
        return total

    return log_density


def _log_add(a: Any, b: Any, log: Any) -> Any:
    """Return log(e^a + e^b) without overflow: a + log(1 + e^(b - a)), with a the larger at the midpoint."""
    if b.real.mid() > a.real.mid():
        a, b = b, a
    s = b - a
    if s.imag.is_zero():  # increasing in s: on a wide real ball, the values at its ends
        ends = [(1 + x.exp()).log() for x in (s.real.lower(), s.real.upper())]
        return a + ends[0].union(ends[1])
    return a + log(1 + s.exp())


def enclose(text: str, digits: int) -> arb:
    """Enclose C or JSD of a pair to about `digits` digits; the working precision is restored."""
    kind, (p, q) = parse(text)
    before = ctx.prec
    try:
        ctx.dps = 3 * digits + 20  # edge + side e^v must tell e^v = 10^(-2.2 digits) from nothing
        if p.kind == "Discrete" or q.kind == "Discrete":
            return _atoms(kind, p, q)
        return _line(kind, p, q, digits)
    finally:
        ctx.prec = before


def _atoms(kind: str, p: Parsed, q: Parsed) -> arb:
    if p.kind != q.kind:  # atoms against a density
        return arb(0) if kind == "C" else arb(2).log()
    masses = [dict(zip(x.parameters["atoms"], x.parameters["weights"], strict=True)) for x in (p, q)]
    total = arb(0)
    for atom in set(masses[0]) | set(masses[1]):
        a, b = (m.get(atom, Fraction(0)) for m in masses)
        other, weight = (
            (a + b, Fraction(1)) if kind == "C" else ((a + b) / 2, Fraction(1, 2))
        )  # JSD: two KL to the mean
        total += sum((_b(weight * u) * _b(u / other).log() for u in (a, b) if u), arb(0))
    return total


class Half(NamedTuple):
    """The half-piece x = edge + side e^v, v <= end (None: towards infinity), with log p and log q, None where 0."""

    edge: arb
    side: int
    end: arb | None
    p: Any
    q: Any


def _halves(p: Parsed, q: Parsed) -> list[Half]:
    edges = sorted(_edges(p) | _edges(q) or {Fraction(0)})
    found = []
    pairs: list[tuple[Fraction | None, Fraction | None]] = [(None, edges[0]), *pairwise(edges), (edges[-1], None)]
    for low, high in pairs:
        if low is not None and high is not None:
            at, end = (low + high) / 2, _b((high - low) / 2).log()
        else:
            at, end = (high - 1 if high is not None else (low or 0) + Fraction(1)), None
        f, g = _density_on(p, at), _density_on(q, at)
        if f or g:
            found += [Half(_b(edge), side, end, f, g) for edge, side in ((low, 1), (high, -1)) if edge is not None]
    return found


def _line(kind: str, p: Parsed, q: Parsed, digits: int) -> arb:
    """Integrate over -near <= v <= far on every half, and bound the rest by its mass: |integrand| <= (p + q) log 2."""
    halves, near = _halves(p, q), arb(5 * digits)
    lost = arb("inf")
    for far in (8, 4 * digits, 40 * digits):
        inside = sum((_half("mass", half, near, arb(far), digits) for half in halves), arb(0))
        lost = (2 - inside).abs_upper() * arb(2).log()
        if lost < arb(10) ** -digits or all(half.end is not None for half in halves):
            break
    total = sum((_half(kind, half, near, arb(far), digits) for half in halves), arb(0))
    return total + (arb(0).union(-lost) if kind == "C" else arb(0).union(lost / 2))


def _integrand(kind: str, f: Any, g: Any) -> Callable[[Any, bool], Any]:
    """C: p log(p / (p + q)) + q log(q / (p + q)); JSD: (p log(2p / (p + q)) + q log(2q / (p + q))) / 2; mass: p + q."""

    def integrand(x: Any, analytic: bool) -> Any:
        def log(z: Any) -> Any:
            return z.log(analytic=analytic)

        logs = [h(x, log) for h in (f, g) if h is not None]
        if kind == "mass":
            return sum((a.exp() for a in logs), acb(0))
        log_sum = logs[0] if len(logs) == 1 else _log_add(logs[0], logs[1], log)
        shift = arb(2).log() if kind == "JSD" else arb(0)
        total = sum((a.exp() * (a - log_sum + shift) for a in logs), acb(0))
        return total / 2 if kind == "JSD" else total

    return integrand


def _half(kind: str, half: Half, near: arb, far: arb, digits: int) -> arb:
    f = _integrand(kind, half.p, half.q)

    def substituted(v: Any, analytic: bool) -> Any:
        u = v.exp()
        return f(half.edge + half.side * u, analytic) * u

    end, tolerance = far if half.end is None else half.end, arb(10) ** (-digits - 5)
    return acb.integral(substituted, -near, end, abs_tol=tolerance, rel_tol=tolerance, eval_limit=100_000).real
