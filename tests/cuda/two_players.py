"""Play the same game twice, as graphs and step by step, and compare."""

import numpy as np
from emulated import NAME, ON_GPU

import minigan as mg
from minigan.gan import alternating, same_batch, separate, simultaneous, split_batch
from minigan.ops import get_ops, to_host

UPDATE_SCHEDULES = {
    "alternating": (alternating, {"k": 2}),
    "same batch": (same_batch, {"d_updates": 2, "g_updates": 3}),
    "split batch": (split_batch, {}),
    "simultaneous": (simultaneous, {}),
}


class Player:
    """A GAN with dropout and batch norm in both networks, its draws, and an update schedule."""

    def __init__(self, order="alternating", *, graphs, rate=0.25, optimizer=mg.Adam, device=NAME, **how):
        self.order, self.counts = UPDATE_SCHEDULES[order]
        ops = get_ops("cuda", device=device, graphs=graphs)
        rng = np.random.default_rng(1)

        def body(n_in, n_out):
            return [mg.Dense(n_in, 6), mg.BatchNorm(6), mg.LeakyReLU(0.2), mg.Dropout(rate), mg.Dense(6, n_out)]

        G, D = (mg.Network(body(*sizes), rng=rng, dtype="float64", ops=ops) for sizes in ((3, 2), (2, 1)))
        how = {"d_batching": separate, **how}
        self.gan = mg.GAN(
            G, D, optimizer(G, lr=0.01), optimizer(D, lr=0.01), mg.NonSaturating(), rng=np.random.default_rng(7), **how
        )
        self.draws = np.random.default_rng(3)
        self.n = 8

    def real(self):
        return self.draws.normal(2, 1, (self.n, 2))

    def noise(self):
        return self.draws.standard_normal((self.n, 3))

    def play(self):
        return self.order(self.gan, self.real, self.noise, **self.counts)

    @property
    def graph(self):
        return self.gan.D.ops.iterations._find(self.gan).captured

    def numbers(self, seen):
        """Return everything that an iteration changes."""
        gan = self.gan
        found = [gan.G.theta, gan.D.theta, *gan.G.state.values(), *gan.D.state.values()]
        for optimizer in (gan.optimizer_G, gan.optimizer_D):
            found += [*optimizer.state.values()]
        found += [part for outcome in seen for part in (outcome.loss, outcome.logits_fake)]
        random = [stream.bit_generator.state["state"]["state"] for stream in (gan.rng, self.draws)]
        return [to_host(x) for x in found], (gan.optimizer_G.t, gan.optimizer_D.t, *random)


def same(a, b):
    """Compare bit for bit, or on a GPU, whose pow differs from the host's, to rounding."""
    return np.allclose(a, b, rtol=1e-9, atol=1e-12) if ON_GPU else np.array_equal(a, b)


def first_difference(one, other, iterations, between=lambda k, player: None):
    """Return the first iteration after which the numbers of two players differ, or None."""
    for k in range(1, iterations + 1):
        (found, counted), (expected, also) = (player.numbers(player.play()) for player in (one, other))
        if counted != also or not all(same(a, b) for a, b in zip(found, expected, strict=True)):
            return k
        for player in (one, other):
            between(k, player)
    return None
