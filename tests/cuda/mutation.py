"""Planted bugs: a kernel file with one change, run in another process, because it may crash, must fail its check.

Each ``mutants_*.py`` in this folder lists ``MUTANTS``.
"""

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass

from emulated import KERNELS, SCHEDULES

from minigan.ops.cuda.device import source
from minigan.ops.cuda.device.emulator import EmulatedDevice
from minigan.ops.cuda.device.source import CompileError, KernelError

TIMEOUT_SECONDS = 120
"""Seconds after which a check counts as hanging."""


@dataclass(frozen=True)
class Mutant:
    """A kernel file in which `old` is replaced by `new`.

    Attributes
    ----------
    name : str
        What the bug is.
    file : str
        The file's name with its extension.
    old, new : str
        The text that is replaced, which the file has once, and its replacement.
    check : callable
        A module-level function ``check(device)``, which passes with the original file and fails with the mutant.
    says : str
        A text that the failure must contain.
    first : bool
        Whether `old` may occur several times; then the first one is replaced.

    """

    name: str
    file: str
    old: str
    new: str
    check: Callable
    says: str = ""
    first: bool = False

    def write(self, folder):
        """Write the changed file; for a header, also the kernel files that include it."""
        folders = (KERNELS, source.KERNELS)
        text = next(origin / self.file for origin in folders if (origin / self.file).is_file()).read_text()
        count = text.count(self.old)
        assert count == 1 or (self.first and count > 1), f"{self.file} has {count} times: {self.old}"
        (folder / self.file).write_text(text.replace(self.old, self.new, 1))
        for path in (path for origin in folders for path in origin.glob("*.cu") if self.file.endswith(".cuh")):
            if f'#include "{self.file}"' in path.read_text():
                (folder / path.name).write_text(path.read_text())


def outcome(check, folder=None):
    """Run the check in another process with each schedule; return the first failure, or ""."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["emulated"])
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(check, str(folder) if folder else None, send))
    process.start()
    send.close()
    process.join(TIMEOUT_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        return "hangs"
    if process.exitcode:
        return f"ends the process: {process.exitcode}"
    return receive.recv()


def _run(check, folder, pipe):
    folders = (folder, KERNELS) if folder else (KERNELS,)
    for schedule in SCHEDULES:
        try:
            check(EmulatedDevice(schedule=schedule, seed=5, guard=True, folders=folders))
        except CompileError as error:
            pipe.send(f"DOES NOT COMPILE {error}")
            return
        except (AssertionError, KernelError) as error:
            pipe.send(f"{schedule}: {error}")
            return
    pipe.send("")
