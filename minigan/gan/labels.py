"""Batches with labels as the input of a network (Mirza and Osindero 2014).

A batch is an array x (N, ..., C), or a tuple (x, y, ...) of x and labels.  There are two kinds of labels:

    numbers y (N, K), such as one-hot rows, or maps (N, ..., K)    K more channels of the input x
    classes k (N,), whole numbers                                  the input is (x, k), for layers that read labels
                                                                   (`minigan.layers.embedding`)

From noise and labels (z, y), G makes the fakes (G(z, y), y); D's gradient with respect to y is not used.
"""

from minigan._batch import Batch, arrays_of
from minigan._labels import class_numbers
from minigan.layers.base import ShapeError
from minigan.network import Network
from minigan.ops.protocol import Array


def network_input(net: Network, batch: Batch) -> Batch:
    """Return the input of a network for a batch: x, x with the labels as more channels, or x and the classes.

    Parameters
    ----------
    net : Network
        The network; arrays of a tuple are moved to its device and cast to its dtype.
    batch : array or tuple of array
        x (N, ..., C), or a tuple (x, y, ...) with y (N, K) or (N, ..., K), or, if layers of the network read labels,
        y (N,), whole numbers.

    Returns
    -------
    array (N, ..., C) or (N, ..., C + K), or a tuple of such an array and classes (N,)
        x itself, or x and the labels; y (N, K) has the same K values at every pixel of an image.

    Raises
    ------
    ShapeError
        If y does not fit x, or is (N,) and no layer of the network reads labels.
    TypeError, ValueError
        If classes are not whole numbers in 0 ... n_classes - 1, or there are two arrays of classes.

    """
    if not isinstance(batch, tuple):
        return batch
    xp = net.ops.xp
    x, *labels = batch
    x, channels, classes = net.array(x), [], []
    for y in labels:
        if net.n_classes and getattr(y, "ndim", 0) == 1:
            if len(y) != len(x):
                raise ShapeError(f"labels have shape {y.shape} for {len(x)} examples; expected ({len(x)},)")
            classes.append(class_numbers(y, net.n_classes, xp))
            continue
        y = net.array(y)
        middle = x.shape[1:-1] if y.ndim == 2 else y.shape[1:-1]
        if y.ndim < 2 or x.ndim < 2 or (len(y), *middle) != x.shape[:-1]:
            raise ShapeError(
                f"x has shape {x.shape} and its labels {y.shape}; expected (N, K), one row per example (classes as "
                "one-hot rows), or maps (N, ..., K) of x's size; classes (N,) need a network with Embedding, "
                "ConcatEmbedding or Projection"
            )
        if y.ndim < x.ndim:  # copied: a captured graph writes to y again, which a broadcast view does not allow
            everywhere = xp.zeros((*x.shape[:-1], y.shape[-1]), dtype=net.dtype)
            y = everywhere + y.reshape(len(y), *(1,) * len(middle), -1)
        channels.append(y)
    if len(classes) > 1:
        raise ValueError(f"the batch has {len(classes)} arrays of classes (N,); expected one")
    x = xp.concatenate([x, *channels], axis=-1) if channels else x
    return (x, *classes) if classes else x


def same_shapes(one: Batch, other: Batch) -> bool:
    """Return whether two inputs of a network have the same shapes."""
    return [array.shape for array in arrays_of(one)] == [array.shape for array in arrays_of(other)]


def joined(net: Network, one: Batch, other: Batch) -> Batch:
    """Return the examples of two inputs of a network as one input, which has labels if both have them."""
    if isinstance(one, tuple) != isinstance(other, tuple):
        raise ValueError("one of two batches has labels; expected both or neither")
    xp = net.ops.xp
    x = xp.concatenate([net.array(arrays_of(one)[0]), net.array(arrays_of(other)[0])])
    return (x, xp.concatenate([one[1], other[1]])) if isinstance(one, tuple) else x


def with_labels(x: Array, batch: Batch) -> Batch:
    """Return (x, y, ...) with the labels of `batch`, or x if `batch` has no labels."""
    return (x, *batch[1:]) if isinstance(batch, tuple) else x


def example_gradient(net: Network, dx: Array, batch: Batch) -> Array:
    """Return the gradient with respect to x, from dx of the input that `network_input` made of x and its labels."""
    return net.ops.xp.ascontiguousarray(dx[..., : batch[0].shape[-1]]) if isinstance(batch, tuple) else dx
