"""The parser of the command line, with all commands, their options and types."""

import argparse
import os
import sys
from collections.abc import Iterable
from typing import Any

from minigan._names import ConfigError, unknown
from minigan._version import __version__
from minigan.cli.support import EXIT_CODES, Parser

SUMMARIES = {
    "recipes": "list the models that can be trained",
    "summary": "print the layers and parameter counts of a recipe",
    "train": "train a recipe into a new run folder",
    "resume": "continue a killed or interrupted run from its newest checkpoint",
    "sweep": "train a recipe with many seeds and tabulate the results",
    "table": "run a published protocol over seeds, and print our figures beside the published ones",
    "sample": "draw samples from a trained generator, or translations from two of them",
    "evaluate": "compare a run's samples with real test images (classifier, features, nearest neighbours)",
    "animate": "draw runs of ring8 or grid25 side by side: samples, D and the number of modes over the iterations",
    "warmup": "compile the CPU kernels of recipes once, so that no run has to",
    "verify": "verify the theory, the gradients and a run's distance from the optimum (minigan verify --help)",
}

DETAILS = {
    "evaluate": "The evaluation classifier is built from this library's layers: two convolutions and two dense "
    "layers. It is trained once (some minutes) with Adam on the training images of the run's data set and written to "
    "DATA.npz in $XDG_CACHE_HOME/minigan/classifiers (by default ~/.cache/minigan/classifiers) or in --classifier. "
    "Its test accuracy is printed above the table; `minigan recipes` lists its hyper-parameters.",
    "table": "Every run has one thread, and all cores are used. The table is written to table.json and table.md in its "
    "folder after each run. After an interruption the same command continues: finished runs are not repeated, others "
    "resume from their checkpoints. Without TABLE, it lists the protocols.",
    "warmup": "Without it, the first run on a machine compiles them, which takes seconds. The compiled kernels are "
    "kept in the folders that are printed at the end, or in $NUMBA_CACHE_DIR. They are compiled again after an update "
    "of minigan or numba and on another processor; for other types of numbers, see --dtype.",
}


def _one_of(what: str, text: str, names: Iterable[str]) -> str:
    if text not in names:
        raise argparse.ArgumentTypeError(unknown(what, text, names))
    return text


def recipe_name(text: str) -> str:
    """Argument type: a recipe's name, or MODULE:OBJECT, whose module may be in the current folder."""
    from minigan.recipes import get_recipe

    folder = os.getcwd()
    if ":" in text and folder not in sys.path and not sys.flags.safe_path:  # as with `python -m`
        sys.path.insert(0, folder)
    try:
        get_recipe(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def table_name(text: str) -> str:
    """Argument type: the name of a published protocol."""
    from minigan.tables.protocols import PROTOCOLS

    return _one_of("table", text, PROTOCOLS)


def ops_name(text: str) -> str:
    """Argument type: the name of a backend."""
    from minigan.ops import BACKENDS

    return _one_of("ops", text, BACKENDS)


def dtype_name(text: str) -> str:
    """Argument type: a dtype to train in."""
    return _one_of("dtype", text, ("float32", "float64"))


def accuracy_name(text: str) -> str:
    """Argument type: an accuracy of the CPU backend."""
    return _one_of("accuracy", text, ("exact", "balanced", "fast"))


def precision_name(text: str) -> str:
    """Argument type: a precision of the CUDA backend."""
    return _one_of("precision", text, ("fp32", "tf32", "bf16"))


def at_least(low: int, high: int = 10**9) -> Any:
    """Return an argument type: a whole number in low ... high."""

    def parse(text: str) -> int:
        digits = text.removeprefix("-")
        if digits.isascii() and digits.isdecimal() and len(digits) < 20 and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} given; expected a whole number >= {low}, at most {high:,}")

    return parse


SEED = at_least(0, 2**63 - 1)


def build_parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(prog="minigan", description="Train generative adversarial networks.", epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"minigan {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    subparsers = {
        name: commands.add_parser(
            name, help=about, description=f"{about[0].upper()}{about[1:]}. {DETAILS.get(name, '')}", epilog=EXIT_CODES
        )
        for name, about in SUMMARIES.items()
    }
    for name, sub in subparsers.items():
        sub.set_defaults(parser=sub)
        if name in ("summary", "train", "sweep"):
            sub.add_argument(
                "recipe", type=recipe_name, metavar="RECIPE",
                help="the name of a recipe (`minigan recipes` lists them), or MODULE:OBJECT for your own",
            )  # fmt: skip
            sub.add_argument(
                "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                help="set a hyper-parameter of the recipe (may be given several times)",
            )  # fmt: skip
            sub.add_argument(
                "--width", metavar="N", help="the same as --set width=N: dcgan64 with 1/N of its channels, for CPUs"
            )
    for name in ("train", "sweep"):
        sub = subparsers[name]
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
            help="threads of --ops cpu, on which the result does not depend (default: $MINIGAN_THREADS, else one "
            "per core; in a sweep one per run)",
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
        sub.add_argument(
            "--out", metavar="DIR", help="the folder to write into, new or empty (default: runs/RECIPE/NUMBER)"
        )
    subparsers["train"].add_argument(
        "--seed", type=SEED, default=0, metavar="N", help="seed of every random stream (default 0)"
    )
    subparsers["train"].add_argument(
        "--checkpoint-every", type=at_least(1), metavar="N",
        help="save a checkpoint every N iterations, for `minigan resume` (keeps the last two)",
    )  # fmt: skip
    resume = subparsers["resume"]
    resume.add_argument("run", metavar="RUN", help="a run folder of minigan train ... --checkpoint-every N")
    resume.add_argument(
        "--iterations", type=at_least(1), metavar="N", help="total iterations (default: those of the original run)"
    )
    resume.add_argument("--checkpoint", metavar="FILE", help="the checkpoint to continue from (default: the newest)")
    resume.add_argument("--data-dir", metavar="DIR", help="folder with the data files, as for train")
    subparsers["sweep"].add_argument(
        "--seeds", type=at_least(1), default=10, metavar="N", help="train seeds 0 ... N-1 (default 10)"
    )
    subparsers["sweep"].add_argument(
        "--workers", type=at_least(1), metavar="N", help="parallel runs (default: one per core)"
    )
    _add_table_arguments(subparsers["table"])
    sample = subparsers["sample"]
    sample.add_argument("run", metavar="RUN", help="a run folder")
    sample.add_argument("--n", type=at_least(1), default=40, metavar="N", help="number of samples (default 40)")
    sample.add_argument("--seed", type=SEED, default=0, metavar="N", help="seed of the noise (default 0)")
    sample.add_argument(
        "--label", type=at_least(0), metavar="K",
        help="the class of all samples, for conditional recipes (default: sample i has class i modulo the number of "
        "classes)",
    )  # fmt: skip
    sample.add_argument(
        "--out", metavar="FILE", help="the file to write: .npy, or .png for images and translations (must not exist)"
    )
    evaluate = subparsers["evaluate"]
    evaluate.add_argument("run", metavar="RUN", help="a run folder of an image recipe")
    evaluate.add_argument(
        "--n",
        type=at_least(4),
        metavar="N",
        help="number of samples (default: as many as there are test images, at most 10,000)",
    )
    evaluate.add_argument("--seed", type=SEED, default=0, metavar="N", help="seed of the noise (default 0)")
    evaluate.add_argument("--data-dir", metavar="DIR", help="folder with the data files")
    for sub in (resume, sample, evaluate):
        sub.add_argument(
            "--recipe", type=recipe_name, metavar="MODULE:OBJECT",
            help="the recipe of the run, if it was trained as MODULE:OBJECT (a module is imported only if you name it)",
        )  # fmt: skip
    for sub in (sample, evaluate):
        sub.add_argument(
            "--raw", action="store_true",
            help="use the weights of the last iteration, not their moving average (--set ema=...)",
        )  # fmt: skip
    animate = subparsers["animate"]
    animate.add_argument("runs", nargs="+", metavar="RUN", help="finished run folders, 1 to 6, a column each")
    animate.add_argument("--out", required=True, metavar="FILE", help="the file to write: .gif (must not exist)")
    animate.add_argument(
        "--label", action="append", metavar="TEXT", dest="labels",
        help="the title of a run, once for each (default: its objective and penalties)",
    )  # fmt: skip
    animate.add_argument("--frames", type=at_least(1), default=40, metavar="N", help="the most frames (default 40)")
    warmup = subparsers["warmup"]
    warmup.add_argument(
        "recipes", nargs="*", type=recipe_name, metavar="RECIPE", help="names of recipes (default: all of them)"
    )
    warmup.add_argument(
        "--dtype", type=dtype_name, default="float32", metavar="NAME", help="float32 (default) or float64"
    )
    evaluate.add_argument("--classifier", metavar="DIR", help="folder with the classifier (default: in the cache)")
    return parser


def _add_table_arguments(table: argparse.ArgumentParser) -> None:
    table.add_argument(
        "table", nargs="?", type=table_name, metavar="TABLE", help="the name of a protocol (default: list all of them)"
    )
    table.add_argument("--list", action="store_true", help="list the protocols")
    table.add_argument(
        "--seeds", type=at_least(1), metavar="N", help="train seeds 0 ... N-1 (default: those of the protocol)"
    )
    table.add_argument("--workers", type=at_least(1), metavar="N", help="parallel runs (default: one per core)")
    table.add_argument(
        "--rows", nargs="+", default=[], metavar="LABEL", help="train these rows only (default: all rows)"
    )
    table.add_argument(
        "--iterations", type=at_least(1), metavar="N",
        help="iterations of every run, for a quick try: the table then says that it is not the protocol",
    )  # fmt: skip
    table.add_argument(
        "--checkpoint-every", type=at_least(1), metavar="N",
        help="save a checkpoint every N iterations (default: a twentieth of the run)",
    )  # fmt: skip
    table.add_argument(
        "--data-dir", metavar="DIR", help="folder with the data files (default: $MINIGAN_DATA, then the cache)"
    )
    table.add_argument(
        "--out", metavar="DIR",
        help="the folder: new or empty, or one of a table to continue (default: runs/tables/TABLE, "
        "or runs/tables/TABLE-N-iterations)",
    )  # fmt: skip
