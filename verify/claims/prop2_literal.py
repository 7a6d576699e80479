r"""Claims: Proposition 2 needs steps that are long enough, and an optimal discriminator at every step.

It requires that "p_g is updated so as to improve the criterion".  Read literally it is false: along the segment from
q_0 to p the criterion falls strictly, and q_t = q_0 + s_t (p - q_0) with s_t = (1 - 2^-t)/2 improves it at every step
(of size 2^-t / 4 of the way) but converges to the midpoint.  And an update against a fixed discriminator improves V but
not C: the best response puts all mass on one point (the "Helvetica scenario").
"""

from fractions import Fraction
from itertools import pairwise

from flint import arb

from verify.analysis.atoms import Vector, criterion, tv
from verify.arithmetic.balls import ball
from verify.arithmetic.decide import require_exact
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim
from verify.models.simplex import discriminator, minimum, mix, random_distinct, value

HALF = Fraction(1, 2)
DATA: Vector = (HALF, HALF)
START: Vector = (Fraction(1), Fraction(0))


def shrinking_orbit(n_steps: int, limit_weight: Fraction = HALF) -> list[Vector]:
    """Return q_t = q_0 + limit_weight (1 - 2^-t) (p - q_0), t = 0 ... n_steps, and its limit at the end."""
    weights = [limit_weight * (1 - Fraction(1, 2**t)) for t in range(n_steps + 1)] + [limit_weight]
    return [mix(START, DATA, w) for w in weights]


def _stalls(proof: Proof, limit_weight: Fraction) -> None:
    n_steps = 2 * proof.profile_digits
    *orbit, limit = shrinking_orbit(n_steps, limit_weight)
    values = [criterion(DATA, q) for q in orbit]
    falls = [before - now for before, now in pairwise(values)]
    proof.note("strict improvements", len(falls))
    proof.positive("C(q_t) - C(q_{t+1}), the smallest", minimum(falls))
    proof.holds("TV(q_t, p) >= TV(q_0, p) / 2 for every t", all(tv(q, DATA) >= tv(START, DATA) / 2 for q in orbit))
    proof.positive("C(limit) + log 4", proof.enclose("C(limit) + log 4", criterion(DATA, limit) + arb(4).log()))


@claim(
    "P2.literal",
    "Proposition 2 read literally is false: steps that all strictly improve the criterion can stop short of p_data",
    latex=r"C(q_{t+1}) < C(q_t) \;\forall t, \quad q_t \to q_\infty, \quad C(q_\infty) > -\log 4",
    source=Source(GOODFELLOW, "Proposition 2", "S1, S5", "Proposition 2"),
    rigor="ball",
    idea="p = (1/2, 1/2), q_0 = (1, 0), steps of 2^-t / 4 of the way: distances in rationals, C in balls.",
    controls={"steps twice as long stop short as well": lambda proof: _stalls(proof, Fraction(1))},
)
def literal(proof: Proof) -> None:
    """Sixty strict improvements (in the quick profile), and the limit."""
    proof.lemma("C is strictly convex with its minimum at p, so it falls along the whole segment (P2.convex.symbolic)")
    _stalls(proof, HALF)


def best_response(d: Vector) -> Vector:
    """Return the point mass that minimises q -> sum q log(1 - D): all mass where D is largest."""
    best = max(range(len(d)), key=lambda k: d[k])
    return tuple(Fraction(int(k == best)) for k in range(len(d)))


def _frozen(proof: Proof, helps: bool) -> None:
    optimal, improved, worse, away, elsewhere = [], [], [], [], True
    for _ in range(proof.scale(quick=100, full=200, deep=400)):
        p, r = random_distinct(proof.rng, 5, 2)
        q = mix(p, r, Fraction(1, 10))
        d = discriminator(p, q)
        collapsed = best_response(d)
        optimal.append(-abs(value(p, q, d) - criterion(p, q)))
        improved.append(value(p, q, d) - value(p, collapsed, d))
        change = criterion(p, collapsed) - criterion(p, q)
        worse.append(-change if helps else change)
        d = tuple(a / (a + b) for a, b in zip(p, collapsed, strict=True))  # D is optimal again, and G responds to it
        response = best_response(d)
        away.append(ball(tv(p, response) - tv(p, q)))
        elsewhere &= require_exact(tv(response, collapsed)) == 1
    proof.zero("D is optimal for q: V(q, D) - C(q), the largest", minimum(optimal))
    proof.positive("V(q, D) - V(best response, D), the smallest", minimum(improved))
    proof.positive("the change of C by it", minimum(worse))
    proof.positive("TV(p, the response to the next D*) - TV(p, q), the smallest", minimum(away))
    proof.holds("that response is another point each time: the generator leaps, and does not come back to p", elsewhere)


@claim(
    "P2.frozen-d",
    "With D held fixed the generator's optimum is one point: V falls while C rises (the Helvetica scenario)",
    latex=r"\arg\min_q \sum_x q(x) \log(1 - D(x)) = \delta_{\arg\max D}, \qquad C(\delta) > C(q)",
    source=Source(GOODFELLOW, "section 6", "S2", "Problems"),
    rigor="ball",
    idea="V is linear in q for fixed D, so a vertex of the simplex is optimal; from random q with TV(p, q) < 1/10.",
    controls={"what improves V(., D) improves C": lambda proof: _frozen(proof, helps=True)},
)
def frozen(proof: Proof) -> None:
    """Random p and q = (9 p + r) / 10; D at its optimum for q, then frozen."""
    _frozen(proof, helps=False)
