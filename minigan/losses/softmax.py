"""The objective of a D with two softmax outputs."""

from dataclasses import KW_ONLY, dataclass

from minigan._arguments import set_numbers
from minigan.layers.base import ShapeError
from minigan.losses.logistic import OLD_NAMES, NonSaturating
from minigan.losses.protocol import Value
from minigan.losses.separable import described
from minigan.ops import ops_of
from minigan.ops.protocol import Array, Ops


@OLD_NAMES
@dataclass(frozen=True, repr=False)
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
    real_label : float
        The label alpha of real examples in J_D, in (0, 1]; 1 by default.  0.9 is one-sided label smoothing (Salimans et
        al. 2016, section 3.4): D* = alpha p / (p + q) is never certain.  The label of fakes stays 0.

    Raises
    ------
    ValueError
        If `d_scale` or `g_scale` is not a number > 0, or `real_label` is not in (0, 1].
    ShapeError
        In the methods, if logits are not (N, 2).

    """

    _: KW_ONLY
    d_scale: float = 0.5
    g_scale: float = 1.0
    mean_over_all: bool = False
    real_label: float = 1.0

    __repr__ = described

    def __post_init__(self) -> None:
        set_numbers(self, d_scale="(0, inf)", g_scale="(0, inf)", real_label="(0, 1]")

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
        return NonSaturating(
            d_scale=self.d_scale, g_scale=self.g_scale, mean_over_all=self.mean_over_all, real_label=self.real_label
        )


def _difference(s: Array) -> Array:
    """Return s_1 - s_0 (N,); raise ShapeError unless s is (N, 2)."""
    if s.ndim != 2 or s.shape[1] != 2 or len(s) == 0:
        raise ShapeError(f"logits have shape {s.shape}; expected (N, 2) with N >= 1")
    return s[:, 1] - s[:, 0]


def _columns(d: Array, ops: Ops) -> Array:
    """Return the gradient ds (N, 2) for the gradient d (N,) of s_1 - s_0."""
    return ops.xp.stack([-d, d], axis=1)
