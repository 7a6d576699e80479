r"""Claims: the library's gradients in balls, every entry enclosed, and the rounding of float64 measured against it.

The code of the layers runs on arrays of `flint.arb`, once as backward pass (reverse mode) and once, on dual numbers,
as forward pass alone (forward mode).  The two enclosures share no code of a backward pass; their difference must
enclose 0 with a radius of at most 10^-digits.  The weights and the data are the float64 numbers, exactly.

Where a ReLU, a maxout or a dropout mask takes a branch, the balls decide it; a ball that straddles a kink leaves the
claim undecided.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import minigan as mg
from minigan.layers.base import Layer
from verify.arithmetic.dual import Array
from verify.claims.library_gradients import (
    Fault,
    kebab,
    layer_functions,
    planted,
    random_chain,
    tensors_of,
    unchanged,
    wrong_layer,
)
from verify.engine.proof import Proof
from verify.engine.registry import Source, claim
from verify.library.differentiable import check_enclosed, enclosures, relative, worst_difference
from verify.library.subjects import EQUATIONS, GAMES, LAYERS, OBJECTIVES, game, of_cost, of_layer

FORWARD_MODE = "(a + b eps)(c + d eps) = ac + (ad + bc) eps: forward mode on dual numbers is the derivative."
TINY = 2.0**-40  # about 1e-12: an error that a float64 comparison with tolerance 1e-10 would miss

LATEX = r"\bar\theta = J_\theta^{\mathsf T}\bar y \text{ (reverse)} = \text{(forward)}"
MAX_STEP_ERROR = "1e-12"  # of rounding through two networks: batch norm of a few examples divides by a small deviation


def check_layer(proof: Proof, kind: str, fault: Fault = unchanged) -> None:
    """Enclose every entry of every tensor at random points."""
    proof.lemma(FORWARD_MODE)
    repeats = proof.scale(quick=2, full=4, deep=8)
    worst = [check_enclosed(proof, name, fault(f)) for name, f in layer_functions(proof, kind, repeats, ("cpu",))]
    proof.note("rounding of the float64 backward, in max |g|", f"{max(worst):.2g}")


def check_cost(proof: Proof, name: str, fault: Fault = unchanged) -> None:
    """Enclose the cotangents of both players' costs."""
    proof.lemma(FORWARD_MODE)
    worst = []
    for objective in OBJECTIVES[name]:
        for player in "DG":
            for k in range(proof.scale(quick=4, full=8, deep=16)):
                f = fault(of_cost(objective, player, proof.rng))
                worst.append(check_enclosed(proof, f"{objective}, J_{player}, {k}", f))
    proof.note("rounding of the float64 cotangents, in max |g|", f"{max(worst):.2g}")


def check_steps(proof: Proof, name: str, fault: Callable[[Layer], Layer] = lambda layer: layer) -> None:
    """Enclose dJ_D/dtheta_D and dJ_G/dtheta_G of the steps of Algorithm 1."""
    proof.lemma(FORWARD_MODE)
    worst = {"discriminator": 0.0, "generator": 0.0}
    for k in range(proof.scale(quick=2, full=6, deep=20)):
        played = game(name, proof.rng, fault=fault)
        for player, f in (("discriminator", played.discriminator()), ("generator", played.generator())):
            error = check_enclosed(proof, f"{k}, {player} step", f, tolerance=MAX_STEP_ERROR)
            worst[player] = max(worst[player], error)
    for player, error in worst.items():
        proof.note(f"rounding of the float64 {player} gradient, in max |g|", f"{error:.2g}")


def random_networks(proof: Proof, factor: float = 1.0) -> None:
    """Enclose every gradient of many random networks, batch norm among them, in both modes."""
    proof.lemma(FORWARD_MODE)
    count = proof.scale(quick=40, full=150, deep=600)
    entries = 0
    for k in range(count):
        chain, shape = random_chain(proof.rng, norm=True)
        f = of_layer(chain, shape, proof.rng, train=k % 4 > 0, n=6)
        backward, forward = enclosures(f)
        differences = [factor * b - a for a, b in zip(forward, backward, strict=True)]
        kinds = " ".join(type(layer).__name__ for layer in chain)
        proof.zero(f"{k}, {kinds}: backward - forward", worst_difference(differences))
        entries += len(differences)
    proof.note("networks", count)
    proof.note("gradient entries", entries)


claim(
    "Lib.balls.random-networks",
    "Backpropagation through random networks of the library's layers is enclosed, entry by entry: backward meets "
    "forward mode.",
    latex=LATEX,
    source=Source("minigan", "network.Network.forward"),
    rigor="ball",
    idea="Random chains of all layers on balls, backward, and on dual numbers, forward.",
    controls={"all gradients times 1 + 2^-40": partial(random_networks, factor=1 + TINY)},
    assumptions=("at the random float64 points that were drawn",),
)(random_networks)


def _register() -> None:
    wrong = relative(1 + TINY)
    shared: dict[str, Any] = {"rigor": "ball", "latex": LATEX}
    for kind in LAYERS:
        check = partial(check_layer, kind=kind)
        controls = {f"d{t} times 1 + 2^-40": partial(check, fault=planted(t, wrong)) for t in tensors_of(kind)}
        if kind in ("ReLU", "Dropout"):
            controls["one entry of the mask is wrong"] = partial(check, fault=planted("x", _flipped))
        claim(
            f"Lib.balls.{kebab(kind)}",
            f"Every gradient of {kind} is enclosed: backward in balls meets forward mode in balls ({EQUATIONS[kind]}).",
            source=Source("minigan", f"layers.{kind}"),
            idea="The same layer on arrays of balls, backward, and on dual numbers, forward; both are enclosures.",
            controls=controls,
            assumptions=("at the random float64 points that were drawn",),
            **shared,
        )(check)
    for name in OBJECTIVES:
        cost = partial(check_cost, name=name)
        claim(
            f"Lib.balls.objective-{name}",
            f"Every cotangent of the objective {name!r} is enclosed: its formula meets forward mode in balls.",
            source=Source("minigan", "losses"),
            idea="The objective on balls, and its costs on dual numbers.",
            controls={"ds_fake times 1 + 2^-40": partial(cost, fault=planted("s_fake", wrong))},
            assumptions=("at the random float64 logits that were drawn",),
            **shared,
        )(cost)
    for name in GAMES:
        steps = partial(check_steps, name=name)
        activations = wrong_layer((mg.Tanh, mg.Softplus), 1 + TINY)
        claim(
            f"Lib.balls.steps-{name}",
            f"Every gradient of both steps of Algorithm 1 is enclosed, for the networks {name!r}.",
            source=Source("Goodfellow et al. 2014", "Algorithm 1", "minigan", "gan"),
            idea="G, D and the objective on balls, backward, and on dual numbers, forward.",
            controls={"the activations of D pass dx times 1 + 2^-40": partial(steps, fault=activations)},
            assumptions=("at the random float64 parameters and batches that were drawn",),
            **shared,
        )(steps)


def _flipped(g: Array) -> Array:
    """Let one masked entry through, in balls or in floats."""
    wrong = g.copy()
    wrong[min(range(len(g)), key=lambda i: abs(float(g[i])))] = 1
    return wrong


_register()
