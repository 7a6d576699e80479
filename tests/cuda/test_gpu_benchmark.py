"""The GPU benchmark on the emulated device with a fake clock: its behaviour, not its measurements."""

import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from emulated import EMULATOR_ONLY, NEEDS_HOST_COMPILER

from benchmarks.cases.pieces import pieces
from benchmarks.core import measure
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import bench as tools
from benchmarks.gpu import crossover, cuda_tests, gaussian, kernel_steps, kernels, steps
from benchmarks.report import page
from minigan.ops.cuda.device.gpu import why_not
from minigan.ops.cuda.vector import Flat

pytestmark = [NEEDS_HOST_COMPILER, EMULATOR_ONLY]

TIMED = ("ceilings", "steps", "gaussian", "kernels", "crossing", "lessons", "ways", "checkers")
GATED = ("fp32", "tf32", "bf16")


class FakeClock:
    """A clock that runs each job once; the k-th repeat takes k ms."""

    def __init__(self):
        self.jobs = 0

    def device(self, job, *, repeats, warm=3):
        job()
        self.jobs += 1
        return [1e-3 * (k + 1) for k in range(repeats)]

    def wall(self, job, *, repeats, inner, warm=3):
        return self.device(job, repeats=repeats)

    def wait(self):
        pass


@pytest.fixture
def made(monkeypatch):
    """Return a function that makes a bench of few small games on the emulated device."""
    monkeypatch.setattr(steps, "GAMES", {"mnist-dense": {"batch_size": 128}})
    monkeypatch.setattr(crossover, "GAMES", {"gaussian": ({}, (10, 20, 30))})
    some = [piece for piece in pieces(quick=True) if piece.key in ("dcgan64 G 2", "dcgan64 D 1", "mnist-maxout D 1")]
    monkeypatch.setattr(kernels, "pieces", lambda **_: some)

    def make(*, quick, seconds, torch=None):
        bench = tools.Bench("emulated", FakeClock(), quick, seconds, torch)
        if torch is None:
            bench.absent["torch"] = "skipped here"
        return bench

    return make


def test_all_stages_and_the_page(made, tmp_path, capsys):
    assert command.main([*TIMED, "--quick", "--out", str(tmp_path)], made) == 0
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert result["benchmark"] == "gpu"
    assert result["settings"] == "small"
    assert {"cpu", "versions", "blas"} <= set(result["machine"])
    assert set(TIMED) <= set(result)
    assert set(result["check"]) == {"kernels", "gaussian", "tests"}
    assert set(result["steps"]["mnist-dense"]) == {"settings", "difference", "fp32", "tf32"}
    assert result["steps"]["mnist-dense"]["difference"] < 1e-9
    assert result["gaussian"]["check"]["greatest_difference"] < 1e-12
    assert [row["gans"] for row in result["gaussian"]["ensembles"]] == [1, 3]
    assert {row["precision"] for row in result["kernels"]["pieces"]} == {"fp32", "tf32", "bf16"}
    assert [row["kernel"] for row in result["kernels"]["single"]] == list(kernels.SINGLE_KERNELS)
    page = (tmp_path / "benchmarks.md").read_text()
    assert "## On a GPU" in page
    assert "the numbers mean nothing" in page
    assert "Absent: torch: skipped here." in page
    assert "| gaussian" not in page  # it has its own section
    assert "| precision | N, H, C, O | | patches" in page
    assert (tmp_path / "gpu.png").exists()
    assert not (measure.RESULTS / "gpu.json").exists() or "emulated" not in (measure.RESULTS / "gpu.json").read_text()


@pytest.mark.torch
def test_pytorch_is_compared(made, tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")

    def with_torch(**options):
        return made(**options, torch="cpu")

    assert (
        command.main(["ceilings", "steps", "kernels", "gaussian", "--quick", "--out", str(tmp_path)], with_torch) == 0
    )
    result = json.loads((tmp_path / "gpu.json").read_text())
    one = result["steps"]["mnist-dense"]["fp32"]
    assert one["ratio"] == {"torch": 1.0}
    assert set(one["absent"]) == {"torch-graph"}  # no GPU, no graph
    assert set(result["gaussian"]["ratio"]) == set(result["gaussian"]["seconds"]) - {"torch"}
    assert {"torch forward", "torch backward"} <= set(result["kernels"]["pieces"][0]["seconds"])
    assert "PyTorch / minigan" in (tmp_path / "benchmarks.md").read_text()


def test_wrong_results_are_not_timed(made, monkeypatch):
    adam = Flat.adam
    monkeypatch.setattr(Flat, "adam", lambda self, *args, lr, **rest: adam(self, *args, lr=lr * 1.01, **rest))
    bench = made(quick=True, seconds=100)
    assert steps.run(bench) == {}
    assert "mnist-dense: cuda and reference differ by " in bench.failed["steps, mnist-dense"]
    with pytest.raises(SystemExit, match="Adam has a relative error of .*Not timed: the result is wrong"):
        kernels._single(bench, "Adam", kernels._adam, {"copy": {"per_second": 1.0}})
    monkeypatch.setattr(gaussian, "normals", lambda seed, t, kind, n: np.zeros(n))
    with pytest.raises(SystemExit, match="the one kernel and the library's steps differ by .*Not timed"):
        gaussian.check(bench, 1)
    assert bench.clock.jobs == 0


def test_a_wrong_kernel_is_named(made, monkeypatch):
    monkeypatch.setattr(kernels, "TOLERANCES", {"fp32": 1e-12, "tf32": 1, "bf16": 1})
    bench = made(quick=True, seconds=100)
    found = kernels.run(bench, {"copy": {"per_second": 1.0}, **{f"gemm_{p}": {"per_second": 1.0} for p in GATED}})
    assert {row["precision"] for row in found["pieces"]} == {"tf32", "bf16"}
    assert len(bench.failed) >= 2
    for what, why in bench.failed.items():
        assert what.startswith("kernels, ")
        assert re.search(r"has a relative error of .*Not timed: the result is wrong", why)


def test_a_failure_leaves_the_other_results(made, tmp_path, monkeypatch):
    """The results of other stages and games exist, and are written to disk when each has ended."""
    monkeypatch.setattr(steps, "GAMES", {"mnist-dense": {}, "gaussian": {}})
    check, seen = steps.check, []

    def failing(bench, name):
        if name == "mnist-dense":
            raise RuntimeError("an illegal memory access\nand more")
        return check(bench, name)

    def last(bench):
        seen.append(json.loads((tmp_path / "gpu.json").read_text()))
        raise SystemExit("crossed")

    monkeypatch.setattr(steps, "check", failing)
    monkeypatch.setattr(crossover, "run", last)
    assert command.main(["steps", "crossing", "ceilings", "--quick", "--out", str(tmp_path)], made) == 1
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert result["failed"] == {"steps, mnist-dense": "RuntimeError: an illegal memory access", "crossing": "crossed"}
    assert set(result["steps"]) == set(seen[0]["steps"]) == {"gaussian"}
    assert "ceilings" in result
    assert "Failed: crossing: crossed." in (tmp_path / "benchmarks.md").read_text()


def test_without_a_gpu_nothing_is_measured(capsys, tmp_path):
    if not why_not():
        pytest.skip("there is a GPU")
    assert command.main(["--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "nothing was measured: ops='cuda' is not available" in said
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_stage_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["kernel"])
    assert "no stage 'kernel'; expected one of tests, ceilings" in capsys.readouterr().err


def test_stages_after_the_time_limit_are_skipped(made, monkeypatch):
    bench = made(quick=True, seconds=0)
    found = kernels.run(bench, {"copy": {"per_second": 1.0}})
    assert found["pieces"] == found["single"] == []
    assert "0 s were left, 3 s are needed" in found["left_out"].replace("-0 s", "0 s")
    monkeypatch.setattr(bench, "quick", False)
    assert crossover.run(bench) == {"gaussian": {"settings": {}, "rows": [], "crossing": None}}
    assert cuda_tests.why_skipped(bench, "memcheck", 20) is not None


# --- computed numbers -----------------------------------------------------------------------------


def test_ratios_and_the_time_of_a_fused_iteration():
    seconds = {"minigan": {"median": 4.2e-3}, "torch": {"median": 8.4e-3}, "minigan, host draws": {"median": 1.0}}
    found = steps.ratios("dcgan64", {"batch_size": 128}, "bf16", seconds)
    assert found["ratio"] == {"torch": 2.0}
    assert found["share_of_floor"] == 0.5
    assert found["flop_per_second"] == pytest.approx(1254e9 / 4.2e-3, rel=1e-3)
    assert steps.ratios("mnist-dcgan", {"batch_size": 128}, "bf16", seconds) == {"ratio": {"torch": 2.0}}
    assert steps.ratios("dcgan64", {}, "fp32", {}) == {"ratio": {}}


def test_where_cpu_and_gpu_cross():
    def rows(*gains):
        return [{"batch": 4**k, "cpu": {"median": gain}, "gpu": {"median": 1.0}} for k, gain in enumerate(gains)]

    assert crossover.crossing(rows(0.5, 0.5, 2.0)) == pytest.approx(8)
    assert crossover.crossing(rows(2.0, 3.0)) == 1
    assert crossover.crossing(rows(0.5, 0.9)) is None
    assert crossover.crossing([]) is None
    assert crossover.crossing([{"batch": 1, "gpu": {"median": 1.0}}]) is None


def test_spread():
    found = tools.spread([4.0, 1.0, 2.0, 3.0])
    assert (found["median"], found["min"], found["max"], found["repeats"]) == (2.5, 1.0, 4.0, 4)
    assert found["spread"] == pytest.approx((3.75 - 1.25) / 2.5)


# --- tests on the device --------------------------------------------------------------------------


def test_tests_are_run_and_counted(made, tmp_path):
    (tmp_path / "test_two.py").write_text(
        "import os, pytest\n"
        "def test_device(): assert os.environ['MINIGAN_CUDA_DEVICE'] == ''\n"
        "def test_wrong(): assert 1 == 2\n"
        "@pytest.mark.skip(reason='no')\ndef test_none(): pass\n"
    )
    (tmp_path / "test_mutants.py").write_text("1 / 0")  # tests the emulator: not run
    bench = made(quick=True, seconds=100)
    found = cuda_tests.run_files(cuda_tests._environment(bench), seconds=60, folder=tmp_path)
    assert (found["passed"], found["skipped"], found["status"]) == (1, 1, "exit status 1")
    assert [name.rpartition("::")[2] for name in found["failed"]] == ["test_wrong"]
    assert any("1 failed" in line for line in found["tail"])
    slow = cuda_tests.run_files(cuda_tests._environment(bench), seconds=0.01, folder=tmp_path)
    assert slow["status"] == "not done after 0 s"


def test_processes_of_a_checker_end_with_it(tmp_path):
    """For example, compute-sanitizer runs the tests in another process, which holds the pipe."""
    sleeper = "import subprocess, sys; print('begun', flush=True); subprocess.run([sys.executable, '-c', SLEEP])"
    code = sleeper.replace("SLEEP", repr("import time; time.sleep(60)"))
    start = time.perf_counter()
    assert cuda_tests._run_command([sys.executable, "-c", code], dict(os.environ), 1.0) == (
        "not done after 1 s",
        "begun\n",
    )
    assert time.perf_counter() - start < 20


def test_the_checkers_get_their_options(made, monkeypatch):
    calls = []
    monkeypatch.setattr(cuda_tests.shutil, "which", lambda name: f"/cuda/{name}")
    monkeypatch.setattr(
        cuda_tests, "run_files", lambda env, **how: calls.append(how) or {"passed": 1, "status": "passed"}
    )
    assert set(cuda_tests.checkers(made(quick=True, seconds=100))) == {"memcheck", "racecheck"}
    assert calls[0]["launcher"][:3] == ["/cuda/compute-sanitizer", "--tool", "memcheck"]
    assert set(cuda_tests.checkers(made(quick=True, seconds=0))["racecheck"]) == {
        "passed",
        "skipped",
        "failed",
        "status",
    }


def test_a_failed_test_is_the_exit_status(made, tmp_path, monkeypatch):
    failed = {"passed": 3, "skipped": 0, "failed": ["tests.cuda.test_x::test_y"], "status": "exit status 1"}
    monkeypatch.setattr(cuda_tests, "run", lambda bench: failed)
    assert command.main(["tests", "--quick", "--out", str(tmp_path)], made) == 1
    page = (tmp_path / "benchmarks.md").read_text()
    assert "3 passed, 0 skipped, 1 failed (exit status 1)." in page
    assert "Failed: `tests.cuda.test_x::test_y`." in page


def test_absent_kernel_steps_give_a_reason(made):
    assert "absent" in kernel_steps.run(made(quick=True, seconds=100))


def test_the_page_has_a_section_only_with_results():
    """The page has the section if and only if the file of results exists."""
    assert ("## On a GPU" in page.page()) == (measure.RESULTS / "gpu.json").exists()


def test_the_command_exists():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--help"], capture_output=True, text=True, check=True
    )
    assert "--minutes" in done.stdout
