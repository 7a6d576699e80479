"""Compile the kernels of recipes before they are needed."""

import importlib.util
import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

from minigan._names import ConfigError, unknown
from minigan.ops.compiling import environment
from minigan.ops.errors import BackendUnavailable
from minigan.recipes import RECIPES, get_recipe
from minigan.recipes.compilation import command, processes
from minigan.recipes.options import DTYPES


@dataclass(frozen=True)
class Warmup:
    """What `warm_up` has done.

    Attributes
    ----------
    kernels : int
        How many kernels the recipes need.
    compiled : int
        How many of them were compiled; the others had been stored before.
    folders : tuple of Path
        Where they are stored.
    skipped : dict of str to str
        For each recipe that cannot run on this machine, the reason.

    """

    kernels: int
    compiled: int
    folders: tuple[Path, ...]
    skipped: dict[str, str]


def warm_up(
    names: Sequence[str] = (),
    *,
    dtype: str = "float32",
    on_kernel: Callable[[int, int, str], None] | None = None,
) -> Warmup:
    """Compile the kernels that recipes need on the CPU and store them on disk, so that no run has to compile them.

    Several processes share the work.  Kernels that are stored already are not compiled again.  They depend on the
    processor, on the versions of numba and minigan, and on the dtype, and only slightly on hyper-parameters.

    Parameters
    ----------
    names : sequence of str
        The names of recipes, all by default.
    dtype : {"float32", "float64"}
        The dtype of the parameters.
    on_kernel : callable, optional
        ``on_kernel(done, total, name)`` is called for each kernel that is stored now: how many are, how many there are,
        and its name.

    Returns
    -------
    Warmup
        The number of kernels and where they are.

    Raises
    ------
    ValueError
        If there is no recipe of a name.
    ConfigError
        If the dtype is neither of the two.
    BackendUnavailable
        If numba is not installed, or a process failed.

    """
    chosen = [get_recipe(name) for name in dict.fromkeys(names or RECIPES)]
    if dtype not in DTYPES:
        raise ConfigError(unknown("dtype", dtype, DTYPES))
    if importlib.util.find_spec("numba") is None:
        raise BackendUnavailable("there are no kernels to compile without numba: pip install numba")
    specifications = [{"recipe": r.reference or r.name, "settings": {}, "dtype": dtype, "options": {}} for r in chosen]
    from minigan.ops.cpu.threads.pool import cores

    reports: Queue[dict[str, Any] | None] = Queue()
    stored: dict[int, bool] = {}
    folders: set[Path] = set()
    skipped: dict[str, str] = {}
    total = 0
    with tempfile.TemporaryFile() as errors:
        # One process does it all where kernels cannot be claimed.
        workers = [
            subprocess.Popen(  # noqa: S603  (the command is this interpreter)
                command(specifications, report=True), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                env=environment(),
            )
            for _ in range(processes(cores()))
        ]  # fmt: skip
        try:
            for worker in workers:
                threading.Thread(target=_read, args=(worker, reports), daemon=True).start()
            reading = len(workers)
            while reading:
                report = reports.get()
                if report is None:
                    reading -= 1
                    continue
                total = report.get("kernels", total)
                folders.update(map(Path, report.get("folders", ())))
                if "skipped" in report:
                    skipped[report["skipped"]] = report["reason"]
                if "kernel" in report:
                    number = report["kernel"]
                    is_new = number not in stored
                    stored[number] = stored.get(number, False) or report["compiled"]
                    if is_new and on_kernel is not None:
                        on_kernel(len(stored), total, report["name"])
            if any(worker.wait() for worker in workers):
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
                raise BackendUnavailable(f"a process that compiles kernels failed: {' '.join(last) or 'it was ended'}")
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
    return Warmup(total, sum(stored.values()), tuple(sorted(folders)), skipped)


def _read(worker: "subprocess.Popen[bytes]", reports: "Queue[dict[str, Any] | None]") -> None:
    assert worker.stdout is not None  # noqa: S101
    with worker.stdout as lines:
        for line in lines:
            reports.put(json.loads(line))
    reports.put(None)
