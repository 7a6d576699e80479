r"""Claims: the square root of JSD is a metric, JSD itself is not, and no channel increases it."""

from fractions import Fraction

import sympy as sp
from flint import arb

from verify.analysis.atoms import Vector, jsd, kl, tv
from verify.arithmetic.balls import ball
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim
from verify.engine.symbolic import identity, positive
from verify.models.simplex import apply, minimum, mix, random_channel, random_distinct, random_simplex

ENDRES = Source(
    "Endres and Schindelin 2003, A new metric for probability distributions", "theorem 1", "S5", "after C(G)"
)
COVER = Source("Cover and Thomas, Elements of information theory", "data processing inequality")
FAR: tuple[Vector, Vector] = ((Fraction(1), Fraction(0)), (Fraction(0), Fraction(1)))
NEAR: tuple[Vector, Vector] = (
    (Fraction(1, 2), Fraction(1, 2)),
    (Fraction(1, 2) + Fraction(1, 100), Fraction(1, 2) - Fraction(1, 100)),
)


def _triangle(proof: Proof, power: Fraction) -> None:
    """Check the triangle inequality of JSD^power on random triples, and on triples (p, (p + r)/2, r), the hardest."""
    n = proof.scale(quick=300, full=1000, deep=2000)
    triples = [random_distinct(proof.rng, int(proof.rng.integers(2, 7)), 3) for _ in range(n)]
    pairs = [FAR, NEAR, *(tuple(random_distinct(proof.rng, 3, 2)) for _ in range(n // 5))]
    lines = [(p, mix(p, r), r) for p, r in pairs]
    margins = []
    for p, q, r in [*triples, *lines]:
        first, second, whole = (jsd(x, y) ** ball(power) for x, y in ((p, q), (q, r), (p, r)))
        margins.append(first + second - whole)
    proof.note("triples", len(margins))
    proof.positive(
        "d(p, q) + d(q, r) - d(p, r), the smallest", proof.enclose("smallest margin of a triangle", minimum(margins))
    )


@claim(
    "Metric.sqrt-jsd",
    "sqrt(JSD) satisfies the triangle inequality on random rational triples and on points of a line",
    latex=r"\sqrt{JSD(p, r)} < \sqrt{JSD(p, q)} + \sqrt{JSD(q, r)}",
    source=ENDRES,
    rigor="ball",
    idea="Exact rational triples, JSD in balls; the exponent 1/2 cannot be raised: 51/100 fails for near points.",
    controls={
        "JSD^(51/100)": lambda proof: _triangle(proof, Fraction(51, 100)),
        "JSD": lambda proof: _triangle(proof, Fraction(1)),
    },
)
def sqrt_jsd(proof: Proof) -> None:
    """Hundreds of triples."""
    proof.lemma("Endres and Schindelin prove it for all p, q, r")
    _triangle(proof, Fraction(1, 2))


def _not_a_metric(proof: Proof, power: Fraction) -> None:
    p, r = FAR
    detour = jsd(p, mix(p, r)) ** ball(power) + jsd(mix(p, r), r) ** ball(power)
    excess = jsd(p, r) ** ball(power) - detour
    proof.positive("d(p, r) - d(p, q) - d(q, r)", proof.enclose("the triangle inequality fails by", excess))
    if power == 1:
        proof.zero("excess - (3/2 log 3 - 2 log 2)", excess - (arb(3).log() * 3 / 2 - arb(2).log() * 2))


@claim(
    "Metric.jsd-is-none",
    "JSD itself is not a metric: for p = (1, 0), r = (0, 1) and q half-way, JSD(p, r) > JSD(p, q) + JSD(q, r)",
    latex=r"JSD(p, r) - JSD(p, q) - JSD(q, r) = \tfrac32 \log 3 - 2 \log 2 > 0",
    source=ENDRES,
    rigor="ball",
    idea="JSD(p, r) = log 2 and JSD(p, q) = (3/4) log(4/3): a counterexample in closed form.",
    controls={"sqrt(JSD) is none either": lambda proof: _not_a_metric(proof, Fraction(1, 2))},
)
def jsd_is_none(proof: Proof) -> None:
    """The counterexample."""
    _not_a_metric(proof, Fraction(1))


def _processing(proof: Proof, share: Fraction) -> None:
    """Check that channels keep at most `share` of a divergence."""
    margins: dict[str, list[arb]] = {"JSD": [], "KL": [], "TV": []}
    for _ in range(proof.scale(quick=200, full=400, deep=800)):
        n, m = (int(k) for k in proof.rng.integers(2, 7, 2))
        p, q = random_distinct(proof.rng, n, 2)
        channel = random_channel(proof.rng, n, m)
        if proof.rng.random() < 0.3:  # nearly lossless: stay with probability 99/100
            noise = random_simplex(proof.rng, n)
            channel = [mix(tuple(Fraction(int(i == j)) for j in range(n)), noise, Fraction(1, 100)) for i in range(n)]
        after = apply(channel, p), apply(channel, q)
        margins["JSD"].append(ball(share) * jsd(p, q) - jsd(*after))
        margins["KL"].append(ball(share) * kl(p, q) - kl(*after))
        margins["TV"].append(ball(share * tv(p, q) - tv(*after)))
    x, y, t = sp.symbols("x y t", positive=True)
    term = x * sp.log(x / y)
    hessian = sp.hessian(term, (x, y))
    identity(proof, "x log(x/y) is homogeneous", term.subs({x: t * x, y: t * y}, simultaneous=True) - t * term)
    identity(proof, "its Hessian is singular", hessian.det())
    positive(proof, "with a positive trace: convex", hessian.trace())
    for name, values in margins.items():
        check = proof.nonnegative if name == "TV" else proof.positive
        check(f"{name}(p, q) - {name}(p T, q T), the smallest", minimum(values))
    p, q = random_distinct(proof.rng, 5, 2)
    split = [tuple(Fraction(1 + (j == 2 * i), 3) if j // 2 == i else Fraction(0) for j in range(10)) for i in range(5)]
    lossless = jsd(p, q) - jsd(apply(split, p), apply(split, q))
    proof.zero("a channel that can be undone loses nothing", lossless)


@claim(
    "Metric.data-processing",
    "No channel increases JSD, KL or TV; one that can be undone keeps them",
    latex=r"JSD(pT, qT) \le JSD(p, q), \qquad T \text{ stochastic}",
    source=COVER,
    rigor="ball",
    idea="x log(x/y) is convex and homogeneous; random rational channels, TV exact, JSD and KL in balls.",
    controls={"every channel loses 2 %": lambda proof: _processing(proof, Fraction(98, 100))},
)
def data_processing(proof: Proof) -> None:
    """Hundreds of channels."""
    proof.lemma("a convex homogeneous function is subadditive: the log-sum inequality, which proves it for all p, q, T")
    _processing(proof, Fraction(1))
