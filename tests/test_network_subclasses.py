"""Networks whose `forward` is overridden train in every schedule, whether or not their pullback can write."""

import numpy as np
import pytest

import minigan as mg
from minigan.gan import schedules
from minigan.layers import Dense, ReLU

SCHEDULES = [schedules.alternating, schedules.simultaneous, schedules.split_batch]


class Adding(mg.Network):
    """A network whose pullback halves dL/dtheta and has no argument `overwrite`."""

    def forward(self, x, **options):
        y, pullback = super().forward(x, **options)

        def backward(dy, grads=None, *, need_dx=True):
            mine = None if grads is None else self.zeros_like_theta()
            dx = pullback(dy, mine, need_dx=need_dx)
            if grads is not None:
                grads += mine / 2
            return dx

        return y, backward


class Writing(Adding):
    """The same with a pullback that can write, and a vector that it overwrites."""

    given = ()

    def forward(self, x, **options):
        y, adding = super().forward(x, **options)

        def backward(dy, grads=None, *, need_dx=True, overwrite=False):
            if grads is not None:
                self.given = [*self.given, overwrite]
            if overwrite:
                grads[:] = 0
            return adding(dy, grads, need_dx=need_dx)

        return y, backward

    def new_gradient(self):
        return np.full_like(self.theta, np.nan), True


def game(network, d_batching=mg.separate):
    rng = np.random.default_rng(0)
    G = network([Dense(3, 64), ReLU(), Dense(64, 2)], rng=rng, dtype="float64")
    D = network([Dense(2, 64), ReLU(), Dense(64, 1)], rng=rng, dtype="float64")
    adams = mg.SGD(G, lr=0.1), mg.SGD(D, lr=0.1)
    return mg.GAN(G, D, *adams, mg.NonSaturating(), rng=rng, d_batching=d_batching)


def play(gan, schedule):
    rng = np.random.default_rng(1)
    schedule(gan, lambda: rng.standard_normal((6, 2)), lambda: rng.standard_normal((6, 3)))
    return np.concatenate([gan.G.theta, gan.D.theta])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("d_batching", [mg.separate, mg.combined])
def test_a_pullback_of_a_subclass_need_not_write(schedule, d_batching):
    if schedule is schedules.simultaneous and d_batching is mg.combined:
        pytest.skip("simultaneous updates have one pass")
    start, adding, writing = (game(kind, d_batching) for kind in (Adding, Adding, Writing))
    assert not start.G.new_gradient()[1]
    assert not start.G.new_gradient()[0].any()
    found = play(adding, schedule)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(play(writing, schedule), found, rtol=0, atol=1e-14)
    assert writing.G.given == [True]
    assert writing.D.given[0] is True
    G_before, G_plain = start.G.theta, game(mg.Network, d_batching)
    if schedule is schedules.simultaneous:  # at the same parameters: half of the plain network's step
        play(G_plain, schedule)
        np.testing.assert_allclose(2 * (adding.G.theta - G_before), G_plain.G.theta - G_before, rtol=0, atol=1e-14)


def test_a_forward_that_is_replaced_in_an_instance_need_not_write():
    net = game(mg.Network).G
    assert net.new_gradient()[1]
    net.forward = lambda *args, **kwargs: mg.Network.forward(net, *args, **kwargs)
    g, overwrite = net.new_gradient()
    assert not overwrite
    assert not g.any()
