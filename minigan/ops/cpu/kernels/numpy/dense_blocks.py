"""What follows the product of a dense layer, in NumPy, on any rows and columns of the batch: activation and batch norm.

Rows of all arrays are contiguous.  The functions write into their arguments, and read each array as seldom as they can,
because each call of NumPy releases and takes the interpreter's lock.
"""

from typing import Any, NamedTuple

import numpy as np

from minigan.ops.protocol import Array


class Statistics(NamedTuple):
    """The mean and the biased variance of the columns of a batch, each (C,), of its dtype.

    `remainder` is what has yet to be subtracted from the centred batch, because `mean` was rounded.
    """

    mean: Array
    var: Array
    remainder: Array


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
            keep = np.subtract(where, 1, dtype=np.int8).astype(bits)  # no bit set where v <= 0, otherwise all
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


def centre(u: Array) -> Statistics:
    """Subtract from u, in place, a number near the mean of each column; return the statistics.

    A number so far from the mean that the variance would lose digits is replaced by a nearer one.
    """
    n, ones = len(u), np.ones(len(u), u.dtype)
    mean = _subtract_mean(u, ones)
    for last in (False, True):
        remainder = ones @ u
        remainder /= n
        var = ones @ np.multiply(u, u)
        var /= n
        excess = remainder * remainder
        var -= excess
        if last or not (excess > var).any():
            break
        mean += _subtract_mean(u, ones)
    mean += remainder
    return Statistics(mean, var, remainder)


def _subtract_mean(u: Array, ones: Array) -> Array:
    mean: Array = ones @ u
    mean /= len(u)
    np.subtract(u, mean, out=u)
    return mean


def scale_and_shift(d: Array, scale: Array, shift: Array, out: Array) -> None:
    """Write d scale + shift to `out`."""
    np.multiply(d, scale, out=out)
    np.add(out, shift, out=out)


def norm_sums(d: Array, dv: Array, remainder: Array | None, inverse_std: Array) -> tuple[Array, Array]:
    """Return sum_n dv_n and sum_n dv_n x_hat_n, each (C,); x_hat = (d - remainder) inverse_std."""
    ones = np.ones(len(d), d.dtype)
    total, total_x = ones @ dv, ones @ np.multiply(d, dv)
    if remainder is not None:
        total_x -= remainder * total
    total_x *= inverse_std
    return total, total_x


def norm_backward(
    d: Array, dv: Array, remainder: Array | None, inverse_std: Array, scale: Array,
    sums: tuple[Array, Array] | None, out: Array,
) -> None:  # fmt: skip
    """Write scale (dv - mean(dv) - x_hat mean(dv x_hat)) to `out`, which may be dv; without `sums`, scale dv."""
    np.multiply(dv, scale, out=out)
    if sums is None:
        return
    factor = scale / -len(d)
    linear, constant = sums[1] * inverse_std, sums[0]
    linear *= factor
    constant = constant * factor
    if remainder is not None:
        constant -= linear * remainder
    np.add(out, np.multiply(d, linear), out=out)
    np.add(out, constant, out=out)
