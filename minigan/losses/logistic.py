"""The objectives of Goodfellow et al. 2014: D's cross-entropy, and the two costs of G.

s is a logit, D(x) = sigma(s) = 1 / (1 + e^-s), so that log D = -softplus(-s) and log(1 - D) = -softplus(s).
"""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from minigan._arguments import set_numbers
from minigan._deprecated import renamed_fields
from minigan.losses.protocol import Value
from minigan.losses.separable import Separable, described, factor
from minigan.ops.protocol import Array, Ops

OLD_NAMES = renamed_fields(factor="d_scale", factor_G="g_scale", pooled="mean_over_all")


@dataclass(frozen=True, repr=False)
class _CrossEntropy(Separable):
    """J_D = d_scale (mean softplus(-s_real) + mean softplus(s_fake)).    s_real (N, 1), s_fake (M, 1), or vectors

    With a label alpha < 1 of real examples, mean softplus(-s_real) is replaced by
    mean (alpha softplus(-s_real) + (1 - alpha) softplus(s_real)).
    """

    _: KW_ONLY
    real_label: float = 1.0

    __repr__ = described

    def __post_init__(self) -> None:
        super().__post_init__()
        set_numbers(self, real_label="(0, 1]")

    def _real(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        """Return the cost and -weight sigma(-s) / N, or weight (sigma(s) - alpha) / N."""
        if self.real_label == 1:
            return ops.mean_softplus(s, -1, weight)
        alpha = factor(self.real_label, s)
        (accept, ds_accept), (reject, ds_reject) = (
            ops.mean_softplus(s, -1, weight * alpha), ops.mean_softplus(s, 1, weight * (1 - alpha))
        )  # fmt: skip
        return accept + reject, ds_accept + ds_reject

    def _fake(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return ops.mean_softplus(s, 1, weight)


@OLD_NAMES
@dataclass(frozen=True, repr=False)
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
    real_label : float
        The label alpha of real examples in J_D, in (0, 1]; 1 by default.  0.9 is one-sided label smoothing (Salimans et
        al. 2016, section 3.4): D* = alpha p / (p + q) is never certain.  The label of fakes stays 0.

    Raises
    ------
    ValueError
        If `d_scale` or `g_scale` is not a number > 0, or `real_label` is not in (0, 1].
    ShapeError
        In the methods, if logits are not (N,) or (N, 1).

    Examples
    --------
    >>> import numpy as np
    >>> cost, ds = Minimax().generator(np.zeros((2, 1)))
    >>> round(float(cost), 4), ds.tolist()
    (-0.6931, [[-0.25], [-0.25]])

    """

    def _generated(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        """Return J_G = g_scale mean log(1 - D) and its gradient."""
        return ops.mean_softplus(s, 1, -weight)


@OLD_NAMES
@dataclass(frozen=True, repr=False)
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
    real_label : float
        The label alpha of real examples in J_D, in (0, 1]; 1 by default.  0.9 is one-sided label smoothing (Salimans et
        al. 2016, section 3.4): D* = alpha p / (p + q) is never certain.  The label of fakes stays 0.

    Raises
    ------
    ValueError
        If `d_scale` or `g_scale` is not a number > 0, or `real_label` is not in (0, 1].
    ShapeError
        In the methods, if logits are not (N,) or (N, 1).

    Examples
    --------
    >>> import numpy as np
    >>> cost, ds = NonSaturating().generator(np.zeros((2, 1)))
    >>> round(float(cost), 4), ds.tolist()
    (0.6931, [[-0.25], [-0.25]])

    """

    def _generated(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        """Return J_G = -g_scale mean log D and its gradient."""
        return ops.mean_softplus(s, -1, weight)
