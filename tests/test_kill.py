"""After SIGKILL at any moment, a run resumes from its folder and ends with the same result."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_resume import files

from minigan.training import RunError, read_json
from minigan.training.checkpoint import Checkpoints

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")

SETTINGS = ["--set", "batch_size=20", "--set", "frames=2", "--seed", "5"]
TRAIN = ["train", "gaussian", "--iterations", "300", *SETTINGS]
KILLED = -9


def start(*arguments):
    command = [sys.executable, "-m", "minigan", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(*arguments):
    process = start(*arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def lines(folder):
    path = Path(folder, "metrics.jsonl")
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill(process, ready, delay):
    """Send SIGKILL the given number of seconds after `ready()`."""
    end = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
    time.sleep(delay)
    process.kill()
    process.communicate()
    assert process.returncode == KILLED


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    finish(*TRAIN, "--out", str(folder))
    return folder


def test_ten_times_at_random_moments(in_tmp, whole):
    rng = np.random.default_rng(0)
    resumed_from = []
    for n in range(10):
        arguments = ["resume", "run"] if n else [*TRAIN, "--out", "run", "--checkpoint-every", "4"]
        aim = 10 + 25 * n + rng.integers(15)
        # if the previous process got further than that, this one is killed as it starts
        kill(start(*arguments), lambda aim=aim: lines("run") >= aim, rng.random() * 0.02)
        assert not Path("run/summary.json").exists()
        number = Checkpoints("run").numbers()[0]
        assert number >= lines("run") - 4
        resumed_from.append(number)
    assert "resumed from   iteration" in finish("resume", "run")
    assert read_json("run/summary.json")["resumed"][-1]["iteration"] == resumed_from[-1]
    assert files("run") == files(whole)


# The process dies while it writes the third checkpoint: half of it is in a temporary file.
DIES_WHILE_WRITING = """
import os, signal
from minigan import cli
from minigan.training import checkpoint

whole, count = checkpoint.atomic_write, iter(range(100))

def half(path, write):
    def half_of_it(stream):
        write(stream)
        stream.truncate(stream.tell() // 2)
        stream.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(path, half_of_it if next(count) == 2 else write)

checkpoint.atomic_write = half
cli.main({arguments!r})
"""


def test_while_a_checkpoint_is_written(in_tmp, whole):
    code = DIES_WHILE_WRITING.format(arguments=[*TRAIN, "--out", "run", "--checkpoint-every", "50"])
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert died.returncode == KILLED, died.stderr
    folder = Path("run/checkpoints")
    begun = [path for path in folder.iterdir() if path.name.startswith(".000100.checkpoint.")]
    assert (len(begun), Checkpoints("run").numbers()) == (1, [50, 0])
    out = finish("resume", "run")
    assert "resumed from   iteration 50\n" in out
    assert sorted(path.name for path in folder.iterdir()) == ["000250.checkpoint", "000300.checkpoint"]
    assert files("run") == files(whole)


def test_a_run_that_another_process_trains(in_tmp):
    process = start(*TRAIN, "--out", "run", "--checkpoint-every", "4", "--iterations", "100000")

    def refused():
        with pytest.raises(RunError, match="run: another process is training this run"), Checkpoints("run").locked():
            pass

    kill(process, lambda: lines("run") >= 3 and (refused() or True), 0)
    with Checkpoints("run").locked():  # the lock ended with the process
        pass
