"""Packing: D sees m examples at a time; the steps' gradients by complex step, and the errors."""

import numpy as np
import pytest
from cases import ON_EACH_BACKEND, emulated, network
from gradients import check_discriminator, check_generator
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan._names import ConfigError
from minigan.gan import discriminator_gradient, eval_mode, pack, packed_mode, train_mode, unpack
from minigan.ops import get_ops, to_host
from minigan.recipes import get_recipe
from minigan.runs import sample, train_recipe

RNG = np.random.default_rng


@given(st.lists(st.integers(1, 3), max_size=2), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
def test_a_pack_has_the_channels_of_its_examples(middle, channels, packs, m):
    x = np.arange(packs * m * int(np.prod(middle)) * channels).reshape(packs * m, *middle, channels)
    y = pack(x, m)
    for k in range(packs):
        np.testing.assert_array_equal(y[k], np.concatenate(list(x[k * m : (k + 1) * m]), axis=-1))
    np.testing.assert_array_equal(unpack(y, m), x)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_unpack_is_the_adjoint(packs, m, seed):
    rng = RNG(seed)
    x, dy = rng.integers(-9, 9, (packs * m, 2, 3)), rng.integers(-9, 9, (packs, 2, 3 * m))
    assert (pack(x, m) * dy).sum() == (x * unpack(dy, m)).sum()


def players(ops="reference", images=False, m=3):
    if images:
        G = [mg.Dense(3, 8), mg.Tanh(), mg.Reshape((2, 2, 2))]
        D = [mg.Conv2D(2 * m, 3, 2), mg.Tanh(), mg.Flatten(), mg.Dense(3, 1)]
    else:
        G = [mg.Dense(3, 4), mg.Tanh()]
        D = [mg.Dense(4 * m, 5), mg.BatchNorm(5), mg.Tanh(), mg.Dense(5, 1)]
    return network(G, ops=ops), network(D, ops=ops, seed=1)


@ON_EACH_BACKEND
@pytest.mark.parametrize("images", [False, True])
def test_both_gradients_by_complex_step(images, ops):
    (G, D), rng, shape = players(ops, images), RNG(0), (2, 2, 2) if images else (4,)
    real, fake, z = (rng.standard_normal((n, *s)) for n, s in ((9, shape), (12, shape), (12, (3,))))
    for d_batching in (mg.separate, mg.combined):
        check_discriminator(D, mg.NonSaturating(), pack(real, 3), pack(fake, 3), d_batching=d_batching)
    for mode in (train_mode, eval_mode):
        check_generator(G, D, mg.NonSaturating(), z, frozen_d_mode=packed_mode(mode, 3), x_real=real)


def test_a_wrong_pullback_is_seen(monkeypatch):
    G, D = players()
    monkeypatch.setattr("minigan.gan.packing.unpack", lambda y, m: y.reshape(-1, m, 4).swapaxes(0, 1).reshape(-1, 4))
    z, x_real = RNG(0).standard_normal((12, 3)), RNG(1).standard_normal((12, 4))
    with pytest.raises(AssertionError, match="relative error"):
        check_generator(G, D, mg.NonSaturating(), z, frozen_d_mode=packed_mode(train_mode, 3), x_real=x_real)


def test_the_gan_packs_in_every_step():
    G, D = players()
    gan = mg.GAN(G, D, mg.SGD(G, lr=0.0), mg.SGD(D, lr=0.0), mg.NonSaturating(), pack=3)
    rng = RNG(1)
    x, z = rng.standard_normal((9, 4)), rng.standard_normal((6, 3))
    seen = gan.update_D(x, x[:6])
    assert (seen.logits_real.shape, seen.logits_fake.shape) == ((3, 1), (2, 1))
    want = discriminator_gradient(D, gan.objective, pack(x, 3), pack(x[:6], 3))[1]
    np.testing.assert_array_equal(seen.logits_real, want.logits_real)
    assert gan.update_G(z).logits_fake.shape == (2, 1)
    assert gan.update_D_one_side(x, real=True)[1].shape == (3, 1)
    results = mg.alternating(gan, lambda: x, lambda: z)
    assert set(gan.metrics(results)) == {"d_loss", "g_loss", "d_real", "d_fake", "accuracy"}


def test_labels_are_packed_with_their_examples():
    """D gets x_1, y_1, x_2, y_2, and G's gradient is that of x alone."""
    G, D = network([mg.Dense(3 + 2, 4)]), network([mg.Dense(2 * (4 + 2), 1)], seed=1)
    gan = mg.GAN(G, D, mg.SGD(G, lr=0.0), mg.SGD(D, lr=0.0), mg.NonSaturating(), pack=2)
    rng = RNG(2)
    x, y, z = rng.standard_normal((6, 4)), np.eye(2)[rng.integers(2, size=6)], rng.standard_normal((6, 3))
    seen = gan.update_D((x, y), (x, y))
    np.testing.assert_allclose(seen.logits_real, D(pack(np.concatenate([x, y], axis=1), 2)), rtol=1e-13)
    assert gan.update_G((z, y)).logits_fake.shape == (3, 1)


@ON_EACH_BACKEND
@pytest.mark.parametrize("d_batching", [mg.separate, mg.combined])
@pytest.mark.parametrize("images", [False, True])
def test_the_step_of_D_descends_along_the_gradient_of_packs(images, d_batching, ops):
    G, D = players(ops, images)
    gan = mg.GAN(G, D, mg.SGD(G, lr=0.0), mg.SGD(D, lr=1.0), mg.NonSaturating(), d_batching=d_batching, pack=3)
    rng, shape = RNG(2), (2, 2, 2) if images else (4,)
    real, fake = rng.standard_normal((9, *shape)), rng.standard_normal((12, *shape))
    before = D.theta.copy()
    g, want = discriminator_gradient(D, gan.objective, pack(real, 3), pack(fake, 3), d_batching=d_batching)
    seen = gan.update_D(real, fake)
    np.testing.assert_array_equal(seen.logits_fake, want.logits_fake)
    np.testing.assert_allclose(D.theta, before - g, rtol=1e-13, atol=1e-15)


def test_without_packing_the_function_is_the_same():
    assert packed_mode(train_mode, 1) is train_mode


def test_errors():
    G, D = players()
    gan = mg.GAN(G, D, mg.SGD(G, lr=0.1), mg.SGD(D, lr=0.1), mg.NonSaturating(), pack=3)
    with pytest.raises(mg.ShapeError, match=r"x has shape \(8, 4\) with pack=3; expected \(N, ..., C\), N a multiple"):
        gan.update_D(np.ones((8, 4)), np.ones((9, 4)))
    with pytest.raises(mg.ShapeError, match=r"x has shape \(8, 4\) with pack=3"):
        gan.update_G(np.ones((8, 3)))
    with pytest.raises(ValueError, match="pack must be an int >= 1, got 0"):
        mg.GAN(G, D, mg.SGD(G, lr=0.1), mg.SGD(D, lr=0.1), mg.NonSaturating(), pack=0)
    with pytest.raises(ConfigError, match="pack=3 with batch_size=32; expected a divisor"):
        get_recipe("mnist-dense").configure({"pack": 3})


def test_captured_iterations_on_cuda():
    if not emulated():
        pytest.skip("needs a C++ compiler")
    ends = []
    for graphs in (True, False):
        ops, rng = get_ops("cuda", device="emulated", graphs=graphs), RNG(0)
        G, D = (mg.Network(layers, rng=RNG(3), dtype="float64", ops=ops)
                for layers in ([mg.Dense(3, 4)], [mg.Dense(8, 6), mg.ReLU(), mg.Dense(6, 1)]))  # fmt: skip
        gan = mg.GAN(G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(), pack=2)
        for _ in range(5):
            mg.alternating(gan, lambda rng=rng: rng.random((8, 4)), lambda rng=rng: rng.random((8, 3)))
        assert (ops.iterations._find(gan).captured is not None) is graphs
        ends.append(np.concatenate([to_host(G.theta), to_host(D.theta)]))
    np.testing.assert_array_equal(*ends)


def test_a_recipe_with_packing(in_tmp):
    train_recipe("mnist-dense", overrides={"data": "digits", "iterations": 2, "pack": 4}, out="run")
    assert sample("run", n=5).shape == (5, 784)
