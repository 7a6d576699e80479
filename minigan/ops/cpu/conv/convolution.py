"""A convolution's output, input gradient and weight gradient, by direct sums or Winograd's algorithms.

The cost model (`minigan.ops.cpu.conv.plan`) chooses.  Dtypes other than float32 and float64 go to
`minigan.ops.reference`.

In the formulas, (p, q) is an output pixel, (i, j) a tap of the kernel, c and o are channels of the large and of the
small image, s is the stride and d the dilation (on each axis), and x~ is x with its padding of zeros.
"""

import math
from typing import Any

import numpy as np

from minigan.ops import reference
from minigan.ops.cpu.conv import blocks, direct, winograd, winograd_weights
from minigan.ops.cpu.conv.flipped import flipped_geometry, flipped_weights
from minigan.ops.cpu.conv.plan import choose_plan
from minigan.ops.cpu.executor import Executor, are_floats, contiguous
from minigan.ops.cpu.instruction_set import compiled_products_are_faster
from minigan.ops.cpu.threads.blas import blas_on_one_thread
from minigan.ops.geometry import Geometry, require_images, require_same_number, require_weights
from minigan.ops.protocol import Array

MIN_BLAS_WEIGHTS = 1 << 20
"""Entries of W from which BLAS computes direct sums, if its vectors are as long as numba's."""


def correlate(x: Array, W: Array, geometry: Geometry, b: Array | None, executor: Executor) -> Array:
    """y_npqo = sum_ijc x~_n,(sp+di),(sq+dj),c W_ijco + b_o.

    Parameters
    ----------
    x
        Images (N, H, W, C).
    W
        Kernel (kh, kw, C, O).
    geometry
        Sizes of both images, kernel, stride, dilation and padding.
    b
        Bias (O,), or an array that broadcasts to it; None: no bias.
    executor
        The backend: its threads, kernels and accuracy.

    Returns
    -------
    Array
        y (N, h, w, O), a new array.

    Raises
    ------
    ValueError
        If the shape of x or W is not that of the geometry.

    """
    if not are_floats(x, W, *([] if b is None else [b])):
        return reference.correlate(x, W, geometry, b)
    C, O = require_weights(W, geometry.kernel)
    require_images("x", x, geometry.large, C)
    x, W, b = contiguous(x), contiguous(W), _bias(b, O)
    plan = choose_plan(geometry, len(x), C, O, executor.accuracy, compiled=executor.compiled)
    with blas_on_one_thread():
        if plan is None:
            return _direct(executor, x, W.shape, geometry).correlate(x, W, geometry, b, executor)
        return winograd.correlate(x, W, geometry, b, plan, executor)


def correlate_adjoint(y: Array, W: Array, geometry: Geometry, b: Array | None, executor: Executor) -> Array:
    """x~_nuvc = sum of y_npqo W_ijco over all p, q, i, j, o with sp + di = u, sq + dj = v: the adjoint of `correlate`.

    The result is x~ without the padding, plus b_c.  At stride 1 Winograd's algorithms compute it as a correlation with
    the flipped kernel, whose output tiles do not overlap.

    Parameters
    ----------
    y
        Images (N, h, w, O).
    W
        Kernel (kh, kw, C, O).
    geometry
        The geometry of `correlate`.
    b
        Bias (C,), or an array that broadcasts to it; None: no bias.
    executor
        The backend: its threads, kernels and accuracy.

    Returns
    -------
    Array
        x (N, H, W, C), a new array: the padding is cropped.

    Raises
    ------
    ValueError
        If the shape of y or W is not that of the geometry.

    """
    if not are_floats(y, W, *([] if b is None else [b])):
        return reference.correlate_adjoint(y, W, geometry, b)
    C, O = require_weights(W, geometry.kernel)
    require_images("y", y, geometry.small, O)
    y, W, b = contiguous(y), contiguous(W), _bias(b, C)
    flipped = flipped_geometry(geometry)
    with blas_on_one_thread():
        if flipped is not None:
            plan = choose_plan(flipped, len(y), O, C, executor.accuracy, compiled=executor.compiled)
            if plan is not None:
                return winograd.correlate(y, flipped_weights(W), flipped, b, plan, executor)
            return _direct(executor, y, W.shape, geometry).correlate_adjoint(y, W, geometry, b, executor)
        plan = choose_plan(geometry, len(y), C, O, executor.accuracy, compiled=executor.compiled)
        if plan is not None:
            return winograd.correlate_adjoint(y, W, geometry, b, plan, executor)
        return _direct(executor, y, W.shape, geometry).correlate_adjoint(y, W, geometry, b, executor)


def correlate_weights(x: Array, y: Array, geometry: Geometry, executor: Executor) -> Array:
    """dW_ijco = sum_npq x~_n,(sp+di),(sq+dj),c y_npqo.

    Parameters
    ----------
    x
        Images (N, H, W, C).
    y
        The cotangent of `correlate`'s result (N, h, w, O).
    geometry
        The geometry of `correlate`.
    executor
        The backend: its threads, kernels and accuracy.

    Returns
    -------
    Array
        dW (kh, kw, C, O), a new array.

    Raises
    ------
    ValueError
        If the shape of x or y is not that of the geometry, or they differ in N.

    """
    if not are_floats(x, y):
        return reference.correlate_weights(x, y, geometry)
    require_images("x", x, geometry.large, "C")
    require_images("y", y, geometry.small, "O")
    require_same_number(x, y)
    x, y = contiguous(x), contiguous(y)
    plan = choose_plan(geometry, len(x), x.shape[3], y.shape[3], executor.accuracy, compiled=executor.compiled)
    with blas_on_one_thread():
        if plan is None:
            return _direct(executor, x, (*geometry.kernel, x.shape[3], y.shape[3]), geometry).correlate_weights(
                x, y, geometry, executor
            )
        return winograd_weights.correlate_weights(x, y, geometry, plan, executor)


def _direct(executor: Executor, images: Array, W: tuple[int, ...], geometry: Geometry) -> Any:
    """Return the module that computes direct sums: by BLAS, or in compiled code.    W: the shape (kh, kw, C, O)

    BLAS, which copies its factors, is faster for a large W, unless its vectors are shorter.
    """
    if not executor.compiled or not len(images) or geometry.kernel == (1, 1):
        return direct
    return blocks if math.prod(W) < MIN_BLAS_WEIGHTS or compiled_products_are_faster() else direct


def _bias(b: Array | None, channels: int) -> Array | None:
    return None if b is None else contiguous(np.broadcast_to(b, (channels,)))
