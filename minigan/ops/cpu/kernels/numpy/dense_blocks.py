"""What follows the product of a dense layer, in NumPy, on any rows and columns of the batch: activation and batch norm.

Rows of all arrays are contiguous.  The functions write into their arguments, and read each array as seldom as they can,
because each call of NumPy releases and takes the interpreter's lock.
"""

import functools
from typing import Any

import numpy as np

from minigan.ops.protocol import Array


def activate(v: Array, out: Array, name: str, slope: Any) -> None:
    """Write f(v) to `out`, which may be v; f is a layer of `minigan.layers.activation` by its name, "" for none."""
    if name == "ReLU":
        np.maximum(v, np.zeros(v.shape[1], v.dtype), out=out)  # with the scalar 0 it takes four times as long
    elif name == "LeakyReLU":
        (np.maximum if slope < 1 else np.minimum)(v, v * slope, out=out)
    elif name == "Tanh":
        np.tanh(v, out=out)
    elif name == "Sigmoid":
        e = np.abs(v)
        np.negative(e, out=e)
        np.exp(e, out=e)
        y = (v > 0).astype(v.dtype)
        np.maximum(y, e, out=y)  # e is at most 1, and NaN where v is
        e += 1
        np.divide(y, e, out=out)  # (1 if v > 0 else e) / (1 + e)
    elif out is not v:
        np.copyto(out, v)


def activate_backward(dy: Array, y: Any, negative: Array | None, out: Array, name: str, slope: Any) -> None:
    """Write f'(v) dy to `out`, which may be dy.

    Parameters
    ----------
    dy : (N, C) array
        dL/dy.
    y : (N, C) array or None
        f(v); needed unless `negative` is given.
    negative : (N, C) array of bool or None
        Where y <= 0, for a ReLU or a leaky one.
    out : (N, C) array
        Where the result is written.
    name, slope : str, scalar
        f, as in `activate`.

    """
    if name in ("ReLU", "LeakyReLU"):
        where: Array = np.less_equal(y, 0) if negative is None else negative
        if name == "ReLU":  # clears the bits of dy: an infinity times 0 would be NaN
            bits = f"i{dy.itemsize}"
            keep = np.subtract(where.view(np.int8), 1).astype(bits)  # no bit set where v <= 0, otherwise all
            np.bitwise_and(dy.view(bits), keep, out=out.view(bits))
        else:
            factor = np.where(where, slope, dy.dtype.type(1))
            np.multiply(dy, factor, out=out)
    elif name:
        assert y is not None  # noqa: S101  (the callers keep it)
        if name == "Tanh":  # 1 - y^2
            derivative = y * y
            np.subtract(1, derivative, out=derivative)
        else:  # y (1 - y)
            derivative = np.subtract(1, y)
            derivative *= y
        np.multiply(derivative, dy, out=out)
    elif out is not dy:
        np.copyto(out, dy)


@functools.lru_cache(maxsize=64)
def mean_weights(n: int, dtype: np.dtype[Any]) -> Array:
    """Return 1/n, n times: its product with a matrix (n, C) is the mean of the rows."""
    weights = np.full(n, 1 / n, dtype)
    weights.flags.writeable = False
    return weights


def centre(u: Array, mean: Array, var: Array, remainder: Array, workspace: Array) -> None:
    """Subtract from u, in place, a vector near the mean of its rows.

    If the vector is so far from the mean that the variance would lose digits, a nearer one is subtracted.

    Parameters
    ----------
    u, workspace : (N, C) arrays
        The batch, and where other numbers may be written.
    mean, var, remainder : (C,) arrays
        Where the mean, the biased variance, and the mean of what is left in u are written, which is not quite 0.

    """
    weights = mean_weights(len(u), u.dtype)
    np.dot(weights, u, out=mean)
    np.subtract(u, mean, out=u)
    for again in (True, False):
        np.dot(weights, u, out=remainder)
        np.dot(weights, np.multiply(u, u, out=workspace), out=var)
        excess = remainder * remainder
        np.subtract(var, excess, out=var)
        if not np.count_nonzero(excess > var) or not again:
            break
        np.add(mean, remainder, out=mean)
        np.subtract(u, remainder, out=u)
    np.add(mean, remainder, out=mean)


def coefficients(var: Array, eps: Any, gamma: Array, inverse_std: Array, scale: Array) -> None:
    """Write 1 / sqrt(var + eps) to `inverse_std`, and gamma times that to `scale`.    (C,)"""
    np.add(var, eps, out=inverse_std)
    np.sqrt(inverse_std, out=inverse_std)
    np.divide(1, inverse_std, out=inverse_std)
    np.multiply(gamma, inverse_std, out=scale)


def scale_and_shift(d: Array, scale: Array, shift: Array, out: Array) -> None:
    """Write d scale + shift to `out`."""
    np.multiply(d, scale, out=out)
    np.add(out, shift, out=out)


def norm_sums(d: Array, dv: Array, remainder: Array | None, inverse_std: Array) -> tuple[Array, Array]:
    """Return sum_n dv_n and sum_n dv_n x_hat_n, each (C,); x_hat = (d - remainder) inverse_std."""
    ones = _ones(len(d), d.dtype)
    total, total_x = ones @ dv, ones @ (d * dv)
    if remainder is not None:
        total_x -= remainder * total
    total_x *= inverse_std
    return total, total_x


def sum_rows(x: Array) -> Array:
    """Return the sum over the rows.    x (N, C)"""
    total: Array = _ones(len(x), x.dtype) @ x
    return total


@functools.lru_cache(maxsize=64)
def _ones(n: int, dtype: np.dtype[Any]) -> Array:
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


def norm_backward(
    d: Array, dv: Array, remainder: Array | None, inverse_std: Array, scale: Array,
    sums: tuple[Array, Array] | None, out: Array,
) -> None:  # fmt: skip
    """Write scale (dv - mean(dv) - x_hat mean(dv x_hat)) to `out`, which may be dv; without `sums`, scale dv."""
    np.multiply(dv, scale, out=out)
    if sums is None:
        return
    factor = scale * dv.dtype.type(-1 / len(d))
    constant = sums[0] * factor
    factor *= inverse_std
    linear = sums[1] * factor
    if remainder is not None:
        constant -= linear * remainder
    np.add(out, d * linear, out=out)
    np.add(out, constant, out=out)
