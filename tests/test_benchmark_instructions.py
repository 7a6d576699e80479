"""Benchmarks with a limited instruction set: the limits have effect, and every process reports what it used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.core import instructions, measure

CPUINFO = Path("/proc/cpuinfo")
HAS_AVX512 = CPUINFO.exists() and " avx512f " in CPUINFO.read_text()
needs_avx512 = pytest.mark.skipif(not HAS_AVX512, reason="this processor has no AVX-512, so nothing is limited")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


def run(code, isa, **more):
    """Run a program with an instruction set; return what it printed, as JSON."""
    env = {**instructions.environment(isa, os.environ), **more}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def observed(isa, *libraries):
    """Return the report of a process that has imported these libraries."""
    imports = "".join(f"import {name}; " for name in libraries)
    report = "from benchmarks.core import instructions; import json; print(json.dumps(instructions.observed()))"
    return run(imports + report, isa)


def test_the_environment_of_an_instruction_set():
    inherited = {
        "PATH": "/bin",
        "OPENBLAS_CORETYPE": "Zen",
        "OPENBLAS_L2_SIZE": "1",
        "XLA_FLAGS": "--a --xla_cpu_max_isa=X",
    }
    native = instructions.environment("native", inherited)
    assert native == {"PATH": "/bin", "XLA_FLAGS": "--a"}
    avx2 = instructions.environment("avx2", inherited)
    assert avx2 == {"PATH": "/bin", **instructions.LIMITS["avx2"], "XLA_FLAGS": "--a --xla_cpu_max_isa=AVX2"}
    for isa, found in (("native", native), ("avx2", avx2)):
        assert instructions.environment(isa, found) == found  # a process that has it does not start another one
    assert instructions.environment("native", avx2) == native


def test_reports_are_joined_and_forgotten():
    instructions.reports()
    assert instructions.collect({"seconds": 1, "instructions": {"numba": "AVX2"}}) == {"seconds": 1}
    assert instructions.collect([1]) == [1]
    instructions.collect({"instructions": {"numba": "AVX-512", "ATen": "AVX2"}})
    assert instructions.reports() == {"numba": "AVX2 or AVX-512", "ATen": "AVX2"}
    assert instructions.reports() == {}


def test_a_library_that_is_not_imported_is_not_in_the_report():
    assert set(observed("native")) == set()
    assert "numba" not in observed("native", "numpy")


@needs_avx512
def test_avx2_limits_numpy_openblas_and_numba():
    pytest.importorskip("numba")
    native, avx2 = (observed(isa, "numpy", "numba") for isa in instructions.LIMITS)
    assert native["numba"].startswith("AVX-512")
    assert avx2["numba"].startswith("AVX2")
    assert "X86_V4" in native["NumPy"]
    assert avx2["NumPy"] == "X86_V2, X86_V3"
    assert {text for library, text in avx2.items() if library.startswith("OpenBLAS")} <= {"Haswell"}


@pytest.mark.torch
@needs_avx512
def test_avx2_limits_pytorch():
    pytest.importorskip("torch", reason="PyTorch is not installed (make test-torch installs it)")
    native, avx2 = (observed(isa, "torch") for isa in instructions.LIMITS)
    assert (native["ATen"], avx2["ATen"]) == ("AVX512", "AVX2")
    assert native["oneDNN"].startswith("AVX-512")
    assert avx2["oneDNN"].startswith("AVX2")


@linux
@needs_avx512
def test_avx2_limits_jax():
    pytest.importorskip("jax", reason="JAX is not installed")
    code = (
        "import json\n"
        "from benchmarks.core import implementations, instructions\n"
        "play = implementations.make_step('gaussian', 'jax', threads=1, small=True)\n"
        "play()\n"
        "print(json.dumps(instructions.observed()))\n"
    )
    native, avx2 = (run(code, isa) for isa in instructions.LIMITS)
    assert native["YNNPACK (JAX)"] == "AVX-512"
    assert avx2["YNNPACK (JAX)"] == "at most AVX2"
    assert avx2["XLA"] == "--xla_cpu_max_isa=AVX2"


@linux
def test_without_its_symbols_jax_is_reported_as_not_limited():
    pytest.importorskip("jax", reason="JAX is not installed")
    code = (
        "import json, jax\n"
        "from benchmarks.core import instructions, ynnpack\n"
        "ynnpack.VARIABLE = b'no_such_symbol'\n"
        "ynnpack.limit_to_avx2()\n"
        "print(json.dumps(instructions.observed()))\n"
    )
    assert run(code, "avx2")["YNNPACK (JAX)"] == "chosen by the processor (jaxlib has no symbols)"


KERNEL = """
import json
import numpy as np
from numba.core import event

class Count(event.Listener):
    def on_start(self, event):
        compiled.append(event.data["dispatcher"].py_func.__name__)
    def on_end(self, event):
        pass

compiled = []
event.register("numba:compile", Count())
from minigan.ops.cpu.kernels.numba.matmul import TILE_ROWS, multiply
a, b, c = np.ones(64, "float32"), np.ones(64, "float32"), np.zeros(64, "float32")
multiply(a, (0, 8, 1), b, (0, 8), c, (0, 8), (8, 8, 8), False)
assert (c == 8).all()
print(json.dumps([any("multiply" in name for name in compiled), TILE_ROWS]))
"""


@needs_avx512
def test_stored_kernels_of_two_instruction_sets_do_not_mix(tmp_path):
    """The key of a stored kernel contains the processor and its features, so both sets can use one folder."""
    pytest.importorskip("numba")
    found = [run(KERNEL, isa, NUMBA_CACHE_DIR=str(tmp_path)) for isa in ("native", "avx2", "native", "avx2")]
    assert found == [[True, 12], [True, 6], [False, 12], [False, 6]]


def test_the_command_starts_itself_with_the_limits(monkeypatch, tmp_path):
    calls = []

    class Done:
        returncode = 7

    def start(arguments, *, env, check):
        calls.append((arguments, env))
        return Done

    monkeypatch.setattr(command.subprocess, "run", start)
    arguments = ["imports", "--quick", "--isa", "avx2", "--out", str(tmp_path)]
    assert command.main(arguments) == 7
    ((started, env),) = calls
    assert started == [sys.executable, "-m", "benchmarks", *arguments]
    assert env == instructions.environment("avx2", os.environ)


def test_results_of_a_limited_run_have_their_own_file_and_section(tmp_path):
    """The whole command in a process of its own, on one case."""
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks", "breakdown", "--quick", "--isa", "avx2", "--cases", "gaussian",
            "--out", str(tmp_path),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "breakdown.json").exists()
    result = json.loads((tmp_path / "breakdown-avx2.json").read_text())
    assert list(result["cases"]) == ["gaussian"]
    assert result["instruction_set"]["limit"] == "avx2"
    assert result["instruction_set"]["observed"]["NumPy"].startswith("X86_V2")
    assert "X86_V4" not in result["instruction_set"]["observed"]["NumPy"]
    text = (tmp_path / "benchmarks.md").read_text()
    assert "- native: not measured (`python -m benchmarks breakdown`)." in text
    assert "- AVX2 (`python -m benchmarks breakdown --isa avx2`): NumPy: X86_V2" in text


def test_an_unknown_case_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["breakdown", "--cases", "gaussian,nowhere"])
    assert "no case 'nowhere'; expected some of mnist-dcgan," in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "name"),
    [({}, "steps"), ({"isa": "avx2"}, "steps-avx2"), ({"malloc": True}, "steps-malloc"),
     ({"isa": "avx2", "malloc": True}, "steps-avx2-malloc")],
)  # fmt: skip
def test_names_of_results(options, name):
    assert measure.Options(**options).file("steps") == name
