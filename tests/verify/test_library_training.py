"""200 GAN steps of the library in balls against the same training written out here, without the library."""

import numpy as np
import pytest
from flint import arb

from minigan.network import Network
from verify.arithmetic.balls import precision
from verify.arithmetic.decide import Undecided
from verify.arithmetic.dual import balls
from verify.claims.library_training import ITERATIONS, TRAININGS, in_balls, train


def sigmoid(s):
    return [1 / (1 + (-v).exp()) for v in s]


def by_hand(seed):
    """The training "tanh": J_D = mean softplus(-s_real) + mean softplus(s_fake), J_G = mean softplus(-s_fake),

    u <- u/2 - lr g, theta <- theta + u, lr = 0.1.
    """
    training = TRAININGS["tanh"]
    streams = [np.random.default_rng([seed, k]) for k in range(4)]
    G, D = (Network(layers, rng=streams[0], dtype="float64").theta for layers in (training.G, training.D))
    H, n, lr = 4, training.n, arb(0.1)
    a, b = balls(G)
    W, c, v, d = (list(part) for part in np.split(balls(D), [H, 2 * H, 3 * H]))
    state = {"G": [arb(0)] * 2, "D": [arb(0)] * (3 * H + 1)}

    def forward(x):
        t = [[(w * xi + ci).tanh() for w, ci in zip(W, c, strict=True)] for xi in x]
        return t, [sum((vj * tj for vj, tj in zip(v, row, strict=True)), d[0]) for row in t]

    def gradient_D(x, t, ds):
        g = [arb(0)] * (3 * H + 1)
        for xi, row, e in zip(x, t, ds, strict=True):
            for j in range(H):
                da = e * v[j] * (1 - row[j] ** 2)
                g[j] += da * xi
                g[H + j] += da
                g[2 * H + j] += e * row[j]
            g[3 * H] += e
        return g

    def step(player, theta, g):
        state[player] = [u / 2 - lr * gi for u, gi in zip(state[player], g, strict=True)]
        return [p + u for p, u in zip(theta, state[player], strict=True)]

    def real():
        return balls(4 + 2 * streams[2].standard_normal(n))

    def noise():
        return balls(streams[3].standard_normal((n, 1))[:, 0])

    for _ in range(ITERATIONS):
        z = noise()
        x_fake, x_real = [a * zi + b for zi in z], real()
        (t_real, s_real), (t_fake, s_fake) = forward(x_real), forward(x_fake)
        g_real = gradient_D(x_real, t_real, [-e / n for e in sigmoid([-s for s in s_real])])
        g_fake = gradient_D(x_fake, t_fake, [e / n for e in sigmoid(s_fake)])
        theta = step("D", [*W, *c, *v, *d], [p + q for p, q in zip(g_real, g_fake, strict=True)])
        W, c, v, d = theta[:H], theta[H : 2 * H], theta[2 * H : 3 * H], theta[3 * H :]
        z = noise()
        t, s = forward([a * zi + b for zi in z])
        ds = [-e / n for e in sigmoid([-u for u in s])]
        slope = [sum((vj * (1 - tj**2) * w for vj, tj, w in zip(v, row, W, strict=True)), arb(0)) for row in t]
        dx = [e * r for e, r in zip(ds, slope, strict=True)]
        a, b = step("G", [a, b], [sum((e * zi for e, zi in zip(dx, z, strict=True)), arb(0)), sum(dx, arb(0))])
    return [a, b, *W, *c, *v, *d]


def test_the_balls_are_those_of_the_training_written_out():
    ours = in_balls("tanh", 7, 30)
    with precision(250):
        for x, y in zip(by_hand(7), ours, strict=True):
            assert x.rad() < 1e-30
            assert x.overlaps(y)


@pytest.mark.parametrize("name", TRAININGS)
def test_enclosures_are_balls_about_the_float_run(name):
    """Enclosures have a radius > 0, and more digits make it smaller."""
    low, high = (in_balls(name, 7, digits) for digits in (20, 150))
    rounded = train(TRAININGS[name], 7, lambda x: x, "float64")
    assert sum(x.rad() > 0 for x in low) > len(low) / 2
    assert sum(x.contains(float(v)) for x, v in zip(high, rounded, strict=True)) < len(high) / 2
    with precision(300):
        assert all(x.overlaps(y) for x, y in zip(low, high, strict=True))
    assert max(float(x.rad()) for x in high) <= 1e-150


def test_balls_that_grow_too_wide_are_undecided(monkeypatch):
    monkeypatch.setattr("verify.claims.library_training.GUARD_DIGITS", (1,))
    with pytest.raises(Undecided, match="the balls grew too wide for 31 digits"):
        in_balls("tanh", 7, 31)
