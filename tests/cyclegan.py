"""A game of four players: CycleGAN (Zhu et al. 2017) between two clouds of points in the plane."""

import numpy as np

import minigan as mg
from minigan.training import Experiment, random_streams


class CycleGAN(mg.Game):
    """G_AB maps A to B and G_BA maps B to A; D_A and D_B tell mapped points from data."""

    losses = ("d_loss", "g_loss", "cycle_loss")

    def __init__(self, networks, a, b, *, rng, weight=1.0, lr=5e-3):
        players = {name: mg.Player(net, mg.Adam(net, lr=lr, beta1=0.5)) for name, net in networks.items()}
        super().__init__(players, draws={"a": a, "b": b}, rng=rng)
        self.objective, self.weight = mg.NonSaturating(), weight

    def iteration(self, a, b):
        x, g = {"A": a(), "B": b()}, self.gradients()
        seen = dict.fromkeys(self.losses, 0.0)
        for here, there in (("A", "B"), ("B", "A")):
            out, home, judge = f"G_{here}{there}", f"G_{there}{here}", f"D_{there}"
            D = self.network(judge)
            fake, back_out = self.network(out).forward(x[here], train=True, rng=self.rng)
            again, back_home = self.network(home).forward(fake, train=True, rng=self.rng)
            s, back_D = D.forward(fake, train=True, rng=self.rng)
            g_loss, ds = self.objective.generator(s, ops=self.ops)
            error = again - x[here]  # cycle_loss = weight mean error^2
            scale = self.weight / error.size
            back_out(back_D(ds) + back_home(2 * scale * error, g[home]), g[out], need_dx=False)

            s_real, s_fake, backward = mg.separate(D, x[there], fake, rng=self.rng)
            d_loss, ds_real, ds_fake = self.objective.discriminator(s_real, s_fake, ops=self.ops)
            backward(ds_real, ds_fake, g[judge])
            for name, value in zip(self.losses, (d_loss, g_loss, scale * (error * error).sum()), strict=True):
                seen[name] = seen[name] + value
        self.update(g)
        return seen


CENTRES = {"A": (-1.0, 0.0), "B": (2.0, 1.0)}
NAMES = ("G_AB", "G_BA", "D_A", "D_B")


def build(*, iterations=300, n=32, seed=0, dtype="float32", ops="cpu", **settings):
    """Return the experiment: N(centre of A, 0.3^2) and N(centre of B, 0.3^2), dropout in D."""
    streams = random_streams(seed, *NAMES, "A", "B")
    chains = {
        name: [mg.Dense(2, 16), mg.LeakyReLU(0.2), mg.Dense(16, 2)]
        if name.startswith("G")
        else [mg.Dense(2, 16), mg.LeakyReLU(0.2), mg.Dropout(0.1), mg.Dense(16, 1)]
        for name in NAMES
    }
    networks = {name: mg.Network(chains[name], rng=streams[name], dtype=dtype, ops=ops) for name in NAMES}

    def points(domain):
        return lambda: streams[domain].normal(CENTRES[domain], 0.3, (n, 2)).astype(dtype)

    game = CycleGAN(networks, points("A"), points("B"), rng=streams["dropout"], **settings)
    return Experiment("cyclegan", game, game.play, iterations, streams, {"seed": seed, "n": n, **settings})


def centre(experiment, name):
    """Return the mean of a generator's outputs for 2000 points."""
    rng = np.random.default_rng(9)
    x = rng.normal(CENTRES[name[2]], 0.3, (2000, 2)).astype("float32")
    return experiment.game.network(name)(x).mean(axis=0)
