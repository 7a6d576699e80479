"""A custom objective: its methods are checked when a GAN is built, and suffice for training."""

import numpy as np
import pytest

import minigan as mg
from minigan.training import Experiment, random_streams, train


class LeastSquares:
    """The objective of Mao et al. 2017, with only the methods of the protocol."""

    def discriminator(self, s_real, s_fake, *, ops=None):
        (real, ds_real), (fake, ds_fake) = self.one_side(s_real, real=True), self.one_side(s_fake, real=False)
        return real + fake, ds_real, ds_fake

    def one_side(self, s, *, real, ops=None):
        return ((s - real) ** 2).mean() / 2, (s - np.float32(real)) / s.dtype.type(len(s))

    def generator(self, s_fake, *, ops=None):
        return self.one_side(s_fake, real=True)

    def probability(self, s, *, ops=None):
        return np.clip(s, 0, 1).reshape(-1)


def gan(objective):
    rng = np.random.default_rng(0)
    G, D = mg.Network([mg.Dense(2, 1)], rng=rng), mg.Network([mg.Dense(1, 1)], rng=rng)
    return mg.GAN(G, D, mg.Adam(G), mg.Adam(D), objective)


METHODS = ("discriminator", "generator", "one_side", "probability")


@pytest.mark.parametrize("missing", METHODS)
def test_what_lacks_a_method_is_refused_when_the_game_is_built(missing):
    rest = {name: getattr(LeastSquares, name) for name in METHODS if name != missing}
    with pytest.raises(TypeError, match=rf"objective of type Own has no method {missing}\(.*minigan.losses.Objective"):
        gan(type("Own", (), rest)())


@pytest.mark.parametrize("objective", ["minimax", None, mg.NonSaturating])
def test_what_is_no_objective_is_refused(objective):
    with pytest.raises(TypeError, match="objective"):
        gan(objective)


@pytest.mark.parametrize("schedule", [mg.alternating, mg.same_batch, mg.split_batch, mg.simultaneous])
def test_the_protocol_is_enough_for_every_schedule(schedule):
    game, streams = gan(LeastSquares()), random_streams(0)
    x = np.ones((4, 1), "f4")
    z = np.ones((4, 2), "f4")
    experiment = Experiment("own", game, lambda: schedule(game, lambda: x, lambda: z), 2, streams)
    assert train(experiment)["status"] == "completed"
