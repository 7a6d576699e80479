"""The functions that run G and D on a batch: the modes and batch statistics of a step.

`d_batching`     D on real and fake: `separate` (batch statistics of each kind) or `combined` (one batch of both, with
                 common batch statistics, as ``train_on_batch`` of a concatenated batch)
`fake_mode`      G for D's step: `train_fakes` (training mode) or `eval_fakes` (running statistics, no dropout, as
                 ``generator.predict``)
`frozen_d_mode`  D in G's step: `train_mode` (training mode), `train_mode_tracking` (which also updates D's running
                 statistics, as in PyTorch) or `eval_mode` (inference mode, as TensorFlow 2 freezes batch norm)

These functions receive batches with their labels (`minigan.gan.labels`), so that a custom one may treat the labels
differently.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from minigan._batch import Batch, arrays_of
from minigan.game import Rng
from minigan.gan.labels import joined, network_input, same_shapes, with_labels
from minigan.layers.base import Pullback, compute_gradient
from minigan.network import Network
from minigan.ops.protocol import Array

Passes = tuple[Array, Array, Callable[..., None]]
"""s_real, s_fake and ``backward(ds_real, ds_fake, g)``, which adds dJ/dtheta_D to g.

If the class of `backward` declares ``writes_gradient = True``, as layers do, it also takes ``overwrite=True`` and then
writes dJ/dtheta_D to g, whatever g holds.  The class must say so, because a function that wraps such a pullback may
have copied its attributes, but not its arguments.
"""
DBatching = Callable[..., Passes]
FakeMode = Callable[..., Batch]
DMode = Callable[..., tuple[Array, Pullback]]


# --- D on real and fake ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TwoPullbacks:
    """The pullback of two passes of D: one on real and one on fake examples.

    Parameters
    ----------
    of_real, of_fake : callable
        D's pullbacks.

    """

    of_real: Pullback
    of_fake: Pullback
    writes_gradient: ClassVar[bool] = True

    def __call__(self, ds_real: Array, ds_fake: Array, g: Array, *, overwrite: bool = False) -> None:
        """Add dJ/dtheta_D to g (P,), or with `overwrite` write it there; ds_real (N, 1) and ds_fake (M, 1)."""
        compute_gradient(self.of_real, ds_real, g, overwrite=overwrite)
        self.of_fake(ds_fake, g, need_dx=False)


@dataclass(frozen=True, slots=True)
class JointPullback:
    """The pullback of one pass of D on real examples followed by fake ones.

    Parameters
    ----------
    D : Network
        The discriminator.
    of_both : callable
        D's pullback.

    """

    D: Network
    of_both: Pullback
    writes_gradient: ClassVar[bool] = True

    def __call__(self, ds_real: Array, ds_fake: Array, g: Array, *, overwrite: bool = False) -> None:
        """Add dJ/dtheta_D to g (P,), or with `overwrite` write it there; ds_real (N, 1) and ds_fake (M, 1)."""
        compute_gradient(self.of_both, self.D.ops.xp.concatenate([ds_real, ds_fake]), g, overwrite=overwrite)


def separate(D: Network, x_real: Batch, x_fake: Batch, *, rng: Rng | None = None) -> Passes:
    """Run D on real and on fake examples with separate batch statistics.

    If both batches have one size and one pass over both is faster on the backend, D runs once, on two sub-batches.

    Parameters
    ----------
    D : Network
        The discriminator, in training mode.
    x_real, x_fake : array (N, ..., C), (M, ..., C), or tuples of such an array and labels
        The real and the fake examples.
    rng : numpy.random.Generator, optional
        The random stream of dropout.

    Returns
    -------
    s_real, s_fake : array (N, 1), (M, 1)
        The logits.
    backward : callable
        ``backward(ds_real, ds_fake, g)`` adds dJ/dtheta_D to g (P,); with ``overwrite=True`` it writes it there.

    """
    x_real, x_fake = network_input(D, x_real), network_input(D, x_fake)
    if D.ops.one_pass and D.per_example and same_shapes(x_real, x_fake):
        return _as_one(D, x_real, x_fake, rng=rng, sub_batches=2)
    s_real, back_real = D.forward(x_real, train=True, rng=rng)
    s_fake, back_fake = D.forward(x_fake, train=True, rng=rng)
    return s_real, s_fake, TwoPullbacks(back_real, back_fake)


def combined(D: Network, x_real: Batch, x_fake: Batch, *, rng: Rng | None = None) -> Passes:
    """Run D on real and fake examples as one batch with common batch statistics.

    Parameters
    ----------
    D : Network
        The discriminator, in training mode.
    x_real, x_fake : array (N, ..., C), (M, ..., C), or tuples of such an array and labels
        The real and the fake examples.
    rng : numpy.random.Generator, optional
        The random stream of dropout.

    Returns
    -------
    s_real, s_fake : array (N, 1), (M, 1)
        The logits.
    backward : callable
        ``backward(ds_real, ds_fake, g)`` adds dJ/dtheta_D to g (P,); with ``overwrite=True`` it writes it there.

    """
    return _as_one(D, network_input(D, x_real), network_input(D, x_fake), rng=rng, sub_batches=1)


def _as_one(D: Network, x_real: Batch, x_fake: Batch, *, rng: Rng | None, sub_batches: int) -> Passes:
    n = len(arrays_of(x_real)[0])
    s, back = D.forward(joined(D, x_real, x_fake), train=True, rng=rng, sub_batches=sub_batches)
    return s[:n], s[n:], JointPullback(D, back)


# --- G for D's step -------------------------------------------------------------------------------


def train_fakes(G: Network, z: Batch, *, rng: Rng | None = None) -> Batch:
    """Return G(z) in training mode: with batch statistics, which update the running statistics, and dropout.

    Parameters
    ----------
    G : Network
        The generator.
    z : array (M, I), or a tuple of noise and labels
        The noise.
    rng : numpy.random.Generator, optional
        The random stream of dropout.

    Returns
    -------
    array (M, ..., C), or a tuple of fakes and labels
        The fakes, with the labels of z.

    """
    return with_labels(G.forward(network_input(G, z), train=True, rng=rng)[0], z)


def eval_fakes(G: Network, z: Batch, *, rng: Rng | None = None) -> Batch:
    """Return G(z) in inference mode: with running statistics and without dropout; G does not change.

    Parameters
    ----------
    G : Network
        The generator.
    z : array (M, I), or a tuple of noise and labels
        The noise.
    rng : numpy.random.Generator, optional
        Not used.

    Returns
    -------
    array (M, ..., C), or a tuple of fakes and labels
        The fakes, with the labels of z.

    """
    return with_labels(G(network_input(G, z)), z)


# --- the frozen D in G's step ---------------------------------------------------------------------


def train_mode(D: Network, x: Batch, *, rng: Rng | None = None) -> tuple[Array, Pullback]:
    """Run D in training mode (batch statistics, dropout) without updating its running statistics.

    Parameters
    ----------
    D : Network
        The discriminator.
    x : array (M, ..., C), or a tuple of such an array and labels
        The fakes.
    rng : numpy.random.Generator, optional
        The random stream of dropout.

    Returns
    -------
    s : array (M, 1)
        The logits.
    backward : callable
        D's pullback.

    """
    return D.forward(network_input(D, x), train=True, rng=rng, update_state=False)


def train_mode_tracking(D: Network, x: Batch, *, rng: Rng | None = None) -> tuple[Array, Pullback]:
    """Run D in training mode and update its running statistics; arguments and results are those of `train_mode`."""
    return D.forward(network_input(D, x), train=True, rng=rng)


def eval_mode(D: Network, x: Batch, *, rng: Rng | None = None) -> tuple[Array, Pullback]:
    """Run D in inference mode (running statistics, no dropout); arguments and results are those of `train_mode`."""
    return D.forward(network_input(D, x), train=False, rng=rng)
