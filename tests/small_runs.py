"""Small runs of the `gaussian` recipe and of networks with batch norm, for the tests of training."""

import json

import minigan as mg
from minigan.recipes import RunOptions, get_recipe
from minigan.training import Experiment, random_streams

SMALL = {"iterations": "6", "batch_size": "20", "frames": "3"}
FILES = {
    "config.json", "metrics.jsonl", "generator.npz", "discriminator.npz", "summary.json",
    "gaussian.png", "gaussian.gif", "figure_1.png", "losses.png",
}  # fmt: skip


def small(**settings):
    recipe = get_recipe("gaussian")
    return recipe.build(recipe.configure(SMALL | settings), RunOptions(seed=3))


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def normalised(*, D_state=1.0, lr=0.01):
    """An experiment whose players have batch norm; iteration 3 multiplies D's first running variance by `D_state`."""
    streams = random_streams(0)
    G = mg.Network([mg.Dense(2, 3), mg.BatchNorm(3), mg.ReLU(), mg.Dense(3, 1)], rng=streams["weights_G"])
    D = mg.Network([mg.Dense(1, 3), mg.BatchNorm(3), mg.ReLU(), mg.Dense(3, 1)], rng=streams["weights_D"])
    gan = mg.GAN(G, D, mg.SGD(G, lr=lr), mg.SGD(D, lr=lr), mg.NonSaturating())
    data, noise, count = streams["data"], streams["noise"], iter(range(1, 100))

    def play():
        played = mg.alternating(gan, lambda: data.normal(4, 2, (8, 1)), lambda: noise.standard_normal((8, 2)))
        if next(count) == 3:
            D.state["1.running_var"][...] *= D_state
        return played

    return Experiment("normalised", gan, play, 5, streams, {"seed": 0})
