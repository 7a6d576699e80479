"""The console script `minigan`: end in one line where Ctrl-C comes while the library is being imported.

This module lies outside the package, because ``import minigan.anything`` imports NumPy and the library first.
"""

import sys

EXIT_INTERRUPTED = 130
"""The shell's exit status for SIGINT; `minigan.cli` returns it too."""


def main() -> int:
    """Run the command line; return its exit status."""
    try:
        from minigan.cli import main as command_line
    except KeyboardInterrupt:
        print(" ".join(["minigan", *sys.argv[1:2]]) + ": interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return command_line()
