"""The labels of a batch that a network reads: whole numbers, one class an example."""

from typing import Any

import numpy as np

from minigan import _checks
from minigan.ops.errors import ShapeError
from minigan.ops.protocol import Array

EXPECTED = "expected whole numbers (N,), the class of each example"


def split_labels(batch: tuple[Any, ...], classes: int, xp: Any) -> tuple[Array, Array]:
    """Return x and the labels of a network's input (x, labels); the labels are checked and on the device.

    Parameters
    ----------
    batch : tuple of array
        x (N, ...) and the labels (N,).
    classes : int
        The number of classes that the network's layers know; 0 if no layer reads labels.
    xp : module
        The array module of the network.

    Returns
    -------
    x : array (N, ...)
        x itself.
    labels : array (N,)
        The labels.

    Raises
    ------
    ValueError
        If no layer reads labels, or a label is outside 0 ... classes - 1.
    TypeError
        If the tuple has other parts, or the labels are not whole numbers.
    ShapeError
        If there is not one label for each example.

    """
    if not classes:
        raise ValueError(
            f"x is a tuple of {len(batch)} arrays, but no layer of the network reads labels; expected an array, or "
            "a network with Embedding, ConcatEmbedding or Projection"
        )
    if len(batch) != 2:
        raise TypeError(f"x is a tuple of {len(batch)} arrays; expected (x, labels)")
    x, labels = batch
    if np.ndim(x) and np.ndim(labels) == 1 and len(labels) != len(x):
        raise ShapeError(f"labels have shape {np.shape(labels)} for {len(x)} examples; expected ({len(x)},)")
    return x, class_numbers(labels, classes, xp)


def class_numbers(labels: Any, classes: int, xp: Any) -> Array:
    """Return labels on the device; raise an error unless they are whole numbers (N,) in 0 ... classes - 1.

    Labels that are on a GPU already are not read back: the layers give NaN for those outside the range.
    """
    _checks.require_plain("labels", labels, np if isinstance(labels, np.ndarray) else xp)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels are {labels.dtype}; {EXPECTED}")
    if labels.ndim != 1:
        raise ShapeError(f"labels have shape {labels.shape}; {EXPECTED}")
    if isinstance(labels, np.ndarray):
        if labels.size and (labels.min() < 0 or labels.max() >= classes):
            wrong = labels[(labels < 0) | (labels >= classes)][0]
            raise ValueError(f"labels must be in 0 ... {classes - 1}, got {wrong}")
        return labels if xp is np else xp.asarray(labels)
    return labels
