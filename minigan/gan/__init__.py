"""Algorithm 1 of Goodfellow et al. 2014: the steps of G and D, their game, and the schedules of the documents.

`minigan.gan.steps`      gradients and updates, and the ways in which D and G see batches
`minigan.gan.pair`       `GAN`, the game of G and D
`minigan.gan.schedules`  the order of the updates in an iteration
"""

from minigan.game import Draw, Rng, whole
from minigan.gan.pair import GAN, Played
from minigan.gan.schedules import alternating, pretrain, same_batch, simultaneous, split_batch
from minigan.gan.steps import (
    Fakes,
    Judge,
    Outcome,
    Passes,
    Through,
    batch_judge,
    discriminator_gradient,
    discriminator_step,
    fresh_fakes,
    generator_gradient,
    generator_step,
    inference_fakes,
    joint,
    running_judge,
    separate,
    tracking_judge,
)

__all__ = [
    "GAN",
    "Draw",
    "Fakes",
    "Judge",
    "Outcome",
    "Passes",
    "Played",
    "Rng",
    "Through",
    "alternating",
    "batch_judge",
    "discriminator_gradient",
    "discriminator_step",
    "fresh_fakes",
    "generator_gradient",
    "generator_step",
    "inference_fakes",
    "joint",
    "pretrain",
    "running_judge",
    "same_batch",
    "separate",
    "simultaneous",
    "split_batch",
    "tracking_judge",
    "whole",
]
