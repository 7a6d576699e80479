"""The order of the features of a flattened image in a framework with the channels first.

Images are (H, W, C) here and (C, H, W) there, so that Flatten returns the same n = H W C values in another order:

    there_k = here_o(k),   o = (0 ... n - 1) as an (H W, C) table, read column by column,

which depends only on n and C.  A vector that Reshape converts to an image must have the same order.  Activations,
Dropout and BatchNorm do not change the order; Dense ends one segment and begins another.
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
    GroupNorm,
    InstanceNorm2D,
    LayerNorm,
    MaxPool2D,
    PixelShuffle,
    PixelUnshuffle,
    ReflectionPad2D,
    Reshape,
    Residual,
    SpectralNorm,
    UpSample2D,
    ZeroPad2D,
)
from minigan.layers.base import Layer, Shape, ShapeError
from minigan.layers.sizes import pair

Order = NDArray[np.intp]

OF_IMAGES = (
    AvgPool2D, Conv2D, ConvTranspose2D, InstanceNorm2D, MaxPool2D, PixelShuffle, PixelUnshuffle, ReflectionPad2D,
    UpSample2D, ZeroPad2D,
)  # fmt: skip


def channels_first(n: int, channels: int) -> Order:
    """Return o, the index in the (H, W, C) vector of each number of the (C, H, W) vector.

    >>> channels_first(6, 2)    # three pixels of two channels
    array([0, 2, 4, 1, 3, 5])
    """
    if n % channels:
        raise ShapeError(f"{n} features are not a multiple of {channels} channels")
    return np.arange(n).reshape(-1, channels).T.ravel()


class Segment:
    """A flat vector between two layers that determine its order.

    Parameters
    ----------
    channels : int, optional
        The channels of the image that the vector was; None if it is the input or the output of Dense.

    """

    def __init__(self, channels: int | None = None) -> None:
        self._channels = channels
        self._same: Segment | None = None  # another vector that has the same order

    def _root(self) -> "Segment":
        return self if self._same is None else self._same._root()

    @property
    def channels(self) -> int | None:
        """The channels of the image that the vector was or becomes; None if Dense determines the order."""
        return self._root()._channels

    def order(self, n: int) -> Order:
        """Return the order of the n features in the other framework."""
        return np.arange(n) if self.channels is None else channels_first(n, self.channels)

    def ends_as(self, shape: Shape) -> None:
        """Record that Reshape converts the vector to an image of `shape`."""
        self._require_alike(math.prod(shape), shape[-1])
        self._root()._channels = shape[-1]

    def join(self, other: "Segment", n: int) -> None:
        """Record that the vector is added to another one of n features, so that both have the same order."""
        root, other_root = self._root(), other._root()
        if root is other_root:
            return
        if other_root._channels is not None:
            self._require_alike(n, other_root._channels)
            root._channels = other_root._channels
        other_root._same = root

    def _require_alike(self, n: int, channels: int) -> None:
        if self.channels is not None and (self.order(n) != channels_first(n, channels)).any():
            raise ShapeError(
                f"images of {self.channels} channels become images of {channels} with no Dense between them, "
                "for which the other layout has no layer; expected the same number"
            )


@dataclass(frozen=True)
class Leaf:
    """A layer without sublayers.

    Parameters
    ----------
    name : str
        Its name in the network.
    layer : Layer
        The layer.
    reads, writes : Segment or None
        The vectors that are its input and its output; None for images.

    """

    name: str
    layer: Layer
    reads: Segment | None
    writes: Segment | None


@dataclass
class _Flow:
    """The known properties of the array between two layers."""

    shape: Shape | None
    channels: int | None  # of the image that it is, or was before Flatten; None if unknown
    segment: Segment | None = None  # None for an image, or if unknown
    image: bool = False


def leaves(layers: Sequence[Layer], input_shape: Sequence[int] | None) -> list[Leaf]:
    """Return all layers without sublayers, at every depth, in the order of their parameters.

    Parameters
    ----------
    layers : sequence of Layer
        The layers of a network.
    input_shape : tuple of int, optional
        The shape of the network's input, without N; needed only if the input reaches Flatten before a layer that
        determines its channels.

    Returns
    -------
    list of Leaf
        The layers, with the vectors that they read and write.

    Raises
    ------
    ValueError
        If the order of a vector cannot be determined, or the other layout has no layer for it.

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
    """Update `flow` from the input of a layer to its output, and add the layer's leaves to `found`."""
    inner = layer.sublayers()
    if isinstance(layer, Residual):
        branches = [replace(flow), replace(flow)]  # the body, and the shortcut, which is x itself without layers
        for branch, (prefix, chain) in zip(branches, inner.items(), strict=False):
            _enter(f"{name}.{prefix}", chain, branch, found)
        body, shortcut = branches
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
    """Update `flow` for a layer without sublayers; return the vector that the layer reads."""
    reads = flow.segment
    flow.shape = _next_shape(layer, flow.shape)
    if isinstance(layer, SpectralNorm):
        layer = layer.inner
    if isinstance(layer, Dense):
        reads, flow.segment, flow.image = flow.segment or Segment(), Segment(), False
    elif isinstance(layer, (Flatten, Reshape)):
        becomes_image = isinstance(layer, Reshape) and len(layer.shape) > 1
        known = flow.segment is not None or (flow.image and flow.channels is not None)
        harmless = becomes_image and flow.channels is None  # no earlier layer has parameters to permute
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
    elif isinstance(layer, (BatchNorm, GroupNorm, InstanceNorm2D)) and flow.segment is None:
        flow.channels = layer.channels
    elif isinstance(layer, LayerNorm) and flow.segment is None:
        if len(layer.sizes) == 3:
            flow.image, flow.channels = True, layer.sizes[-1]
        elif len(layer.sizes) == 2 or flow.image:
            raise ValueError(
                f"LayerNorm({layer.shape}) of images; expected LayerNorm((H, W, C)): the other layout "
                "has no layer for a part of the axes"
            )
        else:
            flow.segment = reads = Segment()
    elif isinstance(layer, (PixelShuffle, PixelUnshuffle)) and flow.channels is not None:
        f, g = pair("factor", layer.factor)
        flow.channels = flow.channels // (f * g) if isinstance(layer, PixelShuffle) else flow.channels * f * g
    flow.image = flow.image or isinstance(layer, OF_IMAGES)
    return reads


def _next_shape(layer: Layer, shape: Shape | None) -> Shape | None:
    if shape is not None:
        return layer.output_shape(shape)
    layer = layer.inner if isinstance(layer, SpectralNorm) else layer
    if isinstance(layer, Dense):
        return (layer.n_out,)
    return layer.shape if isinstance(layer, Reshape) else None
