"""The time of ``import minigan`` in a new process, compared with NumPy, which it imports, and PyTorch."""

import subprocess
import sys
from typing import Any

from benchmarks.core import measure

MODULES = ("minigan", "numpy", "torch")
IMPORT_SCRIPT = """
import sys, time
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
assert "{module}" in sys.modules
print(seconds, len(sys.modules))
"""


def run(options: measure.Options) -> dict[str, Any]:
    """Time the imports and return the result."""
    rounds = options.rounds_or(9)
    present = [name for name in MODULES if measure.installed(name)]
    seconds: dict[str, list[float]] = {name: [] for name in present}
    modules = {}
    for name in present:  # fill the system's disk cache
        _import(name)
    for k in range(rounds):
        for name in present if k % 2 == 0 else reversed(present):
            took, modules[name] = _import(name)
            seconds[name].append(took)
    for name, times in seconds.items():
        measure.log(f"import {name}: {measure.spread(times)['median']} s")
    return {
        "benchmark": "imports",
        "rounds": rounds,
        "check": {"imported": present},
        "absent": {name: f"{name} is not installed" for name in MODULES if name not in present},
        "seconds": {name: measure.spread(times) for name, times in seconds.items()},
        "modules": modules,
    }


def _import(name: str) -> tuple[float, int]:
    """Return the seconds of the import and the number of modules loaded."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_SCRIPT.format(module=name)], capture_output=True, text=True, check=True
    )
    took, modules = done.stdout.split()
    return float(took), int(modules)
