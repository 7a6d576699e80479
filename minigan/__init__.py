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
"""

from minigan.gan import (
    GAN,
    alternating,
    discriminator_step,
    fresh_fakes,
    generator_step,
    inference_fakes,
    joint,
    pretrain,
    same_batch,
    separate,
    simultaneous,
)
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
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Maxout,
    ReLU,
    Reshape,
    ShapeError,
    Sigmoid,
    Softmax,
    Softplus,
    Tanh,
)
from minigan.losses import Minimax, NonSaturating, SoftmaxTwoClass
from minigan.network import Network, StaleBackwardError
from minigan.ops import BackendUnavailable
from minigan.optimizers import SGD, Adam, RMSProp

__version__ = "0.1.0"

__all__ = [
    "GAN",
    "SGD",
    "Adam",
    "BackendUnavailable",
    "BatchNorm",
    "Constant",
    "Dense",
    "Dropout",
    "Flatten",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Layer",
    "LeakyReLU",
    "Maxout",
    "Minimax",
    "Network",
    "NonSaturating",
    "Normal",
    "RMSProp",
    "ReLU",
    "Reshape",
    "ShapeError",
    "Sigmoid",
    "Softmax",
    "SoftmaxTwoClass",
    "Softplus",
    "StaleBackwardError",
    "Tanh",
    "Uniform",
    "Zeros",
    "alternating",
    "discriminator_step",
    "fresh_fakes",
    "generator_step",
    "inference_fakes",
    "joint",
    "pretrain",
    "same_batch",
    "separate",
    "simultaneous",
]
