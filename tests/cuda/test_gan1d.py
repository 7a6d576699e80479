"""The Gaussian game in one kernel: its draws against NumPy's Philox, its training against the library's own steps."""

import dataclasses

import numpy as np
import pytest

from minigan.gan import same_batch
from minigan.ops.cuda import gan1d
from minigan.ops.cuda.device import KernelError
from minigan.ops.cuda.emulator import EmulatedDevice
from minigan.recipes import Setting, get_recipe
from minigan.training.loop import measure

GAMES = {
    "recipe": {"batch_size": 1000, "d_updates": 3, "g_updates": 3},
    "odd batch": {"batch_size": 77, "hidden": 7, "d_updates": 2, "g_updates": 1, "sigma": 0.5},
    "tiny": {"batch_size": 3, "hidden": 1, "d_updates": 1, "g_updates": 4, "beta1": 0.5},
}


def config_of(**settings):
    return get_recipe("gaussian").configure(settings)


def initial(config, seeds, dtype):
    """theta (E, 3 H + 3) of the recipe's networks, as `minigan train --seed` has them."""
    recipe = get_recipe("gaussian")
    nets = [recipe.networks(config, Setting(seed=seed, dtype=dtype, ops="reference")) for seed in seeds]
    return np.stack([np.concatenate([D.theta, G.theta]) for G, D in nets])


def normals(seed, iteration, kind, n):
    """The draws of the kernel from numpy.random.Philox, in float64."""
    Q = -(-n // 8)
    words = np.random.Philox(key=np.array([seed, 0], np.uint64), counter=[0, iteration, kind, 0]).random_raw(4 * Q)
    u = ((words >> np.uint64(32)).astype(float) + 0.5) / 2**32
    angle = np.pi * words.astype(np.uint32).view(np.int32) / 2**31
    pairs = np.sqrt(-2 * np.log(u)) * np.array([np.cos(angle), np.sin(angle)])
    return pairs.T.reshape(Q, 8).T.ravel()[:n]


def played(config, seed, theta, iterations, lr=None):
    """The library's GAN in float64 on the reference backend after the iterations, and its last metrics."""
    recipe = get_recipe("gaussian")
    game = config if lr is None else dataclasses.replace(config, lr=lr)
    gan = recipe.build(game, Setting(dtype="float64", ops="reference")).gan
    gan.D.theta, gan.G.theta = np.split(theta.astype(float), [3 * config.hidden + 1])
    for t in range(iterations):

        def real(t=t):
            return config.mu + config.sigma * normals(seed, t, 0, config.batch_size)[:, None]

        def noise(t=t):
            return normals(seed, t, 1, config.batch_size)[:, None]

        seen = same_batch(gan, real, noise, d_updates=config.d_updates, g_updates=config.g_updates)
    return np.concatenate([gan.D.theta, gan.G.theta]), measure(gan, seen)


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_ensemble_is_the_library_s_game(game, dtype):
    config, seeds, iterations = config_of(**GAMES[game]), [5, 2**64 - 1], 4
    theta = initial(config, range(len(seeds)), dtype)
    ensemble = gan1d.Ensemble(config, theta, device=EmulatedDevice(), seeds=seeds)
    ensemble.train(iterations)
    found, metrics = ensemble.theta, ensemble.metrics()
    gate = 2e-6 if dtype == "float32" else 1e-12
    for e, seed in enumerate(seeds):
        want, seen = played(config, seed, theta[e], iterations)
        assert np.abs(want - theta[e]).max() > 1e-3
        np.testing.assert_allclose(found[e], want, rtol=gate, atol=gate)
        for name, value in seen.items():
            np.testing.assert_allclose(metrics[name][e], value, rtol=3 * gate, atol=3 * gate)


def test_each_gan_has_its_own_learning_rate():
    config, lr = config_of(batch_size=40, d_updates=2, g_updates=2), np.array([1e-3, 3e-3])
    theta = initial(config, [0, 0], "float64")
    ensemble = gan1d.Ensemble(config, theta, device=EmulatedDevice(), seeds=[9, 9], lr=lr)
    ensemble.train(3)
    for e in range(2):
        np.testing.assert_allclose(ensemble.theta[e], played(config, 9, theta[e], 3, float(lr[e]))[0], atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_trainings_are_one_bit_for_bit(dtype):
    config, seeds = config_of(batch_size=50, d_updates=2, g_updates=2), [3, 4, 5]
    theta = initial(config, seeds, dtype)
    whole, parts, chunks, restored = (
        gan1d.Ensemble(config, theta, device=EmulatedDevice(), seeds=seeds) for _ in range(4)
    )
    whole.train(10)
    parts.train(5)
    parts.train(5)
    chunks.train(10, at_once=3)
    restored.restore(gan1d_state_after(config, theta, seeds, 5))
    restored.train(5)
    for other in (parts, chunks, restored):
        for name, value in whole.state().items():
            np.testing.assert_array_equal(other.state()[name], value, err_msg=name)


def gan1d_state_after(config, theta, seeds, iterations):
    ensemble = gan1d.Ensemble(config, theta, device=EmulatedDevice(), seeds=seeds)
    ensemble.train(iterations)
    return ensemble.state()


def test_a_gan_does_not_depend_on_its_company_nor_on_the_order_of_the_threads():
    config = config_of(batch_size=300, d_updates=2, g_updates=2)
    theta = initial(config, [1, 2, 3], "float32")
    devices = [
        EmulatedDevice(),
        EmulatedDevice(schedule="reverse"),
        EmulatedDevice(schedule="random", seed=3, guard=True),
    ]
    found = []
    for device in devices:
        ensemble = gan1d.Ensemble(config, theta, device=device, seeds=[1, 2, 3])
        ensemble.train(2)
        found.append(ensemble.theta)
    alone = gan1d.Ensemble(config, theta[1:2], device=EmulatedDevice(), seeds=[2])
    alone.train(2)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    np.testing.assert_array_equal(alone.theta[0], found[0][1])


def test_the_parameters_have_the_names_of_the_networks():
    config = config_of(hidden=4, batch_size=8)
    recipe = get_recipe("gaussian")
    G, D = recipe.networks(config, Setting(ops="reference"))
    ensemble = gan1d.Ensemble(config, initial(config, [0], "float32"), device=EmulatedDevice(), seeds=[0])
    for name, net in (("G", G), ("D", D)):
        for key, value in net.parameters().items():
            np.testing.assert_array_equal(ensemble.parameters()[f"{name}.{key}"][0], value)
    a, b = ensemble.generators()
    assert (a[0], b[0]) == (G.theta[0], G.theta[1])


def test_a_gan_that_diverges_shows_it():
    """NaN stays NaN, in the kernel's ReLU too."""
    config = config_of(batch_size=16, d_updates=1, g_updates=1)
    theta = initial(config, [0, 1], "float32")
    theta[0, 0] = np.nan
    ensemble = gan1d.Ensemble(config, theta, device=EmulatedDevice(), seeds=[0, 1])
    ensemble.train(2)
    assert np.isnan(ensemble.theta[0]).all()
    assert np.isfinite(ensemble.theta[1]).all()
    assert np.isnan(ensemble.metrics()["d_loss"][0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 11}, "hidden=11 in float64; accepted by this kernel: at most 10"),
        ({"theta": np.zeros((2, 7))}, r"theta has shape \(2, 7\); accepted: \(E, 33\) with E >= 1"),
        ({"seeds": [1]}, "1 seeds for 2 GANs; accepted: one each"),
        ({"lr": np.array([0.1, -1.0])}, "lr must be 2 numbers > 0"),
        ({"batch_size": 20_000}, "batch_size=20000 in float64 needs .* bytes of shared memory"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    settings = {key: change[key] for key in ("hidden", "batch_size") if key in change}
    config = config_of(**settings)
    theta = change.get("theta", np.zeros((2, 3 * config.hidden + 3)))
    with pytest.raises(ValueError, match=message):
        gan1d.Ensemble(
            config, theta, device=EmulatedDevice(), seeds=change.get("seeds", [1, 2]), lr=change.get("lr")
        )  # fmt: skip


def test_other_dtypes_and_counts_are_refused():
    config = config_of(batch_size=8)
    with pytest.raises(TypeError, match="theta is int64; accepted: float32, float64"):
        gan1d.Ensemble(config, np.zeros((1, 33), int), device=EmulatedDevice(), seeds=[1])
    ensemble = gan1d.Ensemble(config, np.zeros((1, 33)), device=EmulatedDevice(), seeds=[1])
    with pytest.raises(ValueError, match="must be >= 1, got 0 and 1000"):
        ensemble.train(0)
    state = ensemble.state()
    with pytest.raises(ValueError, match=r"theta is float32 \(1, 33\); accepted: float64 \(1, 33\)"):
        ensemble.restore({**state, "theta": state["theta"].astype("float32")})


def test_a_block_of_another_size_is_refused_by_the_launch():
    config = config_of(batch_size=8)
    ensemble = gan1d.Ensemble(config, np.zeros((1, 33)), device=EmulatedDevice(), seeds=[1])
    ensemble.shared = gan1d.MOST_SHARED + 1
    with pytest.raises(KernelError, match="bytes of shared memory"):
        ensemble.train(1)
