"""Algorithm 1 of Goodfellow et al. 2014: the two steps, and the orders in which the documents take them.

A step is a gradient and an update.  The gradient functions return what they saw, so that a caller
can report D(x), D(G(z)) and the losses without a second pass.

How D sees a batch is an argument, `through`: `separate` (real, then fake: batch statistics of each) or
`joint` (one batch of both: common batch statistics, as ``train_on_batch`` of a concatenated batch has).
How G makes the fakes for D is one too, `fakes`: `fresh_fakes` (training mode) or `inference_fakes` (running
statistics, no dropout, as ``generator.predict``).  So is how the frozen D judges them in G's step, `judge`:
`batch_judge` (training mode), `tracking_judge` (the same, and D's running statistics follow, as in PyTorch) or
`running_judge` (inference mode, as TensorFlow 2 freezes batch norm).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from minigan._checks import logit_gradient
from minigan.layers.base import Pullback
from minigan.losses import Objective
from minigan.network import Network
from minigan.ops import Array
from minigan.optimizers import Optimizer

Rng = np.random.Generator
Passes = tuple[Array, Array, Callable[[Array, Array, Array], None]]
Through = Callable[..., Passes]
Fakes = Callable[..., Array]
Judge = Callable[..., tuple[Array, Pullback]]


@dataclass(frozen=True)
class Outcome:
    """What a step saw: the cost, and the logits of D on real and on fake (before the update)."""

    value: Any
    s_real: Array | None
    s_fake: Array


# --- how D sees real and fake ---------------------------------------------------------------------


def separate(D: Network, x_real: Array, x_fake: Array, *, rng: Rng | None = None) -> Passes:
    """Run D on real and on fake, each with its own batch statistics.

    Returns s_real, s_fake and backward(ds_real, ds_fake, g), which adds dJ/dtheta_D to g.  Where the backend runs
    groups well and both batches are of one size, both go through D in one pass: the same sums, fewer and larger.
    """
    if D.ops.one_pass and D.by_example and x_real.shape == x_fake.shape:
        return _as_one(D, x_real, x_fake, rng=rng, groups=2)
    s_real, back_real = D.forward(x_real, train=True, rng=rng)
    s_fake, back_fake = D.forward(x_fake, train=True, rng=rng)

    def backward(ds_real: Array, ds_fake: Array, g: Array) -> None:
        back_real(ds_real, g, need_dx=False)
        back_fake(ds_fake, g, need_dx=False)

    return s_real, s_fake, backward


def joint(D: Network, x_real: Array, x_fake: Array, *, rng: Rng | None = None) -> Passes:
    """Run D on real and fake as one batch with common batch statistics."""
    return _as_one(D, x_real, x_fake, rng=rng, groups=1)


def _as_one(D: Network, x_real: Array, x_fake: Array, *, rng: Rng | None, groups: int) -> Passes:
    xp, n = D.ops.xp, len(x_real)
    s, back = D.forward(xp.concatenate([D.array(x_real), D.array(x_fake)]), train=True, rng=rng, groups=groups)

    def backward(ds_real: Array, ds_fake: Array, g: Array) -> None:
        back(xp.concatenate([ds_real, ds_fake]), g, need_dx=False)

    return s[:n], s[n:], backward


# --- how G makes the fakes that D is trained on ---------------------------------------------------


def fresh_fakes(G: Network, z: Array, *, rng: Rng | None = None) -> Array:
    """x = G(z) in training mode: batch statistics (which update the running ones) and dropout."""
    return G.forward(z, train=True, rng=rng)[0]


def inference_fakes(G: Network, z: Array, *, rng: Rng | None = None) -> Array:
    """x = G(z) at inference: running statistics, no dropout, G untouched."""
    return G(z)


# --- how the frozen D judges G's samples ----------------------------------------------------------


def batch_judge(D: Network, x: Array, *, rng: Rng | None = None) -> tuple[Array, Pullback]:
    """D in training mode (batch statistics, dropout); its running statistics stay as they are."""
    return D.forward(x, train=True, rng=rng, update_state=False)


def tracking_judge(D: Network, x: Array, *, rng: Rng | None = None) -> tuple[Array, Pullback]:
    """D in training mode, and its running statistics follow."""
    return D.forward(x, train=True, rng=rng)


def running_judge(D: Network, x: Array, *, rng: Rng | None = None) -> tuple[Array, Pullback]:
    """D in inference mode (running statistics, no dropout)."""
    return D.forward(x, train=False, rng=rng)


# --- gradients and steps --------------------------------------------------------------------------


def discriminator_gradient(
    D: Network,
    objective: Objective,
    x_real: Array,
    x_fake: Array,
    *,
    rng: Rng | None = None,
    through: Through = separate,
) -> tuple[Array, Outcome]:
    """g = dJ_D / dtheta_D at a batch of real and a batch of fake examples."""
    s_real, s_fake, backward = through(D, x_real, x_fake, rng=rng)
    value, ds_real, ds_fake = objective.discriminator(s_real, s_fake, ops=D.ops)
    ds_real = logit_gradient("ds_real", ds_real, s_real, objective)
    ds_fake = logit_gradient("ds_fake", ds_fake, s_fake, objective)
    g = D.zeros_like_theta()
    backward(ds_real, ds_fake, g)
    return g, Outcome(value, s_real, s_fake)


def generator_gradient(
    G: Network,
    D: Network,
    objective: Objective,
    z: Array,
    *,
    rng: Rng | None = None,
    judge: Judge = batch_judge,
) -> tuple[Array, Outcome]:
    """g = dJ_G / dtheta_G at a batch of noise, through D, which is frozen."""
    x_fake, back_G = G.forward(z, train=True, rng=rng)
    s_fake, back_D = judge(D, x_fake, rng=rng)
    value, ds_fake = objective.generator(s_fake, ops=D.ops)
    g = G.zeros_like_theta()
    ds_fake = logit_gradient("ds_fake", ds_fake, s_fake, objective)
    back_G(back_D(ds_fake), g, need_dx=False)  # dJ/dtheta_G = (dG/dtheta_G)^T (dD/dx)^T dJ/ds; no g for D: frozen
    return g, Outcome(value, None, s_fake)


def discriminator_step(
    D: Network,
    optimizer: Optimizer,
    objective: Objective,
    x_real: Array,
    x_fake: Array,
    *,
    rng: Rng | None = None,
    through: Through = separate,
) -> Outcome:
    """Update D once by descending J_D; returns what D saw before the update."""
    _require_optimizer("optimizer", optimizer, D, "D")
    g, outcome = discriminator_gradient(D, objective, x_real, x_fake, rng=rng, through=through)
    optimizer.step(g)
    return outcome


def generator_step(
    G: Network,
    D: Network,
    optimizer: Optimizer,
    objective: Objective,
    z: Array,
    *,
    rng: Rng | None = None,
    judge: Judge = batch_judge,
) -> Outcome:
    """Update G once by descending J_G through the frozen D; returns what D saw before the update."""
    _require_optimizer("optimizer", optimizer, G, "G")
    g, outcome = generator_gradient(G, D, objective, z, rng=rng, judge=judge)
    optimizer.step(g)
    return outcome


# --- the game, and the orders of play -------------------------------------------------------------


@dataclass
class GAN:
    """Two networks, their optimizers, the objective and the random stream of dropout."""

    G: Network
    D: Network
    optimizer_G: Optimizer
    optimizer_D: Optimizer
    objective: Objective
    rng: Rng | None = None
    through: Through = separate
    fakes: Fakes = fresh_fakes
    judge: Judge = batch_judge

    def __post_init__(self) -> None:
        _require_optimizer("optimizer_G", self.optimizer_G, self.G, "G")
        _require_optimizer("optimizer_D", self.optimizer_D, self.D, "D")

    def update_D(self, x_real: Array, x_fake: Array) -> Outcome:
        """Take one discriminator step."""
        return discriminator_step(
            self.D, self.optimizer_D, self.objective, x_real, x_fake, rng=self.rng, through=self.through
        )

    def update_D_on(self, x: Array, *, real: bool) -> tuple[Any, Array]:
        """Take one discriminator step on real examples alone or on fakes alone; returns their cost and logits."""
        s, backward = self.D.forward(x, train=True, rng=self.rng)
        value, ds = self.objective.one_kind(s, real=real, ops=self.D.ops)
        g = self.D.zeros_like_theta()
        backward(logit_gradient("ds", ds, s, self.objective), g, need_dx=False)
        self.optimizer_D.step(g)
        return value, s

    def update_G(self, z: Array) -> Outcome:
        """Take one generator step."""
        return generator_step(self.G, self.D, self.optimizer_G, self.objective, z, rng=self.rng, judge=self.judge)

    def fake(self, z: Array) -> Array:
        """Return fakes for D to be trained on."""
        return self.fakes(self.G, z, rng=self.rng)


Draw = Callable[[], Array]
Played = tuple[Outcome, Outcome]
"""The last outcomes of D and of G in one iteration."""
Order = TypeVar("Order", bound=Callable[..., Played])


def whole(order: Order) -> Order:
    """Return an order of play, ``order(gan, real, noise, **counts)``, that a backend may keep whole (CUDA's graphs).

    All that is drawn in an iteration comes from `real`, `noise` and the GAN's stream.
    """

    @functools.wraps(order)
    def play(gan: GAN, real: Draw, noise: Draw, **counts: int) -> Played:
        iterations = getattr(gan.D.ops, "iterations", None)
        if iterations is None:
            return order(gan, real, noise, **counts)
        return cast(Played, iterations.play(order, gan, real, noise, **counts))

    return cast(Order, play)


@whole
def alternating(gan: GAN, real: Draw, noise: Draw, *, k: int = 1) -> Played:
    """Algorithm 1: k times D on fresh real data and fresh noise, then G once on fresh noise."""
    _require_updates(k=k)
    for _ in range(k):
        seen_D = gan.update_D(real(), gan.fake(noise()))
    return seen_D, gan.update_G(noise())


@whole
def same_batch(gan: GAN, real: Draw, noise: Draw, *, d_updates: int = 10, g_updates: int = 10) -> Played:
    """Draw one batch; D is updated several times on it, then G several times on the same noise."""
    _require_updates(d_updates=d_updates, g_updates=g_updates)
    z = noise()
    x_fake = gan.fake(z)
    x_real = real()
    for _ in range(d_updates):
        seen_D = gan.update_D(x_real, x_fake)
    for _ in range(g_updates):
        seen_G = gan.update_G(z)
    return seen_D, seen_G


@whole
def split_batch(gan: GAN, real: Draw, noise: Draw) -> Played:
    """D on a batch of real examples, then D on a batch of fakes (two updates), then G on the noise of those fakes.

    The cost is the mean of both, as of Keras's two ``train_on_batch`` calls; each update descends its own cost whole.
    """
    z = noise()
    x_fake = gan.fake(z)
    cost_real, s_real = gan.update_D_on(real(), real=True)
    cost_fake, s_fake = gan.update_D_on(x_fake, real=False)
    return Outcome((cost_real + cost_fake) / 2, s_real, s_fake), gan.update_G(z)


@whole
def simultaneous(gan: GAN, real: Draw, noise: Draw) -> Played:
    """Both gradients at one point and one batch, then both updates (the code of the 2014 paper).

    One pass of G and one of D on its samples serve both players: D's pullback is run twice, with
    parameter gradients for D and frozen for G.  So `gan.through` must be `separate`, `gan.fakes` `fresh_fakes` and
    `gan.judge` `batch_judge` (D's running statistics follow once, in D's own pass), which are the defaults.
    """
    _require_one_pass(gan)
    G, D, objective = gan.G, gan.D, gan.objective
    x_fake, back_G = G.forward(noise(), train=True, rng=gan.rng)
    s_real, back_real = D.forward(real(), train=True, rng=gan.rng)
    s_fake, back_fake = D.forward(x_fake, train=True, rng=gan.rng)
    value_D, ds_real, ds_fake = objective.discriminator(s_real, s_fake, ops=D.ops)
    value_G, ds_for_G = objective.generator(s_fake, ops=D.ops)
    ds_real = logit_gradient("ds_real", ds_real, s_real, objective)
    ds_fake, ds_for_G = (logit_gradient("ds_fake", ds, s_fake, objective) for ds in (ds_fake, ds_for_G))
    g_D, g_G = D.zeros_like_theta(), G.zeros_like_theta()
    back_real(ds_real, g_D, need_dx=False)
    back_fake(ds_fake, g_D, need_dx=False)
    back_G(back_fake(ds_for_G), g_G, need_dx=False)
    gan.optimizer_D.step(g_D)
    gan.optimizer_G.step(g_G)
    return Outcome(value_D, s_real, s_fake), Outcome(value_G, None, s_fake)


def pretrain(gan: GAN, x_real: Array, x_fake: Array, *, batch_size: int, epochs: int = 1, rng: Rng) -> list[float]:
    """Train D alone on a fixed set of real and fake examples in shuffled batches; returns J_D of each batch.

    A batch holds as many of each kind as the shuffle gives it: use an objective with ``pooled=True``.
    Batches that hold one kind only are left out (with 32 examples: one in 2^31); a batch of 1 always would be.
    """
    _require_updates(batch_size=batch_size, epochs=epochs)
    if batch_size == 1:
        raise ValueError("batch_size must be >= 2, got 1: a batch must hold real and fake")
    if not (len(x_real) and len(x_fake)):
        raise ValueError(f"x_real has {len(x_real)} examples and x_fake {len(x_fake)}; accepted: 1 or more of each")
    n = len(x_real)
    values = []
    for _ in range(epochs):
        order = rng.permutation(n + len(x_fake))
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            is_real = batch < n
            if is_real.any() and not is_real.all():
                outcome = gan.update_D(x_real[batch[is_real]], x_fake[batch[~is_real] - n])
                values.append(float(outcome.value))
    return values


def _require_updates(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be >= 1, got {count!r}")


def _require_optimizer(argument: str, optimizer: Optimizer, net: Network, name: str) -> None:
    if optimizer.net is not net:
        kind = type(optimizer).__name__
        raise ValueError(f"{argument} moves the parameters of another network; accepted: one of {name}, {kind}({name})")


def _require_one_pass(gan: GAN) -> None:
    for name, accepted in (("through", separate), ("fakes", fresh_fakes), ("judge", batch_judge)):
        given = getattr(gan, name)
        if given is not accepted:
            text = getattr(given, "__name__", repr(given))
            raise ValueError(f"{name} is {text}; simultaneous runs each network once and accepts {accepted.__name__}")
