"""The command line: ``minigan COMMAND``, of which `minigan --help` lists all.

Each command calls a function of the library, which a notebook can also call.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from minigan._names import ConfigError
from minigan._terms import as_options
from minigan.cli.support import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, guarded, say


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Errors of the user and of the operating system are printed as one line.  Any other exception is a bug and has a
    traceback.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments without the name of the program; by default those of the process.

    Returns
    -------
    int
        0: done; 1: failed or diverged; 2: wrong usage; 130: interrupted.

    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    name = " ".join(["minigan", *arguments[:1]])
    return guarded(name, lambda: _command(name, arguments))


def _command(name: str, arguments: Sequence[str]) -> int:
    """Parse the arguments, run the command, and print errors that a user can cause; return the exit status."""
    try:
        if arguments[:1] == ["verify"]:  # the command line of another package
            return _verify(arguments[1:])
        from minigan.cli.parser import build_parser

        args = build_parser().parse_args(arguments)
        from minigan.data.files import DataError
        from minigan.ops.errors import BackendUnavailable
        from minigan.training.files import RunError

        try:
            status: int = import_module("minigan.cli.commands").COMMANDS[args.command](args)
            return status
        except (DataError, RunError, BackendUnavailable) as error:
            say(f"{name}: {as_options(str(error))}")
            return EXIT_FAILED
    except ConfigError as error:
        say(f"{name}: {as_options(str(error))}")
        return EXIT_USAGE
    except KeyboardInterrupt:
        say(f"{name}: interrupted")
        return EXIT_INTERRUPTED
    except MemoryError as error:
        say(f"{name}: out of memory: {error}")
        return EXIT_FAILED


def _verify(arguments: Sequence[str]) -> int:
    """Call the command line of the package `verify`, which the rest of `minigan` does not import."""
    try:
        run: Callable[..., int] = import_module("verify.cli").main
    except ModuleNotFoundError as error:
        say(f"minigan verify: needs {error.name}: pip install 'minigan[verify]'")
        return EXIT_FAILED
    return run(arguments, prog="minigan verify")
