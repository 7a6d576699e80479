"""The objectives of D and G on logits: costs and their gradients.

s is a logit: the objectives of 2014 read D(x) = sigma(s) = 1 / (1 + e^-s), so that with softplus(s) = log(1 + e^s)

    log D = -softplus(-s)        log(1 - D) = -softplus(s)

exactly and without overflow for any s: no logarithm of sigma is computed.  Each objective has

    discriminator(s_real, s_fake) -> value, ds_real, ds_fake     the cost J_D that D minimises
    one_side(s, real=...) -> value, ds                           the part of J_D of the real or of the fake examples
    generator(s_fake) -> value, ds_fake                          the cost J_G that G minimises
    probability(s) -> D(x)

Relativistic objectives compare fakes with real examples: ``generator(s_fake, s_real)``, and no `one_side`.

Two conventions for J_D are in use: ``d_scale=1`` adds the two means (Goodfellow et al. 2014, Algorithm 1: J_D = -V),
``d_scale=1/2`` averages them (binary cross-entropy over a batch that is half real and half fake).  ``g_scale`` scales
J_G: 1 in Algorithm 1, 1/2 in tutorials that halve both costs.

`ops` is the backend that computes: the steps of Algorithm 1 pass that of D.  Without it, `minigan.ops.ops_of` returns
the backend of the logits.  docs/objectives.md has all objectives in one table.
"""

from collections.abc import Callable
from functools import partial

from minigan.cross_entropy import softmax_cross_entropy as softmax_cross_entropy
from minigan.losses.fgan import DIVERGENCES, FGAN
from minigan.losses.hinge import Hinge
from minigan.losses.least_squares import LeastSquares
from minigan.losses.logistic import Minimax, NonSaturating
from minigan.losses.protocol import (
    METHODS,
    Objective,
    RelativeObjective,
    Value,
    generator_cost,
    needs_real,
    require_objective,
)
from minigan.losses.relativistic import RelativisticAverage, RelativisticPairing
from minigan.losses.softmax import SoftmaxTwoClass
from minigan.losses.wasserstein import Wasserstein
from minigan.ops.protocol import Array
from minigan.ops.reference import real

__all__ = [
    "DIVERGENCES",
    "FGAN",
    "METHODS",
    "OBJECTIVES",
    "Hinge",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "Objective",
    "RelativeObjective",
    "RelativisticAverage",
    "RelativisticPairing",
    "SoftmaxTwoClass",
    "Value",
    "Wasserstein",
    "accuracy",
    "generator_cost",
    "needs_real",
    "require_objective",
    "softmax_cross_entropy",
]

OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "minimax": Minimax,
    "non-saturating": NonSaturating,
    "softmax": SoftmaxTwoClass,
    "least-squares": LeastSquares,
    "hinge": Hinge,
    "wasserstein": Wasserstein,
    "relativistic": RelativisticPairing,
    "relativistic-average": RelativisticAverage,
    **{f"f-gan-{name}": partial(FGAN, name) for name in DIVERGENCES},
}
"""The objectives by name, as functions of their scales and other options."""


def accuracy(probability_real: Array, probability_fake: Array) -> float:
    """Return the fraction of examples that D classifies correctly: real above 1/2, fake at most 1/2.

    Parameters
    ----------
    probability_real, probability_fake : array (N,), (M,)
        D(x) of the real and of the fake examples.

    Returns
    -------
    float
        In [0, 1].

    """
    right = (real(probability_real) > 0.5).sum() + (real(probability_fake) <= 0.5).sum()
    return float(right) / (len(probability_real) + len(probability_fake))
