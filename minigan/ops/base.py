"""The base class of the fast backends: functions that they pass on to their parts.

A backend sets `norm_act` (norm, activation and dropout over rows) and `flat` (vectors of parameters); the functions
here are those of `minigan.ops.protocol.Ops` that need nothing else.
"""

from collections.abc import Callable
from typing import Any

from minigan.ops.protocol import Array
from minigan.ops.registry import registered_kernel


class BackendBase:
    """The functions of a backend that its parts compute.

    Attributes
    ----------
    name : str
        The backend's name, under which kernels are registered.
    norm_act : NormActivation
        The backend's passes over rows: `minigan.ops.cpu.norm_act` or `minigan.ops.cuda.norm_act`.
    flat : Flat
        The backend's functions of vectors: `minigan.ops.cpu.vector` or `minigan.ops.cuda.vector`.

    """

    name: str
    norm_act: Any
    flat: Any

    def kernel(self, name: str) -> Callable[..., Any]:
        """Return this backend's implementation of a registered kernel.

        Parameters
        ----------
        name : str
            The name given to `minigan.ops.register_kernel`.

        Returns
        -------
        callable
            The function, called without the backend as its first argument.

        """
        return registered_kernel(name, self)

    def sum_rows(self, x: Array) -> Array:
        """Sum over all axes but the last."""
        return self.norm_act.sum_rows(x)

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Mean and biased variance over all axes but the last."""
        return self.norm_act.moments(x)

    def dropout(self, x: Array, rate: float, key: int) -> Array:
        """Multiply x by the dropout mask determined by `key`."""
        return self.norm_act.dropout(x, rate, key)

    def empty_vector(self, size: int, dtype: Any) -> Array:
        """Return an uninitialised vector (size,)."""
        return self.norm_act.empty((size,), dtype)

    def zero_vector(self, size: int, dtype: Any) -> Array:
        """A vector of zeros."""
        return self.flat.zero_vector(size, dtype)

    def finite(self, x: Array) -> bool:
        """Return whether all numbers of x are finite."""
        return self.flat.finite(x)

    def copy(self, target: Array, source: Array) -> None:
        """Copy `source` into `target`."""
        self.flat.copy(target, source)

    def clip_norm(self, g: Array, max_norm: float) -> Array:
        """Return g scaled down to a norm of at most `max_norm`."""
        return self.flat.clip_norm(g, max_norm)

    def adam(
        self, theta: Array, g: Array, m: Array, v: Array, t: int, *,
        lr: float, beta1: float, beta2: float, eps: float, decay: float = 0.0,
    ) -> None:  # fmt: skip
        """One update of Adam, in place."""
        self.flat.adam(theta, g, m, v, t, lr=lr, beta1=beta1, beta2=beta2, eps=eps, decay=decay)

    def rmsprop(
        self, theta: Array, g: Array, v: Array, *, lr: float, rho: float, eps: float, decay: float = 0.0
    ) -> None:
        """One update of RMSProp, in place."""
        self.flat.rmsprop(theta, g, v, lr=lr, rho=rho, eps=eps, decay=decay)

    def momentum(
        self, theta: Array, g: Array, u: Array, *, lr: float, momentum: float, nesterov: bool, decay: float = 0.0
    ) -> None:
        """One update of gradient descent with momentum, in place."""
        self.flat.momentum(theta, g, u, lr=lr, momentum=momentum, nesterov=nesterov, decay=decay)
