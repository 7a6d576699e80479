"""Algorithm 1 of Goodfellow et al. 2014: the steps of G and D, their game, and the update schedules.

`minigan.gan.labels`     batches with labels
`minigan.gan.modes`      how D and G run in a step: training or inference mode, joint or separate batch statistics
`minigan.gan.packing`    several examples at a time as one input of D
`minigan.gan.steps`      gradients and updates
`minigan.gan.pair`       `GAN`, the game of G and D
`minigan.gan.schedules`  the order of the updates in an iteration
`minigan.gan.cycle`      `CycleGAN`, the game of two generators and two discriminators
`minigan.gan.pool`       the past fakes that the discriminators of a CycleGAN see
"""

from typing import TYPE_CHECKING

from minigan._deprecated import renamed
from minigan.game import Draw, Rng, capturable
from minigan.gan.cycle import CycleGAN
from minigan.gan.modes import (
    DBatching,
    DMode,
    FakeMode,
    Passes,
    combined,
    eval_fakes,
    eval_mode,
    separate,
    train_fakes,
    train_mode,
    train_mode_tracking,
)
from minigan.gan.packing import pack, packed_mode, unpack
from minigan.gan.pair import GAN, StepResults
from minigan.gan.penalties import R1, R2, GradientPenalty, WassersteinPenalty
from minigan.gan.pool import ImagePool
from minigan.gan.schedules import alternating, pretrain, same_batch, simultaneous, split_batch
from minigan.gan.steps import (
    StepResult,
    discriminator_gradient,
    discriminator_step,
    generator_gradient,
    generator_step,
)

__all__ = [
    "GAN",
    "R1",
    "R2",
    "CycleGAN",
    "DBatching",
    "DMode",
    "Draw",
    "FakeMode",
    "GradientPenalty",
    "ImagePool",
    "Passes",
    "Rng",
    "StepResult",
    "StepResults",
    "WassersteinPenalty",
    "alternating",
    "capturable",
    "combined",
    "discriminator_gradient",
    "discriminator_step",
    "eval_fakes",
    "eval_mode",
    "generator_gradient",
    "generator_step",
    "pack",
    "packed_mode",
    "pretrain",
    "same_batch",
    "separate",
    "simultaneous",
    "split_batch",
    "train_fakes",
    "train_mode",
    "train_mode_tracking",
    "unpack",
]


_RENAMED = {
    "Outcome": "StepResult",
    "Played": "StepResults",
    "Through": "DBatching",
    "Fakes": "FakeMode",
    "Judge": "DMode",
    "joint": "combined",
    "fresh_fakes": "train_fakes",
    "inference_fakes": "eval_fakes",
    "batch_judge": "train_mode",
    "tracking_judge": "train_mode_tracking",
    "running_judge": "eval_mode",
    "whole": "capturable",
}
"""Old name -> new name.  The old names work for one more release."""

if not TYPE_CHECKING:  # so that type checkers know every name

    def __getattr__(name):
        return renamed("minigan.gan", _RENAMED, globals(), name)
