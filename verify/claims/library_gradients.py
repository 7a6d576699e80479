r"""Claims: the library's hand-written gradients equal the complex step, in float64, on both CPU backends.

For L(x, theta) = <dy, f(x; theta)>, the pullback of f must return dx = J_x^T dy and add J_theta^T dy:

    |d| / max |g| <= 1e-13 in every tensor,    |<g, v> - L'(v)| / (||g|| ||v||) <= 2e-15 along random v

A relative error of 1e-6 in one tensor is detected; the usual tolerances of gradient checkers (1e-3 ... 1e-5) miss it.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import minigan as mg
from minigan.layers.base import Layer, Shape
from verify.arithmetic.dual import Array
from verify.engine.float_checks import check_error
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim
from verify.library.differentiable import (
    MAX_DIRECTION_ERROR,
    Differentiable,
    check_direction,
    check_tensors,
    direction_error,
    relative,
)
from verify.library.subjects import EQUATIONS, GAMES, LAYERS, OBJECTIVES, Faulty, game, of_cost, of_layer

BACKENDS = ("reference", "cpu")
Fault = Callable[[Differentiable], Differentiable]


def unchanged(f: Differentiable) -> Differentiable:
    """Return f unchanged: no fault."""
    return f


def kebab(name: str) -> str:
    """Return a class name as part of an id.

    >>> kebab("LeakyReLU"), kebab("BatchNorm"), kebab("ReLU")
    ('leaky-relu', 'batch-norm', 'relu')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name.replace("ReLU", "Relu")).lower()


def layer_functions(
    proof: Proof, kind: str, repeats: int, backends: tuple[str, ...]
) -> Iterator[tuple[str, Differentiable]]:
    """Yield a layer's subjects, in training and at inference, at random points."""
    for name, (layer, shape) in LAYERS[kind].items():
        for ops in backends:
            for train in (True, False):
                for k in range(repeats):
                    mode = "train" if train else "infer"
                    yield f"{name}, {ops}, {mode}, {k}", of_layer(layer, shape, proof.rng, train=train, ops=ops)


def tensors_of(kind: str) -> list[str]:
    """Return the names that `of_layer` gives to x, unless y does not depend on it, and to the parameters of a layer."""
    layer, _ = next(iter(LAYERS[kind].values()))
    x = [] if isinstance(layer, mg.Embedding) else ["x"]
    return [*x, *(f"0.{name}" for name in layer.parameters())]


def one_flipped(g: Array) -> Array:
    """Return g with its smallest entry replaced by its largest: one entry of a mask is wrong."""
    wrong = g.copy()
    wrong[np.argmin(np.abs(g))] = g[np.argmax(np.abs(g))]
    return wrong


def check_layer(proof: Proof, kind: str, fault: Fault = unchanged) -> None:
    """Check every tensor, and a direction, at random points."""
    worst = []
    for name, right in layer_functions(proof, kind, proof.scale(quick=2, full=8, deep=32), BACKENDS):
        f = fault(right)
        worst.append(check_tensors(proof, name, f))
        check_direction(proof, name, f, proof.rng.standard_normal(len(f.point)))
    proof.note("largest |d| / max |g|", f"{max(worst):.2g}")


def check_cost(proof: Proof, name: str, fault: Fault = unchanged) -> None:
    """Check the cotangents of both players' costs."""
    worst = []
    for objective in OBJECTIVES[name]:
        for player in "DG":
            for k in range(proof.scale(quick=4, full=16, deep=64)):
                f = fault(of_cost(objective, player, proof.rng))
                worst.append(check_tensors(proof, f"{objective}, J_{player}, {k}", f))
                check_direction(proof, f"{objective}, J_{player}, {k}", f, proof.rng.standard_normal(len(f.point)))
    proof.note("largest |d| / max |g|", f"{max(worst):.2g}")


def planted(tensor: str, how: Callable[[Array], Array]) -> Fault:
    """Return the fault in one tensor."""
    return lambda f: f.with_fault(tensor, how)


def _register() -> None:
    wrong = relative(1 + 1e-6)
    for kind in LAYERS:
        check = partial(check_layer, kind=kind)
        controls = {f"d{t} times 1 + 1e-6": partial(check, fault=planted(t, wrong)) for t in tensors_of(kind)}
        if kind in ("ReLU", "Dropout"):
            controls["one entry of the mask is wrong"] = partial(check, fault=planted("x", one_flipped))
        claim(
            f"Lib.gradient.{kebab(kind)}",
            f"The pullback of {kind} is the transposed Jacobian: {EQUATIONS[kind]}.",
            latex=r"\bar x = J_x^{\mathsf T} \bar y,\quad \bar\theta = J_\theta^{\mathsf T} \bar y",
            source=Source("minigan", f"layers.{kind}"),
            rigor="float",
            idea="The complex step has no cancellation: Im f(t + ihv)/h is the derivative to rounding at h = 1e-30.",
            controls=controls,
            assumptions=("random float64 points, parameters and cotangents; at kinks nothing is claimed",),
        )(check)
    for name in OBJECTIVES:
        cost = partial(check_cost, name=name)
        claim(
            f"Lib.gradient.objective-{name}",
            f"The cotangents of the objective {name!r} are the derivatives of its costs J_D and J_G.",
            latex=r"\bar s = \partial J / \partial s",
            source=Source("minigan", "losses"),
            rigor="float",
            idea="The complex step on the costs, for both players and every convention of factor and pooling.",
            controls={"ds_fake times 1 + 1e-6": partial(cost, fault=planted("s_fake", wrong))},
            assumptions=("random float64 logits",),
        )(cost)


_register()


# Whole networks.


def games(proof: Proof, fault: Callable[[Layer], Layer] = lambda layer: layer) -> None:
    """Check dJ_D/dtheta_D and dJ_G/dtheta_G of both steps of Algorithm 1, entry by entry."""
    worst = 0.0
    for name in GAMES:
        for k in range(proof.scale(quick=1, full=4, deep=16)):
            played = game(name, proof.rng, fault=fault)
            worst = max(worst, check_tensors(proof, f"{name}, {k}, discriminator step", played.discriminator()))
            worst = max(worst, check_tensors(proof, f"{name}, {k}, generator step", played.generator()))
    proof.note("largest |d| / max |g|", f"{worst:.2g}")


def wrong_layer(cls: type | tuple[type, ...], factor: float) -> Callable[[Layer], Layer]:
    """Return the fault that makes every layer of some class propagate dx times `factor`."""
    return lambda layer: Faulty(layer, factor) if isinstance(layer, cls) else layer


claim(
    "Lib.gradient.steps",
    "Both steps of Algorithm 1 descend the gradients of their costs, dJ_D/dtheta_D and, through the frozen D, "
    "dJ_G/dtheta_G.",
    latex=r"g_D = \nabla_{\theta_D} J_D,\quad g_G = \nabla_{\theta_G} J_G",
    source=Source("Goodfellow et al. 2014", "Algorithm 1", "minigan", "gan.discriminator_gradient, generator_gradient"),
    rigor="float",
    idea="Complex step through G, D and the objective at once: batch norm, dropout, maxout, softplus, tanh, sigmoid.",
    controls={
        "a Dropout in D passes dx times 1 + 1e-6": partial(games, fault=wrong_layer(mg.Dropout, 1 + 1e-6)),
        "the activations of D pass dx times 1 + 1e-6": partial(
            games, fault=wrong_layer((mg.Tanh, mg.Softplus), 1 + 1e-6)
        ),
    },
)(games)


def random_chain(rng: np.random.Generator, *, norm: bool) -> tuple[list[Layer], Shape]:
    """Return 2 to 9 random layers of random sizes, with batch norm among them or not."""
    width = first = int(rng.integers(1, 7))
    chain: list[Layer] = []
    for _ in range(rng.integers(1, 4)):
        out = int(rng.integers(1, 7))
        chain.append(mg.Maxout(width, out, pieces=3) if rng.random() < 0.25 else mg.Dense(width, out))
        width = out
        others: list[Layer] = [mg.Dropout(0.3), mg.ReLU(), mg.LeakyReLU(0.2), mg.Tanh(), mg.Sigmoid(), mg.Softplus()]
        others += [mg.BatchNorm(width)] if norm else []
        chain += [others[i] for i in rng.choice(len(others), rng.integers(1, 3), replace=False)]
    return chain, (first,)


def networks(proof: Proof, fault: Callable[[Differentiable], Differentiable] = unchanged) -> None:
    """Check the largest error of many random networks along random directions.

    They have no batch norm, which behind a saturated unit divides by a deviation near 0, where float64 is less accurate
    than the tolerance; `Lib.balls.random-networks` has it.
    """
    errors = []
    count = proof.scale(quick=100, full=300, deep=3000)
    for k in range(count):
        chain, shape = random_chain(proof.rng, norm=False)
        f = fault(of_layer(chain, shape, proof.rng, train=k % 2 == 0, n=6, ops=BACKENDS[k % 4 // 2]))
        errors.append(direction_error(f, proof.rng.standard_normal(len(f.point))))
    check_error(proof, "largest error", max(errors), MAX_DIRECTION_ERROR)
    proof.note("networks", count)
    proof.note("largest error", f"{max(errors):.2g}")
    proof.note("median error", f"{np.median(errors):.2g}")


def _all_by(factor: float) -> Fault:
    def fault(f: Differentiable) -> Differentiable:
        for tensor in f.tensors:
            f = f.with_fault(tensor, relative(factor))
        return f

    return fault


claim(
    "Lib.gradient.random-networks",
    "Backpropagation through random networks of the library's layers is their derivative along random directions.",
    latex=r"\langle g, v\rangle = \tfrac{d}{dt} L(\theta + t v)\big|_{t=0}",
    source=Source("minigan", "network.Network.forward"),
    rigor="float",
    idea="One complex step per network along a random direction of x and all parameters, to 2e-15.",
    controls={"all gradients times 1 + 1e-12": partial(networks, fault=_all_by(1 + 1e-12))},
    assumptions=("random float64 points and directions; no batch norm",),
)(networks)
