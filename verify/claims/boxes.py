"""Claims: Theorem 1 for G(z) = mu + sigma z against N(0, 1), for all mu and sigma in a box."""

from functools import partial

from flint import arb

from verify.analysis.branch_bound import Box, Test, ball_of, cover, gradient, hessian
from verify.arithmetic.balls import precision
from verify.arithmetic.decide import Verdict, prove_positive
from verify.engine.proof import Proof
from verify.engine.registry import GOODFELLOW, Source, claim

THEOREM = Source(GOODFELLOW, "Theorem 1, for a parametric G")
DIGITS = 19  # about 64 bits, whose rounding is far smaller than a box
RHO = 0.25


def _over(proof: Proof, name: str, box: Box, test: Test, limit: int = 3000) -> None:
    with precision(DIGITS):
        result = cover(box, test, limit=limit)
    proof.note(f"boxes for {name}", f"{result.boxes}, halved up to {result.depth} times")
    if result.verdict is Verdict.UNDECIDED:
        proof.undecided(f"{name} near {result.at}")
    else:
        proof.holds(name, result.verdict is Verdict.PROVED)


def _convex(box: Box) -> Verdict:
    return prove_positive(hessian(ball_of(box[0]), arb(0), 0, 0))


def _increasing(box: Box) -> Verdict:
    return prove_positive(gradient(ball_of(box[0]), arb(0), 0))


def _mean(proof: Proof, *, convex_to: float = 0.5, increasing: tuple[float, float] = (0.5, 8.0)) -> None:
    _over(proof, f"d2C/dmu2 > 0 on [0, {convex_to}]", ((0.0, convex_to),), _convex)
    _over(proof, f"dC/dmu > 0 on {list(increasing)}", (increasing,), _increasing)
    proof.lemma("C is even in mu, so that dC/dmu = 0 at mu = 0")


claim(
    "T1.box.mean",
    "For q = N(mu, 1), p = N(0, 1) and every |mu| <= 8, mu = 0 is the only critical point of C and its minimum.",
    latex=r"\frac{\mathrm d^2C}{\mathrm d\mu^2}>0\ \text{on}\ [0,\tfrac12],\qquad"
    r"\frac{\mathrm dC}{\mathrm d\mu}>0\ \text{on}\ [\tfrac12,8]",
    assumptions=("p = N(0, 1)", "q = N(mu, 1)"),
    source=THEOREM,
    rigor="ball",
    idea="Balls of mu go into the integrals for C' and C''; boxes are halved until the sign is certain.",
    controls={
        "C is convex on [0, 8]": partial(_mean, convex_to=8.0),
        "C increases on [-8, -1/2]": partial(_mean, increasing=(-8.0, -0.5)),
    },
)(_mean)


def _definite(box: Box) -> Verdict:
    """Decide whether the Hessian is positive definite: its first entry and its determinant are > 0."""
    mu, t = map(ball_of, box)
    a = hessian(mu, t, 0, 0)
    if not a > 0:
        return Verdict.REFUTED if a <= 0 else Verdict.UNDECIDED
    return prove_positive(a * hessian(mu, t, 1, 1) - hessian(mu, t, 0, 1) ** 2)


def _hessian(proof: Proof, *, center: float = 0.0) -> None:
    box: Box = ((center, center + RHO), (-RHO, RHO))
    _over(proof, f"the Hessian is positive definite for mu in [{center}, {center + RHO}], |t| <= {RHO}", box, _definite)
    proof.lemma("C is even in mu")


claim(
    "T1.box.hessian",
    "For q = N(mu, e^(2t)), p = N(0, 1) the Hessian of C in (mu, t) is positive definite for |mu|, |t| <= 1/4.",
    latex=r"\nabla^2_{\mu,\log\sigma}C\succ0\quad\text{on}\ [-\tfrac14,\tfrac14]^2",
    assumptions=("p = N(0, 1)", "q = N(mu, sigma^2), t = log sigma"),
    source=THEOREM,
    rigor="ball",
    idea="The three second derivatives are enclosed over boxes of (mu, t); its first entry and determinant decide.",
    controls={"for 3 <= mu <= 3 + 1/4": partial(_hessian, center=3.0)},
)(_hessian)


def _not_critical(box: Box) -> Verdict:
    """Decide whether a component of the gradient has one sign, or the Hessian is positive definite on the box."""
    if max(abs(end) for side in box for end in side) <= RHO:
        return Verdict.PROVED
    mu, t = map(ball_of, box)
    components = (gradient(mu, t, i) for i in (0, 1))
    return Verdict.PROVED if any(x > 0 or x < 0 for x in components) else Verdict.UNDECIDED


def _growing(box: Box) -> Verdict:
    return prove_positive(gradient(ball_of(box[0]), ball_of(box[1]), 1))


def _unique(proof: Proof, *, test: Test = _not_critical, box: Box | None = None) -> None:
    m, s = proof.scale(quick=(1.0, 0.5), full=(2.0, 1.0), deep=(4.0, 1.0))
    box = box or ((0.0, m), (-s, s))
    _over(proof, f"mu in {list(box[0])}, t in {list(box[1])}", box, test, limit=20_000)
    if test is _not_critical:  # the test skips the box of T1.box.hessian, so that claim is proved here too
        with precision(DIGITS):
            inside = cover(((0.0, RHO), (-RHO, RHO)), _definite, limit=3000)
        if inside.verdict is not Verdict.PROVED:
            proof.undecided(f"the Hessian is positive definite for |mu|, |t| <= {RHO}")
    proof.lemma("C is even in mu; inside |mu|, |t| <= 1/4 C is strictly convex (T1.box.hessian) with its minimum at 0")


claim(
    "T1.box.unique",
    "For q = N(mu, sigma^2), p = N(0, 1), |mu| <= m and |log sigma| <= s, C has no critical point but p = q; "
    "(m, s) is (1, 1/2) in the quick profile, (2, 1) in full, (4, 1) in deep.",
    latex=r"\nabla C(\mu,\log\sigma)=0\iff(\mu,\log\sigma)=(0,0)\quad\text{on}\ [-m,m]\times[-s,s]",
    assumptions=("p = N(0, 1)", "q = N(mu, sigma^2), t = log sigma"),
    source=THEOREM,
    rigor="ball",
    idea="One component of the gradient keeps its sign on each box outside the box of T1.box.hessian.",
    controls={"dC/dt > 0 for t <= -1/4": partial(_unique, test=_growing, box=((0.0, 1.0), (-0.5, -0.25)))},
)(_unique)
