"""Layer, group, instance and spectral norm, reflection and pixel shuffle exported to PyTorch and imported again."""

import numpy as np
import pytest

import minigan as mg
from minigan.interop import from_keras, from_torch, to_keras, to_torch
from tests.cases import network

IMAGES = [
    mg.SpectralNorm(mg.Conv2D(3, 8, (3, 2))), mg.GroupNorm(2, 8), mg.LeakyReLU(0.2), mg.PixelShuffle(2),
    mg.InstanceNorm2D(2), mg.ReflectionPad2D(((1, 0), (2, 1))), mg.SpectralNorm(mg.ConvTranspose2D(2, 4, 2)),
    mg.LayerNorm((6, 12, 4)), mg.Tanh(), mg.Flatten(), mg.SpectralNorm(mg.Dense(288, 6, bias=False)), mg.LayerNorm(6),
    mg.GroupNorm(3, 6), mg.Dense(6, 12), mg.LayerNorm(12), mg.Reshape((1, 3, 4)), mg.LeakyReLU(0.2), mg.Flatten(),
    mg.SpectralNorm(mg.Dense(12, 2)),
]  # fmt: skip
SHAPE = (4, 5, 3)


def planes(x):
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x


@pytest.mark.torch
class TestTorch:
    @pytest.fixture
    def model(self):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
        nn, spectral_norm = torch.nn, torch.nn.utils.parametrizations.spectral_norm
        torch.manual_seed(0)
        model = nn.Sequential(
            spectral_norm(nn.Conv2d(3, 8, (3, 2))), nn.GroupNorm(2, 8), nn.LeakyReLU(0.2), nn.PixelShuffle(2),
            nn.InstanceNorm2d(2, affine=True), nn.ReflectionPad2d((2, 1, 1, 0)),
            spectral_norm(nn.ConvTranspose2d(2, 4, 2)), nn.LayerNorm((4, 6, 12)), nn.Tanh(), nn.Flatten(),
            spectral_norm(nn.Linear(288, 6, bias=False)), nn.LayerNorm(6), nn.GroupNorm(3, 6), nn.Linear(6, 12),
            nn.LayerNorm(12), nn.Unflatten(1, (4, 1, 3)), nn.LeakyReLU(0.2), nn.Flatten(),
            spectral_norm(nn.Linear(12, 2)),
        ).double()  # fmt: skip
        with torch.no_grad():
            for value in model.parameters():
                value += 0.3 * torch.randn_like(value)
        return model

    def assert_same(self, net, model, passes=3):
        import torch

        x = np.random.default_rng(1).standard_normal((6, *SHAPE))
        for _ in range(passes):
            model.train()
            y, _ = net.forward(x, train=True)
            np.testing.assert_allclose(y, model(torch.tensor(planes(x))).detach().numpy(), rtol=1e-10, atol=1e-11)
            model.eval()
            np.testing.assert_allclose(net(x), model(torch.tensor(planes(x))).detach().numpy(), rtol=1e-10, atol=1e-11)

    def test_there(self, model):
        import torch

        net = network(IMAGES)
        state = {key: torch.tensor(value) for key, value in to_torch(net, input_shape=SHAPE).items()}
        model.load_state_dict(state, strict=True)
        self.assert_same(net, model)

    def test_and_back(self, model):
        import torch

        net = network(IMAGES)
        for _ in range(2):  # PyTorch's v is of the same weights as its u
            model(torch.tensor(planes(np.random.default_rng(0).standard_normal((2, *SHAPE)))))
        from_torch(net, model.state_dict(), input_shape=SHAPE)
        self.assert_same(net, model)

    def test_exported_and_imported_is_the_same(self, model):
        net, other = network(IMAGES), network(IMAGES, seed=5)
        from_torch(other, to_torch(net, input_shape=SHAPE), input_shape=SHAPE)
        np.testing.assert_array_equal(other.theta, net.theta)
        for key, u in net.state.items():
            np.testing.assert_allclose(other.state[key], u / np.linalg.norm(u), rtol=1e-14)


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([mg.Conv2D(1, 4, 1), mg.LayerNorm(4)], (3, 3, 1), r"LayerNorm\(\(4,\)\) of images; expected"),
        ([mg.Conv2D(1, 4, 1), mg.LayerNorm((3, 4))], (3, 3, 1), r"LayerNorm\(\(3, 4\)\) of images; expected"),
        ([mg.Conv2D(1, 4, 1), mg.Flatten(), mg.GroupNorm(2, 36)], (3, 3, 1), "its groups are other features"),
        ([mg.Conv2D(1, 4, 1), mg.PixelShuffle((1, 2))], (3, 3, 1), "PyTorch has one factor for both axes"),
        ([mg.PixelNorm()], (3,), r"has no layer for layer 0 \(PixelNorm\)"),
        ([mg.MinibatchStdDev()], (3,), r"has no layer for layer 0 \(MinibatchStdDev\)"),
    ],
)
def test_what_pytorch_has_not(layers, shape, message):
    with pytest.raises(ValueError, match=message):
        to_torch(network(layers), input_shape=shape)


def test_keras_has_the_norms_in_this_order():
    net = network([mg.Conv2D(1, 4, 1), mg.GroupNorm(2, 4), mg.InstanceNorm2D(4), mg.LayerNorm(4)])
    weights = to_keras(net)
    assert [w.shape for w in weights] == [(1, 1, 1, 4), *[(4,)] * 7]
    np.testing.assert_array_equal(weights[2], net.parameters()["1.gamma"])
    other = network(list(net.layers), seed=4)
    from_keras(other, weights)
    np.testing.assert_array_equal(other.theta, net.theta)
    with pytest.raises(ValueError, match=r"Keras has no layer for layer 0 \(SpectralNorm\)"):
        to_keras(network(mg.SpectralNorm(mg.Dense(2, 2))))
