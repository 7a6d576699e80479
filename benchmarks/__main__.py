"""``python -m benchmarks NAME``, or ``all``: measure, write benchmarks/results/NAME.json, the page and its plots.

With ``--isa avx2`` this process and all that it starts are limited to AVX2, and the file is NAME-avx2.json.
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases.games import CASES
from benchmarks.core import instructions, measure
from benchmarks.report import page

NAMES = ("imports", "gaussian", "memory", "breakdown", "layers", "scaling", "penalties", "first", "fast", "steps")
ABOUT = {
    "steps": "a whole iteration of each recipe, compared with PyTorch and JAX",
    "first": "the first iteration of each recipe on a machine that never compiled",
    "fast": "an iteration of mnist-fast, with its gradient penalty, compared with PyTorch",
    "breakdown": "the time of an iteration by operation, and the machine's limits",
    "layers": "each layer of the recipes: time, rate, share of the machine's limits",
    "scaling": "cost by batch size, width, image size and number of threads",
    "penalties": "an update of D with a gradient penalty, compared with PyTorch",
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
        "--isa", choices=list(instructions.LIMITS), default="native",
        help="instructions that every library may use: native, those of the processor (default), or at most avx2, with "
        "results in NAME-avx2.json",
    )  # fmt: skip
    parser.add_argument(
        "--cases", metavar="CASE,...", type=lambda text: text.split(","),
        help=f"only these, into a new folder unless --out is given: {', '.join(CASES)}",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="DIR",
        help="folder for results (default: benchmarks/results; for a quick run or some cases: a new folder)",
    )  # fmt: skip
    args = parser.parse_args(argv)
    unknown = [name for name in args.cases or () if name not in CASES]
    if unknown:
        parser.error(f"no case {unknown[0]!r}; expected some of {', '.join(CASES)}")
    environment = instructions.environment(args.isa, os.environ)
    if environment != dict(os.environ):  # libraries read these variables once, when they are loaded
        arguments = sys.argv[1:] if argv is None else argv
        return subprocess.run([sys.executable, "-m", "benchmarks", *arguments], env=environment, check=False).returncode
    for name in set(CASES) - set(args.cases or CASES):
        del CASES[name]
    partial = args.quick or args.cases is not None
    out = args.out or (Path(tempfile.mkdtemp(prefix="minigan-benchmarks-")) if partial else measure.RESULTS)
    options = measure.Options(
        quick=args.quick, threads=args.threads, rounds=args.rounds, malloc=args.malloc, isa=args.isa, out=out
    )
    names = NAMES if "all" in args.names else tuple(dict.fromkeys(args.names))
    start, done = time.perf_counter(), 0
    for name in names:
        measure.log(f"--- {name}: {ABOUT[name]} ({time.perf_counter() - start:.0f} s since the start)")
        instructions.reports()  # forget those of a benchmark that was not completed
        try:
            result = importlib.import_module(f"benchmarks.cpu.{name}").run(options)
        except measure.Unavailable as why:
            measure.log(f"{name}: skipped: {why}")
            continue
        file = options.file(name)
        result["instruction_set"] = {"limit": args.isa, "observed": instructions.reports()}
        print(measure.write(file, result, out), flush=True)
        results = page.read(out)
        text = page.section(f"{name}-malloc" if args.malloc else name, {file: results[file]} if file in results else {})
        if text is not None:
            print(text, flush=True)
        done += 1
    measure.log(f"{done} of {len(names)} benchmarks in {time.perf_counter() - start:.0f} s")
    if out != measure.RESULTS:
        print(page.write(out, out / "benchmarks.md", out))
    elif done:
        print(page.write())
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
