"""Errors planted in the mathematics must come out refuted: a claim that passes with them proves nothing."""

import pytest
import sympy as sp
from flint import arb

import minigan as mg
from verify.analysis import divergences
from verify.arithmetic.decide import Verdict
from verify.claims import dirac as dirac_claims
from verify.claims import (
    errata_criterion,
    errata_game,
    errata_networks,
    errata_training,
    likelihood,
    metric,
    prop2,
    prop2_literal,
    theorem1,
    trained,
)
from verify.claims import fgan as fgan_claims
from verify.claims import generator as generator_claims
from verify.claims import unconscious_statistician as statistician_claims
from verify.densities import IsotropicNormal, Laplace
from verify.engine.certify import certificate
from verify.engine.proof import PROFILES
from verify.engine.registry import REGISTRY
from verify.models import fgan, generator, unconscious_statistician

CACHED = (generator.pathwise, generator.jsd_gradient, generator.moving_D_term, generator.descent, fgan.bound)
TINY = 1 + arb(2) ** -40  # exact
OFF = "2.000000000001"  # a scale off by 1e-12
NORMALS, CAUCHYS = generator.NormalGame, generator.CauchyGame


@pytest.fixture(autouse=True)
def fresh():
    for function in CACHED:
        function.cache_clear()
    yield
    for function in CACHED:
        function.cache_clear()


def swapped(function):
    """Exchange the first two arguments."""
    return lambda p, q, *rest: function(q, p, *rest)


def scaled(function, factor=TINY):
    """Return the function with a relative error, by default 2^-40, about 1e-12."""
    return lambda *args: function(*args) * factor


def too_long(p, q, eta, right=prop2.mirror_step):
    return right(p, q, eta * 101 / 100)


def outwards(theta, psi, h, gamma):
    return ((1 + h, h / 2), (-h / 2, 1 + h))


def sharpened(channel, p):
    """Not a channel: it squares the weights."""
    return tuple(x * x / sum(y * y for y in p) for x in p)


def stays(d, right=prop2_literal.best_response):
    """A best response that puts its mass on the same point each time."""
    return right([-x for x in d]) if 1 in d else right(d)


def reversed_score(self, parameter, z, right=NORMALS.score):
    return -right(self, parameter, z)


PLANTED = [
    ("T1.identity.normal-wider", theorem1, "_log", lambda n: (arb(n) / 2).log()),
    ("T1.identity.cauchy-cauchy", theorem1, "jsd", scaled(theorem1.jsd, arb(1) / 2)),
    ("T1.identity.laplace-laplace", theorem1, "jsd", lambda p, q, digits: divergences.jsd(p, Laplace(1, OFF), digits)),
    (
        "T1.identity.normal-784",
        theorem1,
        "criterion",
        lambda p, q, digits: divergences.criterion(p, IsotropicNormal(784, "1.100000000001"), digits),
    ),
    ("T1.kl-form.normal-normal", theorem1, "kl", swapped(theorem1.kl)),
    ("P2.step.exact", prop2, "discriminator", swapped(prop2.discriminator)),
    ("P2.step.exact", prop2, "tv", lambda p, q: prop2_literal.tv(p, q) ** 2),
    ("P2.convex.random", prop2, "discriminator", swapped(prop2.discriminator)),
    ("P2.convex.random", prop2, "criterion", scaled(prop2.criterion, -1)),
    ("P2.convex.symbolic", prop2, "TERM", prop2.P * sp.log(prop2.P / prop2.Q)),
    ("P2.step.contraction", prop2, "mirror_step", too_long),
    ("P2.step.rate", prop2, "mirror_step", lambda p, q, eta: q),
    ("P2.literal", prop2_literal, "criterion", scaled(prop2_literal.criterion, -1)),
    ("P2.frozen-d", prop2_literal, "discriminator", swapped(prop2_literal.discriminator)),
    ("Dirac.r1.converges", dirac_claims, "jacobian", outwards),
    ("Dirac.r1.linear", dirac_claims, "LINEAR", dirac_claims.LINEAR.T * 2),
    ("Gradient.saturating.normal", generator, "sigmoid", lambda s: 1 / (1 + s.exp())),
    ("Gradient.saturating.normal", NORMALS, "score", reversed_score),
    ("Gradient.non-saturating.normal", NORMALS, "kl_gradient", NORMALS.kl_gradient_reverse),
    ("Gradient.cauchy", CAUCHYS, "jsd_gradient", scaled(CAUCHYS.jsd_gradient)),
    ("Gradient.cauchy", CAUCHYS, "kl_gradient", scaled(CAUCHYS.kl_gradient)),
    ("Gradient.saturation", generator_claims, "SIGMOID", generator_claims.SIGMOID**2),
    ("Lotus.square", statistician_claims, "chi_square", scaled(statistician_claims.chi_square)),
    ("Lotus.relu", unconscious_statistician, "log1m_D_slope", scaled(unconscious_statistician.log1m_D_slope)),
    ("Lotus.absolute", statistician_claims, "phi", scaled(statistician_claims.phi)),
    ("Lotus.piecewise", unconscious_statistician, "phi", scaled(unconscious_statistician.phi)),
    ("FGan.kl", fgan_claims, "bound", scaled(fgan_claims.bound)),
    ("FGan.js", fgan_claims, "bound", scaled(fgan_claims.bound)),
    ("FGan.tv", fgan_claims, "EXCESS", [2 * mass for mass in fgan_claims.EXCESS]),
    ("P2.frozen-d", prop2_literal, "best_response", stays),
    ("Metric.sqrt-jsd", metric, "jsd", lambda p, q: metric.kl(p, metric.mix(p, q)) ** 2),
    ("Metric.jsd-is-none", metric, "jsd", scaled(metric.jsd)),
    ("Metric.data-processing", metric, "apply", sharpened),
    ("Ratio.discriminator", likelihood, "discriminator", swapped(likelihood.discriminator)),
    ("E1.equilibrium", errata_criterion.divergences, "criterion", scaled(errata_criterion.divergences.criterion)),
    ("E3.direction", errata_criterion.divergences, "kl", swapped(errata_criterion.divergences.kl)),
    ("E4.mass", errata_criterion.divergences, "jsd", scaled(errata_criterion.divergences.jsd)),
    ("E5.domain", errata_criterion, "RIGHT", errata_criterion.RIGHT + 2 * errata_criterion.Y),
    ("E6.curvature", errata_criterion, "OPTIMUM", errata_criterion.A),
    ("E10.criterion", errata_training, "kl", swapped(lambda p, q: arb(1))),
    ("E12.nonnegative", errata_game, "jsd", errata_game.criterion),
    ("E16.sign", errata_game, "sigmoid", lambda s: 1 / (1 + s.exp())),
    ("E17.vanishing", errata_game, "sigmoid", lambda s: 1 / (1 + (-s).exp()) * TINY),
    ("E20.superset", errata_networks, "upsampled", lambda x, w: errata_networks.transposed(x, [*w, 0])),
]


@pytest.mark.parametrize(
    ("claim_id", "module", "name", "wrong"), PLANTED, ids=lambda x: x if isinstance(x, str) else ""
)
def test_a_planted_error_is_refuted(claim_id, module, name, wrong, monkeypatch):
    monkeypatch.setattr(module, name, wrong)
    found = certificate(REGISTRY[claim_id], PROFILES["quick"])
    assert found.verdict is Verdict.REFUTED, found.checks


def floating(function):
    """Return the same numbers as floats: a vector for a vector."""

    def wrong(*args):
        x = function(*args)
        return tuple(map(float, x)) if isinstance(x, tuple) else float(x)

    return wrong


def quotient(a, b=1):
    """Return a quotient of floats in place of Fraction(a, b)."""
    return a / b


FLOATS = [
    ("E5.uniqueness", errata_criterion, "discriminator", floating(errata_criterion.discriminator)),
    ("E11.mle", errata_training, "Fraction", quotient),
    ("E13.generator", errata_training, "Fraction", quotient),
    ("E14.push-forward", errata_game, "Fraction", quotient),
    ("E20.superset", errata_networks, "transposed", lambda x, w, right=errata_networks.transposed: [
        float(y) for y in right(x, w)
    ]),
    ("E22.dense-share", errata_networks, "dense", floating(errata_networks.dense)),
    ("E24.channels", errata_networks, "conv", floating(errata_networks.conv)),
    ("E26.reach", errata_networks, "Fraction", quotient),
    ("FGan.tv", fgan_claims, "Fraction", quotient),
    ("Mle.unbiased", likelihood, "Fraction", quotient),
    ("P2.step.exact", prop2, "mix", floating(prop2.mix)),
    ("P2.step.exact", prop2, "tv", floating(prop2.tv)),
    ("Ratio.discriminator", likelihood, "discriminator", floating(likelihood.discriminator)),
    ("Trained.split.breakpoints", trained, "QUARTER", mg.LeakyReLU(0.25)),
]  # fmt: skip


@pytest.mark.parametrize(("claim_id", "module", "name", "wrong"), FLOATS, ids=lambda x: x if isinstance(x, str) else "")
def test_floats_decide_nothing_exactly(claim_id, module, name, wrong, monkeypatch):
    """A comparison that must be exact but is computed in floats is undecided, whether or not it holds."""
    assert REGISTRY[claim_id].rigor == "exact-rational"
    monkeypatch.setattr(module, name, wrong)
    found = certificate(REGISTRY[claim_id], PROFILES["quick"])
    assert found.verdict is Verdict.UNDECIDED, found.checks
    assert "float" in found.checks[-1].name


def test_an_error_in_a_check_is_undecided_not_proved(monkeypatch):
    monkeypatch.setattr(prop2, "criterion", lambda p, q: arb("nan"))
    assert certificate(REGISTRY["P2.convex.random"], PROFILES["quick"]).verdict is Verdict.UNDECIDED


def test_too_little_precision_is_undecided(monkeypatch):
    monkeypatch.setattr(generator_claims, "pathwise", lambda *args: arb(0, 1))
    assert certificate(REGISTRY["Gradient.saturating.normal"], PROFILES["quick"]).verdict is Verdict.UNDECIDED
