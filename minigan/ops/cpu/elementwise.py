"""Small matrix products and elementwise functions, written so that NumPy needs fewer passes or temporary arrays."""

import numpy as np

from minigan.ops import reference
from minigan.ops.protocol import Array


def affine(x: Array, W: Array, b: Array | None = None) -> Array:
    """y = x W + b, the bias added in place.    x (N, I)   W (I, O)   b (O,)   y (N, O)

    With one input feature (I = 1) this is an outer product, which BLAS and NumPy compute at a fifth of their usual
    speed; it is computed as [x 1] [W; b] instead, a product with two terms.
    """
    outer_product = W.shape[0] == 1 and W.shape[1] > 1 and x.shape[1:] == (1,)
    if outer_product and x.dtype.kind == "f" and x.dtype == W.dtype:
        xs = np.ones((x.shape[0], 2), dtype=x.dtype)
        xs[:, 0] = x[:, 0]
        Ws = np.zeros((2, W.shape[1]), dtype=W.dtype)
        Ws[0] = W[0]
        if b is not None:
            Ws[1] = b
        return xs @ Ws
    y = x @ W
    if b is not None:
        y += b
    return y


def relu(x: Array) -> Array:
    """max(x, 0), in one pass."""
    return np.maximum(x, 0) if x.dtype.kind == "f" else reference.relu(x)


def relu_backward(dy: Array, y: Array) -> Array:
    """0 where y <= 0, else dy, by masking the bits of dy, because infinity times 0 would be NaN."""
    if dy.dtype.kind != "f" or dy.itemsize > 8:
        return reference.relu_backward(dy, y)
    bits = f"i{dy.itemsize}"
    keep = np.subtract(y <= 0, 1, dtype=bits)  # no bit set where masked, otherwise all bits
    return np.bitwise_and(dy.view(bits), keep).view(dy.dtype)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), from e^-|x|, in one temporary array."""
    if x.dtype.kind != "f":
        return reference.sigmoid(x)
    return _sigmoid(x, _exp_minus_abs(x))


def softplus(x: Array) -> Array:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    if x.dtype.kind != "f":
        return reference.softplus(x)
    return _softplus(x, _exp_minus_abs(x))


def softplus_sigmoid(x: Array) -> tuple[Array, Array]:
    """`softplus` and `sigmoid` from the same e^-|x|."""
    if x.dtype.kind != "f":
        return reference.softplus_sigmoid(x)
    e = _exp_minus_abs(x)
    return _softplus(x, e), _sigmoid(x, e)


def _exp_minus_abs(x: Array) -> Array:
    e = np.abs(x)
    np.negative(e, out=e)
    return np.exp(e, out=e)


def _softplus(x: Array, e: Array) -> Array:
    """max(x, 0) + log(1 + e)."""
    y = np.log1p(e)
    y += np.maximum(x, 0)
    return y


def _sigmoid(x: Array, e: Array) -> Array:
    """(1 if x > 0 else e) / (1 + e); overwrites e."""
    y = (x > 0).astype(e.dtype)
    np.maximum(y, e, out=y)  # e is at most 1, and NaN where x is
    e += 1
    y /= e
    return y
