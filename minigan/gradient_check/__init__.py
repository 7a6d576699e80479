"""Checks of hand-written gradients against the complex step, for layers, networks and objectives.

    report = minigan.gradcheck(MyLayer(5), shape=(5,))
    print(report)                                         # per tensor: the largest error, and where
    minigan.gradcheck(MyObjective(), check=True)          # raises GradientError

`minigan.gradient_check.numeric`       derivatives by the complex step, and relative errors
`minigan.gradient_check.pairs`         each hand-written gradient beside the derivative that it must equal
`minigan.gradient_check.report`        the result of a check
`minigan.gradient_check.comparisons`   what a check compares
`minigan.gradient_check.check`         `gradcheck`
"""

from minigan.gradient_check.check import gradcheck
from minigan.gradient_check.numeric import complex_step, direction_error, tensor_error
from minigan.gradient_check.pairs import Pair, network_pairs, objective_pairs, pushforward_pairs
from minigan.gradient_check.report import Comparison, GradientError, GradientReport

__all__ = [
    "Comparison",
    "GradientError",
    "GradientReport",
    "Pair",
    "complex_step",
    "direction_error",
    "gradcheck",
    "network_pairs",
    "objective_pairs",
    "pushforward_pairs",
    "tensor_error",
]
