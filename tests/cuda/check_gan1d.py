"""Check the Gaussian game's kernel against the library's steps in float64, on numpy.random.Philox's integers."""

import dataclasses

import numpy as np

from minigan.gan import same_batch
from minigan.ops.cuda import gan1d
from minigan.recipes import RunOptions, get_recipe

GATES = {"float32": 2e-6, "float64": 1e-12}
GAMES = {
    "recipe": {"batch_size": 1000, "d_updates": 3, "g_updates": 3},
    "odd batch": {"batch_size": 111, "hidden": 7, "d_updates": 2, "g_updates": 1, "sigma": 0.5},
    "tiny": {"batch_size": 3, "hidden": 1, "d_updates": 1, "g_updates": 4, "beta1": 0.5},
    "more draws than threads": {"batch_size": 2057, "hidden": 2, "d_updates": 1, "g_updates": 1},
}


def config_of(**settings):
    return get_recipe("gaussian").configure(settings)


def initial(config, seeds, dtype):
    """Return theta (E, 3 H + 3) of the recipe's networks as `minigan train --seed` initialises them."""
    recipe = get_recipe("gaussian")
    nets = [recipe.networks(config, RunOptions(seed=seed, dtype=dtype, ops="reference")) for seed in seeds]
    return np.stack([np.concatenate([D.theta, G.theta]) for G, D in nets])


def normals(seed, iteration, kind, n):
    """Return the numbers that the kernel draws, from numpy.random.Philox, in float64."""
    Q = -(-n // 8)
    words = np.random.Philox(key=np.array([seed, 0], np.uint64), counter=[0, iteration, kind, 0]).random_raw(4 * Q)
    u = ((words >> np.uint64(32)).astype(float) + 0.5) / 2**32
    angle = np.pi * words.astype(np.uint32).view(np.int32) / 2**31
    pairs = np.sqrt(-2 * np.log(u)) * np.array([np.cos(angle), np.sin(angle)])
    return pairs.T.reshape(Q, 8).T.ravel()[:n]


def played(config, seed, theta, iterations, lr=None):
    """Train the library's GAN in float64 on the reference backend; return its parameters and last metrics."""
    recipe = get_recipe("gaussian")
    game = config if lr is None else dataclasses.replace(config, lr=lr)
    gan = recipe.build(game, RunOptions(dtype="float64", ops="reference")).gan
    gan.D.theta, gan.G.theta = np.split(theta.astype(float), [3 * config.hidden + 1])
    for t in range(iterations):

        def real(t=t):
            return config.mu + config.sigma * normals(seed, t, 0, config.batch_size)[:, None]

        def noise(t=t):
            return normals(seed, t, 1, config.batch_size)[:, None]

        seen = same_batch(gan, real, noise, d_updates=config.d_updates, g_updates=config.g_updates)
    return np.concatenate([gan.D.theta, gan.G.theta]), gan.metrics(seen)


def game(device, name, dtype):
    """After four iterations an ensemble has the library's parameters and metrics, and the parameters have changed."""
    config, seeds, iterations = config_of(**GAMES[name]), [5, 2**64 - 1], 4
    theta = initial(config, range(len(seeds)), dtype)
    ensemble = gan1d.Ensemble(config, theta, device=device, seeds=seeds)
    ensemble.train(iterations)
    found, metrics, gate = ensemble.theta, ensemble.metrics(), GATES[dtype]
    for e, seed in enumerate(seeds):
        want, seen = played(config, seed, theta[e], iterations)
        assert np.abs(want - theta[e]).max() > 1e-3
        np.testing.assert_allclose(found[e], want, rtol=gate, atol=gate)
        for key, value in seen.items():
            np.testing.assert_allclose(metrics[key][e], value, rtol=3 * gate, atol=3 * gate, err_msg=key)


def odd_game(device):
    """A batch of several warps, the last one partly idle."""
    game(device, "odd batch", "float64")


def two_trainings(device):
    """Five iterations twice give the bits of ten."""
    config, seeds = config_of(batch_size=50, d_updates=2, g_updates=2), [3, 4, 5]
    theta = initial(config, seeds, "float32")
    whole, parts = (gan1d.Ensemble(config, theta, device=device, seeds=seeds) for _ in range(2))
    whole.train(10)
    parts.train(5)
    parts.train(5)
    for name, value in whole.state().items():
        np.testing.assert_array_equal(parts.state()[name], value, err_msg=name)


def diverged(device):
    """NaN stays NaN, also in the kernel's ReLU, and does not reach other GANs."""
    config = config_of(batch_size=16, d_updates=1, g_updates=1)
    theta = initial(config, [0, 1], "float32")
    theta[0, 0] = np.nan
    ensemble = gan1d.Ensemble(config, theta, device=device, seeds=[0, 1])
    ensemble.train(2)
    assert np.isnan(ensemble.theta[0]).all()
    assert np.isfinite(ensemble.theta[1]).all()
    assert np.isnan(ensemble.metrics()["d_loss"][0])
