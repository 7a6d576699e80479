"""A chain of minigan layers run by PyTorch, with PyTorch's convolutions, batch norm, autograd and Adam.

The oracle for training steps: it shares weights, batches and dropout masks with minigan, nothing else.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import minigan as mg
from minigan.ops import get_ops


def zero_pad(layer, x):
    (top, bottom), (left, right) = layer.padding
    return F.pad(x, (0, 0, left, right, top, bottom))


def conv(layer, W, b, x):
    """A convolution with explicit padding (PyTorch's is symmetric).    x (N, H, W, C)   W (kh, kw, C, O)"""
    (top, bottom), (left, right) = layer.geometry(tuple(x.shape[1:3])).padding
    x = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    y = F.conv2d(x, W.permute(3, 2, 0, 1), b, stride=layer.stride, dilation=layer.dilation)
    return y.permute(0, 2, 3, 1)


def conv_transpose(layer, W, b, x):
    """A transposed convolution without padding, cropped afterwards.    x (N, h, w, C)   W (kh, kw, O, C)"""
    geometry = layer.geometry(tuple(x.shape[1:3]))
    y = F.conv_transpose2d(
        x.permute(0, 3, 1, 2), W.permute(3, 2, 0, 1).contiguous(), stride=layer.stride, dilation=layer.dilation
    )
    missing = [n - m for n, m in zip(geometry.padded, y.shape[2:], strict=True)]
    y = F.pad(y, (0, missing[1], 0, missing[0]))[:, :, *geometry.inside].permute(0, 2, 3, 1)
    return y if b is None else y + b


def pool(kind, layer, x):
    """kind: F.max_pool2d or F.avg_pool2d."""
    return kind(x.permute(0, 3, 1, 2), layer.pool_size, layer.stride).permute(0, 2, 3, 1)


class Twin(nn.Module):
    """The network's layers on NCHW tensors.    x NHWC or (N, I) in and out"""

    def __init__(self, net, **adam):
        super().__init__()
        self.layers = net.layers
        self.names = [k.replace(".", "_") for k in net.parameters()]  # a ParameterDict sorts its keys
        self.tensors = nn.ParameterDict({k.replace(".", "_"): torch.tensor(v) for k, v in net.parameters().items()})
        self.running = {key: torch.tensor(value) for key, value in net.state.items()}
        self.optimizer = torch.optim.Adam(self.parameters(), **adam)

    def theta(self):
        return np.concatenate([self.tensors[name].detach().numpy().ravel() for name in self.names])

    def state(self):
        return {key: value.numpy() for key, value in self.running.items()}

    def forward(self, x, *, train, rng=None, update=True):
        for i, layer in enumerate(self.layers):
            x = self.run(layer, str(i), x, train, rng, update)
        return x

    def run(self, layer, at, x, train, rng, update):
        """Run one layer, whose parameters are called "at.W", ...; those of its sublayers "at.name.W", ..."""
        return getattr(self, type(layer).__name__)(layer, at, x, train, rng, update)

    def p(self, at, name):
        return self.tensors.get(f"{at}.{name}".replace(".", "_"))

    def Chain(self, layer, at, x, *how):
        for name, inner in layer.sublayers().items():
            x = self.run(inner, f"{at}.{name}", x, *how)
        return x

    def Residual(self, layer, at, x, *how):
        branches = [self.run(inner, f"{at}.{name}", x, *how) for name, inner in layer.sublayers().items()]
        return branches[0] + (branches[1] if len(branches) == 2 else x)

    def Dense(self, layer, at, x, *_):
        return F.linear(x, self.p(at, "W").T, self.p(at, "b"))

    def ReLU(self, layer, at, x, *_):
        return F.relu(x)

    def LeakyReLU(self, layer, at, x, *_):
        return F.leaky_relu(x, layer.slope)

    def Tanh(self, layer, at, x, *_):
        return torch.tanh(x)

    def Sigmoid(self, layer, at, x, *_):
        return torch.sigmoid(x)

    def Reshape(self, layer, at, x, *_):
        return x.reshape(len(x), *layer.shape)

    def Flatten(self, layer, at, x, *_):
        return x.reshape(len(x), -1)

    def Dropout(self, layer, at, x, train, rng, _):
        if not train:
            return x
        key = int(rng.integers(2**64, dtype=np.uint64))
        mask = get_ops("reference").dropout(np.ones(tuple(x.shape)), layer.rate, key)
        return x * torch.tensor(mask)

    def ZeroPad2D(self, layer, at, x, *_):
        return zero_pad(layer, x)

    def MaxPool2D(self, layer, at, x, *_):
        return pool(F.max_pool2d, layer, x)

    def Conv2D(self, layer, at, x, *_):
        return conv(layer, self.p(at, "W"), self.p(at, "b"), x)

    def ConvTranspose2D(self, layer, at, x, *_):
        return conv_transpose(layer, self.p(at, "W"), self.p(at, "b"), x)

    def BatchNorm(self, layer, at, x, train, _rng, update):
        mean, var = self.running[f"{at}.running_mean"], self.running[f"{at}.running_var"]
        channels_first = x.movedim(-1, 1)
        if train and update:
            rows = x.detach().reshape(-1, layer.channels)
            share = 1 - layer.momentum if layer.convention == "old" else layer.momentum
            mean += share * (rows.mean(0) - mean)
            var += share * (rows.var(0, unbiased=layer.unbiased) - var)
        y = F.batch_norm(
            channels_first, None if train else mean, None if train else var, self.p(at, "gamma"), self.p(at, "beta"),
            training=train, eps=layer.eps,
        )  # fmt: skip
        return y.movedim(1, -1)


def twins(experiment):
    """Return the PyTorch twins of G and D, with the experiment's Adam."""
    made = []
    for net, optimizer in (
        (experiment.gan.G, experiment.gan.optimizer_G),
        (experiment.gan.D, experiment.gan.optimizer_D),
    ):
        assert isinstance(optimizer, mg.Adam)
        adam = {"lr": optimizer.lr, "betas": (optimizer.beta1, optimizer.beta2), "eps": optimizer.eps}
        made.append(Twin(net, **adam))
    return made
