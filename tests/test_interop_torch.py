"""Weights exported to PyTorch and imported again give the same outputs (an optional group, `make test-torch`)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.interop import from_torch, to_torch
from tests.cases import image_chains, network

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
pytestmark = pytest.mark.torch
nn = torch.nn


def module_of(layer, shape):
    """The PyTorch module that the table in `minigan.interop.torch` names; `shape` is the layer's input, without N."""
    if isinstance(layer, mg.Dense):
        return nn.Linear(layer.n_in, layer.n_out, bias=layer.bias)
    if isinstance(layer, (mg.Conv2D, mg.ConvTranspose2D)):
        (top, bottom), (left, right) = layer.padding
        assert (top, left) == (bottom, right)
        kind, extra = (nn.Conv2d, {}) if isinstance(layer, mg.Conv2D) else (
            nn.ConvTranspose2d, {"output_padding": layer.output_padding})  # fmt: skip
        settings = {"stride": layer.stride, "dilation": layer.dilation, "padding": (top, left), "bias": layer.bias}
        return kind(layer.c_in, layer.c_out, layer.kernel_size, **settings, **extra)
    if isinstance(layer, mg.BatchNorm):
        kind = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
        return kind(layer.channels, eps=layer.eps, momentum=layer.momentum)
    if isinstance(layer, mg.Reshape):
        h, w, c = layer.shape
        return nn.Unflatten(1, (c, h, w))
    return {
        mg.ReLU: nn.ReLU, mg.Tanh: nn.Tanh, mg.Flatten: nn.Flatten, mg.UpSample2D: lambda: nn.Upsample(scale_factor=2),
        mg.ZeroPad2D: lambda: nn.ZeroPad2d(1), mg.LeakyReLU: lambda: nn.LeakyReLU(layer.slope),
        mg.AvgPool2D: lambda: nn.AvgPool2d(2), mg.MaxPool2D: lambda: nn.MaxPool2d(2), mg.Softmax: lambda: nn.Softmax(1),
    }[type(layer)]()  # fmt: skip


def model_of(layers, input_shape):
    modules, shape = [], input_shape
    for layer in layers:
        modules.append(module_of(layer, shape))
        shape = layer.output_shape(shape)
    return nn.Sequential(*modules).double()


def planes(x):
    """(N, H, W, C) -> (N, C, H, W); vectors do not change."""
    return x.transpose(0, 3, 1, 2) if x.ndim == 4 else x


def load(model, state):
    model.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()}, strict=True)


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    for key, value in state.items():
        if value.dtype == torch.float64:
            value.copy_(0.5 + torch.rand(value.shape, generator=generator, dtype=torch.float64) / 2)
            if not key.endswith("running_var"):
                value -= 0.75
    model.load_state_dict(state)


def assert_close(got, want):
    want = want.detach().numpy()
    assert np.isfinite(want).all()
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12 * max(1.0, np.abs(want).max()))


G = [
    mg.Dense(7, 3 * 4 * 6), mg.BatchNorm(72), mg.ReLU(), mg.Reshape((3, 4, 6)),
    mg.ConvTranspose2D(6, 5, 4, stride=2, padding=1, bias=False), mg.BatchNorm(5), mg.ReLU(),
    mg.ConvTranspose2D(5, 3, (3, 5), stride=2, padding=((1, 1), (2, 2)), output_padding=1), mg.Tanh(),
]  # fmt: skip
D = [
    mg.Conv2D(3, 4, (4, 5), stride=2, padding=1), mg.LeakyReLU(0.2), mg.Conv2D(4, 6, 3, dilation=(1, 2), bias=False),
    mg.BatchNorm(6), mg.LeakyReLU(0.2), mg.Flatten(), mg.BatchNorm(72), mg.Dense(72, 8), mg.BatchNorm(8), mg.ReLU(),
    mg.Dense(8, 1),
]  # fmt: skip
SHAPES = {"G": (7,), "D": (12, 16, 3)}


@pytest.mark.parametrize("name", ["G", "D"])
class TestConvolutionalGan:
    def assert_same(self, net, model, x):
        """Compare the outputs in training and at inference, before and after an update of the statistics."""
        there = torch.tensor(planes(x).copy())
        for _ in range(2):
            model.eval()
            assert_close(planes(net(x)), model(there))
            model.train()
            y, _ = net.forward(x, train=True)
            assert_close(planes(y), model(there))
        for key, value in to_torch(net, input_shape=x.shape[1:]).items():
            if "running" in key:
                assert_close(value, model.state_dict()[key])

    def test_there(self, name):
        layers = {"G": G, "D": D}[name]
        net, x = network(layers, ops="cpu"), np.random.default_rng(1).standard_normal((16, *SHAPES[name]))
        model = model_of(layers, SHAPES[name])
        randomise(model, 0)
        load(model, to_torch(net))
        self.assert_same(net, model, x)

    def test_and_back(self, name):
        layers = {"G": G, "D": D}[name]
        net, x = network(layers, ops="cpu"), np.random.default_rng(2).standard_normal((16, *SHAPES[name]))
        model = model_of(layers, SHAPES[name])
        randomise(model, 1)
        from_torch(net, model.state_dict())
        self.assert_same(net, model, x)


def test_tensors_that_require_a_gradient_are_named():
    net = network([mg.Dense(2, 3)])
    model = model_of([mg.Dense(2, 3)], (2,))
    before = net.theta.copy()
    with pytest.raises(ValueError, match=r"'0.weight' is not an array: Can't call numpy.*; '0.bias' is not an array"):
        from_torch(net, {f"0.{key}": value for key, value in model[0].named_parameters()})
    np.testing.assert_array_equal(net.theta, before)


def becomes(layers):
    """The image shape to which a flat input is reshaped before any Dense; None if it is not."""
    first = next((layer for layer in layers if isinstance(layer, (mg.Dense, mg.Reshape))), None)
    return first.shape if isinstance(first, mg.Reshape) else None


def was(layers, shape):
    """The image shape of a flat output; None if a Dense computes it."""
    image = None
    for layer in layers:
        image = None if isinstance(layer, mg.Dense) else shape if len(shape) == 3 else image
        shape = layer.output_shape(shape)
    return image


def vectors(x, image):
    """Images, and flattened images, in the order (C, H, W)."""
    if x.ndim == 2 and image is not None:
        return planes(x.reshape(-1, *image)).reshape(x.shape)
    return planes(x)


@given(image_chains(), st.integers(0, 2**32 - 1))
def test_random_chains(case, seed):
    layers, input_shape = case
    net, model = network(list(layers), ops="cpu", seed=seed), model_of(layers, input_shape)
    x = np.random.default_rng(seed).standard_normal((3, *input_shape))
    there = vectors(x, becomes(layers))
    model.eval()
    for carry in (
        lambda: load(model, to_torch(net, input_shape=input_shape)),
        lambda: from_torch(net, model.state_dict(), input_shape=input_shape),
    ):
        randomise(model, seed)
        carry()
        assert_close(vectors(net(x), was(layers, input_shape)), model(torch.tensor(there.copy())))
