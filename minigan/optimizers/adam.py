"""Adam, and with weight decay AdamW."""

from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.optimizers.base import Optimizer
from minigan.optimizers.groups import Groups
from minigan.optimizers.values import Schedule


class Adam(Optimizer):
    """Algorithm 1 of Kingma and Ba 2015.  Both moments are bias-corrected, and eps is added outside the square root.

    m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,
    theta <- theta - lr m_hat / (sqrt(v_hat) + eps),  m_hat = m / (1 - beta1^t),  v_hat = v / (1 - beta2^t).

    The bias corrections are computed in float64, so that in float32 a step from given m and v has a relative error of
    at most 1e-6, even at t = 10^7.  m and v have the network's dtype: in float32, a relative change of v below 6e-8
    (half a unit in the last place) is lost.  Use float64 for beta2 > 1 - 1e-6.

    Parameters
    ----------
    net : Network
        The network whose theta is updated.
    lr : float or callable
        The learning rate, >= 0, or a schedule ``lr(t)``; 1e-3 as in the paper.  GANs often use 2e-4.
    beta1, beta2 : float
        The weights of the old m and v, in [0, 1); 0.9 and 0.999 as in the paper.  DCGAN uses beta1 = 0.5.
    eps : float
        >= 0, added outside the square root; 1e-8 as in the paper and in PyTorch.  Keras uses 1e-7.
    clip : float, optional
        A bound c > 0 of the absolute values of theta after each step (`Optimizer`); None, the default, for none.
    weight_decay : float
        The decoupled weight decay, >= 0 (`Optimizer`); 0, the default, for none.  With
        ``weight_decay=0.01`` Adam is PyTorch's AdamW with its defaults.
    clip_norm : float, optional
        A bound c > 0 of the gradient's norm (`Optimizer`); None, the default, for none.
    groups : mapping of str to mapping, optional
        Other values of lr, weight_decay and clip by patterns of parameter names (`Optimizer`); None, the default: the
        same values for all parameters.

    Raises
    ------
    ValueError
        If a hyper-parameter is outside its range or not a number, or a pattern of `groups` matches no parameter.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> net = mg.Network([mg.Dense(2, 1)], rng=np.random.default_rng(0))
    >>> Adam(net, lr=2e-4, beta1=0.5)
    Adam(lr=0.0002, beta1=0.5, beta2=0.999, eps=1e-08, t=0, parameters=3)

    AdamW, without decay of the biases:

    >>> Adam(net, lr=1e-3, weight_decay=1e-2, groups={"*.b": {"weight_decay": 0.0}}).groups["*.b"]["weight_decay"]
    0.0
    >>> Adam(net, groups={"*.bias": {"lr": 0.0}})
    Traceback (most recent call last):
    ValueError: groups: '*.bias' matches no parameter (did you mean '*.b'?); the parameters are 0.W, 0.b

    """

    def __init__(
        self,
        net: Network,
        *,
        lr: Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        clip: float | None = None,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        groups: Groups | None = None,
    ) -> None:
        super().__init__(net, lr=lr, clip=clip, weight_decay=weight_decay, clip_norm=clip_norm, groups=groups)
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.state = {"m": net.zeros_like_theta(), "v": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array, t: int) -> None:
        for theta_part, g_part, state, lr, decay in self._parts(theta, g, t):
            self.net.ops.adam(
                theta_part, g_part, state["m"], state["v"], t,
                lr=lr, beta1=self.beta1, beta2=self.beta2, eps=self.eps, decay=decay,
            )  # fmt: skip
