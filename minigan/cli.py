"""The command line: ``minigan recipes | summary | train | resume | sweep | sample | evaluate``.

Each command is a thin shell around a function that a notebook can call.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import Any, NoReturn, TextIO

from minigan._names import ConfigError, unknown
from minigan._terms import as_options
from minigan._version import __version__

COMMANDS = {
    "recipes": "list the systems that can be trained",
    "summary": "print the layers and parameter counts of a recipe",
    "train": "train a recipe into a new run folder",
    "resume": "continue a run that was killed or interrupted, from its newest checkpoint",
    "sweep": "train a recipe with many seeds and tabulate the results",
    "sample": "draw samples from a trained generator",
    "evaluate": "measure a run's samples beside real test images (classifier, features, nearest neighbours)",
    "verify": "prove the theory, the gradients and how far a run is from the theory (minigan verify --help)",
}

MORE = {
    "evaluate": "The evaluation classifier is made of this library's layers: two convolutions and two dense layers, "
    "trained with Adam on the training images of the run's data, once (minutes), and kept as DATA.npz in the folder "
    "classifiers of the cache ($XDG_CACHE_HOME or ~/.cache, then minigan) or in --classifier. Its test accuracy is "
    "printed above the table; its hyper-parameters are those that `minigan recipes` lists last.",
}

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
EXIT_CODES = "exit status: 0 done; 1 failed or diverged; 2 wrong usage; 130 interrupted (Ctrl-C)"


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that suggests the option or command that was probably meant, and guesses none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "allow_abbrev": False})

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Replace argparse's list of choices by a suggestion."""
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(None, unknown(str(action.metavar).lower(), value, map(str, action.choices)))

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with status 2."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; an unknown option is named together with the nearest known one."""
        known, rest = self.parse_known_args(args, namespace)
        if rest:
            target = known.parser if hasattr(known, "parser") else self
            actions = [*target._actions, *self._actions]
            options = [o for action in actions for o in action.option_strings if o.startswith("--")]
            given = rest[0].split("=")[0]
            if given in options:  # it is the parent's: --version
                target.error(f"{given} belongs before the command: {self.prog} {given}")
            target.error(unknown("argument", given, dict.fromkeys(options)))
        return known


def recipe_name(text: str) -> str:
    """Argument type: the name of a recipe."""
    from minigan.recipes import RECIPES

    if text not in RECIPES:
        raise argparse.ArgumentTypeError(unknown("recipe", text, RECIPES))
    return text


def ops_name(text: str) -> str:
    """Argument type: the name of a backend."""
    from minigan.ops import BACKENDS

    if text not in BACKENDS:
        raise argparse.ArgumentTypeError(unknown("ops", text, BACKENDS))
    return text


def dtype_name(text: str) -> str:
    """Argument type: a dtype to train in."""
    if text not in ("float32", "float64"):
        raise argparse.ArgumentTypeError(unknown("dtype", text, ("float32", "float64")))
    return text


def accuracy_name(text: str) -> str:
    """Argument type: an accuracy of the CPU backend."""
    accepted = ("exact", "balanced", "fast")
    if text not in accepted:
        raise argparse.ArgumentTypeError(unknown("accuracy", text, accepted))
    return text


def precision_name(text: str) -> str:
    """Argument type: a precision of the CUDA backend."""
    accepted = ("fp32", "tf32", "bf16")
    if text not in accepted:
        raise argparse.ArgumentTypeError(unknown("precision", text, accepted))
    return text


def at_least(low: int, most: int = 10**9) -> Any:
    """Argument type: a whole number in low ... most."""

    def parse(text: str) -> int:
        digits = text.removeprefix("-")
        if digits.isascii() and digits.isdecimal() and len(digits) < 20 and low <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} given; accepted: a whole number >= {low}, at most {most:,}")

    return parse


SEED = at_least(0, 2**63 - 1)


def build_parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(prog="minigan", description="Train generative adversarial networks.", epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"minigan {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    made = {
        name: commands.add_parser(
            name, help=about, description=f"{about[0].upper()}{about[1:]}. {MORE.get(name, '')}", epilog=EXIT_CODES
        )
        for name, about in COMMANDS.items()
    }
    for name, sub in made.items():
        sub.set_defaults(parser=sub)
        if name in ("summary", "train", "sweep"):
            sub.add_argument("recipe", type=recipe_name, metavar="RECIPE", help="a name that `minigan recipes` lists")
            sub.add_argument(
                "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
                help="replace a hyper-parameter of the recipe (may be given several times)",
            )  # fmt: skip
            sub.add_argument(
                "--width", metavar="N", help="the same as --set width=N: dcgan64 with 1/N of its channels, for a CPU"
            )
    for name in ("train", "sweep"):
        sub = made[name]
        sub.add_argument("--iterations", type=at_least(1), metavar="N", help="the same as --set iterations=N")
        sub.add_argument(
            "--data", metavar="NAME", help="the same as --set data=NAME: mnist, fashion-mnist, cifar10 or digits"
        )
        sub.add_argument(
            "--data-dir",
            metavar="DIR",
            help="folder with the data files (default: $MINIGAN_DATA, then the cache)",
        )
        sub.add_argument(
            "--ops",
            type=ops_name,
            default="cpu",
            metavar="NAME",
            help="backend: reference, cpu (default), cuda",
        )
        sub.add_argument(
            "--threads", type=at_least(1, 1024), metavar="N",
            help="threads of --ops cpu; the result does not depend on them (default: MINIGAN_THREADS, else the cores; "
            "in a sweep 1 a run)",
        )  # fmt: skip
        sub.add_argument(
            "--accuracy", type=accuracy_name, metavar="NAME",
            help="float32 convolutions of --ops cpu: exact (direct sums), balanced (default), fast",
        )  # fmt: skip
        sub.add_argument(
            "--precision", type=precision_name, metavar="NAME",
            help="float32 products of --ops cuda: fp32 (strict, default), tf32, bf16 (operands rounded, float32 sums)",
        )  # fmt: skip
        sub.add_argument(
            "--dtype", type=dtype_name, default="float32", metavar="NAME", help="float32 (default) or float64"
        )
        sub.add_argument("--out", metavar="DIR", help="the folder to write, new or empty (default: runs/RECIPE/NUMBER)")
    made["train"].add_argument(
        "--seed", type=SEED, default=0, metavar="N", help="seed of every random stream (default 0)"
    )
    made["train"].add_argument(
        "--checkpoint-every", type=at_least(1), metavar="N",
        help="save a checkpoint every N iterations, for `minigan resume` (keeps the last two)",
    )  # fmt: skip
    resume = made["resume"]
    resume.add_argument("run", metavar="RUN", help="a run folder of minigan train ... --checkpoint-every N")
    resume.add_argument(
        "--iterations", type=at_least(1), metavar="N", help="total iterations (default: as asked for before)"
    )
    resume.add_argument("--checkpoint", metavar="FILE", help="the checkpoint to use (default: the newest)")
    resume.add_argument("--data-dir", metavar="DIR", help="folder with the data files, as for train")
    made["sweep"].add_argument(
        "--seeds", type=at_least(1), default=10, metavar="N", help="train seeds 0 ... N-1 (default 10)"
    )
    made["sweep"].add_argument("--workers", type=at_least(1), metavar="N", help="parallel runs (default: one per core)")
    sample = made["sample"]
    sample.add_argument("run", metavar="RUN", help="a run folder")
    sample.add_argument("--n", type=at_least(1), default=40, metavar="N", help="how many samples (default 40)")
    sample.add_argument("--seed", type=SEED, default=0, metavar="N", help="seed of the noise (default 0)")
    sample.add_argument("--out", metavar="FILE", help="where to write them: .npy, or .png for images (must not exist)")
    evaluate = made["evaluate"]
    evaluate.add_argument("run", metavar="RUN", help="a run folder of an image recipe")
    evaluate.add_argument(
        "--n", type=at_least(4), metavar="N", help="how many samples (default: 10,000 or all there are)"
    )
    evaluate.add_argument("--seed", type=SEED, default=0, metavar="N", help="seed of the noise (default 0)")
    evaluate.add_argument("--data-dir", metavar="DIR", help="folder with the data files")
    evaluate.add_argument(
        "--classifier", metavar="DIR", help="folder to keep the classifier in (default: in the cache)"
    )
    return parser


def parse_settings(args: Any) -> dict[str, str]:
    """Return --set, --iterations, --data and --width as one dict of texts."""
    settings = {}
    for item in args.settings:
        key, equals, text = item.partition("=")
        if not equals or not key:
            args.parser.error(f"--set {item!r}; accepted: KEY=VALUE")
        settings[key] = text
    for key in ("iterations", "data", "width"):
        value = getattr(args, key, None)
        if value is not None:
            settings[key] = str(value)
    return settings


def parse_options(args: Any) -> dict[str, Any]:
    """Return --threads, --accuracy and --precision, where they were given."""
    given = {"threads": args.threads, "accuracy": args.accuracy, "precision": args.precision}
    return {name: value for name, value in given.items() if value is not None}


def _verify(arguments: Sequence[str]) -> int:
    try:
        run: Callable[..., int] = import_module("verify.cli").main
    except ModuleNotFoundError as error:
        say(f"minigan verify: needs {error.name}: pip install 'minigan[verify]'")
        return EXIT_FAILED
    return run(arguments, prog="minigan verify")


def say(message: str) -> None:
    """Print to standard error, if there is one that is read."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # ValueError: closed
            print(message, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    What the user gave and what the machine refused is one line and a status; any other exception is a bug and keeps
    its traceback.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    name = " ".join(["minigan", *arguments[:1]])
    return guarded(name, lambda: _command(name, arguments))


def guarded(name: str, command: Callable[[], int]) -> int:
    """Run a command; a reader that leaves ends it in silence, what the machine refuses is one line and status 1."""
    status = EXIT_OK
    _print_anything(sys.stdout)
    try:
        try:
            status = command()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where what goes wrong can be caught
    except BrokenPipeError:  # the reader of our output left (minigan ... | head)
        pass
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        say(f"{name}: {place}{error.strerror or error}")
        status = EXIT_FAILED
    finally:
        for stream in (sys.stdout, sys.stderr):
            _settle(stream)
    return status


def _command(name: str, arguments: Sequence[str]) -> int:
    try:
        if arguments[:1] == ["verify"]:  # another package's command line, with options of its own
            return _verify(arguments[1:])
        args = build_parser().parse_args(arguments)
        from minigan.data.files import DataError
        from minigan.ops.errors import BackendUnavailable
        from minigan.training.files import RunError

        try:
            status: int = import_module("minigan.commands").COMMANDS[args.command](args)
            return status
        except (DataError, RunError, BackendUnavailable) as error:
            say(f"{name}: {as_options(str(error))}")
            return EXIT_FAILED
    except ConfigError as error:
        say(f"{name}: {error}")
        return EXIT_USAGE
    except KeyboardInterrupt:
        say(f"{name}: interrupted")
        return EXIT_INTERRUPTED
    except MemoryError as error:
        say(f"{name}: out of memory: {error}")
        return EXIT_FAILED


def _print_anything(stream: TextIO | None) -> None:
    """Let a stream print "?" for a character that its encoding lacks: the name of a folder must not end a command."""
    if isinstance(stream, TextIOWrapper) and not stream.closed:
        whole = stream.encoding.lower().replace("-", "") == "utf8"
        if stream.errors == "strict" or (stream.errors == "surrogateescape" and not whole):
            stream.reconfigure(errors="replace")


def _settle(stream: TextIO | None) -> None:
    """Flush; what cannot be written goes nowhere, or the interpreter would fail on it once more as it ends."""
    if stream is None:
        return
    try:
        stream.flush()
    except (OSError, ValueError):  # ValueError: closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with suppress(OSError, ValueError):  # no file below it
            os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
