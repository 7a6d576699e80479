"""Planted bugs: a kernel file with one place changed, run in a process that may die, must fail its check.

Each ``mutants_*.py`` beside this file lists ``MUTANTS``.
"""

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass

from emulated import KERNELS, SCHEDULES

from minigan.ops.cuda.device import source
from minigan.ops.cuda.device.emulator import EmulatedDevice
from minigan.ops.cuda.device.source import CompileError, KernelError

SECONDS = 120
"""For a check, before it counts as one that hangs."""


@dataclass(frozen=True)
class Mutant:
    """`old`, which `file` has once (or the first of several, where `first`), becomes `new`.

    check   a function of a module, ``check(device)``: passes with the file as it is, fails with the mutant
    says    what the failure says, where that matters
    """

    name: str
    file: str  # with its extension
    old: str
    new: str
    check: Callable
    says: str = ""
    first: bool = False

    def write(self, folder):
        """Write the changed file; if it is a header, also the kernel files that include it, which look beside them."""
        places = (KERNELS, source.KERNELS)
        text = next(place / self.file for place in places if (place / self.file).is_file()).read_text()
        count = text.count(self.old)
        assert count == 1 or (self.first and count > 1), f"{self.file} has {count} times: {self.old}"
        (folder / self.file).write_text(text.replace(self.old, self.new, 1))
        for path in (path for place in places for path in place.glob("*.cu") if self.file.endswith(".cuh")):
            if f'#include "{self.file}"' in path.read_text():
                (folder / path.name).write_text(path.read_text())


def outcome(check, folder=None):
    """Run the check in a process of its own, under each schedule; return what went wrong first, or ""."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["emulated"])
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(check, str(folder) if folder else None, send))
    process.start()
    send.close()
    process.join(SECONDS)
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
