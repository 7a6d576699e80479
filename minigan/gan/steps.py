"""The two steps of Algorithm 1 of Goodfellow et al. 2014.

A step computes a gradient and updates the parameters.  The gradient functions also return the cost and the logits, so
that a caller can report D(x), D(G(z)) and the losses without a second pass.  The arguments `d_batching` and
`frozen_d_mode` are functions of `minigan.gan.modes`.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from minigan._batch import Batch
from minigan._checks import logit_gradient
from minigan._deprecated import renamed_arguments
from minigan.game import Rng
from minigan.gan.labels import example_gradient, network_input, with_labels
from minigan.gan.modes import DBatching, DMode, separate, train_mode
from minigan.gan.penalties import GradientPenalty
from minigan.layers.base import compute_gradient
from minigan.losses import Objective, generator_cost, needs_real
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.optimizers import Optimizer

RENAMED = {"value": "loss", "s_real": "logits_real", "s_fake": "logits_fake"}  # for one release


@dataclass(frozen=True, repr=False)
class StepResult:
    """The cost of a step, and the logits of D on real and on fake examples, both before the update.

    Attributes
    ----------
    loss : scalar
        J_D or J_G.
    logits_real : array (N, 1) or None
        D's logits of the real examples; None in a step of G, unless its cost compares fakes with real examples.
    logits_fake : array (M, 1)
        D's logits of the fakes.

    """

    loss: Any
    logits_real: Array | None
    logits_fake: Array

    def __repr__(self) -> str:
        return f"StepResult(loss={float(self.loss):.6g})"

    def __getattr__(self, name: str) -> Any:  # called for names that are not there
        if name not in RENAMED:
            raise AttributeError(f"StepResult has no attribute {name!r}; expected loss, logits_real or logits_fake")
        warnings.warn(f"StepResult.{name} is now called {RENAMED[name]}", DeprecationWarning, stacklevel=2)
        return getattr(self, RENAMED[name])


@renamed_arguments(through="d_batching")
def discriminator_gradient(
    D: Network,
    objective: Objective,
    x_real: Batch,
    x_fake: Batch,
    *,
    rng: Rng | None = None,
    d_batching: DBatching = separate,
    penalties: Sequence[GradientPenalty] = (),
) -> tuple[Array, StepResult]:
    """g = dJ_D / dtheta_D for a batch of real and a batch of fake examples.

    Parameters
    ----------
    D : Network
        The discriminator.
    objective : Objective
        Its `discriminator` gives J_D and the gradients of the logits.
    x_real, x_fake : array (N, ..., C), (M, ..., C), or tuples of such an array and labels
        The real and the fake examples.
    rng : numpy.random.Generator, optional
        The random stream of dropout.
    d_batching : callable
        `separate` (the default: batch statistics of each kind, as in Algorithm 1), `combined`, or another function
        that returns `minigan.gan.modes.Passes`.
    penalties : sequence of minigan.gan.penalties.GradientPenalty
        Gradient penalties, which are added to J_D in their order; none by default.

    Returns
    -------
    g : array (P,)
        The gradient with respect to theta of D.
    result : StepResult
        The cost and the logits.

    Raises
    ------
    ShapeError, TypeError
        If a batch does not fit a network, or the objective returns gradients that do not fit the logits.

    """
    s_real, s_fake, backward = d_batching(D, x_real, x_fake, rng=rng)
    value, ds_real, ds_fake = objective.discriminator(s_real, s_fake, ops=D.ops)
    ds_real = logit_gradient("ds_real", ds_real, s_real, objective)
    ds_fake = logit_gradient("ds_fake", ds_fake, s_fake, objective)
    if getattr(type(backward), "writes_gradient", False):
        g, overwrite = D.new_gradient()
        backward(ds_real, ds_fake, g, overwrite=overwrite)
    else:
        g = D.zeros_like_theta()
        backward(ds_real, ds_fake, g)
    for penalty in penalties:
        value = value + penalty.add_gradient(D, x_real, x_fake, g, rng=rng)
    return g, StepResult(value, s_real, s_fake)


@renamed_arguments(judge="frozen_d_mode")
def generator_gradient(
    G: Network,
    D: Network,
    objective: Objective,
    z: Batch,
    *,
    x_real: Batch | None = None,
    rng: Rng | None = None,
    frozen_d_mode: DMode = train_mode,
) -> tuple[Array, StepResult]:
    """g = dJ_G / dtheta_G for a batch of noise, through the frozen D.

    Parameters
    ----------
    G, D : Network
        The generator, and the discriminator, whose parameters do not change.
    objective : Objective
        Its `generator` gives J_G and the gradient of the logits.
    z : array (M, I), or a tuple of noise and labels
        The noise.
    x_real : array (N, ..., C), or a tuple of such an array and labels, optional
        Real examples, which an objective with ``needs_real = True`` compares with the fakes.  They are a batch of their
        own for D's batch statistics, and the gradient does not pass through them.
    rng : numpy.random.Generator, optional
        The random stream of dropout.
    frozen_d_mode : callable
        `train_mode` (the default), `train_mode_tracking` or `eval_mode`.

    Returns
    -------
    g : array (P,)
        The gradient with respect to theta of G.
    result : StepResult
        The cost and the logits.

    Raises
    ------
    ValueError
        If the objective needs `x_real` and it is None.
    ShapeError, TypeError
        If a batch does not fit a network, or the objective returns gradients that do not fit the logits.

    """
    s_real = None
    if needs_real(objective):
        if x_real is None:
            kind = type(objective).__name__
            raise ValueError(f"{kind} compares fakes with real examples: x_real must be a batch of them, got None")
        s_real, _ = frozen_d_mode(D, x_real, rng=rng)
    x_fake, back_G = G.forward(network_input(G, z), train=True, rng=rng)
    d_input = with_labels(x_fake, z)
    s_fake, back_D = frozen_d_mode(D, d_input, rng=rng)
    value, ds_fake = generator_cost(objective, s_fake, s_real, ops=D.ops)
    g, overwrite = G.new_gradient()
    ds_fake = logit_gradient("ds_fake", ds_fake, s_fake, objective)
    dx = example_gradient(D, back_D(ds_fake), d_input)  # no g for D: it is frozen
    compute_gradient(back_G, dx, g, overwrite=overwrite)  # dJ/dtheta_G = (dG/dtheta_G)^T (dD/dx)^T dJ/ds
    return g, StepResult(value, s_real, s_fake)


@renamed_arguments(through="d_batching")
def discriminator_step(
    D: Network,
    optimizer: Optimizer,
    objective: Objective,
    x_real: Batch,
    x_fake: Batch,
    *,
    rng: Rng | None = None,
    d_batching: DBatching = separate,
    penalties: Sequence[GradientPenalty] = (),
) -> StepResult:
    """Update D once by descending J_D.

    Parameters
    ----------
    D : Network
        The discriminator.
    optimizer : Optimizer
        An optimizer of D.
    objective : Objective
        Its `discriminator` gives J_D and the gradients of the logits.
    x_real, x_fake : array (N, ..., C), (M, ..., C), or tuples of such an array and labels
        The real and the fake examples.
    rng : numpy.random.Generator, optional
        The random stream of dropout.
    d_batching : callable
        `separate` (the default: batch statistics of each kind, as in Algorithm 1) or `combined`.
    penalties : sequence of minigan.gan.penalties.GradientPenalty
        Gradient penalties, which are added to J_D in their order; none by default.

    Returns
    -------
    StepResult
        The cost and the logits before the update.

    Raises
    ------
    ValueError
        If the optimizer belongs to another network.
    ShapeError, TypeError
        If a batch does not fit a network, or the objective returns gradients that do not fit the logits.

    """
    require_optimizer("optimizer", optimizer, D, "D")
    g, result = discriminator_gradient(
        D, objective, x_real, x_fake, rng=rng, d_batching=d_batching, penalties=penalties
    )
    optimizer.step(g)
    return result


@renamed_arguments(judge="frozen_d_mode")
def generator_step(
    G: Network,
    D: Network,
    optimizer: Optimizer,
    objective: Objective,
    z: Batch,
    *,
    x_real: Batch | None = None,
    rng: Rng | None = None,
    frozen_d_mode: DMode = train_mode,
) -> StepResult:
    """Update G once by descending J_G through the frozen D.

    Parameters
    ----------
    G, D : Network
        The generator, and the discriminator, whose parameters do not change.
    optimizer : Optimizer
        An optimizer of G.
    objective : Objective
        Its `generator` gives J_G and the gradient of the logits.
    z : array (M, I), or a tuple of noise and labels
        The noise.
    x_real : array (N, ..., C), or a tuple of such an array and labels, optional
        Real examples, which an objective with ``needs_real = True`` compares with the fakes.  They are a batch of their
        own for D's batch statistics, and the gradient does not pass through them.
    rng : numpy.random.Generator, optional
        The random stream of dropout.
    frozen_d_mode : callable
        `train_mode` (the default), `train_mode_tracking` or `eval_mode`.

    Returns
    -------
    StepResult
        The cost and the logits before the update.

    Raises
    ------
    ValueError
        If the optimizer belongs to another network, or the objective needs `x_real` and it is None.
    ShapeError, TypeError
        If a batch does not fit a network, or the objective returns gradients that do not fit the logits.

    """
    require_optimizer("optimizer", optimizer, G, "G")
    g, result = generator_gradient(G, D, objective, z, x_real=x_real, rng=rng, frozen_d_mode=frozen_d_mode)
    optimizer.step(g)
    return result


def require_optimizer(argument: str, optimizer: Optimizer, net: Network, name: str) -> None:
    """Raise ValueError unless the optimizer given as `argument` belongs to `net`, which the message calls `name`."""
    if optimizer.net is not net:
        kind = type(optimizer).__name__
        raise ValueError(f"{argument} belongs to another network; expected one of {name}, {kind}({name})")
