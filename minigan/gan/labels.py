"""Batches with labels as the input of a network (Mirza and Osindero 2014).

A batch is an array x (N, ..., C), or a tuple (x, y, ...) of x and labels y (N, K), such as one-hot rows, or maps
(N, ..., K).  The input of a network is x, or x with the labels as K more channels.  From noise and labels (z, y), G
makes the fakes (G(z, y), y); D's gradient with respect to y is not used.
"""

from minigan._batch import Batch
from minigan.layers.base import ShapeError
from minigan.network import Network
from minigan.ops.protocol import Array


def network_input(net: Network, batch: Batch) -> Array:
    """Return the input of a network for a batch: x, or x with the labels as more channels.

    Parameters
    ----------
    net : Network
        The network; arrays of a tuple are moved to its device and cast to its dtype.
    batch : array or tuple of array
        x (N, ..., C), or a tuple (x, y, ...) with y (N, K) or (N, ..., K).

    Returns
    -------
    array (N, ..., C) or (N, ..., C + K)
        x itself, or x and the labels; y (N, K) has the same K values at every pixel of an image.

    Raises
    ------
    ShapeError
        If y does not fit x or has no channels, such as class numbers (N,).

    """
    if not isinstance(batch, tuple):
        return batch
    xp = net.ops.xp
    x, *labels = (net.array(array) for array in batch)
    channels = [x]
    for y in labels:
        middle = x.shape[1:-1] if y.ndim == 2 else y.shape[1:-1]
        if y.ndim < 2 or x.ndim < 2 or (len(y), *middle) != x.shape[:-1]:
            raise ShapeError(
                f"x has shape {x.shape} and its labels {y.shape}; expected (N, K), one row per example (classes as "
                "one-hot rows), or maps (N, ..., K) of x's size"
            )
        if y.ndim < x.ndim:  # copied: a captured graph writes to y again, which a broadcast view does not allow
            everywhere = xp.zeros((*x.shape[:-1], y.shape[-1]), dtype=net.dtype)
            y = everywhere + y.reshape(len(y), *(1,) * len(middle), -1)
        channels.append(y)
    return xp.concatenate(channels, axis=-1)


def with_labels(x: Array, batch: Batch) -> Batch:
    """Return (x, y, ...) with the labels of `batch`, or x if `batch` has no labels."""
    return (x, *batch[1:]) if isinstance(batch, tuple) else x


def example_gradient(net: Network, dx: Array, batch: Batch) -> Array:
    """Return the gradient with respect to x, from dx of the input that `network_input` made of x and its labels."""
    return net.ops.xp.ascontiguousarray(dx[..., : batch[0].shape[-1]]) if isinstance(batch, tuple) else dx
