"""Neighbouring layers as one stage, for every backend that has the passes for it.

Layers are defined one at a time; a fused stage computes what its members would, in fewer passes over memory.  Which
stages a backend uses is said by its rules (`minigan.ops.cpu.rules`, `minigan.ops.cuda.rules`).
"""
