"""Training steps of `mnist-conditional` against PyTorch: its embeddings, its autograd, its Adam, the same draws."""

import numpy as np
import pytest

from minigan import data
from minigan.recipes import RunOptions, get_recipe
from minigan.recipes.images import unit

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
from torch_twin import Twin  # noqa: E402

pytestmark = pytest.mark.torch
BCE = torch.nn.functional.binary_cross_entropy_with_logits
GATE = 1e-9


class Conditional(Twin):
    """A twin whose layers find the labels of a pass in `labels`."""

    def E(self, at):
        return torch.nn.functional.embedding(self.labels, self.p(at, "E"))

    def ConcatEmbedding(self, layer, at, x, *_):
        return torch.cat([x, self.E(at)], dim=1)

    def Projection(self, layer, at, x, *_):
        return x @ self.p(at, "w")[:, None] + self.p(at, "b") + (self.E(at) * x).sum(1, keepdim=True)

    def __call__(self, x, labels, **how):
        self.labels = torch.tensor(np.asarray(labels, np.int64))
        return super().__call__(x, **how)


def twin(net, adam):
    return Conditional(net, lr=adam.lr, betas=(adam.beta1, adam.beta2), eps=adam.eps)


@pytest.fixture
def images(monkeypatch):
    rng = np.random.default_rng(0)
    found = data.Images(
        "mnist", rng.integers(0, 256, (60, 28, 28, 1)).astype(np.uint8), rng.integers(0, 10, 60).astype(np.uint8)
    )
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: found)
    return found


def update(net, cost):
    net.optimizer.zero_grad()
    cost.backward()
    net.optimizer.step()
    return cost.item()


def test_ten_steps(images):
    recipe = get_recipe("mnist-conditional")
    config = recipe.configure({"batch_size": 5, "channels": 4, "features": 8, "latent": 6})
    ours, theirs = (recipe.build(config, RunOptions(seed=3, dtype="float64")) for _ in range(2))
    gan, streams, n = theirs.gan, theirs.streams, config.batch_size
    G, D, drop = twin(gan.G, gan.optimizer_G), twin(gan.D, gan.optimizer_D), streams["dropout"]

    def noise():
        return torch.tensor(recipe.prior(config, n, streams["noise"])), streams["noise"].integers(10, size=n)

    for _ in range(10):
        chosen = streams["data"].choice(len(images.images), n, replace=True, shuffle=False)
        z, k = noise()
        with torch.no_grad():
            x_fake = G(z, k, train=True)
        s_real = D(torch.tensor(unit(images.images[chosen], float)), images.labels[chosen], train=True, rng=drop)
        s_fake = D(x_fake, k, train=True, rng=drop)
        d_cost = update(D, BCE(s_real, torch.ones_like(s_real)) + BCE(s_fake, torch.zeros_like(s_fake)))
        z, k = noise()
        s = D(G(z, k, train=True), k, train=True, rng=drop)
        g_cost = update(G, BCE(s, torch.ones_like(s)))
        seen_D, seen_G = ours.play()
        assert abs(seen_D.loss - d_cost) <= GATE
        assert abs(seen_G.loss - g_cost) <= GATE
    for net, other in ((ours.gan.G, G), (ours.gan.D, D)):
        np.testing.assert_allclose(net.theta, other.theta(), rtol=0, atol=GATE)
        for key, value in net.state.items():
            np.testing.assert_allclose(value, other.state()[key], rtol=0, atol=GATE, err_msg=key)
