"""The benchmarks on the CPU.

A module that the command names, such as `benchmarks.cpu.steps`, has a function ``run(options)``:

Parameters
----------
options : benchmarks.core.measure.Options
    The options of the command line.

Returns
-------
dict
    The result, as JSON.

Raises
------
SystemExit
    If two implementations compute different results.
Unavailable
    If a library is missing without which the benchmark measures nothing.

"""
