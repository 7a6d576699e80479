"""Run tests/cuda on the GPU, and some of its files under CUDA's memory and race checkers if these are installed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from benchmarks.core.measure import installed, log
from benchmarks.gpu.bench import Bench, why_skipped

ROOT = Path(__file__).parents[2]
EMULATOR_FILES = ("test_emulator.py", "test_mutants.py", "test_arrays.py", "test_gpu_missing.py", "test_resources.py")
"""Files that do not test the device; `make test` runs them everywhere."""
CHECKED_FILES = ("test_cuda_flat.py", "test_cuda_norm_act.py", "test_gan1d.py", "test_convolution.py")
"""Files that run under the checkers, where they take many times as long."""
TOOLS = ("memcheck", "racecheck")
MAX_SECONDS = {"tests": 150.0, "checker": 90.0}
"""Seconds after which the tests, or those under one checker, are stopped."""
MAX_WORKERS = 10
"""Test processes at a time, if pytest-xdist is installed; each has a context on the GPU."""
MIN_CHECKER_SECONDS = 20.0
"""Seconds below which a checker is not started."""


def run(bench: Bench) -> dict[str, Any]:
    """Run all tests of the device; return what `run_files` does."""
    return run_files(_environment(bench), seconds=min(MAX_SECONDS["tests"], bench.seconds_left))


def checkers(bench: Bench) -> dict[str, Any] | str:
    """Run `CHECKED_FILES` under each of `TOOLS`; return what `run_files` does, by tool, or why no checker ran."""
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        return "compute-sanitizer was not found"
    found: dict[str, Any] = {}
    for tool in TOOLS:
        why = why_skipped(bench, tool, MIN_CHECKER_SECONDS)
        if why:
            found[tool] = {"passed": 0, "skipped": 0, "failed": [], "status": why}
            continue
        command = [sanitizer, "--tool", tool, "--error-exitcode", "9", "--target-processes", "all"]
        seconds = min(MAX_SECONDS["checker"], bench.seconds_left)
        found[tool] = run_files(_environment(bench), files=CHECKED_FILES, launcher=command, seconds=seconds)
    return found


def _environment(bench: Bench) -> dict[str, str]:
    return {**os.environ, "MINIGAN_CUDA_DEVICE": "gpu" if bench.device == "gpu" else ""}


def run_files(
    env: dict[str, str],
    *,
    files: tuple[str, ...] = (),
    launcher: list[str] | None = None,
    seconds: float,
    folder: Path = ROOT / "tests" / "cuda",
) -> dict[str, Any]:
    """Run files of tests in a new process.

    Parameters
    ----------
    env
        All environment variables of the process.
    files
        The names of the files; (): all of the folder except `EMULATOR_FILES`.
    launcher
        A command in front of Python's, such as a checker and its options.
    seconds
        The time limit.
    folder
        The folder of the files.

    Returns
    -------
    dict
        "passed" and "skipped", the counts; "failed", the names; "status": "passed", the exit status or that the limit
        was reached; unless it is "passed" also "tail", the last lines of the output.

    """
    names = files or tuple(sorted(p.name for p in folder.glob("test_*.py") if p.name not in EMULATOR_FILES))
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.xml"
        parallel = ["-n", str(min(MAX_WORKERS, os.cpu_count() or 1))] if launcher is None and installed("xdist") else []
        command = [
            *(launcher or []), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
            *parallel, *(str(folder / name) for name in names),
        ]  # fmt: skip
        status, output = _run_command(command, env, seconds)
        found = read_report(report) if report.is_file() else {"passed": 0, "skipped": 0, "failed": []}
    found["status"] = status
    if status != "passed":
        found["tail"] = output.strip().splitlines()[-12:]
    log(f"tests{' under ' + ' '.join(launcher[:3]) if launcher else ''}: {found['passed']} passed, {found['status']}")
    return found


def _run_command(command: list[str], env: dict[str, str], seconds: float) -> tuple[str, str]:
    """Run a command for at most `seconds` seconds; return how it ended and its output."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=ROOT, start_new_session=True
    )
    try:
        output = process.communicate(timeout=seconds)[0]
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)  # also ends the tests, which a checker runs in a child process
        output = process.communicate()[0]
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return f"not done after {seconds:.0f} s", output
    return ("passed" if process.returncode == 0 else f"exit status {process.returncode}"), output


def read_report(path: Path) -> dict[str, Any]:
    """Return the counts and failures in a JUnit report."""
    cases = list(ET.parse(path).getroot().iter("testcase"))  # noqa: S314  (pytest has just written it)
    failed = [f"{c.get('classname')}::{c.get('name')}" for c in cases if {e.tag for e in c} & {"failure", "error"}]
    skipped = sum(any(e.tag == "skipped" for e in c) for c in cases)
    return {"passed": len(cases) - len(failed) - skipped, "skipped": skipped, "failed": failed}
