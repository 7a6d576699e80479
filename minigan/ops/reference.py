"""The reference backend, which defines the correct results: NumPy, with the same code for every dtype.

The dtypes are float32 and float64 for training, complex128 for the complex step, and object arrays of Fractions or of
balls (``flint.arb``) for proofs.  Therefore the code does not use ``var``, ``abs``, ``logaddexp`` and ``conj``, which
drop or mix the imaginary part; it computes masks from the real part, and uses only Python scalars (``float32 *
np.float64`` would be float64).
"""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from minigan.ops.errors import require_equal_shapes
from minigan.ops.geometry import Geometry, require_images, require_same_number, require_weights
from minigan.ops.objects import zero_like
from minigan.ops.protocol import Array, Rule
from minigan.ops.registry import registered_kernel

name = "reference"
one_pass = False
dtypes = None
rules: tuple[Rule, ...] = ()
xp = np


def kernel(name: str) -> Callable[..., Any]:
    """Return the definition of the registered kernel with this name."""
    return registered_kernel(name)


def engine() -> dict[str, Any]:
    """Return an empty dict, as there are no options."""
    return {}


def session() -> AbstractContextManager[None]:
    """Return a context without effect."""
    return nullcontext()


def play(
    schedule: Callable[..., Any], game: Any, draws: Mapping[str, Callable[[], Any]], counts: Mapping[str, Any]
) -> Any:
    """Call the schedule and return its result."""
    return schedule(game, **draws, **counts)


def real(x: Array) -> Array:
    """Return the part of x that determines masks and branches: Re x for complex x, else x."""
    return x.real if x.dtype.kind == "c" else x


def affine(x: Array, W: Array, b: Array | None = None) -> Array:
    """y = x W + b.    x (N, I)   W (I, O)   b (O,)   y (N, O)"""
    y = x @ W
    return y if b is None else y + b


def add_product(x: Array, y: Array, out: Array, *, overwrite: bool = False) -> None:
    """Add x^T y to `out` in place, or with `overwrite` write it there.    x (N, I)   y (N, O)   out (I, O)"""
    if overwrite:
        out[...] = 0
    out += x.T @ y


MIN_ROWS_FOR_FLOAT64_SUMS = 1 << 18
"""The number of rows from which on float32 numbers are summed in float64; sums of fewer rows keep their bits."""
MAX_MEAN2_PER_VARIANCE = 1024
"""The limit of mu^2 / var above which the squares of float32 numbers are summed in float64 too."""
MAX_CORRECTION2_PER_VARIANCE = 1e-6
"""The limit of (correction of the mean)^2 / var below which the mean is not corrected again."""


def sum_rows(x: Array) -> Array:
    """s_c = sum over all axes but the last.    x (..., C)   s (C,)

    In float32, |error| <= 2^-24 |s| + M 2^-53 sum |x| for M >= 2^18 rows.  Fewer rows are added one after another in
    float32, with |error| <= M 2^-24 sum |x|.
    """
    rows = x.reshape(-1, x.shape[-1])
    if x.dtype == np.float32 and len(rows) >= MIN_ROWS_FOR_FLOAT64_SUMS:
        return rows.sum(axis=0, dtype=np.float64).astype(x.dtype)
    return rows.sum(axis=0)


def zeros(shape: tuple[int, ...], like: Array) -> Array:
    """Return zeros of the type of the numbers in `like`: in object arrays, balls or Fractions instead of ints."""
    y = np.zeros_like(like, order="C", shape=shape or 1).reshape(shape)  # on the device of `like`
    if like.dtype.kind == "O" and like.size:
        y[...] = zero_like(like.reshape(-1)[:1])
    return y


def _padded(x: Array, geometry: Geometry) -> Array:
    padded = zeros((len(x), *geometry.padded, x.shape[3]), x)
    rows, columns = geometry.inside
    padded[:, rows, columns] = x
    return padded


def correlate(x: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
    """y_npqo = sum_ijc x~_n,(sp+di),(sq+dj),c W_ijco + b_o.    x (N, H, W, C)   W (kh, kw, C, O)   y (N, h, w, O)"""
    C, _ = require_weights(W, geometry.kernel)
    require_images("x", x, geometry.large, C)
    padded = _padded(x, geometry)
    y = sum(padded[:, rows, columns] @ W[i, j] for i, j, rows, columns in geometry.taps)
    return y if b is None else y + b


def correlate_adjoint(y: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
    """x~_nuvc = sum of y_npqo W_ijco over all p, q, i, j, o with sp + di = u, sq + dj = v.

    Returns x (N, H, W, C): x~ without the padding, plus b_c.    y (N, h, w, O)   W (kh, kw, C, O)
    """
    C, O = require_weights(W, geometry.kernel)
    require_images("y", y, geometry.small, O)
    padded = zeros((len(y), *geometry.padded, C), y[:1, 0, 0] @ W[0, 0].T)  # with the type of the products
    for i, j, rows, columns in geometry.taps:
        padded[:, rows, columns] += y @ W[i, j].T
    rows, columns = geometry.inside
    x = padded[:, rows, columns]
    return x.copy() if b is None else x + b


def correlate_weights(x: Array, y: Array, geometry: Geometry) -> Array:
    """dW_ijco = sum_npq x~_n,(sp+di),(sq+dj),c y_npqo.    x (N, H, W, C)   y (N, h, w, O)   dW (kh, kw, C, O)"""
    require_images("x", x, geometry.large, "C")
    require_images("y", y, geometry.small, "O")
    require_same_number(x, y)
    padded, C, O = _padded(x, geometry), x.shape[3], y.shape[3]
    dW = np.empty((*geometry.kernel, C, O), dtype=np.result_type(x, y))
    for i, j, rows, columns in geometry.taps:
        dW[i, j] = padded[:, rows, columns].reshape(-1, C).T @ y.reshape(-1, O)
    return dW


def relu(x: Array) -> Array:
    """y = 0 where Re x <= 0, else x (so that NaN stays NaN)."""
    return np.where(real(x) <= 0, zero_like(x), x)


def relu_backward(dy: Array, y: Array) -> Array:
    """dx = 0 where Re y <= 0, even if dy is infinite or NaN there, else dy."""
    return np.where(real(y) <= 0, zero_like(dy), dy)


def sigmoid(x: Array) -> Array:
    """sigma(x) = 1 / (1 + e^-x), as e^x / (1 + e^x) where x < 0: no overflow, full relative accuracy."""
    positive = real(x) > 0
    e = np.exp(np.where(positive, -x, x))
    return np.where(positive, 1, e) / (1 + e)


def softplus(x: Array) -> Array:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)."""
    positive = real(x) > 0
    return np.where(positive, x, 0) + np.log1p(np.exp(np.where(positive, -x, x)))


def softplus_sigmoid(x: Array) -> tuple[Array, Array]:
    """log(1 + e^x) and its derivative sigma(x)."""
    return softplus(x), sigmoid(x)


def mean_softplus(s: Array, sign: int, weight: float) -> tuple[Any, Array]:
    """weight / N sum_n log(1 + e^(sign s_n)) and its gradient, sign weight sigma(sign s_n) / N.    s (N,) or (N, 1)

    In float32 both have a relative error of at most 2e-6, for up to 10^7 logits with |s| <= 1e4; gradients below 1e-44
    are 0.
    """
    n = len(s)
    cost, derivative = softplus_sigmoid(sign * s)
    return weight * (cost.sum() / n), sign * weight * derivative / n


def moments(x: Array) -> tuple[Array, Array]:
    """mu_c = mean of x,  var_c = mean of (x - mu)^2 (biased).    x (..., C)   mu, var (C,)

    The sums are computed by `sum_rows`.  For up to 10^7 rows of float32, the error of mu is at most 2^-20 max |x|, and
    the relative error of var at most 1e-4 (1e-5 from 2^18 rows on), if the numbers are spread over their range or
    |mu| <= 10^6 sqrt(var).
    """
    rows = x.reshape(-1, x.shape[-1])
    n = rows.shape[0]
    mu = sum_rows(rows) / n
    centred = rows - mu
    if x.dtype.kind == "O":
        return mu, sum_rows(centred * centred) / n
    for _ in range(4):  # correct the rounding error of the mean: |mu| may be much larger than sqrt(var)
        correction = sum_rows(centred) / n
        mu, centred = mu + correction, centred - correction
        var = sum_rows(centred * centred) / n
        if x.dtype.kind != "f" or not (correction * correction > MAX_CORRECTION2_PER_VARIANCE * var).any():
            break
    if (
        x.dtype == np.float32 and (far := mu * mu > MAX_MEAN2_PER_VARIANCE * var).any()
    ):  # such x are on a coarse grid, so that errors add up
        exact = (centred * centred).sum(axis=0, dtype=np.float64) / n
        var = np.where(far, exact.astype(x.dtype), var)
    return mu, var


def dropout(x: Array, rate: float, key: int) -> Array:
    """y_i = x_i / (1 - rate) where keep_i, else 0 x_i;  keep_i = (hash(i, key) >= rate 2^32), i = 0, 1, ... in C order.

    A key of 64 bits determines the mask, independently of the dtype, the backend and the number of threads.  The
    backward pass computes the mask again, so that it is not stored.
    """
    i = np.arange(x.size, dtype=np.uint64).astype(np.uint32).reshape(x.shape)
    keep = dropout_hash(i, key) >= dropout_threshold(rate)
    return x * (keep.astype(x.dtype) / (1 - rate))


def dropout_threshold(rate: float) -> np.uint32:
    """Return the smallest hash of a unit that is kept: rate 2^32, rounded."""
    return np.uint32(min(round(rate * 2**32), 2**32 - 1))


def dropout_hash(i: Array, key: int) -> Array:
    """Return a hash of 32 bits of the counter i (uint32, modulo 2^32) and the key (64 bits).

    It consists of multiplications by odd numbers and right shifts, like the finaliser of MurmurHash3 (Appleby 2011),
    with the constants of Wellons 2018 ("Prospecting for hash functions").  The key is added in two places, each
    followed by two rounds of mixing.
    """
    h = i * np.uint32(0x9E3779B1) ^ np.uint32(key & 0xFFFFFFFF)
    h = (h ^ h >> np.uint32(16)) * np.uint32(0x7FEB352D) ^ np.uint32(key >> 32 & 0xFFFFFFFF)
    h = (h ^ h >> np.uint32(15)) * np.uint32(0x846CA68B)
    h = (h ^ h >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    return h ^ h >> np.uint32(13)


def empty_vector(size: int, dtype: Any) -> Array:
    """Return an uninitialised vector (size,)."""
    return np.empty(size, dtype)


def zero_vector(size: int, dtype: Any) -> Array:
    """Return a vector of zeros (size,)."""
    return np.zeros(size, dtype)


def finite(x: Array) -> bool:
    """Return whether all numbers of x are finite."""
    return bool(np.isfinite(x).all())


def copy(target: Array, source: Array) -> None:
    """Copy `source` to `target` in place."""
    target[...] = source


def clip_norm(g: Array, max_norm: float) -> Array:
    """g min(1, max_norm / ||g||)    g (P,)

    Squares that over- or underflow are avoided by a power of two, which changes no other bits.  NaN in g makes the
    result NaN, and infinities become NaN.  For complex g, ||g||^2 is the sum of g_i^2, without conjugates.
    """
    wide = {"float32": np.float64, "complex64": np.complex128}.get(g.dtype.name)
    h = g if wide is None else g.astype(wide)
    power = 1.0 if g.dtype.kind == "O" else _power_for_squares(real(h))
    if power != 1:
        h = h * power
    with np.errstate(over="ignore", invalid="ignore"):
        norm = np.sqrt((h * h).sum())
        if (norm.real if g.dtype.kind == "c" else norm) <= max_norm * power:
            return g
        return (h * (max_norm / norm)).astype(g.dtype, copy=False)


def _power_for_squares(x: Array) -> float:
    """Return 1, or a power of two by which x is multiplied so that its squares neither overflow nor vanish."""
    largest = float(np.abs(x).max(initial=0))
    if largest == 0 or not math.isfinite(largest):
        return 1.0
    exponent = math.frexp(largest)[1]
    return 1.0 if abs(exponent) < 400 else math.ldexp(1.0, -max(-1000, min(1000, exponent)))


def adam(
    theta: Array, g: Array, m: Array, v: Array, t: int, *,
    lr: float, beta1: float, beta2: float, eps: float, decay: float = 0.0,
) -> None:  # fmt: skip
    """Update theta, m and v in place by step t = 1, 2, ... of Algorithm 1 of Kingma and Ba 2015, after weight decay.

    theta <- theta - decay theta
    m <- beta1 m + (1 - beta1) g         v <- beta2 v + (1 - beta2) g^2
    m_hat = m / (1 - beta1^t)            v_hat = v / (1 - beta2^t)
    theta <- theta - lr m_hat / (sqrt(v_hat) + eps)
    """
    require_equal_shapes("adam", theta=theta, g=g, m=m, v=v)
    if decay:
        theta -= decay * theta
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * (g * g)
    denominator = np.sqrt(v / (1 - beta2**t))
    denominator += eps
    theta -= (lr / (1 - beta1**t)) * m / denominator


def rmsprop(theta: Array, g: Array, v: Array, *, lr: float, rho: float, eps: float, decay: float = 0.0) -> None:
    """theta <- theta - decay theta,   v <- rho v + (1 - rho) g^2,   theta <- theta - lr g / (sqrt(v) + eps)."""
    require_equal_shapes("rmsprop", theta=theta, g=g, v=v)
    if decay:
        theta -= decay * theta
    v *= rho
    v += (1 - rho) * (g * g)
    theta -= lr * g / (np.sqrt(v) + eps)


def momentum(
    theta: Array, g: Array, u: Array, *, lr: float, momentum: float, nesterov: bool, decay: float = 0.0
) -> None:
    """theta <- theta - decay theta,   u <- momentum u - lr g,   theta <- theta + u (Nesterov: momentum u - lr g)."""
    require_equal_shapes("momentum", theta=theta, g=g, u=u)
    if decay:
        theta -= decay * theta
    u *= momentum
    u -= lr * g
    theta += momentum * u - lr * g if nesterov else u
