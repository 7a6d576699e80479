"""GANs with gradient penalties: D's step by complex step, all schedules, packs, labels, resuming, and CUDA graphs."""

import numpy as np
import pytest
from cases import ON_EACH_BACKEND, PENALISED, dense_gan, mask, network, whole_gan
from gradients import H, assert_direction, assert_gradient, assert_tensor, complex_step
from second_order import penalty_of

import minigan as mg
from minigan.gan import discriminator_gradient

PENALTIES = (mg.R1(2.0), mg.R2(3.0), mg.WassersteinPenalty(10.0))


def without_norm(*, pack=1, seed=0):
    """G and a D that may have penalties, of packs of 4 features."""
    G, _ = dense_gan(seed=seed)
    layers = [mg.Dense(4 * pack, 6), mg.LayerNorm(6), mg.Tanh(), mg.Dropout(0.2), mg.Dense(6, 1)]
    return G, network(layers, seed=seed + 1)


def gan(penalties=PENALTIES, *, pack=1, seed=0, **options):
    G, D = without_norm(pack=pack, seed=seed)
    return mg.GAN(
        G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(), rng=mask(), pack=pack, penalties=penalties, **options
    )


def draws(seed=3):
    rng = np.random.default_rng(seed)
    return lambda: rng.standard_normal((6, 4)), lambda: rng.standard_normal((6, 3))


@ON_EACH_BACKEND
@pytest.mark.parametrize("body", PENALISED)
def test_a_step_of_D_descends_the_cost_and_the_penalties(body, ops):
    _, D, x_real, x_fake, _ = whole_gan(body, outputs=1, ops=ops)
    x_real, objective, before = x_real[:8], mg.NonSaturating(), D.state_vector.copy()
    g, result = discriminator_gradient(D, objective, x_real, x_fake, rng=mask(), penalties=PENALTIES)
    D.state_vector[...] = before
    stream = mask()
    want, cost = discriminator_gradient(D, objective, x_real, x_fake, rng=stream)
    value = float(cost.loss)
    for penalty in PENALTIES:  # the stream goes on from one penalty to the next
        value += float(penalty.add_gradient(D, x_real, x_fake, want, rng=stream))
    np.testing.assert_array_equal(g, want)
    assert_tensor(np.array(result.loss), np.array(value))


def test_the_gradient_of_a_penalised_step_by_complex_step():
    _, D = without_norm()
    x_real, x_fake = np.random.default_rng(0).standard_normal((2, 5, 4))
    objective, penalty = mg.RelativisticPairing(), mg.R1(2.0)
    g, _ = discriminator_gradient(D, objective, x_real, x_fake, rng=mask(), penalties=(penalty,))
    twin = D.astype(complex)

    def cost(theta):
        twin.theta = theta
        rng = mask()
        s_real, s_fake, _ = mg.separate(twin, x_real.astype(complex), x_fake.astype(complex), rng=rng)
        keys = twin.draw_keys(len(x_real), rng)
        s, backward = twin.forward(x_real.astype(complex), train=True, keys=keys, update_state=False)
        return objective.discriminator(s_real, s_fake)[0] + penalty.of_gradient(twin, backward(np.ones_like(s)))[0]

    assert_gradient(D, g, complex_step(cost, D.theta))
    v = np.random.default_rng(1).standard_normal(D.theta.shape)
    assert_direction(g, v, np.imag(cost(D.theta + 1j * H * v)) / H)


@pytest.mark.parametrize("schedule", [mg.alternating, mg.same_batch, mg.simultaneous], ids=lambda f: f.__name__)
def test_every_schedule_adds_the_penalties(schedule):
    penalised, plain = gan(), gan(())
    losses = [schedule(one, *draws())[0].loss for one in (penalised, plain)]
    assert losses[0] > losses[1]
    assert not np.array_equal(penalised.D.theta, plain.D.theta)


def test_the_weights_of_a_wgan_gp_move():
    """A discriminator without updates of the penalty's weights is what a known implementation trained."""
    G, D = without_norm()
    g = D.zeros_like_theta()
    x = np.random.default_rng(0).standard_normal((2, 6, 4))
    mg.WassersteinPenalty().add_gradient(D, *x, g, rng=mask())
    assert {name for name, view in D.views(g).items() if not view.any()} == {"4.b"}
    before = G.theta.copy(), D.theta.copy()
    one = mg.GAN(G, D, mg.Adam(G), mg.Adam(D), mg.Wasserstein(), rng=mask(), penalties=(mg.WassersteinPenalty(),))
    mg.alternating(one, *draws(), k=5)
    assert all((net.theta != old).mean() > 0.9 for net, old in zip((G, D), before, strict=True))


def test_packs_are_penalised_as_packs():
    one = gan((mg.R1(2.0),), pack=2)
    real, noise = draws()
    x, z = real(), noise()
    fakes = one.fake(z)
    one.rng = mask()
    seen = one.update_D(x, fakes)
    D = without_norm(pack=2)[1]
    packs = [mg.gan.pack(v, 2) for v in (x, fakes)]
    _, want = discriminator_gradient(D, mg.NonSaturating(), *packs, rng=mask(), penalties=(mg.R1(2.0),))
    assert_tensor(np.array(seen.loss), np.array(want.loss))


def test_labels_are_not_differentiated():
    """With one-hot rows as channels, the penalty is that of the gradient with respect to the examples."""
    D = network([mg.Dense(7, 6), mg.Tanh(), mg.Dense(6, 1)])
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 4)), np.eye(3)[rng.integers(3, size=5)]
    g = D.zeros_like_theta()
    P = mg.R1(2.0).add_gradient(D, (x, y), (x, y), g)
    twin = D.astype(complex)

    def value(theta):
        twin.theta = theta
        s, backward = twin.forward(np.concatenate([x, y], axis=1).astype(complex), train=True)
        v = backward(np.ones_like(s))[:, :4]
        return (v * v).sum() / 5

    assert_tensor(np.array(P), np.array(value(D.theta).real))
    want = complex_step(value, D.theta)
    for name, tensor in D.views(g).items():
        right = D.views(want)[name]
        assert_tensor(tensor, right, scale=np.abs(want).max())


def test_classes_of_a_pair_must_agree():
    D = network([mg.Dense(4, 6), mg.Tanh(), mg.Projection(6, 3)])
    x, k = np.random.default_rng(0).standard_normal((2, 5, 4)), np.array([0, 1, 2, 0, 1])
    for penalty in PENALTIES:
        g = D.zeros_like_theta()
        penalty.add_gradient(D, (x[0], k), (x[1], k), g, rng=mask())
        assert g.any()
    with pytest.raises(ValueError, match="different labels"):
        mg.WassersteinPenalty().add_gradient(D, (x[0], k), (x[1], k[::-1]), D.zeros_like_theta(), rng=mask())


def test_errors():
    G, D = without_norm()
    with pytest.raises(TypeError, match="penalties holds 10.0; expected gradient penalties"):
        mg.GAN(G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(), penalties=(10.0,))
    with pytest.raises(ValueError, match="split_batch updates D on one kind at a time"):
        mg.split_batch(gan(), *draws())


def test_the_penalty_alone_is_what_penalty_of_computes():
    _, D = without_norm()
    x = np.random.default_rng(0).standard_normal((2, 5, 4))
    for penalty in PENALTIES:
        P = penalty.add_gradient(D, *x, D.zeros_like_theta(), rng=np.random.default_rng(1))
        assert_tensor(np.array(P), np.array(penalty_of(D, penalty, *x, train=True)(D.theta).real))
