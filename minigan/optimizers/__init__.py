"""Optimizers over the flat parameter vector: ``optimizer.step(g)`` updates theta and increases net.version.

A learning rate (or momentum) is a number or a schedule, a function of the step t = 1, 2, ...  A number is checked when
it is set, the value of a schedule at each step.  Every optimizer can clip the gradient's norm, decay the weights, and
bound them; groups of parameters have their own rates, decays and bounds:

    Adam(net, lr=2e-4, weight_decay=1e-2, clip_norm=1.0, groups={"*.b": {"weight_decay": 0.0}, "0.*": {"lr": 1e-5}})
"""

from minigan.optimizers.adam import Adam
from minigan.optimizers.base import Optimizer
from minigan.optimizers.groups import Groups, GroupSettings
from minigan.optimizers.rmsprop import RMSProp
from minigan.optimizers.sgd import SGD
from minigan.optimizers.values import DECAY_INTERVAL, NON_NEGATIVE_INTERVAL, POSITIVE_INTERVAL, Schedule

__all__ = [
    "DECAY_INTERVAL",
    "NON_NEGATIVE_INTERVAL",
    "POSITIVE_INTERVAL",
    "SGD",
    "Adam",
    "GroupSettings",
    "Groups",
    "Optimizer",
    "RMSProp",
    "Schedule",
]
