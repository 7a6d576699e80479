"""Common parts of the command lines of `minigan` and `verify`: parser, exit statuses and error handling.

This module does not import the commands, so that they can import it.
"""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, NoReturn, TextIO

from minigan._names import unknown

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
EXIT_CODES = "exit status: 0 done; 1 failed or diverged; 2 wrong usage; 130 interrupted (Ctrl-C)"


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that suggests similar options and commands, and does not accept abbreviations."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "allow_abbrev": False})

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise an error that suggests a similar choice, instead of a list of all choices."""
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(None, unknown(str(action.metavar).lower(), value, map(str, action.choices)))

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with status 2."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments; the error for an unknown option suggests the most similar one."""
        known, rest = self.parse_known_args(args, namespace)
        if rest:
            target = known.parser if hasattr(known, "parser") else self
            actions = [*target._actions, *self._actions]
            options = [o for action in actions for o in action.option_strings if o.startswith("--")]
            given = rest[0].split("=")[0]
            if given in options:  # an option of the parent parser: --version
                target.error(f"{given} belongs before the command: {self.prog} {given}")
            target.error(unknown("argument", given, dict.fromkeys(options)))
        return known


def parse_overrides(args: Any) -> dict[str, str]:
    """Return the values of --set, --iterations, --data and --width, as strings by hyper-parameter."""
    overrides = {}
    for item in args.overrides:
        key, equals, text = item.partition("=")
        if not equals or not key:
            args.parser.error(f"--set {item!r}; expected KEY=VALUE")
        overrides[key] = text
    for key in ("iterations", "data", "width"):
        value = getattr(args, key, None)
        if value is not None:
            overrides[key] = str(value)
    return overrides


def parse_options(args: Any) -> dict[str, Any]:
    """Return the given values of --threads, --accuracy and --precision, as options of the backend."""
    given = {"threads": args.threads, "accuracy": args.accuracy, "precision": args.precision}
    return {name: value for name, value in given.items() if value is not None}


def say(message: str) -> None:
    """Print a line to standard error, unless it is missing, closed or no longer read."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # ValueError: closed
            print(message, file=sys.stderr, flush=True)


def guarded(name: str, command: Callable[[], int]) -> int:
    """Run a command and return its exit status.

    Parameters
    ----------
    name : str
        The name that is printed before an error.
    command : callable
        ``command()`` returns the exit status.

    Returns
    -------
    int
        The status of `command`; 0 if standard output is no longer read; 1 after an OSError, which is printed as one
        line.

    """
    status = EXIT_OK
    _print_anything(sys.stdout)
    try:
        try:
            status = command()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # so that its errors are caught
    except BrokenPipeError:  # the output is no longer read (minigan ... | head)
        pass
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        say(f"{name}: {place}{error.strerror or error}")
        status = EXIT_FAILED
    finally:
        for stream in (sys.stdout, sys.stderr):
            _settle(stream)
    return status


def _print_anything(stream: TextIO | None) -> None:
    """Make a stream print "?" for characters that its encoding lacks, which the names of folders may contain."""
    if isinstance(stream, TextIOWrapper) and not stream.closed:
        is_utf8 = stream.encoding.lower().replace("-", "") == "utf8"
        if stream.errors == "strict" or (stream.errors == "surrogateescape" and not is_utf8):
            stream.reconfigure(errors="replace")


def _settle(stream: TextIO | None) -> None:
    """Flush a stream; if that fails, redirect it to the null device, so that the interpreter can flush it at exit."""
    if stream is None:
        return
    try:
        stream.flush()
    except (OSError, ValueError):  # ValueError: closed
        null = os.open(os.devnull, os.O_WRONLY)
        with suppress(OSError, ValueError):  # the stream has no file descriptor
            os.dup2(null, stream.fileno())
        os.close(null)
