"""The two steps of Algorithm 1 of Goodfellow et al. 2014.

A step computes a gradient and updates the parameters.  The gradient functions also return the cost and the logits, so
that a caller can report D(x), D(G(z)) and the losses without a second pass.

Three arguments are functions that say how a network sees a batch:

`d_batching`     D on real and fake: `separate` (batch statistics of each kind) or `combined` (one batch of both, with
                 common batch statistics, as ``train_on_batch`` of a concatenated batch)
`fake_mode`      G for D's step: `train_fakes` (training mode) or `eval_fakes` (running statistics, no dropout, as
                 ``generator.predict``)
`frozen_d_mode`  D in G's step: `train_mode` (training mode), `train_mode_tracking` (which also updates D's running
                 statistics, as in PyTorch) or `eval_mode` (inference mode, as TensorFlow 2 freezes batch norm)

A batch is an array x (N, ..., C), or a tuple (x, y, ...) of x and labels y (N, K), such as one-hot rows, or maps
(N, ..., K).  A network sees a tuple as x with K more channels (Mirza and Osindero 2014).  From noise and labels (z, y),
G makes the fakes (G(z, y), y); D's gradient with respect to y is not used.  The three functions get whole batches, so
that a custom one may treat the labels differently.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minigan._batch import Batch
from minigan._checks import logit_gradient
from minigan._deprecated import renamed_arguments
from minigan.game import Rng
from minigan.layers.base import Pullback, ShapeError
from minigan.losses import Objective
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.optimizers import Optimizer

Passes = tuple[Array, Array, Callable[[Array, Array, Array], None]]
DBatching = Callable[..., Passes]
FakeMode = Callable[..., Batch]
DMode = Callable[..., tuple[Array, Pullback]]


RENAMED = {"value": "loss", "s_real": "logits_real", "s_fake": "logits_fake"}  # for one release


@dataclass(frozen=True, repr=False)
class StepResult:
    """The cost of a step, and the logits of D on real and on fake examples, both before the update.

    Attributes
    ----------
    loss : scalar
        J_D or J_G.
    logits_real : array (N, 1) or None
        D's logits of the real examples; None in a step of G.
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


# --- batches with labels --------------------------------------------------------------------------


def seen_by(net: Network, batch: Batch) -> Array:
    """Return a network's input for a batch: x, or x with the labels as more channels.

    Parameters
    ----------
    net
        The network, whose dtype and device the arrays get.
    batch
        x (N, ..., C), returned as it is, or a tuple (x, y, ...) with y (N, K) or (N, ..., K).

    Returns
    -------
    Array
        x, or (N, ..., C + K); a y (N, K) has the same K values at every place of an image.

    Raises
    ------
    ShapeError
        If y has no channels, as class numbers (N,), or does not fit x.

    """
    if not isinstance(batch, tuple):
        return batch
    xp = net.ops.xp
    x, *labels = (net.array(array) for array in batch)
    channels = [x]
    for y in labels:
        middle = x.shape[1:-1] if y.ndim == 2 else y.shape[1:-1]
        if y.ndim < 2 or x.ndim < 2 or (len(y), *middle) != x.shape[:-1]:
            raise ShapeError(
                f"x has shape {x.shape} and its labels {y.shape}; expected (N, K), one row an example (classes as "
                "one-hot rows), or maps (N, ..., K) of x's size"
            )
        if y.ndim < x.ndim:  # an array of its own: a broadcast view cannot be written to again by a graph
            everywhere = xp.zeros((*x.shape[:-1], y.shape[-1]), dtype=net.dtype)
            y = everywhere + y.reshape(len(y), *(1,) * len(middle), -1)
        channels.append(y)
    return xp.concatenate(channels, axis=-1)


def labelled(x: Array, batch: Batch) -> Batch:
    """Return (x, y, ...) with the labels of `batch`, or x if it has none."""
    return (x, *batch[1:]) if isinstance(batch, tuple) else x


def of_example(net: Network, dx: Array, batch: Batch) -> Array:
    """Return the part of a network's input gradient that belongs to x, without the labels' channels."""
    return net.ops.xp.ascontiguousarray(dx[..., : batch[0].shape[-1]]) if isinstance(batch, tuple) else dx


# --- how D sees real and fake ---------------------------------------------------------------------


def separate(D: Network, x_real: Batch, x_fake: Batch, *, rng: Rng | None = None) -> Passes:
    """Run D on real and on fake examples, each with its own batch statistics.

    Return s_real, s_fake and backward(ds_real, ds_fake, g), which adds dJ/dtheta_D to g.  If the batches have one size
    and the backend says that one pass over both is faster, D runs once, with two sub-batches.
    """
    x_real, x_fake = seen_by(D, x_real), seen_by(D, x_fake)
    if D.ops.one_pass and D.per_example and x_real.shape == x_fake.shape:
        return _as_one(D, x_real, x_fake, rng=rng, sub_batches=2)
    s_real, back_real = D.forward(x_real, train=True, rng=rng)
    s_fake, back_fake = D.forward(x_fake, train=True, rng=rng)

    def backward(ds_real: Array, ds_fake: Array, g: Array) -> None:
        back_real(ds_real, g, need_dx=False)
        back_fake(ds_fake, g, need_dx=False)

    return s_real, s_fake, backward


def combined(D: Network, x_real: Batch, x_fake: Batch, *, rng: Rng | None = None) -> Passes:
    """Run D on real and fake as one batch with common batch statistics."""
    return _as_one(D, seen_by(D, x_real), seen_by(D, x_fake), rng=rng, sub_batches=1)


def _as_one(D: Network, x_real: Array, x_fake: Array, *, rng: Rng | None, sub_batches: int) -> Passes:
    xp, n = D.ops.xp, len(x_real)
    s, back = D.forward(
        xp.concatenate([D.array(x_real), D.array(x_fake)]), train=True, rng=rng, sub_batches=sub_batches
    )

    def backward(ds_real: Array, ds_fake: Array, g: Array) -> None:
        back(xp.concatenate([ds_real, ds_fake]), g, need_dx=False)

    return s[:n], s[n:], backward


# --- how G makes the fakes that D is trained on ---------------------------------------------------


def train_fakes(G: Network, z: Batch, *, rng: Rng | None = None) -> Batch:
    """Return x = G(z) in training mode: batch statistics, which update the running ones, and dropout."""
    return labelled(G.forward(seen_by(G, z), train=True, rng=rng)[0], z)


def eval_fakes(G: Network, z: Batch, *, rng: Rng | None = None) -> Batch:
    """Return x = G(z) in inference mode: running statistics, no dropout, no change of G."""
    return labelled(G(seen_by(G, z)), z)


# --- the mode of the frozen D in G's step ---------------------------------------------------------


def train_mode(D: Network, x: Batch, *, rng: Rng | None = None) -> tuple[Array, Pullback]:
    """Run D in training mode (batch statistics, dropout) without updating its running statistics."""
    return D.forward(seen_by(D, x), train=True, rng=rng, update_state=False)


def train_mode_tracking(D: Network, x: Batch, *, rng: Rng | None = None) -> tuple[Array, Pullback]:
    """Run D in training mode and update its running statistics."""
    return D.forward(seen_by(D, x), train=True, rng=rng)


def eval_mode(D: Network, x: Batch, *, rng: Rng | None = None) -> tuple[Array, Pullback]:
    """Run D in inference mode (running statistics, no dropout)."""
    return D.forward(seen_by(D, x), train=False, rng=rng)


# --- gradients and steps --------------------------------------------------------------------------


@renamed_arguments(through="d_batching")
def discriminator_gradient(
    D: Network,
    objective: Objective,
    x_real: Batch,
    x_fake: Batch,
    *,
    rng: Rng | None = None,
    d_batching: DBatching = separate,
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
        `separate` (the default: batch statistics of each kind, as in Algorithm 1) or `combined`.

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
    g = D.zeros_like_theta()
    backward(ds_real, ds_fake, g)
    return g, StepResult(value, s_real, s_fake)


@renamed_arguments(judge="frozen_d_mode")
def generator_gradient(
    G: Network,
    D: Network,
    objective: Objective,
    z: Batch,
    *,
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
    ShapeError, TypeError
        If a batch does not fit a network, or the objective returns gradients that do not fit the logits.

    """
    x_fake, back_G = G.forward(seen_by(G, z), train=True, rng=rng)
    judged = labelled(x_fake, z)
    s_fake, back_D = frozen_d_mode(D, judged, rng=rng)
    value, ds_fake = objective.generator(s_fake, ops=D.ops)
    g = G.zeros_like_theta()
    ds_fake = logit_gradient("ds_fake", ds_fake, s_fake, objective)
    dx = of_example(D, back_D(ds_fake), judged)  # no g for D: it is frozen
    back_G(dx, g, need_dx=False)  # dJ/dtheta_G = (dG/dtheta_G)^T (dD/dx)^T dJ/ds
    return g, StepResult(value, None, s_fake)


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
    g, outcome = discriminator_gradient(D, objective, x_real, x_fake, rng=rng, d_batching=d_batching)
    optimizer.step(g)
    return outcome


@renamed_arguments(judge="frozen_d_mode")
def generator_step(
    G: Network,
    D: Network,
    optimizer: Optimizer,
    objective: Objective,
    z: Batch,
    *,
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
        If the optimizer belongs to another network.
    ShapeError, TypeError
        If a batch does not fit a network, or the objective returns gradients that do not fit the logits.

    """
    require_optimizer("optimizer", optimizer, G, "G")
    g, outcome = generator_gradient(G, D, objective, z, rng=rng, frozen_d_mode=frozen_d_mode)
    optimizer.step(g)
    return outcome


def require_optimizer(argument: str, optimizer: Optimizer, net: Network, name: str) -> None:
    """Raise ValueError unless the optimizer given as `argument` moves `net`, which the message calls `name`."""
    if optimizer.net is not net:
        kind = type(optimizer).__name__
        raise ValueError(f"{argument} moves the parameters of another network; expected one of {name}, {kind}({name})")
