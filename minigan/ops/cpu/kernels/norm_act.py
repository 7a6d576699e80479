"""A pass of `minigan.ops.cpu.norm_act` over a matrix, which the kernels of NumPy and of numba run part by part."""

from dataclasses import dataclass
from typing import Any

from minigan.ops.norm_act import IDENTITY_MASK, ActivationMask
from minigan.ops.protocol import Array


@dataclass(slots=True)
class Pass:
    """A pass over the matrix x (M, C) in parts of `rows` rows; u = f0(mask0 x) with the mask `pre`.

    Parameters
    ----------
    function : {"pre", "statistics", "apply", "sums", "backward"}
        The kernel of a part.
    x : (M, C) array
        The input, float32 or float64 in C order; M >= 1.
    rows : int
        The rows of a part; the last one may have fewer.
    others : tuple of (M, C) arrays
        The other matrices in the order of the kernel's arguments: u of "pre", y of "apply", dy of "sums", dy and dx of
        "backward".
    pre : ActivationMask
        f0 and mask0; the identity by default.
    post : ActivationMask
        The mask that the kernel gets: f1 and mask1, and for "pre" f0 and mask0.
    first : int
        The index of x's first element in the whole array, on which dropout depends.
    norm : tuple of three (C,) arrays, or None
        mu, scale and beta.
    terms : tuple of two (C,) arrays, or None
        The terms of "backward" that are linear and constant in u - mu.
    sums : tuple of (n, C) arrays of float64, or None
        The results of each part: pivot, mean - pivot and sum (u - mean)^2 of "statistics", and sum_d and sum_dx of
        "sums".

    """

    function: str
    x: Array
    rows: int
    others: tuple[Array, ...] = ()
    pre: ActivationMask = IDENTITY_MASK
    post: ActivationMask = IDENTITY_MASK
    first: int = 0
    norm: tuple[Any, Any, Any] | None = None
    terms: tuple[Any, Any] | None = None
    sums: tuple[Any, ...] | None = None
