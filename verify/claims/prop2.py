r"""Claims: Proposition 2 in function space, a step of p_g that converges.

For fixed p the criterion C(q) = V(D*_q) is a sum (an integral) over points of

    f(q) = p log(p / (p + q)) + q log(q / (p + q)),     f'(q) = log(q / (p + q)) = log(1 - D*),

so its gradient is what the generator gets from the discriminator.  Its Bregman divergence is

    C(r) - C(q) - <log(1 - D*_q), r - q>  =  KL(r || q) - KL(p + r || p + q)  in [0, KL(r || q)]:

C is convex, and at most as curved as the entropy.  Mirror descent with step eta <= 1, q+ ~ q exp(-eta log(1 - D*)),
is therefore monotone with C(q_k) + log 4 <= KL(p || q_0) / (eta k).  With eta = 1 it is q+ = (p + q) / 2.
"""

from fractions import Fraction

import sympy as sp
from flint import arb

from verify.analysis import divergences
from verify.analysis.atoms import Vector, criterion, kl, tv
from verify.arithmetic.balls import ball, precision
from verify.arithmetic.decide import require_exact
from verify.densities import Mixture, Normal
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim
from verify.engine.symbolic import identity, positive
from verify.models.simplex import discriminator, minimum, mix, random_distinct, random_simplex

PROPOSITION = Source(GOODFELLOW, "Proposition 2")
ETAS = (Fraction(1, 4), Fraction(1, 2), Fraction(1))


# Convexity.

P, Q, R = sp.symbols("p q r", positive=True)
TERM = P * sp.log(P / (P + Q)) + Q * sp.log(Q / (P + Q))


def _symbolic(proof: Proof, gradient: sp.Expr, curvature: int = 1) -> None:
    bregman = TERM.subs(Q, R) - TERM - gradient * (R - Q)
    identity(proof, "f'(q) = log(1 - D*)", sp.diff(TERM, Q) - gradient)
    positive(proof, "f''(q) > 0", sp.diff(TERM, Q, 2))
    identity(proof, "f'' = 1/q - 1/(p + q)", sp.diff(TERM, Q, 2) - 1 / Q + 1 / (P + Q))
    divergence = R * sp.log(R / Q) - curvature * (P + R) * sp.log((P + R) / (P + Q))
    identity(proof, "Bregman divergence = r log(r/q) - (p + r) log((p + r)/(p + q))", bregman - divergence)


@claim(
    "P2.convex.symbolic",
    "C is strictly convex in p_g, with log(1 - D*) as its gradient and a Bregman divergence of at most KL",
    latex=r"C(r) - C(q) - \langle \log(1 - D^*_q), r - q \rangle = KL(r \| q) - KL(p + r \| p + q) \in [0, KL(r \| q)]",
    source=PROPOSITION,
    rigor="symbolic",
    idea="Pointwise in q: f' = log(q/(p+q)), f'' = p/(q(p+q)) > 0; both KL's have arguments of equal mass, so >= 0.",
    controls={
        "the subgradient is log D*": lambda proof: _symbolic(proof, sp.log(P / (P + Q))),
        "KL(p + r || p + q) counted twice": lambda proof: _symbolic(proof, sp.log(Q / (P + Q)), 2),
    },
    assumptions=("p, q, r > 0 at the point; where p = 0 the term is 0 or linear in q",),
)
def convex_symbolic(proof: Proof) -> None:
    """The identities of the integrand."""
    _symbolic(proof, sp.log(Q / (P + Q)))


def _margins(proof: Proof, scale: Fraction = Fraction(1), concave: bool = False) -> None:
    """Check that C lies below its chords and above its tangents, whose slope is `scale` log(1 - D*)."""
    n_triples = proof.scale(quick=1000, full=2000, deep=4000)
    chords, tangents = [], []
    for _ in range(n_triples):
        n = int(proof.rng.integers(2, 9))
        p = random_simplex(proof.rng, n)
        q, r = random_distinct(proof.rng, n, 2)
        weight = Fraction(int(proof.rng.integers(1, 100)), 100)
        at_q, at_r = criterion(p, q), criterion(p, r)
        chord = ball(1 - weight) * at_q + ball(weight) * at_r - criterion(p, mix(q, r, weight))
        chords.append(-chord if concave else chord)
        slope = [ball(1 - d).log() for d in discriminator(p, q)]
        step = [ball(scale * (y - x)) for x, y in zip(q, r, strict=True)]
        tangents.append(at_r - at_q - sum((g * h for g, h in zip(slope, step, strict=True)), arb(0)))
    proof.note("triples", n_triples)
    proof.positive("chord - C, the smallest", proof.enclose("smallest chord - C", minimum(chords)))
    proof.positive("C - tangent, the smallest", proof.enclose("smallest C - tangent", minimum(tangents)))


@claim(
    "P2.convex.random",
    "On random rational triples of distributions C lies strictly below its chords and above its tangents log(1 - D*)",
    latex=r"C(r) > C(q) + \langle \log(1 - D^*_q), r - q \rangle",
    source=PROPOSITION,
    rigor="ball",
    idea="Exact rational distributions on 2 to 8 points; C and log(1 - D*) in balls; every margin is positive.",
    controls={
        "C is concave": lambda proof: _margins(proof, concave=True),
        "slope 11/10 log(1 - D*)": lambda proof: _margins(proof, scale=Fraction(11, 10)),
    },
)
def convex_random(proof: Proof) -> None:
    """The smallest margin of thousands."""
    _margins(proof)


# The unit step.


def unit_step(p: Vector, q: Vector) -> Vector:
    """Return q+ ~ q exp(-log(1 - D*)) = q / (1 - D*), normalised: exponentiated gradient with step 1."""
    weights = [b / (1 - d) for b, d in zip(q, discriminator(p, q), strict=True)]
    return tuple(w / sum(weights) for w in weights)


def _unit(proof: Proof, weight: Fraction, factor: Fraction) -> None:
    identity(proof, "q exp(-log(1 - D*)) = q/(1 - D*) = p + q", Q / (1 - P / (P + Q)) - (P + Q))
    n_steps = proof.scale(quick=40, full=80, deep=160)
    averages, halves, falls, margins = True, True, list[arb](), list[arb]()
    for _ in range(5):
        p, q = random_distinct(proof.rng, 8, 2)
        start, first = kl(p, q), tv(p, q)
        with precision(proof.digits + n_steps):
            before = criterion(p, q)
            for k in range(1, n_steps + 1):
                following = unit_step(p, q)
                averages &= require_exact(following) == require_exact(mix(p, q, 1 - weight))
                if not averages:  # refuted; the denominators would grow without bound
                    break
                q = following
                halves &= require_exact(tv(p, q)) == require_exact(first * factor**k)
                now = criterion(p, q)
                falls.append(before - now)
                margins.append(start / k - now - arb(4).log())
                before = now
    proof.holds(f"q+ = {weight} p + {1 - weight} q, exactly", averages)
    proof.holds(f"TV(p, q_k) = ({factor})^k TV(p, q_0), exactly", halves)
    if not averages:
        return
    proof.positive("C falls, at least by", minimum(falls) + 0)
    proof.positive("KL(p || q_0)/k - (C(q_k) + log 4), at least", minimum(margins) + 0)
    proof.note("steps", f"{n_steps} from each of 5 random starts on 8 points")


@claim(
    "P2.step.exact",
    "Exponentiated gradient descent on C with unit step is q+ = (p + q)/2: total variation halves at every step",
    latex=r"q^+ \propto q\, e^{-\log(1 - D^*)} = p + q, \qquad TV(p, q_k) = 2^{-k}\, TV(p, q_0)",
    source=PROPOSITION,
    rigor="exact-rational",
    idea="q/(1 - D*) = p + q is rational, so both are equations in rationals; that C falls, beside them, in balls.",
    controls={
        "weights 1/3, 2/3": lambda proof: _unit(proof, Fraction(1, 3), Fraction(1, 2)),
        "TV shrinks by 499/1000": lambda proof: _unit(proof, Fraction(1, 2), Fraction(499, 1000)),
    },
    assumptions=("p, q > 0 on finitely many points", "D* is reached at every step"),
)
def step_exact(proof: Proof) -> None:
    """In rationals, from random starts."""
    _unit(proof, Fraction(1, 2), Fraction(1, 2))


# Any step up to 1.

Balls = list[arb]


def mirror_step(p: Balls, q: Balls, eta: arb) -> Balls:
    """Return q+ ~ q exp(-eta log(1 - D*)) = q^(1 - eta) (p + q)^eta, normalised."""
    weights = [b * (-eta * (b / (a + b)).log()).exp() for a, b in zip(p, q, strict=True)]
    total = sum(weights, arb(0))
    return [w / total for w in weights]


def suboptimality(p: Balls, q: Balls) -> arb:
    """Enclose C(q) + log 4 = sum p log(2p / (p + q)) + q log(2q / (p + q))."""
    terms = [a * (2 * a / (a + b)).log() + b * (2 * b / (a + b)).log() for a, b in zip(p, q, strict=True)]
    return sum(terms, arb(0))


def _rate(proof: Proof, etas: tuple[Fraction, ...] = ETAS, faster: int = 1) -> None:
    """Check an orbit of each step size; the theorem has `faster` = 1 and step sizes up to 1."""
    n_steps = proof.scale(quick=40, full=80, deep=120)
    p, q0 = random_distinct(proof.rng, 8, 2)
    for eta in etas:
        with precision(2 * proof.digits + n_steps):
            target, q, step = [ball(x) for x in p], [ball(x) for x in q0], ball(eta)
            before, falls, margins = suboptimality(target, q), [], []
            start = kl(p, q0)
            for k in range(1, n_steps + 1):
                q = mirror_step(target, q, step)
                now = suboptimality(target, q)
                falls.append(before - now)
                margins.append(start / (step * k * faster) - now)
                before = now
        proof.positive(f"eta = {eta}: C falls, at least by", minimum(falls) + 0)
        proof.positive(f"eta = {eta}: KL(p || q_0)/(eta k) - gap, at least", minimum(margins) + 0)
        proof.enclose(f"eta = {eta}: gap after {n_steps} steps", before + 0)


@claim(
    "P2.step.rate",
    "On an orbit from a random start on 8 points, exponentiated gradient with step 1/4, 1/2 or 1 falls at every step "
    "(40 in the quick profile, 80 in full, 120 in deep), with C(q_k) + log 4 <= KL(p || q_0)/(eta k)",
    formerly=(
        "Exponentiated gradient with step 1/4, 1/2 or 1 falls at every step, "
        "with C(q_k) + log 4 <= KL(p || q_0)/(eta k)",
    ),
    latex=r"C(q_{k+1}) < C(q_k), \qquad C(q_k) + \log 4 \le \frac{KL(p \| q_0)}{\eta k}",
    source=PROPOSITION,
    rigor="ball",
    idea="The lemma gives it for every start and eta <= 1; here each step of orbits from a random start is enclosed.",
    controls={
        "KL(p || q_0)/(12 eta k)": lambda proof: _rate(proof, faster=12),
        "step 9/2": lambda proof: _rate(proof, (Fraction(9, 2),)),
    },
    assumptions=("D* is reached at every step", "p, q > 0 on finitely many points"),
)
def step_rate(proof: Proof) -> None:
    """From one random start."""
    proof.lemma(
        "mirror descent on a convex function at most as curved as the entropy (P2.convex.symbolic) is monotone for "
        "eta <= 1, with gap <= KL(p || q_0)/(eta k) (Bauschke, Bolte and Teboulle 2017)"
    )
    _rate(proof)


def _contraction(proof: Proof, power: int = 2) -> None:
    p, q0 = random_distinct(proof.rng, 4, 2)
    for eta in ETAS:
        limit = (1 - eta / 2) ** power
        n_steps, size = 20, Fraction(1)  # until (1 - eta/2)^k is far below the tolerance
        while size > Fraction(1, 10 ** (proof.profile_digits + 3)):
            n_steps, size = n_steps + 1, size * (1 - eta / 2)
        with precision(4 * proof.digits + n_steps):
            target, q = [ball(x) for x in p], [ball(x) for x in q0]
            for _ in range(n_steps):
                q = mirror_step(target, q, ball(eta))
            ratio = suboptimality(target, mirror_step(target, q, ball(eta))) / suboptimality(target, q)
            error = abs(ratio - ball(limit))
        proof.enclose(f"eta = {eta}: gap ratio after {n_steps} steps", ratio + 0)
        proof.at_most(f"eta = {eta}: |ratio - {limit}|", error + 0, f"1e-{proof.profile_digits}")


@claim(
    "P2.step.contraction",
    "Near p each step multiplies the gap C + log 4 by (1 - eta/2)^2",
    latex=r"\frac{C(q_{k+1}) + \log 4}{C(q_k) + \log 4} \to \left(1 - \frac{\eta}{2}\right)^2",
    source=PROPOSITION,
    rigor="ball",
    idea="d/dq log(1 - D*) = 1/(2p) at q = p, so q - p shrinks by 1 - eta/2, and the gap is quadratic in it.",
    controls={"(1 - eta/2)^1": lambda proof: _contraction(proof, power=1)},
)
def step_contraction(proof: Proof) -> None:
    """The ratio after k steps, to within the tolerance of the limit."""
    identity(proof, "f''(p) = 1/(2p)", sp.diff(TERM, Q, 2).subs(Q, P) - 1 / (2 * P))
    _contraction(proof)


def _normals(proof: Proof, halving: bool = True) -> None:
    p, q = Normal(0, 1), Normal(3, 1)
    n_steps = proof.scale(quick=4, full=5, deep=5)
    jsd = [divergences.jsd(p, q, proof.digits)]
    for k in range(1, n_steps + 1):
        weight = Fraction(1, 2**k) if halving else Fraction(1, 1 + k)
        jsd.append(divergences.jsd(p, Mixture([1 - weight, weight], [p, q]), proof.digits))
        proof.enclose(f"JSD after {k} steps", jsd[-1])
        proof.positive(f"step {k}: JSD falls by", jsd[-2] - jsd[-1])
        proof.positive(f"step {k}: JSD falls at least by half", jsd[-2] / 2 - jsd[-1])


@claim(
    "P2.step.normal",
    "Between densities too: q_k = (1 - 2^-k) N(0,1) + 2^-k N(3,1) has JSD that falls by more than half at every step",
    latex=r"JSD(p, q_{k+1}) < \tfrac12 JSD(p, q_k), \qquad q_{k+1} = \tfrac12 (p + q_k)",
    source=PROPOSITION,
    rigor="ball",
    idea="JSD is convex in q and 0 at q = p, so the midpoint has at most half; each JSD is a certified integral.",
    controls={"the mixture weight 1/(1 + k) as well": lambda proof: _normals(proof, halving=False)},
)
def step_normal(proof: Proof) -> None:
    """Four steps or five."""
    proof.lemma("q / (1 - D*) = p + q pointwise (P2.step.exact)")
    _normals(proof)
