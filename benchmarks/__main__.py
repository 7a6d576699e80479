"""``python -m benchmarks NAME``, or ``all``: measure, write benchmarks/results/NAME.json, the page and its plots."""

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # so that every BLAS chooses its kernels by the processor
    os.environ.pop(_name, None)

from benchmarks.core import measure  # noqa: E402  (NumPy, and so BLAS, is loaded here)
from benchmarks.report import page  # noqa: E402

NAMES = ("imports", "gaussian", "memory", "breakdown", "layers", "scaling", "steps")
ABOUT = {
    "steps": "a whole iteration of each recipe, compared with PyTorch and JAX",
    "breakdown": "the time of an iteration by operation, and the machine's limits",
    "layers": "each layer of the recipes: time, rate, share of the machine's limits",
    "scaling": "cost by batch size, width, image size and number of threads",
    "memory": "peak resident memory of each recipe",
    "imports": "the time of `import minigan` and the number of modules it loads",
    "gaussian": "the time of a complete gaussian run",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run benchmarks by name, print their tables, and write the results, the page and its plots.

    Parameters
    ----------
    argv
        The arguments of the command line; None: those of the process.

    Returns
    -------
    int
        The exit status: 0 if at least one benchmark ran, else 1.

    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compare minigan with PyTorch and JAX; absent packages are skipped, with the reason.",
        epilog="; ".join(f"{name}: {about}" for name, about in ABOUT.items()),
    )
    parser.add_argument("names", nargs="+", choices=[*NAMES, "all"], metavar="NAME", help=", ".join([*NAMES, "all"]))
    parser.add_argument("--quick", action="store_true", help="a smoke run on small settings: the numbers mean nothing")
    parser.add_argument(
        "--threads",
        type=int,
        default=min(2, os.cpu_count() or 1),
        metavar="N",
        help="threads of each library (default: 2, or 1 on a single-core machine)",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="runs of each implementation (default: 1 to 9)")
    parser.add_argument(
        "--malloc", action="store_true",
        help="equal malloc settings for all implementations (glibc's heap, never trimmed); writes NAME-malloc.json",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="folder for results (default: benchmarks/results; for a quick run: a new folder)",
    )  # fmt: skip
    args = parser.parse_args(argv)
    out = args.out or (Path(tempfile.mkdtemp(prefix="minigan-benchmarks-")) if args.quick else measure.RESULTS)
    options = measure.Options(quick=args.quick, threads=args.threads, rounds=args.rounds, malloc=args.malloc, out=out)
    names = NAMES if "all" in args.names else tuple(dict.fromkeys(args.names))
    start, done = time.perf_counter(), 0
    for name in names:
        measure.log(f"--- {name}: {ABOUT[name]} ({time.perf_counter() - start:.0f} s since the start)")
        try:
            result = importlib.import_module(f"benchmarks.cpu.{name}").run(options)
        except measure.Unavailable as why:
            measure.log(f"{name}: skipped: {why}")
            continue
        file = f"{name}-malloc" if args.malloc else name
        print(measure.write(file, result, out), flush=True)
        if file in page.SECTIONS:
            print(page.SECTIONS[file](json.loads((out / f"{file}.json").read_text())), flush=True)
        done += 1
    measure.log(f"{done} of {len(names)} benchmarks in {time.perf_counter() - start:.0f} s")
    if out != measure.RESULTS:
        print(page.write(out, out / "benchmarks.md", out))
    elif done:
        print(page.write())
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
