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

ROOT = Path(__file__).parent.parent.parent
OF_THE_EMULATOR = ("test_emulator.py", "test_mutants.py", "test_arrays.py", "test_gpu_missing.py", "test_resources.py")
"""Files that do not test the device; `make test` runs them everywhere."""
CHECKED = ("test_cuda_flat.py", "test_cuda_norm_act.py", "test_gan1d.py", "test_convolution.py")
"""Files that run under the checkers, which take many times as long."""
TOOLS = ("memcheck", "racecheck")
MAX_SECONDS = {"tests": 150.0, "checker": 90.0}
MAX_WORKERS = 10
"""Test processes at a time, if pytest-xdist is installed; each has a context on the GPU."""
MIN_CHECKER_SECONDS = 20.0
"""Seconds below which a checker is not started."""


def run(bench: Bench) -> dict[str, Any]:
    """Return the counts of the tests and the names of the failed ones."""
    return run_files(_environment(bench), seconds=min(MAX_SECONDS["tests"], bench.seconds_left))


def checkers(bench: Bench) -> dict[str, Any] | str:
    """Return the same for some tests under each checker, or why there are none."""
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
        found[tool] = run_files(_environment(bench), files=CHECKED, before=command, seconds=seconds)
    return found


def _environment(bench: Bench) -> dict[str, str]:
    return {**os.environ, "MINIGAN_CUDA_DEVICE": "gpu" if bench.device == "gpu" else ""}


def run_files(
    env: dict[str, str],
    *,
    files: tuple[str, ...] = (),
    before: list[str] | None = None,
    seconds: float,
    folder: Path = ROOT / "tests" / "cuda",
) -> dict[str, Any]:
    """Run the files (all but the emulator's) in a new process, for at most `seconds` seconds."""
    names = files or tuple(sorted(p.name for p in folder.glob("test_*.py") if p.name not in OF_THE_EMULATOR))
    with tempfile.TemporaryDirectory() as made:
        report = Path(made) / "report.xml"
        parallel = ["-n", str(min(MAX_WORKERS, os.cpu_count() or 1))] if before is None and installed("xdist") else []
        command = [
            *(before or []), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
            *parallel, *(str(folder / name) for name in names),
        ]  # fmt: skip
        status, said = _status(command, env, seconds)
        found = read_report(report) if report.is_file() else {"passed": 0, "skipped": 0, "failed": []}
    found["status"] = status
    if status != "passed":
        found["tail"] = said.strip().splitlines()[-12:]
    log(f"tests{' under ' + ' '.join(before[:3]) if before else ''}: {found['passed']} passed, {found['status']}")
    return found


def _status(command: list[str], env: dict[str, str], seconds: float) -> tuple[str, str]:
    """Run a command for at most `seconds` seconds; return how it ended and its output."""
    done = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=ROOT, start_new_session=True
    )
    try:
        said = done.communicate(timeout=seconds)[0]
    except BaseException as error:
        os.killpg(done.pid, signal.SIGKILL)  # also ends the tests, which a checker runs in a child process
        said = done.communicate()[0]
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return f"not done after {seconds:.0f} s", said
    return ("passed" if done.returncode == 0 else f"exit status {done.returncode}"), said


def read_report(path: Path) -> dict[str, Any]:
    """Return the counts and failures in a JUnit report."""
    cases = list(ET.parse(path).getroot().iter("testcase"))  # noqa: S314  (pytest has just written it)
    failed = [f"{c.get('classname')}::{c.get('name')}" for c in cases if {e.tag for e in c} & {"failure", "error"}]
    skipped = sum(any(e.tag == "skipped" for e in c) for c in cases)
    return {"passed": len(cases) - len(failed) - skipped, "skipped": skipped, "failed": failed}
