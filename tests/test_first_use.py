"""Kernels are compiled once for a type, by several processes together, and `minigan warmup` does so in advance."""

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import time

import pytest

from minigan.ops import compiling
from minigan.ops.errors import BackendUnavailable
from minigan.recipes import RunOptions, compilation, get_recipe
from minigan.runs import warm_up

pytest.importorskip("numba")
needs_locks = pytest.mark.skipif(not compilation.can_share(), reason="this system has no file locks")


def python(program, folder, *arguments, **options):
    """Run a program that keeps its compiled kernels in `folder`; return what it prints."""
    done = subprocess.run(
        compiling.python(textwrap.dedent(program), *arguments),
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        capture_output=True, text=True, timeout=100, check=False, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def kernels(tmp_path):
    """A module with kernels, one of which is slow to compile and writes a line when it is compiled."""
    (tmp_path / "some_kernels.py").write_text(
        textwrap.dedent(
            """
            import os, time
            import numpy as np
            from numba.core.extending import intrinsic
            from numba.core import types
            from minigan.ops.cpu.kernels.numba.jit import kernel

            @intrinsic
            def slow(context, x):
                def build(context, builder, signature, arguments):
                    with open(os.environ["LOG"], "a") as log:
                        log.write("slow\\n")
                    time.sleep(float(os.environ.get("SECONDS", 0)))
                    return arguments[0]
                return x(x), build

            @kernel
            def compiled_slowly(x):
                return slow(x[0])

            @kernel
            def add(pair, number, flag):
                return pair[0] + pair[1] + number + flag

            @kernel
            def calls_with_constants(n):
                return add((n, 1), 2, True) + add((2, n), n, False) + add((n, n), 3, n > 4)
            """
        )
    )
    return tmp_path


@pytest.fixture
def environment(kernels, monkeypatch):
    monkeypatch.syspath_prepend(str(kernels))
    monkeypatch.setenv("LOG", str(kernels / "log"))
    return kernels


def test_a_kernel_that_others_call_with_constants_is_compiled_once(environment):
    program = """
    import some_kernels as k
    assert k.calls_with_constants(5) == (5 + 1 + 2 + 1) + (2 + 5 + 5) + (5 + 5 + 3 + 1)
    print(len(k.add.signatures))
    """
    assert python(program, environment / "cache") == "1\n"


@needs_locks
def test_a_process_waits_for_one_that_compiles_the_same_kernel(environment, monkeypatch):
    monkeypatch.setenv("SECONDS", "1.5")
    program = """
    import numpy as np, some_kernels as k
    from minigan.ops.compiling import watch
    watch(lambda name: print(name, flush=True))
    assert k.compiled_slowly(np.full(1, 7.0)) == 7.0
    print(sum(k.compiled_slowly.stats.cache_misses.values()))
    """
    folder = environment / "cache"
    workers = [
        subprocess.Popen(
            compiling.python(textwrap.dedent(program)), stdout=subprocess.PIPE, text=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        )
        for _ in range(3)
    ]  # fmt: skip
    found = sorted(worker.communicate(timeout=100)[0] for worker in workers)
    # Only waiting is announced here, because compiling is announced for kernels of the library.
    assert found == ["1\n"] + ["compiled_slowly\n0\n"] * 2
    assert (environment / "log").read_text() == "slow\n"
    assert not list(folder.rglob("*.lock"))


@needs_locks
def test_a_killed_process_does_not_hold_a_kernel(environment, monkeypatch):
    program = "import numpy as np, some_kernels as k; print(k.compiled_slowly(np.full(1, 7.0)))"
    folder = environment / "cache"
    monkeypatch.setenv("SECONDS", "60")
    worker = subprocess.Popen(compiling.python(program), env={**os.environ, "NUMBA_CACHE_DIR": str(folder)})
    end = time.monotonic() + 60
    while not (environment / "log").exists() and time.monotonic() < end:
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    assert list(folder.rglob("*.lock"))
    monkeypatch.setenv("SECONDS", "0")
    assert python(program, folder) == "7.0\n"


@needs_locks
def test_processes_that_store_different_types_of_one_kernel_lose_none(environment):
    program = """
    import sys, numpy as np, some_kernels as k
    for dtype in sys.argv[1:]:
        k.compiled_slowly(np.zeros(1, dtype))
    print(sum(k.compiled_slowly.stats.cache_misses.values()))
    """
    folder, dtypes = environment / "cache", ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2"]
    workers = [
        subprocess.Popen(
            compiling.python(textwrap.dedent(program), *part), stdout=subprocess.PIPE,
            env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        )
        for part in (dtypes[:4], dtypes[4:])
    ]  # fmt: skip
    for worker in workers:
        worker.communicate(timeout=100)
    assert python(program, folder, *dtypes) == "0\n"


def test_recorded_kernels_compute_nothing_and_compile_afterwards(environment):
    program = """
    from minigan.ops.cpu.kernels.numba.recording import record
    calls = record()
    import numpy as np, some_kernels as k
    x = np.zeros(1)
    assert k.compiled_slowly(x) is False and k.compiled_slowly(x) is False and k.calls_with_constants(5) is False
    from numba import int64
    k.add.compile((int64,) * 3)  # as callers do that need its address
    code = k.add.overloads[(int64,) * 3]
    assert code.library.get_pointer_to_function(code.fndesc.llvm_cfunc_wrapper_name) == 0
    print([d.py_func.__name__ for d, _ in calls])
    del calls[k.add.dispatcher, (int64,) * 3]
    for dispatcher, types in calls:
        dispatcher.compile(types)
    """
    assert python(program, environment / "cache") == "['compiled_slowly', 'calls_with_constants', 'add']\n"


RUN = """
import sys
from minigan.ops.compiling import compile_alone, watch
from minigan.recipes import RunOptions, get_recipe
from minigan.training import train
if "alone" in sys.argv:
    compile_alone()
compiled = []
watch(compiled.append)
recipe = get_recipe("gaussian")
config = recipe.configure({"iterations": 2, "hidden": 4, "batch_size": 8})
experiment = recipe.build(config, RunOptions(options={"threads": 2}))
experiment.figures = []
train(experiment)
from minigan.ops import compiling
print(len(compiled), len(compiling._running))
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernels")
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(folder))
        found = warm_up(["gaussian"], on_kernel=lambda *one: seen.append(one))
    return folder, found, seen


class TestWarmUp:
    def test_it_compiles_all_that_a_run_needs(self, warm):
        folder, found, _ = warm
        assert found.kernels >= found.compiled > 0
        assert found.skipped == {}
        assert python(RUN, folder) == "0 0\n"

    def test_it_says_where_the_kernels_are_and_counts_them(self, warm):
        folder, found, seen = warm
        assert all(path.is_relative_to(folder) and list(path.glob("*.nbc")) for path in found.folders)
        assert found.folders
        assert [done for done, _, _ in seen] == list(range(1, found.kernels + 1))
        assert {total for _, total, _ in seen} == {found.kernels}

    def test_the_second_time_nothing_is_compiled(self, warm, monkeypatch):
        folder, found, _ = warm
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
        again = warm_up(["gaussian", "gaussian"])
        assert (again.kernels, again.compiled) == (found.kernels, 0)

    def test_another_dtype_is_compiled_separately(self, warm, tmp_path, monkeypatch):
        folder, _, _ = warm
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
        assert warm_up(["gaussian"], dtype="float64").compiled > 0

    def test_wrong_arguments(self):
        with pytest.raises(ValueError, match="unknown recipe 'gausian' \\(did you mean 'gaussian'\\?\\)"):
            warm_up(["gausian"])
        with pytest.raises(ValueError, match="unknown dtype 'float16'.*expected float32, float64"):
            warm_up(["gaussian"], dtype="float16")

    def test_without_numba(self, monkeypatch):
        monkeypatch.setattr("minigan.runs.warmup.importlib.util.find_spec", lambda name: None)
        with pytest.raises(BackendUnavailable, match="without numba: pip install numba"):
            warm_up(["gaussian"])

    def test_a_process_that_fails(self, monkeypatch):
        monkeypatch.setattr("minigan.runs.warmup.command", lambda *_, **__: [sys.executable, "-c", "raise OSError(7)"])
        with pytest.raises(BackendUnavailable, match="failed: OSError: 7"):
            warm_up(["gaussian"])


class TestHelpers:
    @needs_locks
    def test_the_first_run_gets_help_and_computes_the_same(self, tmp_path):
        """Everything is compiled once, whoever does it, and the second run finds all of it."""
        compiled, helpers = map(int, python(RUN, tmp_path).split())
        assert compiled > 0
        assert helpers == min(2, compilation.processes(2)) - 1
        assert python(RUN, tmp_path) == "0 0\n"

    def test_a_process_can_refuse_help(self, tmp_path):
        assert python(RUN, tmp_path, "alone").split()[1] == "0"

    @pytest.fixture
    def assisted(self, monkeypatch):
        found = []
        monkeypatch.setattr(
            compilation, "assist", lambda command, processes, *, at_once=False: found.append((command, processes))
        )
        monkeypatch.setattr(compilation, "processes", lambda threads: min(threads, 3))
        return found

    @pytest.mark.parametrize(
        ("ops", "options", "processes"),
        [
            ("cpu", {"threads": 1}, 0),
            ("cpu", {"threads": 2}, 1),
            ("cpu", {"threads": 8}, 2),
            ("cpu", {"threads": 8, "compiled": False}, 0),
            ("reference", {}, 0),
        ],
    )
    def test_as_many_helpers_as_threads(self, assisted, ops, options, processes):
        get_recipe("gaussian").build(None, RunOptions(ops=ops, options=options, dtype="float64"))
        ((command, number),) = assisted
        assert number == processes
        if processes:
            (one,) = json.loads(command[3])
            assert (one["recipe"], one["dtype"], one["options"]) == ("gaussian", "float64", options)
            assert command[4] == str(os.getpid())

    def test_a_helper_ends_with_its_process(self):
        program = """
        import sys
        from minigan.ops import compiling
        compiling.assist(compiling.python("import time; time.sleep(60)"), 2)
        compiling.announce("a_kernel")
        compiling.announce("another_kernel")
        print(*(process.pid for process in compiling._running))
        """
        pids = list(map(int, python(program, "").split()))
        assert len(pids) == 2
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


def test_a_program_that_contains_python_starts_no_helpers(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/usr/bin/blender")
    assert compiling.python("print(1)") == []
    compiling.assist([], 3)
    compiling.announce("a_kernel")
    assert compiling._pending == []


def test_only_the_newest_watcher_is_called():
    first, second = [], []
    stop_first = compiling.watch(first.append)
    stop_second = compiling.watch(second.append)
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(stop_first)
        compiling.announce("a")
        stop_second()
        compiling.announce("b")
    compiling.announce("c")
    assert (first, second) == (["b"], ["a"])
