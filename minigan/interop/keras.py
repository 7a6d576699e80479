"""Keras' layout: the list that get_weights() returns for a Sequential model with the same layers.

| layer               | layer there                  | arrays, in this order                                        |
|---------------------|------------------------------|--------------------------------------------------------------|
| Dense               | Dense                        | kernel (I, O), bias (O,)                                     |
| Conv2D              | Conv2D                       | kernel (kh, kw, C, O), bias (O,)                             |
| ConvTranspose2D     | Conv2DTranspose              | kernel (kh, kw, O, C), bias (O,)                             |
| BatchNorm           | BatchNormalization           | gamma, beta, moving_mean, moving_variance, each (C,)         |
| LayerNorm           | LayerNormalization           | gamma, beta                                                  |
| GroupNorm           | GroupNormalization           | gamma (C,), beta (C,)                                        |
| InstanceNorm2D      | GroupNormalization(groups=-1)| gamma (C,), beta (C,)                                        |

Images are (H, W, C) there too, so that no array is permuted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan.interop.checks import numbers, require_known, walk
from minigan.network import Network
from minigan.ops import to_host
from minigan.ops.protocol import Array

NAMES = {"W": "kernel", "b": "bias", "running_mean": "moving_mean", "running_var": "moving_variance"}


def to_keras(net: Network) -> list[Array]:
    """Return parameters and running statistics in the order of Keras' get_weights().

    Parameters
    ----------
    net : Network
        A network of layers that Keras has.

    Returns
    -------
    list of array
        Copies in the network's dtype, for ``model.set_weights``.

    Raises
    ------
    ValueError
        If Keras has no equivalent of a layer.

    """
    here = {**net.parameters(), **net.state}
    return [np.array(to_host(here[name])) for name in _names(net)]


def from_keras(net: Network, weights: Sequence[Any]) -> None:
    """Set parameters and running statistics from Keras' get_weights().

    Parameters
    ----------
    net : Network
        A network of layers that Keras has; it is changed in place.
    weights : sequence of array
        The arrays in Keras' order.

    Raises
    ------
    ValueError
        If arrays are missing, superfluous or do not fit; the message names all of them, and `net` is unchanged.

    """
    here = {**net.parameters(), **net.state}
    names = _names(net)
    problems: list[str] = []
    values: dict[str, Array] = {}
    if len(weights) != len(names):
        problems.append(f"{len(weights)} arrays, expected {len(names)}: " + ", ".join(map(_label, names)))
    for i, (name, weight) in enumerate(zip(names, weights, strict=False)):
        value = numbers(f"weights[{i}] ({_label(name)})", weight, here[name].shape, net.dtype, problems, name=name)
        if value is not None:
            values[name] = value
    if problems:
        raise ValueError("weights do not fit the network: " + "; ".join(problems))
    net.load_parameters({name: values[name] for name in net.parameters()})
    net.load_state({name: values[name] for name in net.state})


def _names(net: Network) -> list[str]:
    """Return the names of the arrays, for each layer first the parameters, then the running statistics."""
    require_known(net, "Keras")
    return [
        f"{place}.{name}"
        for place, layer in walk(net.chain)
        if not layer.sublayers()
        for name in (*layer.parameters(), *layer.state())
    ]


def _label(name: str) -> str:
    """Return the layer of an array and its name in Keras.

    >>> _label("3.W")
    'layer 3 kernel'
    """
    i, _, last = name.rpartition(".")
    return f"layer {i} {NAMES.get(last, last)}"
