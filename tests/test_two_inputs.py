"""A discriminator of pairs, as docs/games.md shows it: its gradients by complex step, and that it learns."""

import re
from pathlib import Path

import numpy as np
import pytest
from cases import ON_EACH_BACKEND, mask, network
from gradients import assert_tensors, complex_step

import minigan as mg
from minigan.training import Experiment, random_streams, train

PAGE = (Path(__file__).parent.parent / "docs/games.md").read_text()
TURN = np.array([[0.0, 1.0], [-1.0, 0.0]])


@pytest.fixture
def Paired():
    names = {"mg": mg}
    exec(next(b for b in re.findall(r"```python\n(.*?)```", PAGE, re.S) if "class Paired" in b), names)  # noqa: S102
    return names["Paired"]


def networks(ops="reference"):
    G = network([mg.Dense(2, 5), mg.BatchNorm(5), mg.Tanh(), mg.Dense(5, 3)], ops=ops)
    D = network([mg.Dense(5, 6), mg.Softplus(), mg.Dropout(0.3), mg.Dense(6, 1)], ops=ops, seed=1)
    return G, D


@ON_EACH_BACKEND
def test_gradients_by_complex_step(ops, Paired):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 2)), rng.standard_normal((7, 3))
    G, D = networks(ops)
    game, found = Paired(G, D, lambda: (x, y), rng=mask()), {}
    game.update = found.update
    results = game.iteration(*game.draws.values())

    def costs(theta_G, theta_D):
        of_G, of_D, rng = G.astype(complex), D.astype(complex), mask()
        of_G.theta, of_D.theta = theta_G, theta_D
        fake = of_G.forward(x.astype(complex), train=True, rng=rng)[0]
        s = of_D.forward(np.concatenate([x, fake], axis=-1), train=True, rng=rng)[0]
        g_loss, objective = mg.NonSaturating().generator(s)[0], mg.NonSaturating()
        real, apart = (np.concatenate([x, v], axis=-1).astype(complex) for v in (y, fake))
        s_real, s_fake = (of_D.forward(v, train=True, rng=rng)[0] for v in (real, apart))
        return objective.discriminator(s_real, s_fake)[0], g_loss

    want = {
        "D": complex_step(lambda theta: costs(G.theta, theta)[0], D.theta),
        "G": complex_step(lambda theta: costs(theta, D.theta)[1], G.theta),
    }
    for name, net in (("D", D), ("G", G)):
        got, right = net.views(found[name]), net.views(want[name])
        assert_tensors(net, [(key, got[key], right[key]) for key in got])
    np.testing.assert_allclose([results["d_loss"], results["g_loss"]], np.real(costs(G.theta, D.theta)), rtol=1e-13)


def test_it_learns_the_pairs(Paired):
    """y is x turned by 90 degrees: G must answer each x with its own y, which a D of y alone could not demand."""
    streams = random_streams(0, "G", "D", "pairs")

    def pairs():
        x = streams["pairs"].standard_normal((64, 2)).astype("float32")
        return x, x @ TURN.astype("float32")

    G = mg.Network([mg.Dense(2, 2)], rng=streams["G"])
    D = mg.Network([mg.Dense(4, 64), mg.LeakyReLU(0.2), mg.Dense(64, 1)], rng=streams["D"])
    game = Paired(G, D, pairs, rng=streams["dropout"], lr=5e-3)

    def error():
        x, y = pairs()
        return float(np.square(G(x) - y).mean())

    first = error()
    summary = train(Experiment("paired", game, game.play, iterations=1500, streams=streams))
    assert summary["status"] == "completed"
    assert first > 0.5
    assert error() < 0.1
