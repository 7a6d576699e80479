"""Convert a minigan network to idiomatic torch.nn modules, and its weights to their state_dict.

`channels_last` is PyTorch's faster layout on a CPU: images are (N, C, H, W) tensors, but lie in memory as NHWC.  In
both layouts vectors become images, and images vectors, without a copy; the weights of dense layers are permuted
accordingly.
"""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import minigan as mg
from minigan.interop import to_torch
from minigan.interop.order import leaves
from minigan.ops import get_ops


class Conv(nn.Conv2d):
    """A convolution with any padding; `torch.nn.Conv2d` supports only equal padding on both sides."""

    def __init__(self, layer: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        geometry = layer.geometry(shape[:2])
        (top, bottom), (left, right) = geometry.padding
        even = (top, left) == (bottom, right)
        super().__init__(
            layer.c_in, layer.c_out, geometry.kernel, stride=geometry.stride, dilation=geometry.dilation,
            bias=layer.bias, padding=(top, left) if even else 0, dtype=dtype,
        )  # fmt: skip
        self.explicit_padding = None if even else (left, right, top, bottom)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return y (N, O, h, w).    x (N, C, H, W)"""
        return super().forward(x if self.explicit_padding is None else F.pad(x, self.explicit_padding))


class ConvTranspose(nn.ConvTranspose2d):
    """A transposed convolution; if more is cropped at the end than at the start, a slice crops it."""

    def __init__(self, layer: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        geometry = layer.geometry(shape[:2])
        crop = [sides[0] for sides in geometry.padding]
        sizes = zip(shape[:2], geometry.stride, geometry.dilation, geometry.kernel, strict=True)
        full = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in sizes]  # the size without cropping
        missing = [n - (f - 2 * c) for n, f, c in zip(geometry.large, full, crop, strict=True)]
        super().__init__(
            layer.c_in, layer.c_out, geometry.kernel, stride=geometry.stride, dilation=geometry.dilation,
            bias=layer.bias, padding=tuple(crop), output_padding=tuple(max(0, m) for m in missing), dtype=dtype,
        )  # fmt: skip
        self.slices = min(missing) < 0
        self.large = geometry.large

    def forward(self, x: torch.Tensor, output_size: Any = None) -> torch.Tensor:
        """Return y (N, O, H, W).    x (N, C, h, w)"""
        y = super().forward(x, output_size)
        return y[:, :, : self.large[0], : self.large[1]] if self.slices else y


class ToImage(nn.Module):
    """(N, H W C) -> (N, C, H, W)."""

    def __init__(self, shape: tuple[int, ...], channels_last: bool) -> None:
        super().__init__()
        self.shape, self.channels_last = shape, channels_last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x as images (N, C, H, W).    x (N, H W C)"""
        H, W, C = self.shape
        return x.view(-1, H, W, C).permute(0, 3, 1, 2) if self.channels_last else x.view(-1, C, H, W)


class ToVector(nn.Module):
    """(N, C, H, W) -> (N, H W C)."""

    def __init__(self, channels_last: bool) -> None:
        super().__init__()
        self.channels_last = channels_last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x as vectors (N, H W C).    x (N, C, H, W)"""
        return (x.permute(0, 2, 3, 1) if self.channels_last else x).flatten(1)


class Dropout(nn.Dropout):
    """PyTorch's dropout; if `rng` is set (for the check), minigan's masks from keys drawn as minigan draws them."""

    def __init__(self, rate: float, order: Any = None) -> None:
        super().__init__(rate)
        self.order, self.rng = order, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return y in the shape of x.    x (N, C, H, W) or (N, I)"""
        if self.rng is None or not self.training or self.p == 0:
            return super().forward(x)
        key = int(self.rng.integers(2**64, dtype=np.uint64))
        shape = (x.shape[0], *x.shape[2:], x.shape[1])
        mask = get_ops("reference").dropout(np.ones(shape, str(x.dtype).removeprefix("torch.")), self.p, key)
        mask = np.moveaxis(mask, -1, 1)
        return x * torch.tensor(mask if self.order is None else mask[:, self.order], device=x.device)


class Maxout(nn.Linear):
    """The maximum of P affine maps."""

    def __init__(self, layer: Any, dtype: torch.dtype) -> None:
        super().__init__(layer.n_in, layer.n_out * layer.pieces, dtype=dtype)
        self.pieces = layer.pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return y (N, O).    x (N, I)"""
        return super().forward(x).view(len(x), -1, self.pieces).max(dim=2).values


def modules(net: Any, shape: tuple[int, ...], *, channels_last: bool = False) -> nn.Sequential:
    """Return the network as a module, with its parameters and running statistics.

    Parameters
    ----------
    net
        A minigan network.
    shape
        The shape of its input without N.
    channels_last
        Whether images lie in memory as NHWC.

    Returns
    -------
    torch.nn.Sequential
        One module per layer.

    """
    dtype = getattr(torch, str(net.dtype))
    converted, first, at = [], tuple(shape), tuple(shape)
    orders = _orders(net, first, channels_last)
    for i, layer in enumerate(net.layers):
        converted.append(_module(layer, at, dtype, channels_last, orders[i]))
        at = layer.output_shape(at)
    chain = nn.Sequential(*converted)
    chain.load_state_dict({key: torch.tensor(value) for key, value in state(net, first, channels_last).items()})
    return chain.to(memory_format=torch.channels_last) if channels_last else chain


def _module(layer: Any, shape: tuple[int, ...], dtype: torch.dtype, channels_last: bool, order: Any) -> nn.Module:
    kind = type(layer).__name__
    if kind == "Conv2D":
        return Conv(layer, shape, dtype)
    if kind == "ConvTranspose2D":
        return ConvTranspose(layer, shape, dtype)
    if kind == "Dense":
        return nn.Linear(layer.n_in, layer.n_out, bias=layer.bias, dtype=dtype)
    if kind == "Maxout":
        return Maxout(layer, dtype)
    if kind == "BatchNorm":
        norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        share = layer.momentum if layer.convention == "new" else 1 - layer.momentum
        return norm(layer.channels, eps=layer.eps, momentum=share, dtype=dtype)
    if kind == "Dropout":
        return Dropout(layer.rate, order)
    if kind == "Reshape":
        return ToImage(layer.shape, channels_last)
    if kind == "Flatten":
        return ToVector(channels_last)
    if kind == "ZeroPad2D":
        (top, bottom), (left, right) = layer.padding
        return nn.ZeroPad2d((left, right, top, bottom))
    if kind == "LeakyReLU":
        return nn.LeakyReLU(layer.slope)
    return {"ReLU": nn.ReLU, "Tanh": nn.Tanh, "Sigmoid": nn.Sigmoid}[kind]()


def _orders(net: Any, shape: tuple[int, ...], channels_last: bool) -> list[Any]:
    """Return the order of the features of each layer's output in PyTorch; None: the same order, or an image."""
    if channels_last or not _has_images(net):
        return [None] * len(net.layers)
    found, at = [], shape
    for layer, writes in ((leaf.layer, leaf.writes) for leaf in leaves(net.layers, shape)):
        at = layer.output_shape(at)
        found.append(None if writes is None or len(at) != 1 else writes.order(at[0]))
    return found


def _has_images(net: Any) -> bool:
    return any(isinstance(layer, (mg.Conv2D, mg.ConvTranspose2D)) for layer in net.layers)


def state(net: Any, shape: tuple[int, ...], channels_last: bool) -> dict[str, Any]:
    """Return the state_dict of `modules`, from the network's parameters and running statistics.

    Parameters
    ----------
    net
        A minigan network.
    shape
        The shape of its input without N.
    channels_last
        Whether images lie in memory as NHWC, so that features keep their order.

    Returns
    -------
    dict
        Arrays by PyTorch's names, in PyTorch's axes.

    """
    if not channels_last and _has_images(net):
        return to_torch(net, input_shape=shape)
    found = {}
    for name, value in {**net.parameters(), **net.state}.items():
        i, _, what = name.partition(".")
        torch_name = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}.get(what, what)
        if what == "W":
            value = value.T if value.ndim == 2 else value.transpose(3, 2, 0, 1)
        found[f"{i}.{torch_name}"] = np.ascontiguousarray(value)
        if what == "running_mean":
            found[f"{i}.num_batches_tracked"] = np.array(0)
    return found
