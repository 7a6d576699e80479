"""The objectives of D and G on logits: value and cotangents.

s is a logit, D(x) = sigma(s) = 1 / (1 + e^-s), so that with softplus(s) = log(1 + e^s)

    log D = -softplus(-s)        log(1 - D) = -softplus(s)

exactly and without overflow for any s: sigma is never formed before a logarithm.  Each objective has

    discriminator(s_real, s_fake) -> value, ds_real, ds_fake     the cost J_D that D minimises
    one_kind(s, real=...) -> value, ds                           the part of J_D that one kind has
    generator(s_fake) -> value, ds_fake                          the cost J_G that G minimises
    probability(s) -> D(x)

Two conventions for J_D are in use: ``factor=1`` adds the two means (Goodfellow et al. 2014, Algorithm 1: J_D = -V),
``factor=1/2`` averages them (binary cross-entropy over a batch that is half real and half fake).  ``factor_G`` is the
same for J_G: 1 in Algorithm 1, 1/2 where a document halves both costs.

`softmax_cross_entropy` is the cost of a classifier with K classes.

`ops` is the backend that computes, D's in the steps of Algorithm 1; without it, the reference of the logits' kind.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol

from minigan._arguments import scalar, set_numbers
from minigan.layers.base import ShapeError
from minigan.ops import ops_of
from minigan.ops.protocol import Array, Ops
from minigan.ops.reference import real

Value = Any  # a scalar of the logits' dtype


class Objective(Protocol):
    """What a GAN asks of an objective: these four methods, all of them required.

    Logits s are arrays (N, 1), or (N, K) where D has K outputs; a cost is a scalar, and a gradient an array of the
    shape and dtype of its logits.  `ops` is D's backend, with its array module ``ops.xp``; an objective of one's own
    may leave it alone.
    """

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array, Array]:
        """Return J_D, dJ_D/ds_real and dJ_D/ds_fake, for the steps of D on both kinds."""

    def one_side(self, s: Array, *, real: bool, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return the part of J_D that real examples (or fake ones) have, and its gradient, for `split_batch`."""

    def generator(self, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G and dJ_G/ds_fake, for the steps of G."""

    def probability(self, s: Array, *, ops: Ops | None = None) -> Array:
        """Return D(x) (N,), for the metrics D(x), D(G(z)) and accuracy (above 1/2 means real)."""


METHODS = {
    "discriminator": "(s_real, s_fake, *, ops=None)",
    "one_side": "(s, *, real, ops=None)",
    "generator": "(s_fake, *, ops=None)",
    "probability": "(s, *, ops=None)",
}


def require_objective(objective: object) -> None:
    """Raise TypeError, which names what is missing, unless `objective` is an object with the methods of `Objective`."""
    if isinstance(objective, type):
        raise TypeError(f"objective is the class {objective.__name__}; expected an object, {objective.__name__}()")
    for name, arguments in METHODS.items():
        if not callable(getattr(objective, name, None)):
            raise TypeError(
                f"objective of type {type(objective).__name__} has no method {name}{arguments}; expected all of "
                f"{', '.join(METHODS)} (see minigan.losses.Objective)"
            )


@dataclass(frozen=True)
class _CrossEntropy:
    """J_D = factor (mean softplus(-s_real) + mean softplus(s_fake)).    s_real (N, 1) or (N,)   s_fake (M, 1) or (M,)

    With `pooled`, each mean is over all N + M examples, times 2: what one labelled batch gives when
    its halves differ in size (for N = M the two are the same).
    """

    _: KW_ONLY
    factor: float = 1.0
    factor_G: float = 1.0
    pooled: bool = False

    def __post_init__(self) -> None:
        set_numbers(self, factor="(0, inf)", factor_G="(0, inf)")

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array, Array]:
        """Return J_D, ds_real = -factor sigma(-s_real) / N, ds_fake = factor sigma(s_fake) / M."""
        n_real, n_fake = _size(s_real), _size(s_fake)
        ops = ops_of(s_real) if ops is None else ops
        f_real = f_fake = scalar(self.factor, s_real.dtype)
        if self.pooled:
            f_real, f_fake = (2 * f_real * n / (n_real + n_fake) for n in (n_real, n_fake))
        cost_real, ds_real = ops.mean_softplus(s_real, -1, f_real)
        cost_fake, ds_fake = ops.mean_softplus(s_fake, 1, f_fake)
        return cost_real + cost_fake, ds_real, ds_fake

    def one_side(self, s: Array, *, real: bool, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return factor mean softplus(-s) for real s, factor mean softplus(s) for fake s, and its gradient."""
        _size(s)
        ops = ops_of(s) if ops is None else ops
        return ops.mean_softplus(s, -1 if real else 1, scalar(self.factor, s.dtype))

    def probability(self, s: Array, *, ops: Ops | None = None) -> Array:
        """Return D = sigma(s)."""
        return (ops_of(s) if ops is None else ops).sigmoid(s).reshape(-1)


@dataclass(frozen=True)
class Minimax(_CrossEntropy):
    """G minimises mean log(1 - D(G(z)))   (Goodfellow et al. 2014, eq. 1 and Algorithm 1).

    J_G = -factor_G mean softplus(s_fake), ds = -factor_G sigma(s_fake) / M: it vanishes where D is sure,
    s -> -infinity.
    """

    def generator(self, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G = factor_G mean log(1 - D) and its gradient."""
        _size(s_fake)
        ops = ops_of(s_fake) if ops is None else ops
        return ops.mean_softplus(s_fake, 1, -scalar(self.factor_G, s_fake.dtype))


@dataclass(frozen=True)
class NonSaturating(_CrossEntropy):
    """G minimises -mean log D(G(z))   (Goodfellow et al. 2014, end of section 3).

    J_G = factor_G mean softplus(-s_fake), ds = -factor_G sigma(-s_fake) / M: it tends to -factor_G / M where D is sure.
    """

    def generator(self, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G = -factor_G mean log D and its gradient."""
        _size(s_fake)
        ops = ops_of(s_fake) if ops is None else ops
        return ops.mean_softplus(s_fake, -1, scalar(self.factor_G, s_fake.dtype))


@dataclass(frozen=True)
class SoftmaxTwoClass:
    """Categorical cross-entropy of a D with two softmax outputs.    s (N, 2): column 0 fake, column 1 real

    log softmax(s)_1 = -softplus(s_0 - s_1): it is the cross-entropy of the one logit s_1 - s_0, and
    ds_0 = -ds_1.  G trains non-saturating, on the labels "real".  `factor`, `factor_G` and `pooled` as above.
    """

    _: KW_ONLY
    factor: float = 0.5
    factor_G: float = 1.0
    pooled: bool = False

    def __post_init__(self) -> None:
        set_numbers(self, factor="(0, inf)", factor_G="(0, inf)")

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array, Array]:
        """Return J_D, ds_real (N, 2), ds_fake (M, 2)."""
        ops = ops_of(s_real) if ops is None else ops
        value, d_real, d_fake = self._one_logit().discriminator(_difference(s_real), _difference(s_fake), ops=ops)
        return value, _columns(d_real, ops), _columns(d_fake, ops)

    def generator(self, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array]:
        """Return J_G = -factor_G mean log softmax(s_fake)_1 and ds_fake (M, 2)."""
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
        return NonSaturating(factor=self.factor, factor_G=self.factor_G, pooled=self.pooled)


def _size(s: Array) -> int:
    """Return N, after checking that s holds one logit an example."""
    if s.size == 0 or s.size != len(s):
        raise ShapeError(f"logits have shape {s.shape}; accepted: (N,) or (N, 1) with N >= 1")
    return len(s)


def _difference(s: Array) -> Array:
    if s.ndim != 2 or s.shape[1] != 2 or len(s) == 0:
        raise ShapeError(f"logits have shape {s.shape}; accepted: (N, 2) with N >= 1")
    return s[:, 1] - s[:, 0]


def _columns(d: Array, ops: Ops) -> Array:
    return ops.xp.stack([-d, d], axis=1)


OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "minimax": Minimax,
    "non-saturating": NonSaturating,
    "softmax": SoftmaxTwoClass,
}


def softmax_cross_entropy(s: Array, labels: Array, *, ops: Ops | None = None) -> tuple[Value, Array]:
    """L = -mean_n log softmax(s_n)_(y_n) and ds = (softmax(s) - onehot(y)) / N.    s, ds (N, K)   labels y (N,)

    The labels are whole numbers in 0 ... K-1.  With m = max_k s_k,

        -log softmax(s)_y = log sum_k e^(s_k - m) - (s_y - m):

    no exponential overflows, and the sum is at least 1.
    """
    xp = (ops_of(s) if ops is None else ops).xp
    _require_labels(s, labels)
    n, rows = len(s), xp.arange(len(s))
    shifted = s - real(s).max(axis=1, keepdims=True)
    e = xp.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    value = (xp.log(total[:, 0]) - shifted[rows, labels]).sum() / n
    ds = e / total  # softmax(s)
    ds[rows, labels] -= 1
    return value, ds / n


def _require_labels(s: Array, labels: Array) -> None:
    if s.ndim != 2 or 0 in s.shape:
        raise ShapeError(f"logits have shape {s.shape}; accepted: (N, K) with N, K >= 1")
    if labels.shape != s.shape[:1]:
        raise ShapeError(f"labels have shape {labels.shape}; accepted: {s.shape[:1]}, one for each row of logits")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels are {labels.dtype}; accepted: whole numbers")
    if labels.min() < 0 or labels.max() >= s.shape[1]:
        raise ValueError(f"labels lie in {labels.min()} ... {labels.max()}; accepted: 0 ... {s.shape[1] - 1}")


def accuracy(probability_real: Array, probability_fake: Array) -> float:
    """Return the share of examples on the right side of D = 1/2."""
    right = (real(probability_real) > 0.5).sum() + (real(probability_fake) <= 0.5).sum()
    return float(right) / (len(probability_real) + len(probability_fake))
