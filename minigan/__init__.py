"""minigan: generative adversarial networks with the mathematics written out.

Layers with hand-written backward passes over one flat parameter vector, objectives on logits, Adam, and
Algorithm 1 of Goodfellow et al. 2014.  No tape, no autograd.

>>> import numpy as np, minigan
>>> rng = np.random.default_rng(0)
>>> D = minigan.Network([minigan.Dense(1, 10), minigan.ReLU(), minigan.Dense(10, 1)], rng=rng)
>>> s, backward = D.forward(np.ones((4, 1), dtype="float32"), train=True)
>>> g = D.zeros_like_theta()
>>> backward(np.ones_like(s), g).shape, g.shape
((4, 1), (31,))

The subpackages are loaded when they are first used: ``minigan.data.Gaussian(4, 2)``, ``minigan.training.train(...)``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from minigan._deprecated import renamed
from minigan._version import __version__ as __version__
from minigan.game import Game, Player
from minigan.gan import (
    GAN,
    alternating,
    combined,
    discriminator_step,
    eval_fakes,
    eval_mode,
    generator_step,
    pretrain,
    same_batch,
    separate,
    simultaneous,
    split_batch,
    train_fakes,
    train_mode,
    train_mode_tracking,
)
from minigan.gan.penalties import R1, R2, GradientPenalty, WassersteinPenalty
from minigan.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Normal,
    Uniform,
    Zeros,
)
from minigan.layers import (
    AvgPool2D,
    BatchNorm,
    Chain,
    ConcatEmbedding,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GroupNorm,
    InstanceNorm2D,
    Layer,
    LayerNorm,
    LeakyReLU,
    Maxout,
    MaxPool2D,
    MinibatchStdDev,
    Parameter,
    PixelNorm,
    PixelShuffle,
    PixelUnshuffle,
    Projection,
    ReflectionPad2D,
    ReLU,
    Reshape,
    Residual,
    ShapeError,
    Sigmoid,
    Softmax,
    Softplus,
    SpectralNorm,
    Tanh,
    UpSample2D,
    ZeroPad2D,
)
from minigan.losses import (
    FGAN,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Objective,
    RelativisticAverage,
    RelativisticPairing,
    SoftmaxTwoClass,
    Wasserstein,
)
from minigan.network import Network, StaleBackwardError
from minigan.ops.errors import BackendUnavailable
from minigan.optimizers import SGD, Adam, RMSProp

if TYPE_CHECKING:
    from minigan import classifier as classifier
    from minigan import data as data
    from minigan import diagnosis as diagnosis
    from minigan import ensembles as ensembles
    from minigan import evaluation as evaluation
    from minigan import interop as interop
    from minigan import metrics as metrics
    from minigan import plots as plots
    from minigan import recipes as recipes
    from minigan import runs as runs
    from minigan import tables as tables
    from minigan import training as training
    from minigan.gradient_check import GradientError as GradientError
    from minigan.gradient_check import GradientReport as GradientReport
    from minigan.gradient_check import gradcheck as gradcheck

_LAZY = (
    "classifier",
    "data",
    "diagnosis",
    "ensembles",
    "evaluation",
    "interop",
    "metrics",
    "plots",
    "recipes",
    "runs",
    "tables",
    "training",
)

_LAZY_NAMES = dict.fromkeys(("GradientError", "GradientReport", "gradcheck"), "minigan.gradient_check")
"""Name -> the module that has it."""

__all__ = [
    "FGAN",
    "GAN",
    "R1",
    "R2",
    "SGD",
    "Adam",
    "AvgPool2D",
    "BackendUnavailable",
    "BatchNorm",
    "Chain",
    "ConcatEmbedding",
    "Constant",
    "Conv2D",
    "ConvTranspose2D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Game",
    "GlorotNormal",
    "GlorotUniform",
    "GradientPenalty",
    "GroupNorm",
    "HeNormal",
    "HeUniform",
    "Hinge",
    "InstanceNorm2D",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LeastSquares",
    "MaxPool2D",
    "Maxout",
    "MinibatchStdDev",
    "Minimax",
    "Network",
    "NonSaturating",
    "Normal",
    "Objective",
    "Parameter",
    "PixelNorm",
    "PixelShuffle",
    "PixelUnshuffle",
    "Player",
    "Projection",
    "RMSProp",
    "ReLU",
    "ReflectionPad2D",
    "RelativisticAverage",
    "RelativisticPairing",
    "Reshape",
    "Residual",
    "ShapeError",
    "Sigmoid",
    "Softmax",
    "SoftmaxTwoClass",
    "Softplus",
    "SpectralNorm",
    "StaleBackwardError",
    "Tanh",
    "Uniform",
    "UpSample2D",
    "Wasserstein",
    "WassersteinPenalty",
    "ZeroPad2D",
    "Zeros",
    "alternating",
    "combined",
    "discriminator_step",
    "eval_fakes",
    "eval_mode",
    "generator_step",
    "pretrain",
    "same_batch",
    "separate",
    "simultaneous",
    "split_batch",
    "train_fakes",
    "train_mode",
    "train_mode_tracking",
]


_RENAMED = {
    "batch_judge": "train_mode",
    "fresh_fakes": "train_fakes",
    "inference_fakes": "eval_fakes",
    "joint": "combined",
    "running_judge": "eval_mode",
    "tracking_judge": "train_mode_tracking",
}
"""Old name -> new name.  The old names work for one more release."""

if not TYPE_CHECKING:  # so that type checkers know every name

    def __getattr__(name):
        if name in _LAZY:
            return import_module(f"minigan.{name}")
        if name in _LAZY_NAMES:
            return getattr(import_module(_LAZY_NAMES[name]), name)
        return renamed("minigan", _RENAMED, globals(), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_NAMES})
