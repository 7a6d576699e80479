"""The hinge objective (Lim and Ye 2017)."""

from dataclasses import dataclass
from typing import Any

from minigan.losses.protocol import Value
from minigan.losses.separable import Separable, filled, mean_logit, mean_of
from minigan.ops.protocol import Array, Ops


@dataclass(frozen=True)
class Hinge(Separable):
    """D separates by a margin   (Lim and Ye 2017, section 3; Miyato et al. 2018, eq. 16 and 17).

    J_D = d_scale (mean max(0, 1 - s_real) + mean max(0, 1 + s_fake))
    J_G = -g_scale mean s_fake
    ds_real = -d_scale [s_real < 1] / N,  ds_fake = d_scale [s_fake > -1] / M;  G: ds_fake = -g_scale / M

    Examples on the right side of the margin have no gradient: D learns from the others alone.  For fixed G the cost at
    x is p (1 - s) + q (1 + s) on -1 <= s <= 1 and larger outside, so s* = 1 where p > q, -1 where p < q, and any number
    between them where p = q.  D has no probability then; `probability` returns sigma(s), which is above 1/2 for s > 0.

    Parameters
    ----------
    d_scale, g_scale : float
        The scales of J_D and of J_G, > 0; 1 as in the papers.
    mean_over_all : bool
        Whether each mean of J_D is 2 / (N + M) times the sum, as in one labelled batch; False by default.

    Raises
    ------
    ValueError
        If a scale is not a number > 0.
    ShapeError
        In the methods, if logits are not (N,) or (N, 1).

    Examples
    --------
    >>> import numpy as np
    >>> s_real, s_fake = np.array([[2.0], [0.5]]), np.array([[-3.0], [0.0]])
    >>> [np.asarray(x).tolist() for x in Hinge().discriminator(s_real, s_fake)]
    [0.75, [[0.0], [-0.5]], [[0.0], [0.5]]]

    """

    def _real(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return _hinge(s, -1, weight, ops)

    def _fake(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return _hinge(s, 1, weight, ops)

    def _generated(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return mean_logit(s, -weight)


def _hinge(s: Array, sign: int, weight: Any, ops: Ops) -> tuple[Value, Array]:
    """Return weight mean max(0, 1 + sign s) and its gradient."""
    cost = ops.relu(1 + sign * s)
    return mean_of(cost, ops.relu_backward(filled(sign, s), cost), weight)
