"""numba's cache is optional: without a folder or with damaged files, kernels are compiled again."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("numba")

PROGRAM = """
import sys, warnings
import numpy as np
from numba.core import caching, event
if "nowhere" in sys.argv:
    caching.CacheImpl._locator_classes = []  # neither the package's folder nor a home can be written
from minigan.ops.cpu.kernels.numba import jit

class Count(event.Listener):
    def on_start(self, event):
        compiled.append(event.data["dispatcher"].py_func.__name__)
    def on_end(self, event):
        pass

compiled = []
event.register("numba:compile", Count())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from minigan.ops.cpu.kernels.numba import vector
    from minigan.ops.cpu.threads import team
    counts = np.zeros(16, np.int64)
    assert not team.poll(counts, 0, 0, 1)
print(sorted(set(compiled)), [str(w.message) for w in caught if w.category is RuntimeWarning])
"""


def run(folder, *arguments):
    """Compile a kernel with its cache in `folder`; return the names of the compiled functions, and the warnings."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_kept_is_not_compiled_again(tmp_path):
    assert "'poll'" in run(tmp_path)
    assert run(tmp_path) == "[] []\n"


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("size", [0, -10])
def test_a_truncated_file_is_made_again(tmp_path, kind, size):
    run(tmp_path)
    files = list(tmp_path.rglob(f"*.{kind}"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:size])
    assert run(tmp_path).startswith("['poll'")
    assert run(tmp_path) == "[] []\n"


def test_without_a_folder_kernels_are_compiled_and_a_warning_says_so(tmp_path):
    found = run(tmp_path, "nowhere")
    assert "'poll'" in found
    assert found.count("no locator available") == 1
    assert "NUMBA_CACHE_DIR" in found


def test_a_folder_that_cannot_be_written_any_more(tmp_path):
    """The disk is full or the folder was removed: the files cannot be saved."""
    program = PROGRAM.replace(
        "compiled = []",
        """compiled = []
def refuse(*_):
    raise OSError(28, "No space left on device")
caching.IndexDataCacheFile._open_for_write = refuse""",
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No space left" in done.stdout
