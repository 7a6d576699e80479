"""The Wasserstein objective (Arjovsky et al. 2017)."""

from dataclasses import dataclass
from typing import Any

from minigan.losses.protocol import Value
from minigan.losses.separable import Separable, mean_logit
from minigan.ops.protocol import Array, Ops


@dataclass(frozen=True)
class Wasserstein(Separable):
    """D is a critic whose means differ as much as its slope allows   (Arjovsky et al. 2017, eq. 2 and 3, Algorithm 1).

    J_D = d_scale (mean s_fake - mean s_real)
    J_G = -g_scale mean s_fake
    ds_real = -d_scale / N,  ds_fake = d_scale / M;  G: ds_fake = -g_scale / M

    Derivation: W(p, q) = sup E_p s - E_q s over all s with |s(x) - s(y)| <= |x - y| (Kantorovich and Rubinstein), so
    -J_D approaches K W(p, q) if D can have the slope K; dW/dtheta_G = -E_z ds(G(z))/dtheta_G (theorem 3).  The slope
    must be bounded: without a bound J_D has no minimum.  The paper clips D's parameters after each update,
    ``RMSProp(D, lr=5e-5, clip=0.01)``, and updates D five times for each update of G.

    A critic has no probability, and s + constant has the same J_D: `probability` returns sigma(s) for the metrics, of
    which accuracy means little.

    Parameters
    ----------
    d_scale, g_scale : float
        The scales of J_D and of J_G, > 0; 1 as in the paper.
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
    >>> [np.asarray(x).tolist() for x in Wasserstein().discriminator(np.array([3.0]), np.array([1.0, 0.0]))]
    [-2.5, [-1.0], [0.5, 0.5]]

    """

    def _real(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return mean_logit(s, -weight)

    def _fake(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return mean_logit(s, weight)

    def _generated(self, s: Array, weight: Any, ops: Ops) -> tuple[Value, Array]:
        return mean_logit(s, -weight)
