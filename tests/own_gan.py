"""A recipe outside the package: points on a circle.  Tests import it as `own_gan:RECIPE`."""

from dataclasses import dataclass

import numpy as np

import minigan as mg
from minigan.recipes import Architecture, Recipe
from minigan.training import Experiment


@dataclass(frozen=True)
class Config:
    iterations: int = 4
    batch_size: int = 8
    hidden: int = 5
    lr: float = 2e-3


def architecture(config):
    return Architecture(
        G=[mg.Dense(2, config.hidden), mg.ReLU(), mg.Dense(config.hidden, 2)],
        D=[mg.Dense(2, config.hidden), mg.LeakyReLU(0.2), mg.Dense(config.hidden, 1)],
        noise_shape=(2,),
        data_shape=(2,),
    )


def prior(config, n, rng):
    return rng.standard_normal((n, 2))


def assemble(config, run_options, G, D, streams):
    def real():
        angle = streams["data"].uniform(0, 2 * np.pi, config.batch_size)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(G.dtype)

    def noise():
        return prior(config, config.batch_size, streams["noise"]).astype(G.dtype)

    gan = mg.GAN(
        G, D, mg.Adam(G, lr=config.lr), mg.Adam(D, lr=config.lr), mg.NonSaturating(),
        draws={"real": real, "noise": noise}, schedule=mg.alternating,
    )  # fmt: skip
    return Experiment("any name", gan, gan.play, config.iterations, streams)


RECIPE = Recipe("circle", "points on a circle", "an example", Config, architecture, prior, assemble)
