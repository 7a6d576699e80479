"""PyTorch's layout: the state_dict of a torch.nn.Sequential with the same layers.

| layer i             | module             | key               | shape there          | here                  |
|---------------------|--------------------|-------------------|----------------------|-----------------------|
| Dense               | Linear             | i.weight, i.bias  | (O, I), (O,)         | W (I, O), b (O,)      |
| Conv2D              | Conv2d             | i.weight, i.bias  | (O, C, kh, kw), (O,) | W (kh, kw, C, O), b   |
| ConvTranspose2D     | ConvTranspose2d    | i.weight, i.bias  | (C, O, kh, kw), (O,) | W (kh, kw, O, C), b   |
| BatchNorm           | BatchNorm1d, 2d    | i.weight, i.bias  | (C,), (C,)           | gamma, beta           |
|                     |                    | i.running_mean, i.running_var | (C,), (C,)| running_mean, running_var |
|                     |                    | i.num_batches_tracked | ()               | not used: 0           |
| LayerNorm           | LayerNorm          | i.weight, i.bias  | (I,) or (C, H, W) | gamma, beta           |
| GroupNorm           | GroupNorm          | i.weight, i.bias  | (C,), (C,)        | gamma, beta           |
| InstanceNorm2D      | InstanceNorm2d(affine=True) | i.weight, i.bias | (C,), (C,) | gamma, beta           |
| SpectralNorm        | parametrizations.spectral_norm | i.KEY.original, i.bias | as the layer |  W, b      |
|                     |                    | i.KEY.0._u        | (O,)              | u                     |
|                     |                    | i.KEY.0._v        | (R,)              | not used: W^T u / norm |
| Chain               | Sequential         | i.j.weight, ...   |                      |                       |
| Residual            | one with `body` and `shortcut` | i.body.j.weight, ... |       |                       |
| Flatten, Reshape    | Flatten, Unflatten |                   | images (C, H, W)     | images (H, W, C)      |

KEY is "parametrizations.weight".  No kernel is flipped, as both frameworks compute correlations.  Permuted are the
rows of a Dense that reads a flattened image, the columns and the bias of a Dense whose output becomes an image, and a
BatchNorm or LayerNorm between them (`minigan.interop.order`).  A flat input that becomes an image without a Dense, and
a flat output that was an image, have the order of (C, H, W) in PyTorch.  Softmax is over the channels, dim=1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.interop.checks import numbers, require_known, walk
from minigan.interop.order import Segment, leaves
from minigan.layers import (
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    GroupNorm,
    InstanceNorm2D,
    LayerNorm,
    PixelShuffle,
    PixelUnshuffle,
    SpectralNorm,
)
from minigan.layers.base import Layer
from minigan.layers.sizes import pair
from minigan.network import Network
from minigan.ops import to_host
from minigan.ops.protocol import Array

COUNTER = "num_batches_tracked"
WEIGHT, LEFT, RIGHT = (f"parametrizations.weight.{name}" for name in ("original", "0._u", "0._v"))
"""The keys of PyTorch's spectral normalisation."""


@dataclass(frozen=True)
class Slot:
    """One array of the state_dict: its k-th value is the index(k)-th value of the flattened array `here`.

    Parameters
    ----------
    key : str
        The key in the state_dict.
    here : str
        The name of the array in the network.
    index : array of int
        The index, in the shape of the array in the state_dict.

    """

    key: str
    here: str
    index: NDArray[np.intp]


def to_torch(net: Network, *, input_shape: Sequence[int] | None = None) -> dict[str, Array]:
    """Return parameters and running statistics as a PyTorch state_dict of NumPy arrays.

    Parameters
    ----------
    net : Network
        A network of layers that PyTorch has.
    input_shape : tuple of int, optional
        (H, W, C) or (I,), without N.  Needed if images reach Flatten before a layer that determines their channels; if
        it is given, the shapes of the layers are checked.

    Returns
    -------
    dict of array
        Copies in the network's dtype, by PyTorch's keys.

    Raises
    ------
    ValueError
        If PyTorch has no equivalent of a layer, or the order of a flattened image is not known.

    """
    here = {**net.parameters(), **net.state}
    slots = _slots(net, input_shape)
    state = {slot.key: np.asarray(to_host(here[slot.here])).ravel()[slot.index] for slot in slots}
    for name, layer in walk(net.chain):
        if isinstance(layer, SpectralNorm):
            state |= _singular_vectors(name, state[f"{name}.{WEIGHT}"], state[f"{name}.{LEFT}"], layer)
    # PyTorch counts batches for BatchNorm(momentum=None) alone.
    return state | {key: np.array(0) for key in _counters(net)}


def from_torch(net: Network, state_dict: Mapping[str, Any], *, input_shape: Sequence[int] | None = None) -> None:
    """Set parameters and running statistics from a PyTorch state_dict.

    Parameters
    ----------
    net : Network
        A network of layers that PyTorch has; it is changed in place.
    state_dict : mapping
        Tensors or arrays by PyTorch's keys; num_batches_tracked is ignored and may be missing.
    input_shape : tuple of int, optional
        As for `to_torch`.

    Raises
    ------
    ValueError
        If arrays are missing, superfluous or do not fit; the message names all of them, and `net` is unchanged.

    """
    slots = _slots(net, input_shape)
    here = {**net.parameters(), **net.state}
    unused = [f"{name}.{RIGHT}" for name, layer in walk(net.chain) if isinstance(layer, SpectralNorm)]
    expected = {slot.key for slot in slots} | set(_counters(net)) | set(unused)
    problems = [f"unexpected {key!r}" for key in state_dict if key not in expected]
    values: dict[str, Array] = {}
    for slot in slots:
        if slot.key not in state_dict:
            problems.append(f"missing {slot.key!r}")
            continue
        value = numbers(repr(slot.key), state_dict[slot.key], slot.index.shape, net.dtype, problems, name=slot.here)
        if value is not None:
            flat = np.empty(slot.index.size, dtype=net.dtype)
            flat[slot.index] = value
            values[slot.here] = flat.reshape(here[slot.here].shape)
    if problems:
        raise ValueError("state_dict does not fit the network: " + "; ".join(problems))
    net.load_parameters({name: values[name] for name in net.parameters()})
    net.load_state({name: values[name] for name in net.state})


def _singular_vectors(name: str, W: Array, u: Array, layer: SpectralNorm) -> dict[str, Array]:
    """Return PyTorch's unit vectors u and v = W^T u / |W^T u|, which it expects to have been computed."""
    rows = (W.swapaxes(0, 1) if isinstance(layer.inner, ConvTranspose2D) else W).reshape(len(u), -1)
    v = u @ rows
    return {f"{name}.{LEFT}": u / np.sqrt((u * u).sum()), f"{name}.{RIGHT}": v / np.sqrt((v * v).sum())}


def _counters(net: Network) -> list[str]:
    return [f"{name}.{COUNTER}" for name, layer in walk(net.chain) if isinstance(layer, BatchNorm)]


def _slots(net: Network, input_shape: Sequence[int] | None) -> list[Slot]:
    require_known(net, "PyTorch")
    slots = []
    for leaf in leaves(net.layers, input_shape):
        try:
            arrays = _layout(leaf.layer, leaf.reads, leaf.writes)
        except ValueError as error:
            raise type(error)(f"layer {leaf.name}: {error}") from None
        # Contiguous, because an indexed array has the memory layout of its index.
        slots += [
            Slot(f"{leaf.name}.{there}", f"{leaf.name}.{here}", np.ascontiguousarray(index))
            for there, here, index in arrays
        ]
    return slots


def _layout(layer: Layer, reads: Segment | None, writes: Segment | None) -> list[tuple[str, str, NDArray[np.intp]]]:
    """Return the key in PyTorch, the name in the network and the index for each array of a layer."""
    if isinstance(layer, SpectralNorm):
        inner = _layout(layer.inner, reads, writes)
        order = (writes or Segment()).order(layer.inner.n_out) if isinstance(layer.inner, Dense) else None
        u = np.arange(layer.state()["u"][0][0]) if order is None else order
        return [(WEIGHT if there == "weight" else there, here, index) for there, here, index in inner] + [
            (LEFT, "u", u)
        ]
    if isinstance(layer, Dense):
        rows, columns = (reads or Segment()).order(layer.n_in), (writes or Segment()).order(layer.n_out)
        weight = np.arange(layer.n_in * layer.n_out).reshape(layer.n_in, layer.n_out)[rows][:, columns].T
        return [("weight", "W", weight), ("bias", "b", columns)][: 1 + layer.bias]
    if isinstance(layer, (Conv2D, ConvTranspose2D)):
        shape = layer.parameters()["W"].shape
        weight = np.arange(np.prod(shape)).reshape(shape).transpose(3, 2, 0, 1)
        return [("weight", "W", weight), ("bias", "b", np.arange(layer.c_out))][: 1 + layer.bias]
    if isinstance(layer, BatchNorm):
        order = (writes or Segment()).order(layer.channels)
        names = {"weight": "gamma", "bias": "beta", "running_mean": "running_mean", "running_var": "running_var"}
        return [(there, here, order) for there, here in names.items()]
    if isinstance(layer, (GroupNorm, InstanceNorm2D, LayerNorm)):
        index = _scales(layer, writes)
        return [("weight", "gamma", index), ("bias", "beta", index)]
    if isinstance(layer, (PixelShuffle, PixelUnshuffle)) and len({*pair("factor", layer.factor)}) > 1:
        raise ValueError(f"{layer}: PyTorch has one factor for both axes")
    return []


def _scales(layer: GroupNorm | InstanceNorm2D | LayerNorm, writes: Segment | None) -> NDArray[np.intp]:
    """Return the index of gamma and beta."""
    if isinstance(layer, LayerNorm):
        if len(layer.sizes) == 3:
            return np.arange(np.prod(layer.sizes)).reshape(layer.sizes).transpose(2, 0, 1)
        return (writes or Segment()).order(layer.sizes[0])
    order = (writes or Segment()).order(layer.channels)
    if (order != np.arange(layer.channels)).any():
        raise ValueError(
            f"{layer} of a flattened image: its groups are other features in PyTorch; expected it before Flatten"
        )
    return order
