"""Errors of steps and schedules: another network's optimizer, arguments that do not fit, empty batches."""

import copy

import numpy as np
import pytest
from cases import dense_gan

import minigan as mg
from minigan.gan import eval_mode, train_mode_tracking

OBJECTIVE = mg.NonSaturating()
X, Z = np.random.default_rng(8).standard_normal((6, 4)), np.random.default_rng(9).standard_normal((6, 3))


def game(**settings):
    G, D = dense_gan()
    return mg.GAN(G, D, mg.Adam(G), mg.Adam(D), OBJECTIVE, rng=np.random.default_rng(7), **settings)


def bytes_of(gan):
    return [v.tobytes() for net in (gan.G, gan.D) for v in (net.theta, *net.state.values())]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"d_batching": mg.combined}, "d_batching is combined; expected separate: simultaneous"),
        ({"fake_mode": mg.eval_fakes}, "fake_mode is eval_fakes; expected train_fakes: simultaneous"),
        ({"frozen_d_mode": eval_mode}, "frozen_d_mode is eval_mode; expected train_mode: simultaneous"),
        (
            {"frozen_d_mode": train_mode_tracking},
            "frozen_d_mode is train_mode_tracking; expected train_mode: simultaneous",
        ),
    ],
)
def test_simultaneous_refuses_what_one_pass_cannot_do(setting, message):
    gan, other = game(**setting), game()
    before = bytes_of(gan)
    with pytest.raises(ValueError, match=message):
        mg.simultaneous(gan, lambda: X, lambda: Z)
    assert bytes_of(gan) == before
    mg.simultaneous(other, lambda: X, lambda: Z)
    assert bytes_of(other) != before


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"batch_size": 1}, "batch_size must be >= 2, got 1: a batch must hold real and fake"),
        ({"batch_size": 2, "x_real": X[:0]}, "x_real has 0 examples and x_fake 6; expected 1 or more of each"),
        ({"batch_size": 2, "x_fake": X[:0]}, "x_real has 6 examples and x_fake 0"),
    ],
)
def test_pretrain_refuses_to_train_on_nothing(kwargs, message):
    with pytest.raises(ValueError, match=message):
        mg.pretrain(
            game(d_batching=mg.combined), **{"x_real": X, "x_fake": X, "rng": np.random.default_rng(0), **kwargs}
        )


def test_an_optimizer_of_another_network_is_refused():
    G, D = dense_gan()
    twin = copy.copy(D)
    with pytest.raises(ValueError, match=r"optimizer belongs to another network; expected .* Adam\(D\)"):
        mg.discriminator_step(D, mg.Adam(twin), OBJECTIVE, X, X, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"optimizer belongs .*; expected one of G, SGD\(G\)"):
        mg.generator_step(G, D, mg.SGD(D, lr=0.1), OBJECTIVE, Z, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="optimizer_G belongs to another network"):
        mg.GAN(G, D, mg.Adam(D), mg.Adam(D), OBJECTIVE)
    with pytest.raises(ValueError, match="optimizer_D belongs to another network"):
        mg.GAN(G, D, mg.Adam(G), mg.Adam(G), OBJECTIVE)
    np.testing.assert_array_equal(D.theta, twin.theta)


def test_a_deep_copy_of_a_game_plays_on_its_own():
    gan = game()
    mg.alternating(gan, lambda: X, lambda: Z)
    twin, before = copy.deepcopy(gan), bytes_of(gan)
    assert twin.optimizer_G.net is twin.G
    assert twin.optimizer_D.net is twin.D
    mg.alternating(twin, lambda: X, lambda: Z)
    assert bytes_of(gan) == before
    mg.alternating(gan, lambda: X, lambda: Z)
    assert bytes_of(gan) == bytes_of(twin)
