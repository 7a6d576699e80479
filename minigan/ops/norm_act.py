"""The parameters of a stage of dropout, activation and batch norm over a matrix (M, C); see `minigan.fusion.norm_act`.

    u = f0(mask0 x)        v = (u - mu) scale + beta        y = mask1 f1(v)          each part may be absent

The mask `pre` holds f0 and mask0, the mask `post` holds f1 and mask1.  Every backend with such stages takes them in
these classes.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from minigan.ops import reference
from minigan.ops.protocol import Array


class MaskArguments(NamedTuple):
    """An `ActivationMask` in the number types of the CPU's kernels."""

    relu: bool
    """Whether f is a ReLU."""
    slope: Any
    """The slope of f for negative inputs, of the array's dtype; 1 for a ReLU and for no activation."""
    drops: bool
    """Whether there is dropout."""
    first: np.uint32
    """Index of the part's first element in the whole array, modulo 2^32."""
    threshold: np.uint32
    """The least hash of an element that dropout keeps."""
    key_low: np.uint32
    """The lower 32 bits of dropout's key."""
    key_high: np.uint32
    """The upper 32 bits of dropout's key."""
    keep_scale: Any
    """1 / (1 - rate), of the array's dtype: the factor of the elements that dropout keeps."""


@dataclass(frozen=True, slots=True)
class ActivationMask:
    """An activation f and a mask of dropout: f(x) = x where x > 0, and slope x, or 0 with `relu`, elsewhere.

    Parameters
    ----------
    relu : bool
        Whether f is a ReLU; `slope` is 1 then.
    slope : float
        The slope of a leaky ReLU for negative inputs; 1 by default, so that f(x) = x.
    rate : float
        The probability with which dropout replaces an element by 0, in [0, 1); 0 by default: no dropout.
    key : int
        The key of dropout's mask, in [0, 2^64); while a CUDA graph is captured, its index among the graph's keys.

    """

    relu: bool = False
    slope: float = 1.0
    rate: float = 0.0
    key: int = 0

    @property
    def is_identity(self) -> bool:
        """Whether it leaves every array unchanged."""
        return not self.relu and self.slope == 1 and self.rate == 0

    def arguments(self, first: int, dtype: np.dtype[Any]) -> MaskArguments:
        """Return what the CPU's kernels take.

        Parameters
        ----------
        first : int
            Index of the part's first element in the whole array: dropout's mask depends on it.
        dtype : np.dtype
            float32 or float64, the type of the array.

        Returns
        -------
        MaskArguments
            The mask's numbers, in the kernels' types.

        """
        if not self.rate:  # no kernel looks at `first` then
            return _arguments_without_dropout(self, dtype)
        slope, threshold, low, high, keep_scale = mask_constants(self, dtype)
        begin = np.uint32(first & 0xFFFFFFFF)
        return MaskArguments(self.relu, slope, True, begin, threshold, low, high, keep_scale)


@functools.lru_cache(maxsize=256)
def _arguments_without_dropout(mask: ActivationMask, dtype: np.dtype[Any]) -> MaskArguments:
    slope, threshold, low, high, keep_scale = mask_constants(mask, dtype)
    return MaskArguments(mask.relu, slope, False, np.uint32(0), threshold, low, high, keep_scale)


@functools.lru_cache(maxsize=256)
def mask_constants(mask: ActivationMask, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Return slope, threshold, the lower and the upper word of the key, and 1 / (1 - rate), in the kernels' types."""
    real = dtype.type
    low, high = np.uint32(mask.key & 0xFFFFFFFF), np.uint32(mask.key >> 32)
    return real(mask.slope), reference.dropout_threshold(mask.rate), low, high, real(1) / real(1 - mask.rate)


IDENTITY_MASK = ActivationMask()


@dataclass(frozen=True, slots=True)
class NormCoefficients:
    """Batch norm with given statistics: v = (u - mu) inverse_std gamma + beta.

    Parameters
    ----------
    mu : (C,) array
        The mean of u over the rows, rounded to the dtype of x.
    inverse_std : (C,) array
        1 / sqrt(var + eps).
    scale : (C,) array
        gamma inverse_std.
    beta : (C,) array
        The shift of v.
    remainder : (C,) array or None
        The mean minus mu, which rounding lost, in the channels where it counts, else 0; None, the default, is 0
        everywhere.  On the CPU it is float64 and `beta` already includes it; on a CUDA device it has the dtype of x and
        the kernels subtract it from u - mu.

    """

    mu: Array
    inverse_std: Array
    scale: Array
    beta: Array
    remainder: Array | None = None

    @property
    def vectors(self) -> tuple[Array, Array, Array]:
        """Return mu, scale and beta."""
        return self.mu, self.scale, self.beta


class NormActivationPasses(Protocol):
    """The passes over memory of which `minigan.fusion.norm_act` consists; each backend has them as ``ops.norm_act``.

    u = f0(mask0 x)        v = (u - mu) inverse_std gamma + beta        y = mask1 f1(v)

    Matrices are (M, C); without batch norm (`norm` is None) they are flat vectors (n,).  All arrays are C-contiguous,
    float32 or float64.  `pre` has f0 and mask0, `post` has f1 and mask1.
    """

    def contiguous(self, x: Array) -> Array:
        """Return x, or a copy of it, in C order."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an uninitialised array."""

    def normalise(
        self, x: Array, pre: ActivationMask, layer: Any, p: Mapping[str, Array], running: Mapping[str, Array] | None
    ) -> NormCoefficients:
        """Return the coefficients of batch norm with the batch's statistics, and update the running statistics.

        Parameters
        ----------
        x : (M, C) array
            The input; at least one row.
        pre : ActivationMask
            The mask that gives u.
        layer : minigan.layers.norm.BatchNorm
            Gives eps and the step of the running statistics.
        p : mapping of str to (C,) array
            The parameters "gamma" and "beta".
        running : mapping of str to (C,) array, or None
            "running_mean" and "running_var", updated in place; None updates nothing.

        Returns
        -------
        NormCoefficients
            What `apply`, `sums` and `backward` take as `norm`.

        """

    def apply(
        self, x: Array, y: Array, pre: ActivationMask, norm: NormCoefficients | None, post: ActivationMask
    ) -> None:
        """Write y = mask1 f1(v), or mask1 f1(u) without batch norm, into y."""

    def sums(
        self, x: Array, dy: Array, pre: ActivationMask, norm: NormCoefficients, post: ActivationMask
    ) -> tuple[Array, Array]:
        """Return sum_m dv_m and sum_m dv_m x_hat_m, each (C,); dv = f1'(v) mask1 dy, x_hat = (u - mu) inverse_std."""

    def backward(
        self,
        x: Array,
        dy: Array,
        dx: Array,
        pre: ActivationMask,
        norm: NormCoefficients | None,
        post: ActivationMask,
        sums: tuple[Array, Array] | None = None,
    ) -> None:
        """Write dL/dx into dx.

        dx = mask0 f0'(mask0 x) scale (dv - mean(dv) - x_hat mean(dv x_hat)), or without `sums` ... scale dv

        Parameters
        ----------
        x, dy : (M, C) or (n,) arrays
            The input of `apply` and the gradient of its output.
        dx : array
            Where the gradient of x is written.
        pre, post : ActivationMask
            The masks of `apply`.
        norm : NormCoefficients or None
            Its coefficients.
        sums : pair of (C,) arrays, optional
            What `sums` returned, if the statistics depend on x; None, the default, treats them as constants.

        """
