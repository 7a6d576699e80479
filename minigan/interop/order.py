"""The order of the features of a flattened image in a framework that puts the channels first.

Images are (H, W, C) here and (C, H, W) there, so Flatten returns the same n = H W C values in another order:

    there_k = here_o(k),   o = (0 ... n - 1) as an (H W, C) table, read column by column,

which depends on n and C alone.  A vector that Reshape turns into an image must have that order before it.  Activations,
Dropout and BatchNorm in between keep the order; Dense ends one segment and begins another.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from minigan.layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    MaxPool2D,
    Reshape,
    Residual,
    UpSample2D,
    ZeroPad2D,
)
from minigan.layers.base import Layer, Shape, ShapeError

Order = NDArray[np.intp]

OF_IMAGES = (AvgPool2D, Conv2D, ConvTranspose2D, MaxPool2D, UpSample2D, ZeroPad2D)


def channels_first(n: int, channels: int) -> Order:
    """Return o: the place in an (H, W, C) vector of each number of the (C, H, W) vector.

    >>> channels_first(6, 2)    # three pixels of two channels
    array([0, 2, 4, 1, 3, 5])
    """
    if n % channels:
        raise ShapeError(f"{n} features are no whole number of pixels with {channels} channels")
    return np.arange(n).reshape(-1, channels).T.ravel()


class Segment:
    """A flat vector between two layers that set its order; `channels` are those of an image at either end."""

    def __init__(self, channels: int | None = None) -> None:
        self._channels = channels
        self._same: Segment | None = None  # the vector in whose order this one has to stand

    def _root(self) -> "Segment":
        return self if self._same is None else self._same._root()

    @property
    def channels(self) -> int | None:
        """The channels of the image that the vector was or becomes; None: it has the order in which Dense writes it."""
        return self._root()._channels

    def order(self, n: int) -> Order:
        """Return the order of its n features in the other framework."""
        return np.arange(n) if self.channels is None else channels_first(n, self.channels)

    def ends_as(self, shape: Shape) -> None:
        """Record that Reshape turns it into an image of `shape`."""
        self._require_alike(math.prod(shape), shape[-1])
        self._root()._channels = shape[-1]

    def join(self, other: "Segment", n: int) -> None:
        """Record that it is added to another vector of n features: both have the same order."""
        mine, others = self._root(), other._root()
        if mine is others:
            return
        if others._channels is not None:
            self._require_alike(n, others._channels)
            mine._channels = others._channels
        others._same = mine

    def _require_alike(self, n: int, channels: int) -> None:
        if self.channels is not None and (self.order(n) != channels_first(n, channels)).any():
            raise ShapeError(
                f"images of {self.channels} channels become images of {channels} with no Dense between them, "
                "for which the other layout has no layer; expected the same number"
            )


@dataclass(frozen=True)
class Leaf:
    """A layer that is not made of layers: its name, and the vector that it reads and writes (None: an image)."""

    name: str
    layer: Layer
    reads: Segment | None
    writes: Segment | None


@dataclass
class _Flow:
    """What is known of the array between two layers."""

    shape: Shape | None
    channels: int | None  # of the image that it is, or was before Flatten
    segment: Segment | None = None  # None: an image, or not known
    image: bool = False


def leaves(layers: Sequence[Layer], input_shape: Sequence[int] | None) -> list[Leaf]:
    """Return all layers, also those within others, in the order of their parameters.

    Parameters
    ----------
    layers
        The layers of a network.
    input_shape
        Of the network's input, without N; needed only where the input reaches Flatten before a layer that names its
        channels.

    Returns
    -------
    list of Leaf
        The layers that are not made of others.

    Raises
    ------
    ValueError
        If the order of a vector cannot be known, or the other layout has no layer for it.

    """
    shape = None if input_shape is None else tuple(int(n) for n in input_shape)
    flow = _Flow(shape, shape[-1] if shape else None)
    if shape is not None and len(shape) < 2:
        flow.segment = Segment()
    flow.image = shape is not None and flow.segment is None
    found: list[Leaf] = []
    for i, layer in enumerate(layers):
        try:
            _enter(str(i), layer, flow, found)
        except ValueError as error:
            raise type(error)(f"layer {i}: {error}") from None
    return found


def _enter(name: str, layer: Layer, flow: _Flow, found: list[Leaf]) -> None:
    """Lead the array through a layer, which changes `flow`, and add its leaves."""
    inner = layer.sublayers()
    if isinstance(layer, Residual):
        ways = [replace(flow), replace(flow)]  # the body's, and the shortcut's: x itself where it has no layers
        for way, (prefix, chain) in zip(ways, inner.items(), strict=False):
            _enter(f"{name}.{prefix}", chain, way, found)
        body, shortcut = ways
        if body.segment is not None and shortcut.segment is not None and body.shape is not None:
            shortcut.segment.join(body.segment, math.prod(body.shape))
        vars(flow).update(vars(body))
    elif inner:
        for prefix, one in inner.items():
            _enter(f"{name}.{prefix}", one, flow, found)
    else:
        reads = _advance(layer, flow)
        found.append(Leaf(name, layer, reads, flow.segment))


def _advance(layer: Layer, flow: _Flow) -> Segment | None:
    """Lead the array through a layer that is not made of others; return the vector that it reads."""
    reads = flow.segment
    flow.shape = _next_shape(layer, flow.shape)
    if isinstance(layer, Dense):
        reads, flow.segment, flow.image = flow.segment or Segment(), Segment(), False
    elif isinstance(layer, (Flatten, Reshape)):
        becomes_image = isinstance(layer, Reshape) and len(layer.shape) > 1
        known = flow.segment is not None or (flow.image and flow.channels is not None)
        harmless = becomes_image and flow.channels is None  # nothing before it has parameters to put in order
        if not known and not harmless:
            raise ValueError(
                f"the shape of what {type(layer).__name__} reads is not known; expected "
                "input_shape=(H, W, C) of the network's input, or (I,)"
            )
        flow.segment, flow.image = flow.segment or Segment(flow.channels), False
        if isinstance(layer, Reshape) and becomes_image:
            flow.segment.ends_as(layer.shape)
            flow.segment, flow.image, flow.channels = None, True, layer.shape[-1]
    elif isinstance(layer, (Conv2D, ConvTranspose2D)):
        flow.channels = layer.c_out
    elif isinstance(layer, BatchNorm) and flow.segment is None:
        flow.channels = layer.channels
    flow.image = flow.image or isinstance(layer, OF_IMAGES)
    return reads


def _next_shape(layer: Layer, shape: Shape | None) -> Shape | None:
    if shape is not None:
        return layer.output_shape(shape)
    if isinstance(layer, Dense):
        return (layer.n_out,)
    return layer.shape if isinstance(layer, Reshape) else None
