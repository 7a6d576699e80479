"""In which order the features of a flat vector stand in a framework that puts the channels first.

Images are (H, W, C) here and (C, H, W) there, so Flatten hands over the same n = H W C numbers in another order:

    there_k = here_o(k),   o = (0 ... n - 1) as an (H W, C) table, read column by column,

which depends on n and C alone.  A vector that becomes an image by Reshape must stand in the same order before it.
What lies on the way (activations, Dropout, BatchNorm) is in that order too; Dense ends one order and begins another.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass
class Run:
    """A vector on its way between two layers that set its order; `channels` are those of an image at either end."""

    channels: int | None = None

    def order(self, n: int) -> Order:
        """Return the order of its n features there."""
        return np.arange(n) if self.channels is None else channels_first(n, self.channels)

    def ends_as(self, shape: Shape) -> None:
        """Say that Reshape makes an image of `shape` of it."""
        n = math.prod(shape)
        if self.channels is not None and (self.order(n) != channels_first(n, shape[-1])).any():
            raise ShapeError(
                f"images of {self.channels} channels become images of {shape[-1]} with no Dense between them, "
                "for which the other layout has no layer; accepted: the same number"
            )
        self.channels = shape[-1]


def runs(layers: Sequence[Layer], input_shape: Sequence[int] | None) -> list[tuple[Run | None, Run | None]]:
    """Return the vector that each layer reads and the one it writes; None for an image.

    `input_shape` (without N) is needed only where the input reaches Flatten before a layer that names its channels.
    """
    shape = None if input_shape is None else tuple(int(n) for n in input_shape)
    channels = shape[-1] if shape else None
    run = Run() if shape is not None and len(shape) < 2 else None  # None: an image, or not known
    image = shape is not None and run is None
    found: list[tuple[Run | None, Run | None]] = []
    for i, layer in enumerate(layers):
        before = run
        try:
            shape = _next_shape(layer, shape)
            if isinstance(layer, Dense):
                before, run, image = run or Run(), Run(), False
            elif isinstance(layer, (Flatten, Reshape)):
                becomes_image = isinstance(layer, Reshape) and len(layer.shape) > 1
                known = run is not None or (image and channels is not None)
                harmless = becomes_image and channels is None  # nothing before it has parameters to put in order
                if not known and not harmless:
                    raise ValueError(
                        f"the shape of what {type(layer).__name__} reads is not known; accepted: "
                        "input_shape=(H, W, C) of the network's input, or (I,)"
                    )
                run, image = run or Run(channels), False
                if isinstance(layer, Reshape) and becomes_image:
                    run.ends_as(layer.shape)
                    run, image, channels = None, True, layer.shape[-1]
            elif isinstance(layer, (Conv2D, ConvTranspose2D)):
                channels = layer.c_out
            elif isinstance(layer, BatchNorm) and run is None:
                channels = layer.channels
            image = image or isinstance(layer, OF_IMAGES)
        except ValueError as error:
            raise type(error)(f"layer {i}: {error}") from None
        found.append((before, run))
    return found


def _next_shape(layer: Layer, shape: Shape | None) -> Shape | None:
    if shape is not None:
        return layer.output_shape(shape)
    if isinstance(layer, Dense):
        return (layer.n_out,)
    return layer.shape if isinstance(layer, Reshape) else None
