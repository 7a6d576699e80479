"""The CPU backend (`minigan.ops.cpu.backend`): the operations of the reference, faster, up to rounding."""

from minigan.ops.cpu.backend import ACCURACIES, CPU

__all__ = ["ACCURACIES", "CPU"]
