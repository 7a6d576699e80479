r"""Claims: the objectives of the library have the optima of the theory.

f-GAN: p c'(s) + q h'(s) = 0 at T = g_f(s) = f'(p/q), where c = -g_f and h = f*(g_f) are the costs as computed
saddle point: if p_g = p_data and D is constant, neither player's cost has a gradient
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from flint import arb

import minigan as mg
from minigan.losses import Objective, generator_cost
from verify.arithmetic.balls import ball
from verify.arithmetic.dual import Array
from verify.claims.library_gradients import Fault, planted, unchanged
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim
from verify.library.differentiable import check_tensors, relative, worst_difference
from verify.library.subjects import RELATIVE_GAMES, SMOOTHED, game, of_cost
from verify.models.fgan import FAMILY, U

NOWOZIN = Source(
    "Nowozin, Cseke and Tomioka 2016, f-GAN", "equations 4 and 7, tables 2 and 6", "minigan", "losses.FGAN"
)

MODELS: dict[str, tuple[str, Callable[[arb], arb]]] = {  # divergence -> its name in FAMILY, and s with g_f(s) = f'(u)
    "kl": ("Kullback-Leibler", lambda u: 1 + u.log()),
    "reverse-kl": ("reverse Kullback-Leibler", lambda u: u.log()),
    "pearson": ("Pearson chi-square", lambda u: 2 * (u - 1)),
    "neyman": ("Neyman chi-square", lambda u: 2 * u.log()),
    "hellinger": ("squared Hellinger", lambda u: u.log() / 2),
    "js": ("Jensen-Shannon", lambda u: u.log()),
    "gan": ("GAN", lambda u: u.log()),
}


def ratios(proof: Proof) -> list[arb]:
    """Return random density ratios u = p/q from e^-4 to e^4, on both sides of 1."""
    return [arb(float(x)).exp() for x in proof.rng.uniform(-4, 4, proof.scale(quick=8, full=24, deep=96))]


def check_optimum(proof: Proof, name: str, shift: arb | int = 0, level: arb | int = 0) -> None:
    """Compare the library's costs at the optimal logit with f'(u), f*(f'(u)) = u f'(u) - f(u) and u / (1 + u)."""
    objective, (model, logit) = mg.FGAN(name), MODELS[name]
    f = sp.lambdify(U, FAMILY[model].f, modules=[{"log": arb.log, "sqrt": arb.sqrt}])
    for k, u in enumerate(ratios(proof)):
        s = np.array([logit(u) + level], dtype=object)
        t = FAMILY[model].tangent(u, u.log(), False)
        cost_real, (slope_real,) = objective.one_side(s, real=True)
        cost_fake, (slope_fake,) = objective.one_side(s, real=False)
        (probability,) = objective.probability(s)
        proof.zero(f"{k}: g_f(s) - f'(u)", -cost_real - t)
        proof.zero(f"{k}: f*(g_f(s)) - (u f'(u) - f(u))", cost_fake - (u * t - f(u)) + shift)
        proof.zero(f"{k}: u c'(s) + h'(s)", u * slope_real + slope_fake)
        proof.zero(f"{k}: D - u / (1 + u)", probability - u / (1 + u))


def _register() -> None:
    for name, (model, _) in MODELS.items():
        claim(
            f"Lib.fgan.{name}",
            f"FGAN({name!r}) plays the game of the {model} divergence: at the optimal logit its costs are -f'(u) and "
            "f*(f'(u)), their slopes weighted by p and q cancel, and its probability is p / (p + q), with u = p/q.",
            latex=r"g_f(s) = f'(u),\quad f^*(g_f(s)) = u f'(u) - f(u),\quad p\,c'(s) + q\,h'(s) = 0",
            source=NOWOZIN,
            rigor="ball",
            idea="The library's costs and cotangents on balls against f of the table and its tangent.",
            controls={
                "f* larger by 1/1000": partial(check_optimum, name=name, shift=ball(1) / 1000),
                "s larger by 1/1000": partial(check_optimum, name=name, level=ball(1) / 1000),
            },
            assumptions=("at the random ratios u in [e^-4, e^4] that were drawn",),
        )(partial(check_optimum, name=name))


_register()

HALF = ball(1) / 2
LEVELS: dict[str, tuple[Objective, Callable[[], arb]]] = {  # objective -> the logit where D* is constant, p = q
    "minimax": (mg.Minimax(), lambda: arb(0)),
    "non-saturating": (mg.NonSaturating(), lambda: arb(0)),
    "label smoothing 3/4": (mg.NonSaturating(real_label=0.75), lambda: (ball(3) / 5).log()),  # logit of 3/8
    "least-squares": (mg.LeastSquares(), lambda: HALF),
    "least-squares, -1, 1, 0": (mg.LeastSquares(a=-1, b=1, c=0), lambda: arb(0)),
    "hinge": (mg.Hinge(), lambda: HALF),  # any number in (-1, 1)
    "wasserstein": (mg.Wasserstein(), lambda: arb(7)),  # any number
    "relativistic": (mg.RelativisticPairing(), lambda: arb(7)),  # any number
    "relativistic-average": (mg.RelativisticAverage(), lambda: arb(7)),  # any number
    **{f"f-gan-{name}": (mg.FGAN(name), partial(MODELS[name][1], arb(1))) for name in MODELS},
}


def check_saddle(proof: Proof, shift: float = 0.0) -> None:
    """Check that ds_real + ds_fake = 0 for equal batches where D is constant, and that D's slope is then 0 for G.

    The gradient of theta_D is sum_n (ds_real + ds_fake)_n ds_n/dtheta_D for x_real = x_fake; that of theta_G contains
    D's slope ds/dx as a factor, which is 0 for a constant D, so ds of G only has to be finite.
    """
    for name, (objective, level) in LEVELS.items():
        n = int(proof.rng.integers(2, 9))
        s = np.array([[level() + shift]] * n, dtype=object)
        _, ds_real, ds_fake = objective.discriminator(s, s.copy())
        proof.zero(f"{name}: ds_real + ds_fake", worst_difference([*(ds_real + ds_fake).ravel()]))
        _, ds = generator_cost(objective, s, s)
        proof.holds(f"{name}: G's ds is finite", all(arb(d).is_finite() for d in ds.ravel()))


claim(
    "Lib.objectives.saddle",
    "p_g = p_data with a constant D at the logit of p = q is a stationary point of both players for every objective.",
    latex=r"p_g = p_{\text{data}},\ s \equiv s^*:\quad \nabla_{\theta_D} J_D = 0,\ \nabla_{\theta_G} J_G = 0",
    source=Source("Goodfellow et al. 2014", "Theorem 1", "minigan", "losses"),
    rigor="ball",
    idea="On equal batches the two cotangents of D cancel example by example; G's gradient has the factor ds/dx = 0.",
    controls={"the logit is larger by 1/1000": partial(check_saddle, shift=2.0**-10)},
    assumptions=("x_real = x_fake in every batch",),
)(check_saddle)


def smoothed(proof: Proof, fault: Fault = unchanged) -> None:
    """Check the cotangents of both players' costs with a label of real examples below 1."""
    for objective in SMOOTHED:
        for player in "DG":
            for k in range(proof.scale(quick=4, full=16, deep=64)):
                check_tensors(proof, f"{objective}, J_{player}, {k}", fault(of_cost(objective, player, proof.rng)))


claim(
    "Lib.gradient.label-smoothing",
    "The cotangents of the cross-entropies with one-sided label smoothing are the derivatives of their costs.",
    latex=r"\bar s_{\text{real}} = (\sigma(s) - \alpha) / N",
    source=Source("Salimans et al. 2016", "section 3.4", "minigan", "losses"),
    rigor="float",
    idea="The complex step on the costs, for both players.",
    controls={"ds_fake times 1 + 1e-6": partial(smoothed, fault=planted("s_fake", relative(1 + 1e-6)))},
    assumptions=("random float64 logits",),
)(smoothed)


def relative_steps(proof: Proof, factor: float = 1.0) -> None:
    """Check dJ_D/dtheta_D and dJ_G/dtheta_G, entry by entry, where J_G compares fakes with real examples."""

    def wrong(g: Array) -> Array:
        return g * factor

    for name in RELATIVE_GAMES:
        for k in range(proof.scale(quick=1, full=4, deep=16)):
            played: Any = game(name, proof.rng)
            for player, f in (("discriminator", played.discriminator()), ("generator", played.generator())):
                first = next(iter(f.tensors))
                check_tensors(proof, f"{name}, {k}, {player} step", f.with_fault(first, wrong))


claim(
    "Lib.gradient.relative-steps",
    "Both steps descend the gradients of their costs for relativistic objectives, G's through the fakes alone: D's "
    "logits of the real examples are constants.",
    latex=r"g_D = \nabla_{\theta_D} J_D,\quad g_G = \nabla_{\theta_G} J_G(s_{\text{fake}}; s_{\text{real}})",
    source=Source("Jolicoeur-Martineau 2018", "section 4", "minigan", "gan.generator_gradient"),
    rigor="float",
    idea="Complex step through G, D and the objective at once, the real batch in a pass of its own.",
    controls={"the first tensor times 1 + 1e-6": partial(relative_steps, factor=1 + 1e-6)},
)(relative_steps)
