"""The console script `minigan`: end in one line where Ctrl-C comes while the library is being imported.

This module lies outside the package, because ``import minigan.anything`` imports NumPy and the library first.
"""

import os
import signal
import sys
from types import FrameType

EXIT_INTERRUPTED = 130
"""The shell's exit status for SIGINT; `minigan.cli` returns it too."""


def main() -> int:
    """Run the command line; return its exit status."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # the parent ignores Ctrl-C
        from minigan.cli import main as command_line

        return command_line()
    # A KeyboardInterrupt would not do: extension modules turn one that is raised in their imports into an ImportError.
    signal.signal(signal.SIGINT, _end)
    from minigan.cli import main as command_line

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return command_line()


def _end(_signal: int, _frame: FrameType | None) -> None:
    """Print the line and end the process; nothing has begun that would have to be finished."""
    os.write(2, (" ".join(["minigan", *sys.argv[1:2]]) + ": interrupted\n").encode())
    os._exit(EXIT_INTERRUPTED)
