"""The Gaussian game in one kernel draws as NumPy's Philox and trains as the library's steps."""

import check_gan1d
import numpy as np
import pytest
from check_gan1d import config_of, initial, played
from emulated import NEEDS_HOST_COMPILER, NEEDS_NVRTC, ON_EACH_SCHEDULE, device

from minigan.ops.cuda import gan1d
from minigan.ops.cuda.device import source
from minigan.ops.cuda.device.compiler import compile_source
from minigan.ops.cuda.device.source import KernelError
from minigan.recipes import RunOptions, get_recipe

pytestmark = NEEDS_HOST_COMPILER


@pytest.mark.parametrize("game", check_gan1d.GAMES)
@pytest.mark.parametrize("dtype", check_gan1d.GATES)
def test_an_ensemble_agrees_with_the_library(game, dtype):
    check_gan1d.game(device(), game, dtype)


@ON_EACH_SCHEDULE
def test_on_each_schedule(schedule):
    check_gan1d.game(device(schedule), "odd batch", "float32")
    check_gan1d.game(device(schedule), "odd batch", "float64")


def test_each_gan_has_its_own_learning_rate():
    config, lr = config_of(batch_size=40, d_updates=2, g_updates=2), np.array([1e-3, 3e-3])
    theta = initial(config, [0, 0], "float64")
    ensemble = gan1d.Ensemble(config, theta, device=device(), seeds=[9, 9], lr=lr)
    ensemble.train(3)
    for e in range(2):
        np.testing.assert_allclose(ensemble.theta[e], played(config, 9, theta[e], 3, float(lr[e]))[0], atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_in_two_calls_gives_the_same_bits(dtype):
    config, seeds = config_of(batch_size=50, d_updates=2, g_updates=2), [3, 4, 5]
    theta = initial(config, seeds, dtype)
    whole, parts, chunks, restored = (gan1d.Ensemble(config, theta, device=device(), seeds=seeds) for _ in range(4))
    whole.train(10)
    parts.train(5)
    parts.train(5)
    chunks.train(10, iterations_per_launch=3)
    restored.restore(gan1d_state_after(config, theta, seeds, 5))
    restored.train(5)
    for other in (parts, chunks, restored):
        for name, value in whole.state().items():
            np.testing.assert_array_equal(other.state()[name], value, err_msg=name)


def gan1d_state_after(config, theta, seeds, iterations):
    ensemble = gan1d.Ensemble(config, theta, device=device(), seeds=seeds)
    ensemble.train(iterations)
    return ensemble.state()


def test_a_gan_depends_neither_on_the_others_nor_on_thread_order():
    config = config_of(batch_size=300, d_updates=2, g_updates=2)
    theta = initial(config, [1, 2, 3], "float32")
    found = []
    for schedule in ("forward", "reverse", "random"):
        ensemble = gan1d.Ensemble(config, theta, device=device(schedule), seeds=[1, 2, 3])
        ensemble.train(2)
        found.append(ensemble.theta)
    alone = gan1d.Ensemble(config, theta[1:2], device=device(), seeds=[2])
    alone.train(2)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    np.testing.assert_array_equal(alone.theta[0], found[0][1])


def test_parameters_have_the_names_of_the_networks():
    config = config_of(hidden=4, batch_size=8)
    recipe = get_recipe("gaussian")
    G, D = recipe.networks(config, RunOptions(ops="reference"))
    ensemble = gan1d.Ensemble(config, initial(config, [0], "float32"), device=device(), seeds=[0])
    for name, net in (("G", G), ("D", D)):
        for key, value in net.parameters().items():
            np.testing.assert_array_equal(ensemble.parameters()[f"{name}.{key}"][0], value)
    a, b = ensemble.generators()
    assert (a[0], b[0]) == (G.theta[0], G.theta[1])


def test_a_gan_that_diverges_is_nan():
    check_gan1d.diverged(device())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 11}, "hidden=11 in float64; this kernel takes at most 10"),
        ({"theta": np.zeros((2, 7))}, r"theta has shape \(2, 7\); expected \(E, 33\) with E >= 1"),
        ({"seeds": [1]}, "1 seeds for 2 GANs; expected one for each GAN"),
        ({"lr": np.array([0.1, -1.0])}, "lr must be 2 numbers > 0"),
        ({"batch_size": 20_000}, "batch_size=20000 in float64 needs .* bytes of shared memory"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change, message):
    settings = {key: change[key] for key in ("hidden", "batch_size") if key in change}
    config = config_of(**settings)
    theta = change.get("theta", np.zeros((2, 3 * config.hidden + 3)))
    with pytest.raises(ValueError, match=message):
        gan1d.Ensemble(
            config, theta, device=device(), seeds=change.get("seeds", [1, 2]), lr=change.get("lr")
        )  # fmt: skip


def test_other_dtypes_and_counts_are_refused():
    config = config_of(batch_size=8)
    with pytest.raises(TypeError, match="theta is int64; expected float32 or float64"):
        gan1d.Ensemble(config, np.zeros((1, 33), int), device=device(), seeds=[1])
    ensemble = gan1d.Ensemble(config, np.zeros((1, 33)), device=device(), seeds=[1])
    with pytest.raises(ValueError, match="must be >= 1, got 0 and 1000"):
        ensemble.train(0)
    state = ensemble.state()
    with pytest.raises(ValueError, match=r"theta is float32 \(1, 33\); expected float64 \(1, 33\)"):
        ensemble.restore({**state, "theta": state["theta"].astype("float32")})


def test_the_launch_refuses_another_block_size():
    config = config_of(batch_size=8)
    ensemble = gan1d.Ensemble(config, np.zeros((1, 33)), device=device(), seeds=[1])
    ensemble.shared_bytes = gan1d.MAX_SHARED_BYTES + 1
    with pytest.raises(KernelError, match="bytes of shared memory"):
        ensemble.train(1)


@NEEDS_NVRTC
@pytest.mark.parametrize(("dtype", "registers"), [("float32", 128), ("float64", 255)])
def test_no_registers_spill_up_to_the_maximum_of_hidden_units(dtype, registers):
    """At ten units two blocks of floats share a multiprocessor."""
    real, most = gan1d.REALS[np.dtype(dtype)], gan1d.MAX_HIDDEN[np.dtype(dtype)]
    for hidden, threads in ((10, 256), (most, 256), (1, 32)):
        defines = {"REAL": real, "HIDDEN": hidden, "THREADS": threads}
        used = compile_source(source.read("gan1d"), defines).resources["gan1d"]
        assert (used.stack, used.spill_stores, used.spill_loads) == (0, 0, 0), (hidden, used)
        assert used.registers <= (registers if hidden == 10 else 255), (hidden, used)
