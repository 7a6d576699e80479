"""The CUDA backend: CuPy arrays and kernels of our own (`kernels/*.cu`), or the same kernels run on the host.

    get_ops("cuda")                       CuPy's current GPU
    get_ops("cuda", device="emulated")    no GPU: kernels through a C++ compiler, arrays in host memory; slow, for tests

Each function replaces one of ``minigan.ops.reference`` for device arrays, float32 or float64.
"""

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from minigan._names import unknown
from minigan.ops.cuda.bias_act import Bias
from minigan.ops.cuda.capture.iterations import Iterations
from minigan.ops.cuda.conv.convolution import Convolution
from minigan.ops.cuda.device.base import PRECISIONS, Device
from minigan.ops.cuda.elementwise import Elementwise
from minigan.ops.cuda.norm_act import Rows
from minigan.ops.cuda.vector import REALS, Flat
from minigan.ops.errors import BackendUnavailable
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array, Rule
from minigan.ops.registry import registered_kernel, registered_rules

__all__ = ["CUDA", "DEVICES", "PRECISIONS"]

DEVICES = ("gpu", "emulated")


@functools.cache
def device_named(name: str) -> Device:
    """The one device of that name: "gpu" or "emulated"."""
    if name == "emulated":
        try:
            from minigan.ops.cuda.device.emulator import EmulatedDevice
        except ModuleNotFoundError as error:
            raise BackendUnavailable(
                f"device='emulated' is a tool for tests that the wheel does not carry ({error}); expected an "
                "installation from the sources: pip install --editable ."
            ) from None

        return EmulatedDevice()
    from minigan.ops.cuda.device.gpu import GPU

    return GPU()


class CUDA:
    """``get_ops("cuda", device=..., precision=..., graphs=...)``.

    device     "gpu" (the default), "emulated", or a `minigan.ops.cuda.device.base.Device`
    precision  of float32's products and convolutions: "fp32" (strict, the default), "tf32" or "bf16": the operands are
               rounded (to 11 or 8 bits), and the sums are float32; all else stays float32
    graphs     whether iterations are captured and replayed as graphs (`minigan.ops.cuda.capture.iterations`)
    """

    name = "cuda"
    one_pass = True
    dtypes = tuple(REALS)

    def __init__(self, *, device: str | Device = "gpu", precision: str = "fp32", graphs: bool = True) -> None:
        if isinstance(device, str) and device not in DEVICES:
            raise ValueError(unknown("device", device, DEVICES))
        if not isinstance(device, (str, Device)):
            raise TypeError(f"device is {device!r}; accepted: {', '.join(map(repr, DEVICES))}, or a Device")
        if precision not in PRECISIONS:
            raise ValueError(unknown("precision", precision, PRECISIONS))
        if not isinstance(graphs, bool):
            raise ValueError(f"graphs must be True or False, got {graphs!r}")
        self.device = device_named(device) if isinstance(device, str) else device
        self.precision, self.graphs = precision, graphs
        self.rows, self.flat = Rows(self.device), Flat(self.device)
        self.elementwise, self.bias = Elementwise(self.device), Bias(self.device, self.rows)
        self.convolution = Convolution(self.device, precision)
        self.iterations = Iterations(self, enabled=graphs)

    def __repr__(self) -> str:
        return f"CUDA(device={self.device!r}, precision={self.precision!r}, graphs={self.graphs})"

    @property
    def rules(self) -> Sequence[Rule]:
        """Which neighbouring layers run as one: the registered rules, then those of `minigan.ops.cuda.rules`."""
        return (*registered_rules(self.name), *importlib.import_module("minigan.ops.cuda.rules").RULES)

    def kernel(self, name: str) -> Callable[..., Any]:
        """Return the registered kernel of that name for this backend."""
        return registered_kernel(name, self)

    def engine(self) -> dict[str, Any]:
        """Return the device, the precision, and whether iterations are captured."""
        return {"device": repr(self.device), "precision": self.precision, "graphs": self.graphs}

    @property
    def xp(self) -> Any:
        """The array module."""
        return self.device.xp

    def session(self) -> AbstractContextManager[Any]:
        """All that is done in the block is done on the device's stream."""
        return self.device.session()

    def play(
        self, schedule: Callable[..., Any], game: Any, draws: Mapping[str, Callable[[], Any]], counts: Mapping[str, Any]
    ) -> Any:
        """Play an iteration, as a graph where it can be captured; arrays that it returns are the graph's."""
        return self.iterations.play(schedule, game, draws, counts)

    def affine(self, x: Array, W: Array, b: Array | None = None) -> Array:
        """y = x W + b.    x (N, I)   W (I, O)   b (O,)   y (N, O)"""
        x, W = self._alike(x, W)
        y = self.xp.empty((len(x), W.shape[1]), dtype=x.dtype)
        if b is not None:
            y[...] = b
        self._product(x, W, y, 0.0 if b is None else 1.0)
        return y

    def add_product(self, x: Array, y: Array, out: Array) -> None:
        """Out <- out + x^T y.    x (N, I)   y (N, O)   out (I, O)"""
        x, y = self._alike(x, y)
        if out.dtype == x.dtype and out.flags.c_contiguous:
            self._product(x.T, y, out, 1.0)
        else:
            product = self.xp.empty(out.shape, dtype=x.dtype)
            self._product(x.T, y, product, 0.0)
            out += product.astype(out.dtype)

    def _product(self, a: Array, b: Array, out: Array, beta: float) -> None:
        """Out <- a b + beta out; an operand whose transpose is contiguous is given as that."""
        turned = [not m.flags.c_contiguous and m.T.flags.c_contiguous for m in (a, b)]
        a, b = (self.xp.ascontiguousarray(m.T if t else m) for m, t in zip((a, b), turned, strict=True))
        self.device.gemm(a, b, out, transpose_a=turned[0], transpose_b=turned[1], beta=beta, precision=self.precision)

    def _alike(self, x: Array, y: Array) -> tuple[Array, Array]:
        dtype = np.result_type(x.dtype, y.dtype)
        if dtype not in REALS:
            raise TypeError(f"a product of {dtype}; accepted on the CUDA backend: float32, float64")
        return x.astype(dtype, copy=False), y.astype(dtype, copy=False)

    def correlate(self, x: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """The correlation of large images x with W, + b: small images."""
        return self.convolution.correlate(x, W, geometry, b)

    def correlate_adjoint(self, y: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """Its adjoint in x: from small images y to large ones, + b."""
        return self.convolution.correlate_adjoint(y, W, geometry, b)

    def correlate_weights(self, x: Array, y: Array, geometry: Geometry) -> Array:
        """Its adjoint in W: the gradient of <y, correlate(x, W)>."""
        return self.convolution.correlate_weights(x, y, geometry)

    def sum_rows(self, x: Array) -> Array:
        """Sum over all axes but the last."""
        return self.rows.sum_rows(x)

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Mean and biased variance over all axes but the last."""
        return self.rows.moments(x)

    def dropout(self, x: Array, rate: float, key: int) -> Array:
        """x times a mask that the key decides."""
        return self.rows.dropout(x, rate, key)

    def relu(self, x: Array) -> Array:
        """max(x, 0)."""
        return self.elementwise.relu(x)

    def relu_backward(self, dy: Array, y: Array) -> Array:
        """0 where y <= 0, else dy."""
        return self.elementwise.relu_backward(dy, y)

    def sigmoid(self, x: Array) -> Array:
        """1 / (1 + exp(-x))."""
        return self.elementwise.sigmoid(x)

    def softplus(self, x: Array) -> Array:
        """log(1 + exp(x))."""
        return self.elementwise.softplus(x)

    def softplus_sigmoid(self, x: Array) -> tuple[Array, Array]:
        """log(1 + exp(x)) and its derivative."""
        return self.elementwise.softplus_sigmoid(x)

    def mean_softplus(self, s: Array, sign: int, weight: float) -> tuple[Any, Array]:
        """weight mean softplus(sign s) and its gradient; the host does not wait for the value."""
        return self.elementwise.mean_softplus(s, sign, weight)

    def zero_vector(self, size: int, dtype: Any) -> Array:
        """A vector of zeros."""
        return self.flat.zero_vector(size, dtype)

    def finite(self, x: Array) -> bool:
        """Whether no number of x is infinite or NaN; the host waits for the answer."""
        return self.flat.finite(x)

    def copy(self, target: Array, source: Array) -> None:
        """target = source, in place."""
        self.flat.copy(target, source)

    def adam(
        self, theta: Array, g: Array, m: Array, v: Array, t: int, *, lr: float, beta1: float, beta2: float, eps: float
    ) -> None:
        """One update of Adam, in place."""
        self.flat.adam(theta, g, m, v, t, lr=lr, beta1=beta1, beta2=beta2, eps=eps)

    def rmsprop(self, theta: Array, g: Array, v: Array, *, lr: float, rho: float, eps: float) -> None:
        """One update of RMSProp, in place."""
        self.flat.rmsprop(theta, g, v, lr=lr, rho=rho, eps=eps)

    def momentum(self, theta: Array, g: Array, u: Array, *, lr: float, momentum: float, nesterov: bool) -> None:
        """One update of gradient descent with momentum, in place."""
        self.flat.momentum(theta, g, u, lr=lr, momentum=momentum, nesterov=nesterov)
