"""Checks for both frameworks: of the layers, and of all arrays before the network is changed."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigan._views import converted_numbers
from minigan.layers import (
    AvgPool2D,
    BatchNorm,
    Chain,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GroupNorm,
    InstanceNorm2D,
    LayerNorm,
    LeakyReLU,
    MaxPool2D,
    PixelShuffle,
    PixelUnshuffle,
    ReflectionPad2D,
    ReLU,
    Reshape,
    Residual,
    Sigmoid,
    Softmax,
    Softplus,
    SpectralNorm,
    Tanh,
    UpSample2D,
    ZeroPad2D,
)
from minigan.layers.base import Layer, Shape
from minigan.network import Network
from minigan.ops.protocol import Array

KNOWN = (
    AvgPool2D, BatchNorm, Chain, Conv2D, ConvTranspose2D, Dense, Dropout, Flatten, GroupNorm, InstanceNorm2D, LayerNorm,
    LeakyReLU, MaxPool2D, ReLU, Reshape, Residual, Sigmoid, Softmax, Softplus, Tanh, UpSample2D, ZeroPad2D,
)  # fmt: skip
"""The layers that both frameworks have."""
MORE = {"PyTorch": (PixelShuffle, PixelUnshuffle, ReflectionPad2D, SpectralNorm)}
"""The further layers of a framework."""


def require_known(net: Network, framework: str) -> None:
    """Raise ValueError if the framework does not have a layer; the message names all such layers."""
    layers = (*KNOWN, *MORE.get(framework, ()))
    strange = [f"layer {name} ({type(f).__name__})" for name, f in walk(net.chain) if not isinstance(f, layers)]
    if strange:
        known = ", ".join(layer.__name__ for layer in layers)
        raise ValueError(f"{framework} has no layer for {', '.join(strange)}; expected {known}")


def walk(layer: Layer, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the names and layers of all sublayers, at every depth."""
    for name, inner in layer.sublayers().items():
        yield prefix + name, inner
        yield from walk(inner, f"{prefix}{name}.")


def numbers(
    label: str, value: Any, shape: Shape, dtype: np.dtype, problems: list[str], *, name: str = ""
) -> Array | None:
    """Return `value` as an array of the network's dtype; if it does not fit, return None and add to `problems`."""
    try:
        array = np.asarray(value)
    except (
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:  # for example a tensor on a GPU, in bfloat16, or with a gradient
        problems.append(f"{label} is not an array: {error}")
        return None
    if array.shape != shape:
        problems.append(f"{label} has shape {array.shape}, expected {shape}")
    elif array.dtype.kind not in {"f": "biuf", "c": "biufc", "O": "biufcO"}[dtype.kind]:
        problems.append(f"{label} is {array.dtype}, expected numbers that {dtype} can hold")
    else:
        return converted_numbers(label, array, dtype, problems, name=name)
    return None
