"""The objectives of D and G on logits: costs and their gradients.

s is a logit, D(x) = sigma(s) = 1 / (1 + e^-s), so that with softplus(s) = log(1 + e^s)

    log D = -softplus(-s)        log(1 - D) = -softplus(s)

exactly and without overflow for any s: no logarithm of sigma is computed.  Each objective has

    discriminator(s_real, s_fake) -> value, ds_real, ds_fake     the cost J_D that D minimises
    one_side(s, real=...) -> value, ds                           the part of J_D of the real or of the fake examples
    generator(s_fake) -> value, ds_fake                          the cost J_G that G minimises
    probability(s) -> D(x)

Two conventions for J_D are in use: ``d_scale=1`` adds the two means (Goodfellow et al. 2014, Algorithm 1: J_D = -V),
``d_scale=1/2`` averages them (binary cross-entropy over a batch that is half real and half fake).  ``g_scale`` scales
J_G: 1 in Algorithm 1, 1/2 in tutorials that halve both costs.

`ops` is the backend that computes: the steps of Algorithm 1 pass that of D.  Without it, `minigan.ops.ops_of` returns
the backend of the logits.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol

from minigan._arguments import scalar, set_numbers
from minigan._deprecated import renamed_fields
from minigan.cross_entropy import softmax_cross_entropy as softmax_cross_entropy
from minigan.layers.base import ShapeError
from minigan.ops import ops_of
from minigan.ops.protocol import Array, Ops
from minigan.ops.reference import real

Value = Any  # a scalar of the logits' dtype


class Objective(Protocol):
    """The four methods of an objective.

    Logits s are arrays (N, 1), or (N, K) if D has K outputs.  Costs are scalars of their dtype; gradients have their
    shape and dtype.  `ops` is D's backend, with its array module ``ops.xp``; a custom objective need not use it.
    """

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array, Array]:
        """Return J_D, dJ_D/ds_real and dJ_D/ds_fake, for a step of D on real and fake examples."""

    def one_side(self, s: Array, *, real: bool, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return the part of J_D of the real, or of the fake, examples, and its gradient, for `split_batch`."""

    def generator(self, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G and dJ_G/ds_fake, for the steps of G."""

    def probability(self, s: Array, *, ops: Ops | None = None) -> Array:
        """Return D(x) (N,), for the metrics D(x), D(G(z)) and accuracy; a value above 1/2 means real."""


METHODS = {  # and their signatures, for errors
    "discriminator": "(s_real, s_fake, *, ops=None)",
    "one_side": "(s, *, real, ops=None)",
    "generator": "(s_fake, *, ops=None)",
    "probability": "(s, *, ops=None)",
}


def require_objective(objective: object) -> None:
    """Raise TypeError, which names a missing method, unless `objective` has the methods of `Objective`."""
    if isinstance(objective, type):
        raise TypeError(f"objective is the class {objective.__name__}; expected an object, {objective.__name__}()")
    for name, arguments in METHODS.items():
        if not callable(getattr(objective, name, None)):
            raise TypeError(
                f"objective of type {type(objective).__name__} has no method {name}{arguments}; expected all of "
                f"{', '.join(METHODS)} (see minigan.losses.Objective)"
            )


_OLD_NAMES = renamed_fields(factor="d_scale", factor_G="g_scale", pooled="mean_over_all")


@dataclass(frozen=True)
class _CrossEntropy:
    """J_D = d_scale (mean softplus(-s_real) + mean softplus(s_fake)).    s_real (N, 1), s_fake (M, 1), or vectors"""

    _: KW_ONLY
    d_scale: float = 1.0
    g_scale: float = 1.0
    mean_over_all: bool = False

    def __post_init__(self) -> None:
        set_numbers(self, d_scale="(0, inf)", g_scale="(0, inf)")

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array, Array]:
        """Return J_D, ds_real = -d_scale sigma(-s_real) / N, ds_fake = d_scale sigma(s_fake) / M."""
        n_real, n_fake = _size(s_real), _size(s_fake)
        ops = ops_of(s_real) if ops is None else ops
        f_real = f_fake = scalar(self.d_scale, s_real.dtype)
        if self.mean_over_all:
            f_real, f_fake = (2 * f_real * n / (n_real + n_fake) for n in (n_real, n_fake))
        cost_real, ds_real = ops.mean_softplus(s_real, -1, f_real)
        cost_fake, ds_fake = ops.mean_softplus(s_fake, 1, f_fake)
        return cost_real + cost_fake, ds_real, ds_fake

    def one_side(self, s: Array, *, real: bool, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return d_scale mean softplus(-s) for real s or d_scale mean softplus(s) for fake s, and its gradient."""
        _size(s)
        ops = ops_of(s) if ops is None else ops
        return ops.mean_softplus(s, -1 if real else 1, scalar(self.d_scale, s.dtype))

    def probability(self, s: Array, *, ops: Ops | None = None) -> Array:
        """Return D = sigma(s)."""
        return (ops_of(s) if ops is None else ops).sigmoid(s).reshape(-1)


@_OLD_NAMES
@dataclass(frozen=True)
class Minimax(_CrossEntropy):
    """G minimises mean log(1 - D(G(z)))   (Goodfellow et al. 2014, eq. 1 and Algorithm 1).

    J_D = d_scale (mean softplus(-s_real) + mean softplus(s_fake))
    J_G = -g_scale mean softplus(s_fake),    ds_fake = -g_scale sigma(s_fake) / M

    The gradient of J_G vanishes if D is certain that the examples are fake, s_fake -> -infinity.

    Parameters
    ----------
    d_scale : float
        The scale of J_D, > 0.  1 (the default, as in Algorithm 1): J_D = -V; 1/2: the mean of both costs.
    g_scale : float
        The scale of J_G, > 0; 1 as in Algorithm 1.
    mean_over_all : bool
        Whether each mean of J_D is 2 / (N + M) times the sum, as in one labelled batch of N real and M fake examples;
        False by default.  For N = M both are the same.

    Raises
    ------
    ValueError
        If `d_scale` or `g_scale` is not a number > 0.
    ShapeError
        In the methods, if logits are not (N,) or (N, 1).

    Examples
    --------
    >>> import numpy as np
    >>> cost, ds = Minimax().generator(np.zeros((2, 1)))
    >>> round(float(cost), 4), ds.tolist()
    (-0.6931, [[-0.25], [-0.25]])

    """

    def generator(self, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G = g_scale mean log(1 - D) and its gradient."""
        _size(s_fake)
        ops = ops_of(s_fake) if ops is None else ops
        return ops.mean_softplus(s_fake, 1, -scalar(self.g_scale, s_fake.dtype))


@_OLD_NAMES
@dataclass(frozen=True)
class NonSaturating(_CrossEntropy):
    """G minimises -mean log D(G(z))   (Goodfellow et al. 2014, end of section 3).

    J_D = d_scale (mean softplus(-s_real) + mean softplus(s_fake))
    J_G = g_scale mean softplus(-s_fake),    ds_fake = -g_scale sigma(-s_fake) / M

    The gradient of J_G does not vanish if D is certain that the examples are fake: it tends to -g_scale / M.

    Parameters
    ----------
    d_scale : float
        The scale of J_D, > 0.  1 (the default, as in Algorithm 1): J_D = -V; 1/2: the mean of both costs.
    g_scale : float
        The scale of J_G, > 0; 1 as in Algorithm 1.
    mean_over_all : bool
        Whether each mean of J_D is 2 / (N + M) times the sum, as in one labelled batch of N real and M fake examples;
        False by default.  For N = M both are the same.

    Raises
    ------
    ValueError
        If `d_scale` or `g_scale` is not a number > 0.
    ShapeError
        In the methods, if logits are not (N,) or (N, 1).

    Examples
    --------
    >>> import numpy as np
    >>> cost, ds = NonSaturating().generator(np.zeros((2, 1)))
    >>> round(float(cost), 4), ds.tolist()
    (0.6931, [[-0.25], [-0.25]])

    """

    def generator(self, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G = -g_scale mean log D and its gradient."""
        _size(s_fake)
        ops = ops_of(s_fake) if ops is None else ops
        return ops.mean_softplus(s_fake, -1, scalar(self.g_scale, s_fake.dtype))


@_OLD_NAMES
@dataclass(frozen=True)
class SoftmaxTwoClass:
    """Categorical cross-entropy of a D with two softmax outputs.    s (N, 2): column 0 fake, column 1 real

    log softmax(s)_1 = -softplus(s_0 - s_1): the cost is `NonSaturating` of the one logit s_1 - s_0, and ds_0 = -ds_1.

    Parameters
    ----------
    d_scale : float
        The scale of J_D, > 0; 1/2 by default, the mean of both costs, as Keras computes it.
    g_scale : float
        The scale of J_G, > 0; 1 by default.
    mean_over_all : bool
        Whether each mean of J_D is 2 / (N + M) times the sum, as in one labelled batch of N real and M fake examples;
        False by default.

    Raises
    ------
    ValueError
        If `d_scale` or `g_scale` is not a number > 0.
    ShapeError
        In the methods, if logits are not (N, 2).

    """

    _: KW_ONLY
    d_scale: float = 0.5
    g_scale: float = 1.0
    mean_over_all: bool = False

    def __post_init__(self) -> None:
        set_numbers(self, d_scale="(0, inf)", g_scale="(0, inf)")

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array, Array]:
        """Return J_D, ds_real (N, 2), ds_fake (M, 2)."""
        ops = ops_of(s_real) if ops is None else ops
        value, d_real, d_fake = self._one_logit().discriminator(_difference(s_real), _difference(s_fake), ops=ops)
        return value, _columns(d_real, ops), _columns(d_fake, ops)

    def generator(self, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G = -g_scale mean log softmax(s_fake)_1 and ds_fake (M, 2)."""
        ops = ops_of(s_fake) if ops is None else ops
        value, d = self._one_logit().generator(_difference(s_fake), ops=ops)
        return value, _columns(d, ops)

    def one_side(self, s: Array, *, real: bool, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return the cost of the real examples, or of the fake ones, and its gradient (N, 2)."""
        ops = ops_of(s) if ops is None else ops
        value, d = self._one_logit().one_side(_difference(s), real=real, ops=ops)
        return value, _columns(d, ops)

    def probability(self, s: Array, *, ops: Ops | None = None) -> Array:
        """Return D = softmax(s)_1."""
        return (ops_of(s) if ops is None else ops).sigmoid(_difference(s))

    def _one_logit(self) -> NonSaturating:
        return NonSaturating(d_scale=self.d_scale, g_scale=self.g_scale, mean_over_all=self.mean_over_all)


def _size(s: Array) -> int:
    """Return N; raise ShapeError unless s has one logit for each example."""
    if s.size == 0 or s.size != len(s):
        raise ShapeError(f"logits have shape {s.shape}; expected (N,) or (N, 1) with N >= 1")
    return len(s)


def _difference(s: Array) -> Array:
    """Return s_1 - s_0 (N,); raise ShapeError unless s is (N, 2)."""
    if s.ndim != 2 or s.shape[1] != 2 or len(s) == 0:
        raise ShapeError(f"logits have shape {s.shape}; expected (N, 2) with N >= 1")
    return s[:, 1] - s[:, 0]


def _columns(d: Array, ops: Ops) -> Array:
    """Return the gradient ds (N, 2) for the gradient d (N,) of s_1 - s_0."""
    return ops.xp.stack([-d, d], axis=1)


OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "minimax": Minimax,
    "non-saturating": NonSaturating,
    "softmax": SoftmaxTwoClass,
}


def accuracy(probability_real: Array, probability_fake: Array) -> float:
    """Return the fraction of examples that D classifies correctly: real above 1/2, fake at most 1/2.

    Parameters
    ----------
    probability_real, probability_fake : array (N,), (M,)
        D(x) of the real and of the fake examples.

    Returns
    -------
    float
        In [0, 1].

    """
    right = (real(probability_real) > 0.5).sum() + (real(probability_fake) <= 0.5).sum()
    return float(right) / (len(probability_real) + len(probability_fake))
