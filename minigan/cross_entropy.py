"""The cross-entropy of a classifier with K classes, on its logits."""

from typing import Any

from minigan.layers.base import ShapeError
from minigan.ops import ops_of
from minigan.ops.protocol import Array, Ops
from minigan.ops.reference import real


def softmax_cross_entropy(s: Array, labels: Array, *, ops: Ops | None = None) -> tuple[Any, Array]:
    """L = -mean_n log softmax(s_n)_(y_n) and ds = (softmax(s) - onehot(y)) / N.    s, ds (N, K)   labels y (N,)

    It is computed as -log softmax(s)_y = log sum_k e^(s_k - m) - (s_y - m) with m = max_k s_k: no exponential
    overflows, and the sum is at least 1.

    Parameters
    ----------
    s : array (N, K)
        The logits of K classes.
    labels : array (N,)
        The classes, integers in 0 ... K-1.
    ops : Ops, optional
        The backend; by default that of `s`.

    Returns
    -------
    value : scalar
        L, in the dtype of s.
    ds : array (N, K)
        dL/ds.

    Raises
    ------
    ShapeError, TypeError, ValueError
        If the logits are not (N, K), or the labels not (N,), not integers or not in 0 ... K-1.

    """
    xp = (ops_of(s) if ops is None else ops).xp
    _require_labels(s, labels)
    n, rows = len(s), xp.arange(len(s))
    shifted = s - real(s).max(axis=1, keepdims=True)
    e = xp.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    value = (xp.log(total[:, 0]) - shifted[rows, labels]).sum() / n
    ds = e / total  # softmax(s)
    ds[rows, labels] -= 1
    return value, ds / n


def _require_labels(s: Array, labels: Array) -> None:
    if s.ndim != 2 or 0 in s.shape:
        raise ShapeError(f"logits have shape {s.shape}; expected (N, K) with N, K >= 1")
    if labels.shape != s.shape[:1]:
        raise ShapeError(f"labels have shape {labels.shape}; expected {s.shape[:1]}, one for each row of logits")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels are {labels.dtype}; expected whole numbers")
    if labels.min() < 0 or labels.max() >= s.shape[1]:
        raise ValueError(f"labels lie in {labels.min()} ... {labels.max()}; expected 0 ... {s.shape[1] - 1}")
