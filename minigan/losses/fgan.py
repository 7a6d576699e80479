"""The f-GAN objectives: one for each f-divergence (Nowozin et al. 2016).

    D_f(p, q) = E_q f(p / q) = max_T E_p T - E_q f*(T),    T* = f'(p / q),    f*(t) = sup_u (u t - f(u))

D returns any number s, and T = g_f(s) is in the domain of f*: g_f is the output activation, increasing, so that a
larger s means "real".  -g_f(s) and f*(g_f(s)) are computed as one expression in s each, without the logarithm of an
exponential.
"""

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from minigan._names import unknown
from minigan.losses.protocol import Value
from minigan.losses.separable import Separable, filled, mean_of
from minigan.ops import ops_of
from minigan.ops.protocol import Array, Ops

Cost = Callable[[Array, Ops], tuple[Array, Array]]
"""A cost of each logit, and its derivative."""


@dataclass(frozen=True)
class Divergence:
    """An f-divergence as functions of D's logit.

    Attributes
    ----------
    real : callable
        ``real(s, ops)`` returns -g_f(s) and -g_f'(s).
    fake : callable
        ``fake(s, ops)`` returns f*(g_f(s)) and its derivative in s.
    probability : callable
        ``probability(s, ops)`` returns r / (1 + r) with the ratio r = p / q = f*'(g_f(s)) that D estimates.

    """

    real: Cost
    fake: Cost
    probability: Callable[[Array, Ops], Array]


def _exponential(s: Array, ops: Ops) -> tuple[Array, Array]:
    e = ops.xp.exp(s)
    return e, e


def _shifted(s: Array, ops: Ops) -> tuple[Array, Array]:
    """Return e^s - 1 and e^s."""
    return ops.xp.expm1(s), ops.xp.exp(s)


def _softplus(s: Array, ops: Ops) -> tuple[Array, Array]:
    """Return softplus(s) and sigma(s)."""
    return ops.softplus_sigmoid(s)


def _softplus_less_log_2(s: Array, ops: Ops) -> tuple[Array, Array]:
    """Return softplus(s) - log 2 and sigma(s)."""
    cost, derivative = ops.softplus_sigmoid(s)
    return cost - (ops.xp.log(filled(2, s)) if s.dtype.kind == "O" else math.log(2)), derivative


def _of_minus(cost: Cost) -> Cost:
    """Return s -> cost(-s)."""

    def reflected(s: Array, ops: Ops) -> tuple[Array, Array]:
        value, derivative = cost(-s, ops)
        return value, -derivative

    return reflected


def _linear(sign: int, shift: int) -> Cost:
    """Return s -> sign s + shift."""
    return lambda s, ops: (sign * s + shift, filled(sign, s))


def _neyman_fake(s: Array, ops: Ops) -> tuple[Array, Array]:
    """Return 2 - 2 e^(-s/2) and e^(-s/2)."""
    return -2 * ops.xp.expm1(-s / 2), ops.xp.exp(-s / 2)


def _pearson_probability(s: Array, ops: Ops) -> Array:
    """Return r / (1 + r) = 1 - 1 / (1 + r) with r = max(0, s / 2 + 1)."""
    return 1 - 1 / (1 + ops.relu(s / 2 + 1))


DIVERGENCES: dict[str, Divergence] = {
    "kl": Divergence(
        _linear(-1, 0), lambda s, ops: _exponential(s - 1, ops), lambda s, ops: ops.sigmoid(s - 1)
    ),
    "reverse-kl": Divergence(_of_minus(_exponential), _linear(1, -1), lambda s, ops: ops.sigmoid(s)),
    "pearson": Divergence(_linear(-1, 0), lambda s, ops: (s * s / 4 + s, s / 2 + 1), _pearson_probability),
    "neyman": Divergence(_of_minus(_shifted), _neyman_fake, lambda s, ops: ops.sigmoid(s / 2)),
    "hellinger": Divergence(_of_minus(_shifted), _shifted, lambda s, ops: ops.sigmoid(2 * s)),
    "js": Divergence(_of_minus(_softplus_less_log_2), _softplus_less_log_2, lambda s, ops: ops.sigmoid(s)),
    "gan": Divergence(_of_minus(_softplus), _softplus, lambda s, ops: ops.sigmoid(s)),
}  # fmt: skip
"""The divergences by name."""


@dataclass(frozen=True)
class FGAN(Separable):
    """D estimates an f-divergence, which G minimises   (Nowozin et al. 2016, eq. 4, 5 and 7, tables 2 and 6).

    J_D = -d_scale (mean g_f(s_real) - mean f*(g_f(s_fake)))
    J_G = -g_scale mean f*(g_f(s_fake)), or with `non_saturating` -g_scale mean g_f(s_fake)   (section 3.2)
    ds_real = -d_scale g_f'(s_real) / N,  ds_fake = d_scale h'(s_fake) / M with h(s) = f*(g_f(s));
    G: ds_fake = -g_scale h'(s_fake) / M, or -g_scale g_f'(s_fake) / M

    For fixed G the derivative of p T - q f*(T) in T is 0 where f*'(T) = p / q, that is at T* = f'(p / q), as f*' is the
    inverse of f'; there -J_D is D_f(p, q), for d_scale = 1.  p = q at T = f'(1), where D* decides.

    ============  ==========================  ===============  ====================  ========  ================
    divergence    f(u)                        g_f(s)           f*(t)                 f'(1)     f*(g_f(s))
    ============  ==========================  ===============  ====================  ========  ================
    kl            u log u                     s                e^(t - 1)             1         e^(s - 1)
    reverse-kl    -log u                      -e^-s            -1 - log(-t)          -1        s - 1
    pearson       (u - 1)^2                   s                t^2 / 4 + t           0         s^2 / 4 + s
    neyman        (1 - u)^2 / u               1 - e^-s         2 - 2 sqrt(1 - t)     0         2 - 2 e^(-s/2)
    hellinger     (sqrt(u) - 1)^2             1 - e^-s         t / (1 - t)           0         e^s - 1
    js            u log u                     log 2            -log(2 - e^t)         0         softplus(s)
                  - (u + 1) log((u + 1) / 2)  - softplus(-s)                                   - log 2
    gan           u log u                     -softplus(-s)    -log(1 - e^t)         -log 2    softplus(s)
                  - (u + 1) log(u + 1)
    ============  ==========================  ===============  ====================  ========  ================

    "gan" is `Minimax` (with `non_saturating`, `NonSaturating`); "js" has the same gradients, as its costs differ from
    those by log 2.  The costs of "kl", "reverse-kl", "neyman" and "hellinger" are exponential in s, so they overflow to
    infinity for large |s|: in float32 for |s| > 88.

    Parameters
    ----------
    divergence : str
        "kl" (the default, Kullback-Leibler of the data from G), "reverse-kl", "pearson", "neyman", "hellinger"
        (squared), "js" (Jensen-Shannon, 2 JSD) or "gan" (2 JSD - log 4).
    non_saturating : bool
        Whether G maximises E g_f(s_fake), whose gradient does not vanish for fakes that D rejects; False by default, as
        in the saddle-point problem (eq. 5).
    d_scale, g_scale : float
        The scales of J_D and of J_G, > 0; 1 as in the paper.
    mean_over_all : bool
        Whether each mean of J_D is 2 / (N + M) times the sum, as in one labelled batch; False by default.

    Raises
    ------
    ValueError
        If the divergence is unknown, or a scale is not a number > 0.
    ShapeError
        In the methods, if logits are not (N,) or (N, 1).

    Examples
    --------
    >>> import numpy as np
    >>> [np.asarray(x).tolist() for x in FGAN("pearson").discriminator(np.array([2.0]), np.array([-2.0]))]
    [-3.0, [-1.0], [0.0]]

    """

    divergence: str = "kl"
    _: KW_ONLY
    non_saturating: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.divergence not in DIVERGENCES:
            raise ValueError(unknown("divergence", self.divergence, DIVERGENCES))

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Value, Array, Array]:
        """Return J_D, ds_real and ds_fake; a cost that overflows is infinite, and the sum of two opposite ones NaN."""
        with np.errstate(over="ignore", invalid="ignore"):  # which is reported as a divergence of the run
            return super().discriminator(s_real, s_fake, ops=ops)

    def probability(self, s: Array, *, ops: Ops | None = None) -> Array:
        """Return r / (1 + r) with the ratio r = f*'(g_f(s)) that D estimates: at the optimum p / (p + q)."""
        ops = ops_of(s) if ops is None else ops
        return DIVERGENCES[self.divergence].probability(s, ops).reshape(-1)

    def _real(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return _mean(DIVERGENCES[self.divergence].real, s, weight, ops)

    def _fake(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return _mean(DIVERGENCES[self.divergence].fake, s, weight, ops)

    def _generated(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        if self.non_saturating:
            return self._real(s, weight, ops)
        return self._fake(s, -weight, ops)


def _mean(cost: Cost, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
    with np.errstate(over="ignore"):
        return mean_of(*cost(s, ops), weight)
