"""RMSProp."""

from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.optimizers.base import Optimizer
from minigan.optimizers.groups import Groups
from minigan.optimizers.values import Schedule


class RMSProp(Optimizer):
    """v <- rho v + (1 - rho) g^2, theta <- theta - lr g / (sqrt(v) + eps)   (Tieleman and Hinton 2012, lecture 6.5).

    v starts at 0, without a bias correction.

    Parameters
    ----------
    net : Network
        The network whose theta is updated.
    lr : float or callable
        The learning rate, >= 0, or a schedule ``lr(t)``; 1e-3 as in Keras.
    rho : float
        The weight of the old v, in [0, 1); 0.9 as in the lecture and in Keras.  PyTorch calls it alpha
        and uses 0.99.
    eps : float
        >= 0, added outside the square root; 1e-8 by default, as in PyTorch.  Keras adds 1e-7 inside: sqrt(v + eps).
    clip : float, optional
        A bound c > 0 of the absolute values of theta after each step (`Optimizer`); None, the default, for none.
    weight_decay : float
        The decoupled weight decay, >= 0 (`Optimizer`); 0, the default, for none.
    clip_norm : float, optional
        A bound c > 0 of the gradient's norm (`Optimizer`); None, the default, for none.
    groups : mapping of str to mapping, optional
        Other values of lr, weight_decay and clip by patterns of parameter names (`Optimizer`); None, the default: the
        same values for all parameters.

    Raises
    ------
    ValueError
        If a hyper-parameter is outside its range or not a number, or a pattern of `groups` matches no parameter.

    """

    def __init__(
        self,
        net: Network,
        *,
        lr: Schedule = 1e-3,
        rho: float = 0.9,
        eps: float = 1e-8,
        clip: float | None = None,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        groups: Groups | None = None,
    ) -> None:
        super().__init__(net, lr=lr, clip=clip, weight_decay=weight_decay, clip_norm=clip_norm, groups=groups)
        self.rho = rho
        self.eps = eps
        self.state = {"v": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array, t: int) -> None:
        for theta_part, g_part, state, lr, decay in self._parts(theta, g, t):
            self.net.ops.rmsprop(theta_part, g_part, state["v"], lr=lr, rho=self.rho, eps=self.eps, decay=decay)
