"""The CUDA backend: CuPy arrays and this library's kernels (`kernels/*.cu`), or the same kernels run on the host.

    get_ops("cuda")                       CuPy's current GPU
    get_ops("cuda", device="emulated")    no GPU: kernels compiled as C++, arrays in host memory; slow, for tests

Each function replaces one of ``minigan.ops.reference`` for device arrays, float32 or float64.
"""

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from minigan._names import unknown
from minigan.ops.base import BackendBase
from minigan.ops.cuda.bias_act import BiasActivation
from minigan.ops.cuda.capture.iterations import Iterations
from minigan.ops.cuda.conv.convolution import Convolution
from minigan.ops.cuda.device.base import PRECISIONS, Device
from minigan.ops.cuda.elementwise import Elementwise
from minigan.ops.cuda.norm_act import NormActivation
from minigan.ops.cuda.vector import REALS, Flat
from minigan.ops.errors import BackendUnavailable
from minigan.ops.geometry import Geometry
from minigan.ops.protocol import Array, Rule
from minigan.ops.registry import registered_rules

__all__ = ["CUDA", "DEVICES", "PRECISIONS"]

DEVICES = ("gpu", "emulated")


@functools.cache
def device_named(name: str) -> Device:
    """Return the device of that name.

    Parameters
    ----------
    name : str
        "gpu" or "emulated".

    Returns
    -------
    Device
        The device, the same one at each call.

    Raises
    ------
    BackendUnavailable
        If the device cannot be used here.

    """
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


class CUDA(BackendBase):
    """The backend of ``get_ops("cuda", device=..., precision=..., graphs=...)``.

    Parameters
    ----------
    device : str or minigan.ops.cuda.device.base.Device
        "gpu" (CuPy's current device), "emulated" (for tests without a GPU), or a device.
    precision : str
        The precision of float32 products and convolutions.  "fp32", the default, rounds nothing; "tf32" and "bf16"
        round the operands to 11 and 8 bits and add in float32.  Everything else stays float32, and float64 is never
        rounded.
    graphs : bool
        Whether to capture iterations and replay them as graphs (`minigan.ops.cuda.capture.iterations`), which gives
        the same numbers with fewer calls from Python.

    Raises
    ------
    ValueError
        If `device`, `precision` or `graphs` is none of these values.
    TypeError
        If `device` is neither a string nor a Device.
    BackendUnavailable
        If the device cannot be used here.

    """

    name = "cuda"
    one_pass = True
    dtypes = tuple(REALS)

    def __init__(self, *, device: str | Device = "gpu", precision: str = "fp32", graphs: bool = True) -> None:
        if isinstance(device, str) and device not in DEVICES:
            raise ValueError(unknown("device", device, DEVICES))
        if not isinstance(device, (str, Device)):
            raise TypeError(f"device is {device!r}; expected {', '.join(map(repr, DEVICES))}, or a Device")
        if precision not in PRECISIONS:
            raise ValueError(unknown("precision", precision, PRECISIONS))
        if not isinstance(graphs, bool):
            raise ValueError(f"graphs must be True or False, got {graphs!r}")
        self.device = device_named(device) if isinstance(device, str) else device
        self.precision, self.graphs = precision, graphs
        self.norm_act, self.flat = NormActivation(self.device), Flat(self.device)
        self.elementwise, self.bias_act = Elementwise(self.device), BiasActivation(self.device, self.norm_act)
        self.convolution = Convolution(self.device, precision)
        self.iterations = Iterations(self, enabled=graphs)

    def __repr__(self) -> str:
        return f"CUDA(device={self.device!r}, precision={self.precision!r}, graphs={self.graphs})"

    @property
    def rules(self) -> Sequence[Rule]:
        """The rules for fusing neighbouring layers: the registered ones, then those of `minigan.ops.cuda.rules`."""
        return (*registered_rules(self.name), *importlib.import_module("minigan.ops.cuda.rules").RULES)

    def engine(self) -> dict[str, Any]:
        """Return the settings that results and speed depend on.

        Returns
        -------
        dict
            "device", "precision" and "graphs" (whether iterations are captured).

        """
        return {"device": repr(self.device), "precision": self.precision, "graphs": self.graphs}

    @property
    def xp(self) -> Any:
        """The array module."""
        return self.device.xp

    def session(self) -> AbstractContextManager[Any]:
        """Return a context that runs its block on the device's stream."""
        return self.device.session()

    def play(
        self, schedule: Callable[..., Any], game: Any, draws: Mapping[str, Callable[[], Any]], counts: Mapping[str, Any]
    ) -> Any:
        """Run one iteration, as a graph if it can be captured.

        Parameters
        ----------
        schedule : callable
            The update schedule, called as ``schedule(game, **draws, **counts)``.
        game : Game
            The game to be played.
        draws : mapping of str to callable
            Functions without arguments that return the next batch.
        counts : mapping of str to object
            Further arguments of `schedule`.

        Returns
        -------
        object
            The result of `schedule`.  The next iteration overwrites its arrays.

        """
        return self.iterations.play(schedule, game, draws, counts)

    def affine(self, x: Array, W: Array, b: Array | None = None) -> Array:
        """y = x W + b.    x (N, I)   W (I, O)   b (O,)   y (N, O)

        Operands of different dtypes are multiplied in the wider one; TypeError unless it is float32 or float64.
        """
        x, W = self._same_dtype(x, W)
        y = self.xp.empty((len(x), W.shape[1]), dtype=x.dtype)
        if b is not None:
            y[...] = b
        self._product(x, W, y, 0.0 if b is None else 1.0)
        return y

    def add_product(self, x: Array, y: Array, out: Array, *, overwrite: bool = False) -> None:
        """Add x^T y to out, or with `overwrite` write it there.    x (N, I)   y (N, O)   out (I, O)"""
        x, y = self._same_dtype(x, y)
        if out.dtype == x.dtype and out.flags.c_contiguous:
            self._product(x.T, y, out, 0.0 if overwrite else 1.0)
        else:
            product = self.xp.empty(out.shape, dtype=x.dtype)
            self._product(x.T, y, product, 0.0)
            if overwrite:
                out[...] = 0
            out += product.astype(out.dtype)

    def _product(self, a: Array, b: Array, out: Array, beta: float) -> None:
        """Compute out <- a b + beta out; an operand whose transpose is contiguous is passed as its transpose."""
        transpose_a, transpose_b = (not m.flags.c_contiguous and m.T.flags.c_contiguous for m in (a, b))
        a = self.xp.ascontiguousarray(a.T if transpose_a else a)
        b = self.xp.ascontiguousarray(b.T if transpose_b else b)
        self.device.gemm(
            a, b, out, transpose_a=transpose_a, transpose_b=transpose_b, beta=beta, precision=self.precision
        )

    def _same_dtype(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return both in the dtype of their product, float32 or float64."""
        dtype = np.result_type(x.dtype, y.dtype)
        if dtype not in REALS:
            raise TypeError(f"x and y have dtypes {x.dtype} and {y.dtype}; expected float32 or float64")
        return x.astype(dtype, copy=False), y.astype(dtype, copy=False)

    def correlate(self, x: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """Correlate the large images x with W and add b; return small images."""
        return self.convolution.correlate(x, W, geometry, b)

    def correlate_adjoint(self, y: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """Apply the adjoint of `correlate` in x to small images y and add b; return large images."""
        return self.convolution.correlate_adjoint(y, W, geometry, b)

    def correlate_weights(self, x: Array, y: Array, geometry: Geometry) -> Array:
        """Return the gradient of <y, correlate(x, W)> in W."""
        return self.convolution.correlate_weights(x, y, geometry)

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
        """weight mean softplus(sign s) and its gradient in s; the host does not wait for the value."""
        return self.elementwise.mean_softplus(s, sign, weight)
