"""Claims: divergences that have a closed form, which the integrals must equal."""

from collections.abc import Callable
from functools import partial

from flint import arb

from verify.analysis.divergences import Distribution, criterion, jsd, kl, tv
from verify.arithmetic.balls import ball, exact
from verify.densities import Cauchy, Exponential, IsotropicNormal, Laplace, Normal, Uniform
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim

Formula = Callable[[], arb]
TEXTBOOK = Source("textbook formula", "", "S1, S2", "KL and JS divergence")


def _equals_formula(
    proof: Proof, divergence: Callable[..., arb | None], p: Distribution, q: Distribution, formula: Formula
) -> None:
    found = divergence(p, q, proof.digits)
    if found is None:
        proof.holds("the divergence is finite", False)
        return
    proof.enclose("integral", found)
    proof.zero("integral - formula", found - proof.enclose("formula", formula()))


def _rational(text: str | int) -> arb:
    return ball(exact("parameter", text))


def kl_normals(m1: str | int, s1: str | int, m2: str | int, s2: str | int, *, d: int = 1, half: int = 2) -> Formula:
    """Return KL(N(m1, s1^2 I) || N(m2, s2^2 I)) = d (log(s2/s1) + s1^2 / (2 s2^2) - 1/2) + (m1 - m2)^2 / (2 s2^2)."""

    def formula() -> arb:
        a, s, b, t = map(_rational, (m1, s1, m2, s2))
        return d * ((t / s).log() + s**2 / (half * t**2) - arb(1) / 2) + (a - b) ** 2 / (half * t**2)

    return formula


NORMALS: dict[str, tuple[int, str | int, int, str | int]] = {
    "wider": (0, 1, 4, 2),
    "shifted": (0, 1, 1, 1),
    "far": (-3, "1/2", 5, "7/3"),
}

for _name, (_m1, _s1, _m2, _s2) in NORMALS.items():
    _p, _q = Normal(_m1, _s1), Normal(_m2, _s2)
    claim(
        f"CF.kl.normal-{_name}",
        f"KL(p || q) = log(s2/s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2 for p = {_p}, q = {_q}.",
        latex=r"\mathrm{KL}=\log\frac{\sigma_2}{\sigma_1}+\frac{\sigma_1^2+(\mu_1-\mu_2)^2}{2\sigma_2^2}-\frac12",
        source=TEXTBOOK,
        rigor="ball",
        idea="The integral with its tail bound by the first two tail moments, against the formula.",
        controls={
            "s2^2 in place of 2 s2^2": partial(
                _equals_formula, divergence=kl, p=_p, q=_q, formula=kl_normals(_m1, _s1, _m2, _s2, half=1)
            ),
            "without the shift": partial(
                _equals_formula, divergence=kl, p=_p, q=_q, formula=kl_normals(0, _s1, 0, _s2)
            ),
        }
        | (
            {
                "the arguments swapped": partial(
                    _equals_formula, divergence=kl, p=_q, q=_p, formula=kl_normals(_m1, _s1, _m2, _s2)
                )
            }
            if _s1 != _s2
            else {}
        ),
    )(partial(_equals_formula, divergence=kl, p=_p, q=_q, formula=kl_normals(_m1, _s1, _m2, _s2)))


def jsd_cauchy(d: int, g1: int, g2: int, *, cross: int = 2) -> Formula:
    """Return log(2 r / (r + 2 sqrt(g1 g2))),    r^2 = d^2 + (g1 + g2)^2."""

    def formula() -> arb:
        r = arb(d * d + g1 * g1 + cross * g1 * g2 + g2 * g2).sqrt()
        return (2 * r / (r + 2 * arb(g1 * g2).sqrt())).log()

    return formula


def kl_cauchy(d: int, g1: int, g2: int, *, cross: int = 2) -> Formula:
    """Return log(r^2 / (4 g1 g2))."""
    return lambda: (arb(d * d + g1 * g1 + cross * g1 * g2 + g2 * g2) / (4 * g1 * g2)).log()


CAUCHY = Source("Nielsen and Okamura 2021, On f-divergences between Cauchy distributions", "JSD and KL")
CAUCHYS = {"shifted": (1, 1, 1), "both": (1, 1, 2), "far": (7, 3, 2)}

for _name, (_d, _g1, _g2) in CAUCHYS.items():
    _left, _right = Cauchy(0, _g1), Cauchy(_d, _g2)
    claim(
        f"CF.jsd.cauchy-{_name}",
        f"JSD = log(2 r / (r + 2 sqrt(g1 g2))), r^2 = d^2 + (g1 + g2)^2, for p = {_left}, q = {_right}.",
        latex=r"\mathrm{JSD}=\log\frac{2r}{r+2\sqrt{\gamma_1\gamma_2}},\qquad r^2=d^2+(\gamma_1+\gamma_2)^2",
        source=CAUCHY,
        rigor="ball",
        idea="Truncated where the tails weigh less than the radius (|x| up to 10^36 and more), against the formula.",
        controls={
            "r^2 = d^2 + g1^2 + g2^2": partial(
                _equals_formula, divergence=jsd, p=_left, q=_right, formula=jsd_cauchy(_d, _g1, _g2, cross=0)
            )
        },
    )(partial(_equals_formula, divergence=jsd, p=_left, q=_right, formula=jsd_cauchy(_d, _g1, _g2)))


def _kl_cauchy(proof: Proof) -> None:
    p, q = Cauchy(0, 1), Cauchy(1, 2)
    _equals_formula(proof, kl, p, q, kl_cauchy(1, 1, 2))
    _equals_formula(proof, kl, q, p, kl_cauchy(1, 1, 2))


claim(
    "CF.kl.cauchy",
    "KL between Cauchy(0, 1) and Cauchy(1, 2) is log(r^2 / (4 g1 g2)), in both directions.",
    latex=r"\mathrm{KL}(p\|q)=\mathrm{KL}(q\|p)=\log\frac{d^2+(\gamma_1+\gamma_2)^2}{4\gamma_1\gamma_2}",
    source=CAUCHY,
    rigor="ball",
    idea="The tail of p log(p/q) is bounded by a logarithmic tail moment.",
    controls={
        "r^2 = d^2 + g1^2 + g2^2": partial(
            _equals_formula, divergence=kl, p=Cauchy(0, 1), q=Cauchy(1, 2), formula=kl_cauchy(1, 1, 2, cross=0)
        )
    },
)(_kl_cauchy)


def _c_exponentials() -> arb:
    """Return log 2 + 1/2 - (9/4) log 3."""
    return arb(2).log() + arb(1) / 2 - arb(9) / 4 * arb(3).log()


claim(
    "CF.c.exponentials",
    "C = log 2 + 1/2 - (9/4) log 3 for p = Exponential(1), q = Exponential(2).",
    latex=r"C=\log2+\tfrac12-\tfrac94\log3",
    source=Source("the substitution u = e^-x"),
    rigor="ball",
    idea="With u = e^-x, C = -int_0^1 (1 + 2u) log(1 + 2u) du + int_0^1 2u log(2u) du.",
    controls={
        "rates 1 and 3": partial(
            _equals_formula, divergence=criterion, p=Exponential(1), q=Exponential(3), formula=_c_exponentials
        )
    },
)(partial(_equals_formula, divergence=criterion, p=Exponential(1), q=Exponential(2), formula=_c_exponentials))


def _uniforms(proof: Proof, *, factor: int = 2) -> None:
    for t in ("1/4", "3/4", "1", "1/1000"):
        p, q = Uniform(0, 1), Uniform(t, exact("t", t) + 1)
        shift = _rational(t)
        proof.zero(
            f"C + log 4 - 2 t log 2, t = {t}",
            criterion(p, q, proof.digits) + arb(4).log() - factor * shift * arb(2).log(),
        )
        proof.zero(f"JSD - t log 2, t = {t}", jsd(p, q, proof.digits) - shift * arb(2).log())
        proof.zero(f"TV - t, t = {t}", tv(p, q, proof.digits) - shift)


claim(
    "CF.c.uniforms",
    "For U(0, 1) against U(t, 1 + t), t = 1/1000, 1/4, 3/4, 1: C + log 4 = 2 t log 2, JSD = t log 2, TV = t.",
    latex=r"C+\log4=2t\log2,\quad\mathrm{JSD}=t\log2,\quad\mathrm{TV}=t",
    source=Source("direct integration"),
    rigor="ball",
    idea="On the overlap of length 1 - t the densities are equal; elsewhere one of them vanishes.",
    controls={"C + log 4 = t log 2": partial(_uniforms, factor=1)},
    formerly=("For U(0, 1) against U(t, 1 + t), 0 <= t <= 1: C + log 4 = 2 t log 2, JSD = t log 2, TV = t.",),
)(_uniforms)


def _tv_shift(proof: Proof, *, half: int = 2) -> None:
    for m in (1, 2, 5):
        proof.zero(
            f"N(0, 1) and N({m}, 1)", tv(Normal(0, 1), Normal(m, 1), proof.digits) - (m / (2 * arb(half).sqrt())).erf()
        )
        formula = 1 - (-arb(m) / half).exp()
        proof.zero(f"Laplace(0) and Laplace({m})", tv(Laplace(0, 1), Laplace(m, 1), proof.digits) - formula)


claim(
    "CF.tv.shifts",
    "TV(N(0, 1), N(m, 1)) = erf(m / (2 sqrt 2)) and TV(Laplace(0, 1), Laplace(m, 1)) = 1 - e^(-m/2) for m = 1, 2, 5.",
    latex=r"\mathrm{TV}=\operatorname{erf}\frac{m}{2\sqrt2},\qquad\mathrm{TV}=1-e^{-m/2}",
    source=Source("textbook formula"),
    rigor="ball",
    idea="The densities cross at m/2, found by the sign of log q - log p; the masses beside it are in closed form.",
    controls={"a crossing at m": partial(_tv_shift, half=1)},
    formerly=("TV(N(0, 1), N(m, 1)) = erf(m / (2 sqrt 2)) and TV(Laplace(0, 1), Laplace(m, 1)) = 1 - e^(-m/2).",),
)(_tv_shift)

BALLS = (IsotropicNormal(784, 1), IsotropicNormal(784, "11/10"))

claim(
    "CF.kl.normal-784",
    "KL(N(0, I) || N(0, 1.1^2 I)) in 784 dimensions = 784 (log 1.1 + 1 / (2 1.1^2) - 1/2), both from the radius alone.",
    latex=r"\mathrm{KL}=d\Bigl(\log\sigma+\frac1{2\sigma^2}-\frac12\Bigr),\qquad d=784",
    source=Source("the likelihood ratio depends on |x| only"),
    rigor="ball",
    idea="The radial (chi) densities are integrated on the line and meet the formula in 784 dimensions.",
    controls={
        "783 dimensions": partial(
            _equals_formula, divergence=kl, p=BALLS[0], q=BALLS[1], formula=kl_normals(0, 1, 0, "11/10", d=783)
        ),
        "the arguments swapped": partial(
            _equals_formula, divergence=kl, p=BALLS[1], q=BALLS[0], formula=kl_normals(0, 1, 0, "11/10", d=784)
        ),
    },
)(partial(_equals_formula, divergence=kl, p=BALLS[0], q=BALLS[1], formula=kl_normals(0, 1, 0, "11/10", d=784)))
