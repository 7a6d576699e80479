"""Gradient descent, with momentum."""

from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.optimizers.base import Optimizer
from minigan.optimizers.groups import Groups
from minigan.optimizers.values import DECAY_INTERVAL, Schedule


class SGD(Optimizer):
    """Gradient descent, u <- momentum u - lr g, theta <- theta + u.

    Parameters
    ----------
    net : Network
        The network whose theta is updated.
    lr : float or callable
        The learning rate, >= 0, or a schedule ``lr(t)``.
    momentum : float or callable
        The weight of the last step u, in [0, 1), or a schedule; 0, the default, is plain gradient descent.
    nesterov : bool
        Whether to use theta <- theta + momentum u - lr g: Nesterov's method (Sutskever et al. 2013, eq. 3-4) with theta
        at the look-ahead point, as in Keras.  False by default.
    clip : float, optional
        A bound c > 0 of the absolute values of theta after each step (`Optimizer`); None, the default, for none.
    weight_decay : float
        The decoupled weight decay, >= 0 (`Optimizer`); 0, the default, for none.  PyTorch's SGD adds w theta to
        the gradient, which is the same without momentum.
    clip_norm : float, optional
        A bound c > 0 of the gradient's norm (`Optimizer`); None, the default, for none.
    groups : mapping of str to mapping, optional
        Other values of lr, weight_decay and clip by patterns of parameter names (`Optimizer`); None, the default: the
        same values for all parameters.

    Raises
    ------
    ValueError
        If a hyper-parameter is outside its range or not a number, or a pattern of `groups` matches no parameter.
    TypeError
        If `nesterov` is not True or False.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> net = mg.Network([mg.Dense(1, 1, weight_init=mg.Zeros())], rng=np.random.default_rng(0))
    >>> SGD(net, lr=0.5).step(np.array([1, -2], "float32"))
    >>> net.theta
    array([-0.5,  1. ], dtype=float32)

    A gradient of norm 5 is clipped to norm 1, and the bias is frozen:

    >>> SGD(net, lr=0.5, clip_norm=1.0, groups={"*.b": {"lr": 0.0}}).step(np.array([3, -4], "float32"))
    >>> net.theta
    array([-0.8,  1. ], dtype=float32)

    """

    def __init__(
        self,
        net: Network,
        *,
        lr: Schedule,
        momentum: Schedule = 0.0,
        nesterov: bool = False,
        clip: float | None = None,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        groups: Groups | None = None,
    ) -> None:
        super().__init__(net, lr=lr, clip=clip, weight_decay=weight_decay, clip_norm=clip_norm, groups=groups)
        self.momentum: Schedule = momentum
        self.nesterov = nesterov
        self.state = {"u": net.zeros_like_theta()}

    def _update(self, theta: Array, g: Array, t: int) -> None:
        parts = self._parts(theta, g, t)
        momentum = self._at(t, "momentum", self.momentum, DECAY_INTERVAL)
        for theta_part, g_part, state, lr, decay in parts:
            self.net.ops.momentum(
                theta_part, g_part, state["u"], lr=lr, momentum=momentum, nesterov=self.nesterov, decay=decay
            )
