"""The JAX games agree with minigan up to rounding: iterations, single layers, and errors that the check detects."""

import numpy as np
import pytest

import minigan as mg
from benchmarks.cases.games import CASES, build
from benchmarks.core import checks, implementations, measure

jax = pytest.importorskip("jax", reason="JAX is not installed (the extra 'bench' has it)")
from benchmarks.other_libraries.jax.games import Game  # noqa: E402
from benchmarks.other_libraries.jax.twin import dropout_masks, function, tree  # noqa: E402

LAYERS = {
    "conv, same": ([mg.Conv2D(3, 5, 3, stride=2, padding="same")], (8, 7, 3)),
    "conv, uneven": ([mg.Conv2D(3, 5, (3, 2), padding=((0, 2), (1, 0)), dilation=(2, 1), bias=False)], (8, 7, 3)),
    "transposed, same": ([mg.ConvTranspose2D(3, 5, 5, stride=2, padding="same")], (4, 3, 3)),
    "transposed, output_padding": ([mg.ConvTranspose2D(3, 5, 3, stride=2, padding=1, output_padding=1)], (4, 3, 3)),
    "transposed, dilated": ([mg.ConvTranspose2D(3, 5, (3, 2), padding="valid", dilation=2, bias=False)], (4, 3, 3)),
    "pad, norm, 0 at the kink": ([mg.ZeroPad2D(((0, 1), (2, 0))), mg.BatchNorm(3), mg.LeakyReLU(0.2)], (4, 3, 3)),
    "maxout": ([mg.Flatten(), mg.Maxout(12, 4, pieces=3), mg.BatchNorm.keras(4), mg.Tanh()], (2, 2, 3)),
    "dropout": ([mg.Dense(6, 8), mg.Dropout(0.3), mg.Reshape((2, 2, 2)), mg.Dropout(0.5), mg.ReLU()], (6,)),
}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_the_same_function(name, train):
    """y, the running statistics, dL/dx and dL/dtheta for L = sum y dy."""
    layers, shape = LAYERS[name]
    net = mg.Network(layers, rng=np.random.default_rng(0), dtype="float64", ops="reference")
    x = np.random.default_rng(1).standard_normal((4, *shape))
    with jax.enable_x64(True):
        apply, p, s = function(net), tree(net.parameters()), tree(net.state)
        masks = dropout_masks(net, shape, len(x), np.random.default_rng(2))
        y, pullback, state = jax.vjp(lambda p, x: apply(p, s, x, masks, train), p, x, has_aux=True)
        y_minigan, backward = net.forward(x, train=train, rng=np.random.default_rng(2))
        dy = np.random.default_rng(3).standard_normal(y_minigan.shape)
        g, dx = pullback(jax.numpy.array(dy))
    grads = net.zeros_like_theta()
    our_dx = backward(dy, grads)
    np.testing.assert_allclose(y, y_minigan, rtol=0, atol=1e-12)
    np.testing.assert_allclose(dx, our_dx, rtol=0, atol=1e-12)
    for key, value in net.views(grads).items():
        np.testing.assert_allclose(g[key], value, rtol=0, atol=1e-11, err_msg=key)
    for key, value in net.state.items():
        np.testing.assert_allclose(state[key], value, rtol=0, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("case", CASES)
def test_jax_plays_the_same_game(case):
    _, _, minigan_run = build(CASES[case], small=True, dtype="float64")
    jax_run = Game(CASES[case], small=True, dtype="float64", checked=True)
    assert jax_run.difference(minigan_run.gan) == 0
    for _ in range(checks.CHECKED_ITERATIONS):
        minigan_run.play()
        jax_run.play()
    assert jax_run.difference(minigan_run.gan) <= implementations.ABSOLUTE_TOLERANCE
    assert jax_run.difference(build(CASES[case], small=True, dtype="float64")[2].gan) > 1e-5  # all have changed


@pytest.mark.parametrize("fakes", ["training", "inference"])
def test_jax_makes_the_fakes_in_the_recipes_mode(fakes):
    case, how = CASES["mnist-dcgan"], {"small": True, "dtype": "float64", "settings": {"fakes": fakes}}
    minigan_run, jax_run = build(case, **how)[2], Game(case, **how, checked=True)
    for _ in range(checks.CHECKED_ITERATIONS):
        minigan_run.play()
        jax_run.play()
    assert jax_run.difference(minigan_run.gan) <= implementations.ABSOLUTE_TOLERANCE


def test_masks_of_its_own_in_float32():
    """While timed, each iteration and each pass has new masks, computed from a key."""
    game = Game(CASES["mnist-maxout"], small=True)
    keys = [jax.random.key_data(game._mask_sources()).tolist() for game.iteration in (1, 2)]
    assert keys[0] != keys[1]
    game.iteration = 0
    game.play()
    assert game.game_state["D"]["p"]["1.W"].dtype == "float32"
    assert np.isfinite(game.game_state["D"]["p"]["1.W"]).all()
    net = mg.Network([mg.Dropout(0.25)], rng=np.random.default_rng(0))
    y, _ = function(net)({}, {}, np.ones((100, 100), "float32"), jax.random.key(1))
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-6)
    assert abs(np.mean(y == 0) - 0.25) < 0.02


def test_the_check_sees_another_game(monkeypatch):
    installed = measure.installed
    monkeypatch.setattr(checks, "installed", lambda package: package != "torch" and installed(package))
    checks.check.cache_clear()
    assert checks.check("gaussian", 1)["against_jax"]["jit"] <= implementations.ABSOLUTE_TOLERANCE
    checks.check.cache_clear()
    difference = Game.difference
    monkeypatch.setattr(Game, "difference", lambda self, gan: difference(self, gan) + 1e-8)
    with pytest.raises(SystemExit, match="gaussian: minigan and JAX differ by 1e-08; expected at most 1e-09"):
        checks.check("gaussian", 1)
    checks.check.cache_clear()


def test_jax_is_an_implementation_with_the_threads_it_is_told():
    assert all("jax" in implementations.for_case(case) for case in CASES)
    assert implementations.why_unavailable("jax") is None
    found = measure.run("benchmarks.core.implementations", "jax", ["--case", "gaussian", "--small", "--seconds", "0"])
    assert found["iterations"] == 3
    assert found["first"] > found["seconds"] > 0
