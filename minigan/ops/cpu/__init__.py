"""The CPU backend: the reference's results, faster (`minigan.ops.cpu.backend`)."""

from minigan.ops.cpu.backend import ACCURACIES, CPU

__all__ = ["ACCURACIES", "CPU"]
