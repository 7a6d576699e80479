"""Gradient penalties of a discriminator, with their parameter gradients by hand: forward over reverse.

    P(theta) = sum_n phi(v_n),    v_n = grad_x D(x_n; theta)

Let u_n = phi'(v_n), held constant.  Then

    dP/dtheta = sum_n <u_n, dv_n/dtheta> = d/dtheta sum_n <u_n, grad_x D(x_n)> = d/dtheta sum_n D'(x_n) u_n

so the gradient of P is that of the derivative of D along u.  `Network.input_gradient` computes both: a penalty costs
one forward pass and one pullback for v, one tangent pass along u, and the parameter gradients.
D has one output, and D(x_n) may depend on x_n alone: batch norm in training is refused.

A penalty changes slowly during training, so that it need not be part of every update: `lazy`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minigan._arguments import set_numbers, size
from minigan._batch import Batch, arrays_of
from minigan.game import Rng
from minigan.gan.labels import network_input
from minigan.layers.base import Layer
from minigan.network import Network
from minigan.ops.errors import ShapeError
from minigan.ops.protocol import Array
from minigan.ops.reference import real


@dataclass(frozen=True)
class GradientPenalty(ABC):
    """A term of J_D that depends on grad_x D; a subclass says where, and on which function of the gradient.

    Parameters
    ----------
    weight : float
        The factor of the penalty, >= 0: a penalty is proportional to it.

    Raises
    ------
    ValueError
        If `weight` is negative or not finite.

    """

    weight: float

    def __post_init__(self) -> None:
        set_numbers(self, weight="[0, inf)")

    @abstractmethod
    def points(self, D: Network, real: Batch, fake: Batch, *, rng: Rng | None) -> Batch:
        """Return the points x_n (N, ...) where the gradient is penalised, with labels if the examples have them.

        Parameters
        ----------
        D : Network
            The discriminator.
        real, fake : array (N, ...), or tuple of such an array and classes (N,)
            The inputs of D for real and for fake examples.
        rng : numpy.random.Generator or None
            The random stream.

        """

    @abstractmethod
    def of_gradient(self, D: Network, v: Array) -> tuple[Any, Array]:
        """Return the penalty sum_n phi(v_n) and phi'(v_n), for the gradients v (N, ...)."""

    def add_gradient(
        self, D: Network, x_real: Batch, x_fake: Batch, g: Array, *, rng: Rng | None = None, train: bool = True
    ) -> Any:
        """Add dP/dtheta_D to g and return P.

        Parameters
        ----------
        D : Network
            The discriminator, with logits (N, 1).
        x_real, x_fake : array (N, ..., C), or tuples of such an array and labels
            The real and the fake examples.  The gradient is that with respect to the examples, not to labels.
        g : array (P,)
            The gradient to which dP/dtheta_D is added.
        rng : numpy.random.Generator, optional
            The random stream of dropout, and of the points if they are random.
        train : bool
            The mode of D; True, the default, as in its step.

        Returns
        -------
        scalar
            P.

        Raises
        ------
        ShapeError
            If D has several outputs, or the batches do not fit.
        ValueError
            If a layer of D mixes examples, such as batch norm in training.
        NotImplementedError
            If a layer of D defines no `pushforward`.

        """
        xp, C = D.ops.xp, arrays_of(x_real)[0].shape[-1]
        batch = self.points(D, _input(D, x_real), _input(D, x_fake), rng=rng)
        n = len(arrays_of(batch)[0])
        s, v, add = D.input_gradient(batch, train=train, rng=rng)
        if s.shape != (n, 1):
            raise ShapeError(f"D has outputs of shape {s.shape[1:]}; a gradient penalty expects one logit, (1,)")
        value, u = self.of_gradient(D, v[..., :C])  # v is grad_x D(x_n) in row n: D(x_n) depends on x_n alone
        if v.shape[-1] > C:  # labels are more channels of D's input: the direction does not move them
            u = xp.concatenate([u, xp.zeros_like(v[..., C:])], axis=-1)
        add(u, g)  # d/dtheta of sum_n D'(x_n) u_n
        return value


def _input(D: Network, batch: Batch) -> Batch:
    """Return the input of D for a batch, with the examples on D's device."""
    found = network_input(D, batch)
    return (D.array(found[0]), *found[1:]) if isinstance(found, tuple) else D.array(found)


@dataclass(frozen=True)
class _SquaredNorm(GradientPenalty):
    def of_gradient(self, D: Network, v: Array) -> tuple[Any, Array]:
        """Return weight / (2 N) sum_n ||v_n||^2 and weight / N v."""
        factor = self.weight / len(v)
        return factor / 2 * (v * v).sum(), factor * v


@dataclass(frozen=True)
class R1(_SquaredNorm):
    """P = weight / 2 E_real ||grad_x D(x)||^2.

    It keeps D flat at the data, which makes the equilibrium locally stable.  Source: Mescheder, Geiger and Nowozin,
    "Which Training Methods for GANs do actually Converge?", 2018, equation (9).

    Parameters
    ----------
    weight : float
        gamma, >= 0: 10 in the paper for images; larger for larger images.

    Raises
    ------
    ValueError
        If `weight` is negative or not finite.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> D = mg.Network([mg.Dense(2, 1)], rng=np.random.default_rng(0), dtype="float64")
    >>> g, x = D.zeros_like_theta(), np.ones((4, 2))
    >>> P = R1(10.0).add_gradient(D, x, x, g)  # grad_x D = W: P = 5 ||W||^2, dP/dW = 10 W, dP/db = 0
    >>> bool(np.allclose(g, [*10 * D.theta[:2], 0]))
    True

    """

    def points(self, D: Network, real: Batch, fake: Batch, *, rng: Rng | None) -> Batch:
        """Return the real examples."""
        return real


@dataclass(frozen=True)
class R2(_SquaredNorm):
    """P = weight / 2 E_fake ||grad_x D(x)||^2.

    Source: Mescheder, Geiger and Nowozin 2018, equation (10).

    Parameters
    ----------
    weight : float
        gamma, >= 0.

    Raises
    ------
    ValueError
        If `weight` is negative or not finite.

    """

    def points(self, D: Network, real: Batch, fake: Batch, *, rng: Rng | None) -> Batch:
        """Return the fake examples."""
        return fake


@dataclass(frozen=True)
class WassersteinPenalty(GradientPenalty):
    """P = weight E (||grad_x D(x^)|| - 1)^2,  x^ = e x_real + (1 - e) x_fake,  e uniform in [0, 1) per example.

    phi'(v) = 2 weight / N (||v|| - 1) v / ||v||, and 0 at v = 0, where the norm has no derivative.  Source: Gulrajani
    et al., "Improved Training of Wasserstein GANs", 2017, equation (3).

    Parameters
    ----------
    weight : float
        lambda, >= 0; 10 by default, as in the paper.

    Raises
    ------
    ValueError
        If `weight` is negative or not finite; in `add_gradient`, if there is no `rng`, or labels differ in a pair.

    """

    weight: float = 10.0

    def points(self, D: Network, real: Batch, fake: Batch, *, rng: Rng | None) -> Batch:
        """Return random points between the pairs of a real and a fake example, which have one label."""
        if rng is None:
            raise ValueError("the penalty draws random points and needs rng=numpy.random.Generator, got rng=None")
        (x_real, *classes), (x_fake, *others) = arrays_of(real), arrays_of(fake)
        if x_real.shape != x_fake.shape:
            raise ShapeError(
                f"x_real has shape {x_real.shape} and x_fake {x_fake.shape}; the penalty pairs them and expects one "
                "shape"
            )
        if any(isinstance(k, np.ndarray) and (k != other).any() for k, other in zip(classes, others, strict=True)):
            raise ValueError("x_real and x_fake have different labels; the penalty pairs them and expects the same")
        e = rng.random((len(x_real),) + (1,) * (x_real.ndim - 1))
        e = D.ops.xp.asarray(e).astype(D.dtype)
        x = x_fake + e * (x_real - x_fake)
        return (x, *classes) if classes else x

    def of_gradient(self, D: Network, v: Array) -> tuple[Any, Array]:
        """Return weight / N sum_n (||v_n|| - 1)^2 and its derivative."""
        xp, axes = D.ops.xp, tuple(range(1, v.ndim))
        norm = xp.sqrt((v * v).sum(axis=axes, keepdims=True))
        excess, factor = norm - 1, self.weight / len(v)
        zero = real(norm) == 0
        direction = xp.where(zero, 0, v / xp.where(zero, 1, norm))
        return factor * (excess * excess).sum(), 2 * factor * excess * direction


def lazy(penalties: Sequence[GradientPenalty], every: int, t: int) -> Sequence[GradientPenalty]:
    """Return every P for t = 0, every, 2 every, ..., and no penalty for the other t: on average P.

    Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020 (arXiv:1912.04958), appendix B,
    with every = 16 for R1.

    Parameters
    ----------
    penalties : sequence of GradientPenalty
        The penalties P.
    every : int
        The number of updates that share a penalty, at least 1; with 1, P itself is returned.
    t : int
        The number of updates of D before this one.

    Returns
    -------
    sequence of GradientPenalty
        The penalties of this update, with `every` times their weight.

    Raises
    ------
    ValueError
        If `every` is not an int >= 1.

    Examples
    --------
    >>> [lazy((R1(10.0),), 2, t) for t in range(3)]
    [(R1(weight=20.0),), (), (R1(weight=20.0),)]

    """
    if size("every", every) == 1:
        return penalties
    return () if t % every else tuple(replace(penalty, weight=every * penalty.weight) for penalty in penalties)


def require_separate_examples(D: Network) -> None:
    """Raise ValueError if a layer of D mixes examples in training, so that D has no gradient penalty.

    Parameters
    ----------
    D : Network
        The discriminator.

    """
    found = mixing_layer(D.chain.sublayers())
    if found is not None:
        place, layer = found
        raise ValueError(
            f"penalties need a D whose logit of an example depends on that example alone, and D's layer {place} is "
            f"{layer!r}; expected another normalisation, or penalties=()"
        )


def mixing_layer(layers: Mapping[str, Layer]) -> tuple[str, Layer] | None:
    """Return the name of the first layer that mixes examples in training, and the layer; None if there is none.

    Of nested layers it is the innermost, "1.body.0".
    """
    for name, layer in layers.items():
        if layer.mixes_examples(train=True):
            inner = mixing_layer(layer.sublayers())
            return (name, layer) if inner is None else (f"{name}.{inner[0]}", inner[1])
    return None
