"""The processes that compile the kernels of a recipe, `minigan.recipes.kernels`."""

import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minigan.ops.compiling import assist, is_first_use, python
from minigan.recipes.options import RunOptions

MAX_PROCESSES = 4
"""The most processes that compile at the same time; each takes 0.2 GB and the memory of the networks."""


def can_share() -> bool:
    """Return whether processes can share the work of compiling: numba is installed and the system has file locks."""
    return all(importlib.util.find_spec(name) is not None for name in ("numba", "fcntl"))


def processes(threads: int) -> int:
    """Return how many processes may compile, for a run on `threads` threads."""
    from minigan.ops.cpu.threads.pool import cores

    return min(threads, cores(), MAX_PROCESSES) if can_share() else 1


def command(specifications: Sequence[Mapping[str, Any]], *, report: bool) -> list[str]:
    """Return the command line of a process that compiles the kernels of recipes.

    Parameters
    ----------
    specifications
        What decides which kernels are needed: for each recipe its name, "recipe", and its hyper-parameters, "settings",
        as for `minigan.recipes.Recipe.configure`; the "dtype" and the "options" of the backend.
    report
        If True, the process prints what it compiles, and runs until it has finished.  If False, it prints nothing, and
        stops soon after this process ends.

    Returns
    -------
    list of str
        The command line.

    """
    parent = [] if report else [str(os.getpid())]
    return python("from minigan.recipes.kernels import main; main()", json.dumps(list(specifications)), *parent)


def share_compilation(name: str, settings: Mapping[str, Any], run_options: RunOptions) -> None:
    """Let other processes help if the run that is being built has to compile kernels.

    They start when the run compiles its first kernel or, on a machine that has compiled none of these sources, at once:
    they find out which kernels are needed while the run builds its networks.

    The run gets as many processes as it has threads and cores, `MAX_PROCESSES` at most, its own included.

    Parameters
    ----------
    name
        The name of the recipe.
    settings
        Its hyper-parameters.
    run_options
        The dtype and the backend.

    """
    ops: Any = run_options.backend()
    helpers = processes(ops.threads) - 1 if run_options.ops == "cpu" and ops.compiled else 0
    if helpers == 0:
        assist([], 0)
        return
    one = {"recipe": name, "settings": dict(settings), "dtype": run_options.dtype, "options": dict(run_options.options)}
    kernels = Path(__file__).parents[1] / "ops" / "cpu" / "kernels" / "numba"
    folder = Path(os.environ["NUMBA_CACHE_DIR"]) if os.environ.get("NUMBA_CACHE_DIR") else kernels / "__pycache__"
    assist(command([one], report=False), helpers, at_once=is_first_use(list(kernels.glob("*.py")), folder))
