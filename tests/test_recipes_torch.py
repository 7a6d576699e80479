"""Training steps of the convolutional recipes against PyTorch: same weights, batches, masks and conventions."""

import numpy as np
import pytest

from minigan import data
from minigan.recipes import RunOptions, get_recipe
from minigan.recipes.images import signed, unit

torch = pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
from torch_twin import twins  # noqa: E402

pytestmark = pytest.mark.torch
BCE = torch.nn.functional.binary_cross_entropy_with_logits
GATE = 1e-9


@pytest.fixture
def images(monkeypatch):
    """Sixty random images that image recipes load as MNIST."""
    bytes_ = np.random.default_rng(0).integers(0, 256, (60, 28, 28, 1)).astype(np.uint8)
    fake = data.Images("mnist", bytes_, np.zeros(60, np.uint8))
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: fake)
    return bytes_


def pair(name, **settings):
    """Two experiments with the same seed: one to train, one whose weights and random streams PyTorch uses."""
    recipe = get_recipe(name)
    config = recipe.configure({key: str(value) for key, value in settings.items()})
    ours, theirs = (recipe.build(config, RunOptions(seed=3, dtype="float64")) for _ in range(2))
    return recipe, config, ours, theirs


def update(twin, cost):
    twin.optimizer.zero_grad()
    cost.backward()
    twin.optimizer.step()
    return cost.item()


def agree(experiment, G, D):
    for net, twin in ((experiment.gan.G, G), (experiment.gan.D, D)):
        np.testing.assert_allclose(net.theta, twin.theta(), rtol=0, atol=GATE)
        for key, value in net.state.items():
            np.testing.assert_allclose(value, twin.state()[key], rtol=0, atol=GATE, err_msg=key)


def cost(D, x, label, rng):
    s = D(x, train=True, rng=rng)
    return BCE(s, torch.full_like(s, label)), s


def test_ten_steps_of_mnist_dcgan(images):
    recipe, config, ours, theirs = pair("mnist-dcgan", batch_size=3, fakes="inference")
    G, D = twins(theirs)
    streams, n = theirs.streams, config.batch_size
    for _ in range(10):
        z = torch.tensor(recipe.prior(config, n, streams["noise"]))
        with torch.no_grad():
            x_fake = G(z, train=False)
        chosen = streams["data"].choice(len(images), n, replace=True, shuffle=False)
        real = update(D, cost(D, torch.tensor(signed(images[chosen], float)), 1.0, streams["dropout"])[0])
        fake = update(D, cost(D, x_fake, 0.0, streams["dropout"])[0])
        s = D(G(z, train=True, rng=streams["dropout"]), train=True, rng=streams["dropout"], update=False)
        g_cost = update(G, BCE(s, torch.ones_like(s)))
        seen_D, seen_G = ours.play()
        assert abs(seen_D.loss - (real + fake) / 2) <= GATE
        assert abs(seen_G.loss - g_cost) <= GATE
    agree(ours, G, D)


def test_ten_steps_of_dcgan64(images):
    recipe, config, ours, theirs = pair("dcgan64", batch_size=3, width=8)
    G, D = twins(theirs)
    streams, n = theirs.streams, config.batch_size
    order = streams["data"].permutation(len(images))
    for step in range(10):
        pixels = torch.tensor(images[order[step * n : step * n + n]].transpose(0, 3, 1, 2).astype(float))
        enlarged = torch.nn.functional.interpolate(pixels, size=(64, 64), mode="bilinear", align_corners=False)
        x_real = signed(enlarged.permute(0, 2, 3, 1).repeat(1, 1, 1, 3).numpy(), float)
        with torch.no_grad():
            x_fake = G(torch.tensor(recipe.prior(config, n, streams["noise"])), train=True)
        d_cost = update(D, cost(D, torch.tensor(x_real), 1.0, None)[0] + cost(D, x_fake, 0.0, None)[0])
        s = D(G(torch.tensor(recipe.prior(config, n, streams["noise"])), train=True), train=True)
        g_cost = update(G, BCE(s, torch.ones_like(s)))
        seen_D, seen_G = ours.play()
        assert abs(seen_D.loss - d_cost) <= GATE
        assert abs(seen_G.loss - g_cost) <= GATE
    agree(ours, G, D)


def test_ten_steps_of_mnist_softmax(images):
    recipe, config, ours, theirs = pair("mnist-softmax", batch_size=4, depth=16, d_depth=8, pretrain=0)
    G, D = twins(theirs)
    streams, half = theirs.streams, config.batch_size // 2
    labels = torch.tensor([1] * half + [0] * half)
    for _ in range(10):
        chosen = streams["data"].choice(len(images), half, replace=True, shuffle=False)
        x_real = torch.tensor(unit(images[chosen], float))
        with torch.no_grad():
            x_fake = G(torch.tensor(recipe.prior(config, half, streams["noise"])), train=False)
        s = D(torch.cat([x_real, x_fake]), train=True, rng=streams["dropout"])
        d_cost = update(D, torch.nn.functional.cross_entropy(s, labels))
        z = torch.tensor(recipe.prior(config, config.batch_size, streams["noise"]))
        s = D(G(z, train=True, rng=streams["dropout"]), train=True, rng=streams["dropout"])
        g_cost = update(G, torch.nn.functional.cross_entropy(s, torch.ones(len(s), dtype=torch.long)))
        seen_D, seen_G = ours.play()
        assert abs(seen_D.loss - d_cost) <= GATE
        assert abs(seen_G.loss - g_cost) <= GATE
    agree(ours, G, D)
