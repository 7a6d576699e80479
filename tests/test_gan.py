"""Algorithm 1: whole steps by complex step, freezing, and the orders of play."""

import numpy as np
import pytest
from cases import BACKENDS, OBJECTIVES, dense_gan, network, outputs_of
from gradients import DIRECTION_GATE, TENSOR_GATE, H, assert_tensor, complex_step, direction_error
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.gan import (
    batch_judge,
    discriminator_gradient,
    generator_gradient,
    running_judge,
    tracking_judge,
)

IDS = [repr(o) for o in OBJECTIVES]
PASSES = [mg.separate, mg.joint]
JUDGES = [batch_judge, running_judge, tracking_judge]


def mask(seed=7):
    """The same dropout masks in every call."""
    return np.random.default_rng(seed)


def players(objective, ops="reference", seed=0):
    G, D = dense_gan(outputs=outputs_of(objective), ops=ops, seed=seed)
    rng = np.random.default_rng(seed + 2)
    return G, D, rng.standard_normal((6, 4)), rng.standard_normal((6, 4)), rng.standard_normal((6, 3))


def at(net, theta):
    """A complex twin at another theta."""
    twin = net.astype(complex)
    twin.theta = theta
    return twin


def j_d(D, objective, x_real, x_fake, through):
    s_real, s_fake, _ = through(D, x_real.astype(complex), x_fake.astype(complex), rng=mask())
    return objective.discriminator(s_real, s_fake)[0]


def j_g(G, D, objective, z, judge):
    rng = mask()
    x_fake = G.forward(z.astype(complex), train=True, rng=rng)[0]
    return objective.generator(judge(D, x_fake, rng=rng)[0])[0]


@pytest.mark.parametrize("ops", BACKENDS)
@pytest.mark.parametrize("through", PASSES)
@pytest.mark.parametrize("objective", OBJECTIVES, ids=IDS)
def test_whole_discriminator_step_by_complex_step(objective, through, ops):
    _, D, x_real, x_fake, _ = players(objective, ops)
    g, outcome = discriminator_gradient(D, objective, x_real, x_fake, rng=mask(), through=through)
    want = complex_step(lambda theta: j_d(at(D, theta), objective, x_real, x_fake, through), D.theta)
    # A bias before batch norm has gradient zero: the scale is that of the whole vector.
    for key, got in D.views(g).items():
        assert_tensor(got, D.views(want)[key], scale=np.abs(want).max())
    assert outcome.value == pytest.approx(j_d(D.astype(complex), objective, x_real, x_fake, through).real, rel=1e-12)


@pytest.mark.parametrize("ops", BACKENDS)
@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("objective", OBJECTIVES, ids=IDS)
def test_whole_generator_step_through_D_by_complex_step(objective, judge, ops):
    G, D, _, _, z = players(objective, ops)
    D_inference = D.astype(complex)
    g, outcome = generator_gradient(G, D, objective, z, rng=mask(), judge=judge)
    want = complex_step(lambda theta: j_g(at(G, theta), D_inference, objective, z, judge), G.theta)
    assert np.abs(want).max() > 1e-3  # dJ_G / dtheta_G is there at all
    for key, got in G.views(g).items():
        assert_tensor(got, G.views(want)[key], scale=np.abs(want).max())
    assert np.isfinite(outcome.value)


@given(st.integers(0, 2**16), st.sampled_from(OBJECTIVES), st.sampled_from(PASSES))
def test_both_steps_along_a_direction(seed, objective, through):
    G, D, x_real, x_fake, z = players(objective, seed=seed)
    rng = np.random.default_rng(seed)
    g_D, _ = discriminator_gradient(D, objective, x_real, x_fake, rng=mask(), through=through)
    v = rng.standard_normal(g_D.shape)
    derivative = np.imag(j_d(at(D, D.theta + 1j * H * v), objective, x_real, x_fake, through)) / H
    # ||theta|| is the scale of the sums inside when the gradient nearly vanishes.
    assert direction_error(g_D, v, derivative, at_least=0.1) <= DIRECTION_GATE
    g_G, _ = generator_gradient(G, D, objective, z, rng=mask())
    w = rng.standard_normal(g_G.shape)
    derivative = np.imag(j_g(at(G, G.theta + 1j * H * w), D.astype(complex), objective, z, batch_judge)) / H
    assert direction_error(g_G, w, derivative, at_least=0.1) <= DIRECTION_GATE


def gan(objective=None, *, optimizer=mg.Adam, seed=0, **kwargs):
    objective = objective or mg.NonSaturating()
    G, D = dense_gan(outputs=outputs_of(objective), seed=seed)
    return mg.GAN(G, D, optimizer(G, lr=0.01), optimizer(D, lr=0.01), objective, rng=mask(), **kwargs)


def snapshot(net):
    return net.theta.tobytes() + b"".join(v.tobytes() for v in net.state.values())


X_REAL, X_FAKE = np.random.default_rng(8).standard_normal((2, 6, 4))
Z = np.random.default_rng(9).standard_normal((6, 3))


@pytest.mark.parametrize("judge", JUDGES)
def test_D_is_bit_identical_after_a_generator_step(judge):
    game = gan(judge=judge)
    theta, everything, before = game.D.theta.tobytes(), snapshot(game.D), game.G.theta.tobytes()
    game.update_G(Z)
    assert game.D.theta.tobytes() == theta
    assert (snapshot(game.D) == everything) == (judge is not tracking_judge)
    assert game.G.theta.tobytes() != before


@pytest.mark.parametrize("fakes", [mg.fresh_fakes, mg.inference_fakes])
@pytest.mark.parametrize("through", PASSES)
def test_G_is_bit_identical_after_a_discriminator_step(through, fakes):
    game = gan(through=through, fakes=fakes)
    theta, everything, before = game.G.theta.tobytes(), snapshot(game.G), game.D.theta.tobytes()
    game.update_D(X_REAL, game.fake(Z))
    assert game.G.theta.tobytes() == theta
    assert (snapshot(game.G) == everything) == (fakes is mg.inference_fakes)
    assert game.D.theta.tobytes() != before


def test_joint_and_separate_are_the_same_without_batch_norm_and_differ_with_it():
    objective = mg.NonSaturating()
    plain = network([mg.Dense(4, 5), mg.Tanh(), mg.Dense(5, 1)])
    normed = network([mg.Dense(4, 5), mg.BatchNorm(5), mg.Tanh(), mg.Dense(5, 1)])
    for D, same in ((plain, True), (normed, False)):
        one, _ = discriminator_gradient(D, objective, X_REAL, X_FAKE + 3, through=mg.joint)
        two, _ = discriminator_gradient(D, objective, X_REAL, X_FAKE + 3, through=mg.separate)
        assert np.allclose(one, two, rtol=1e-12, atol=1e-14) == same


class Counter:
    """A draw that counts and hands out a new batch each time."""

    def __init__(self, shape, seed):
        self.shape, self.rng, self.drawn = shape, np.random.default_rng(seed), []

    def __call__(self):
        self.drawn.append(self.rng.standard_normal(self.shape))
        return self.drawn[-1]


def test_alternating_is_algorithm_1():
    """k fresh batches of real data and noise for D, one more of noise for G."""
    game, by_hand = gan(), gan()
    real, noise = Counter((6, 4), 1), Counter((6, 3), 2)
    mg.alternating(game, real, noise, k=3)
    assert (len(real.drawn), len(noise.drawn)) == (3, 4)
    for x, z in zip(real.drawn, noise.drawn, strict=False):
        by_hand.update_D(x, mg.fresh_fakes(by_hand.G, z, rng=by_hand.rng))
    by_hand.update_G(noise.drawn[3])
    assert snapshot(game.D) == snapshot(by_hand.D)
    assert snapshot(game.G) == snapshot(by_hand.G)


def test_same_batch_repeats_both_players_on_one_batch():
    game, by_hand = gan(fakes=mg.inference_fakes), gan(fakes=mg.inference_fakes)
    real, noise = Counter((6, 4), 1), Counter((6, 3), 2)
    mg.same_batch(game, real, noise, d_updates=2, g_updates=3)
    assert (len(real.drawn), len(noise.drawn)) == (1, 1)
    fake = by_hand.G(noise.drawn[0])
    for _ in range(2):
        by_hand.update_D(real.drawn[0], fake)
    for _ in range(3):
        by_hand.update_G(noise.drawn[0])
    assert snapshot(game.D) == snapshot(by_hand.D)
    assert snapshot(game.G) == snapshot(by_hand.G)
    assert (game.optimizer_D.t, game.optimizer_G.t) == (2, 3)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=IDS)
def test_simultaneous_takes_both_gradients_at_the_same_point(objective):
    """Without dropout the gradients are those of the two separate functions, before either update."""
    k = outputs_of(objective)
    G = network([mg.Dense(3, 5), mg.BatchNorm(5), mg.ReLU(), mg.Dense(5, 4)])
    D = network([mg.Dense(4, 5), mg.Tanh(), mg.Dense(5, k)], seed=1)
    game = mg.GAN(G, D, mg.SGD(G, lr=0.1), mg.SGD(D, lr=0.1), objective)
    x_fake = G.forward(Z, train=True, update_state=False)[0]
    g_D, _ = discriminator_gradient(D, objective, X_REAL, x_fake)
    g_G, _ = generator_gradient(G.astype("float64"), D, objective, Z)
    want_D, want_G = D.theta - 0.1 * g_D, G.theta - 0.1 * g_G
    mg.simultaneous(game, lambda: X_REAL, lambda: Z)
    np.testing.assert_allclose(D.theta, want_D, rtol=TENSOR_GATE)
    np.testing.assert_allclose(G.theta, want_G, rtol=TENSOR_GATE)


def test_pretraining_teaches_D_and_leaves_G_alone():
    objective = mg.SoftmaxTwoClass(pooled=True)
    game = gan(objective, through=mg.joint)
    G_before, rng = snapshot(game.G), np.random.default_rng(0)
    x_real, x_fake = rng.normal(1, 1, (200, 4)), rng.normal(-1, 1, (150, 4))
    values = mg.pretrain(game, x_real, x_fake, batch_size=32, epochs=5, rng=rng)
    assert len(values) == 5 * 11  # ceil(350 / 32)
    assert snapshot(game.G) == G_before
    D_real, D_fake = (objective.probability(game.D(x)) for x in (x_real, x_fake))
    assert D_real.mean() > 0.8 > 0.2 > D_fake.mean()


def test_half_batches_through_one_pass_are_expressible():
    """S5: half a batch of each kind in one pass, a whole batch of noise for G."""
    game = gan(mg.SoftmaxTwoClass(), through=mg.joint, fakes=mg.inference_fakes)
    sizes = []
    original = game.D.forward

    def spy(x, **kwargs):
        sizes.append(len(x))
        return original(x, **kwargs)

    game.D.forward = spy
    game.update_D(X_REAL[:3], game.fake(Z[:3]))
    game.update_G(Z)
    assert sizes == [6, 6]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mg.alternating(gan(), None, None, k=0), "k must be >= 1, got 0"),
        (lambda: mg.same_batch(gan(), None, None, g_updates=0), "g_updates must be >= 1, got 0"),
        (lambda: mg.pretrain(gan(), X_REAL, X_FAKE, batch_size=0, rng=mask()), "batch_size must be >= 1, got 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
