"""The command `verify trained RUN`: certify a run folder, and write the figure and the certificate into it."""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigan.cli.parser import recipe_name
from minigan.cli.support import EXIT_FAILED, EXIT_OK
from verify.report import formats
from verify.trained.pair import DIGITS
from verify.trained.run import FOLDER, certify_run


def add_trained_command(commands: Any) -> argparse.ArgumentParser:
    """Add `trained` to the subcommands and return its parser, whose arguments `run_trained` takes."""
    one: argparse.ArgumentParser = commands.add_parser(
        "trained",
        help="certify how far from the theory a run of `minigan train gaussian` stopped",
        description="Enclose JSD(p_data, p_g), C(G), V(D) and V(D*) - V(D) of a run folder, and draw D against D*.",
    )
    one.add_argument("run", metavar="RUN", type=Path, help="a run folder of `minigan train gaussian`")
    one.add_argument("--digits", type=int, default=DIGITS, metavar="N", help="enclose to 10^-N (default: %(default)s)")
    one.add_argument(
        "--recipe", type=recipe_name, metavar="MODULE:OBJECT",
        help="the recipe of the run, if it was trained as MODULE:OBJECT; it has normal_data",
    )  # fmt: skip
    one.add_argument(
        "--out", metavar="FOLDER", type=Path,
        help="where optimality.png, optimality.svg and optimality.json go (default: the run folder)",
    )  # fmt: skip
    return one


def run_trained(args: argparse.Namespace) -> int:
    """Certify, print and write; return 0 if everything is proved and every wrong statement refuted, else 1."""
    from verify.trained import plot

    found = certify_run(args.run, digits=args.digits, recipe=args.recipe)
    folder: Path = args.out or args.run
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--out {folder}: {error.strerror}; expected a folder that can be written") from None
    print(found)
    where = Path(os.path.relpath(args.run, folder)).as_posix()
    sealed = replace(found.certificate, notes={**found.certificate.notes, FOLDER: where})
    for path in (*plot.write(found, folder), formats.write_json(folder / "optimality.json", [sealed])):
        print(path)
    return EXIT_OK if found.certificate.passed else EXIT_FAILED
