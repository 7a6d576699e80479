"""Sequences of layers that run as one stage, for every backend that has the kernels for it.

Each layer is defined on its own; a fused stage computes the same as its layers, in fewer passes over memory.  The rules
of a backend decide which stages it uses (`minigan.ops.cpu.rules`, `minigan.ops.cuda.rules`).
"""
