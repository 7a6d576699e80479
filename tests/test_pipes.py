"""Output to a closed pipe, to a closed stream, or to a full disk."""

import os
import subprocess
import sys

import pytest

from minigan.training import read_json

KEPT = {"config.json", "metrics.jsonl", "generator.npz", "discriminator.npz", "summary.json"}
FIGURES = {"gaussian.png", "gaussian.gif", "figure_1.png", "losses.png"}


def shell(line):
    """Run a shell command; PYTHONUNBUFFERED would hide errors when the buffer is flushed at exit."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    minigan = f"{sys.executable} -m minigan"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line.replace("minigan", minigan, 1)],  # noqa: S607
        capture_output=True, text=True, env=environment, check=False, timeout=120,
    )  # fmt: skip


class TestPipes:
    TRAIN = "minigan train gaussian --iterations 20 --set batch_size=20 --set frames=2 --out run"

    def test_a_reader_that_leaves_does_not_end_the_training(self, in_tmp):
        done = shell(f"{self.TRAIN} 2>&1 | head -1")
        assert done.stdout.startswith("without checkpoints")
        assert (done.returncode, done.stderr) == (0, "")
        assert read_json("run/summary.json")["iterations"] == 20
        assert {p.name for p in (in_tmp / "run").iterdir()} == KEPT | FIGURES

    def test_no_standard_error(self, in_tmp):
        done = shell(f"{self.TRAIN} 2>&-")
        assert done.returncode == 0
        assert done.stdout.startswith("gaussian: completed after 20 iterations")
        assert read_json("run/summary.json")["status"] == "completed"

    @pytest.mark.parametrize("line", ["minigan recipes", "minigan --help", "minigan summary mnist-maxout"])
    def test_a_reader_that_leaves(self, line):
        """If only the first line is read, the command reports no error."""
        done = shell(f"{line} | head -1")
        assert len(done.stdout.splitlines()) == 1
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("line", ["minigan verify list", "minigan verify explain CF.c.uniforms"])
    def test_a_reader_of_verify_that_leaves(self, line):
        done = shell(f"{line} | head -1")
        assert len(done.stdout.splitlines()) == 1
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_reader_that_was_never_there(self):
        done = shell("minigan recipes | true")
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_full_disk(self):
        if not os.path.exists("/dev/full"):
            pytest.skip("this system has no /dev/full")
        done = shell("minigan recipes > /dev/full")
        assert (done.returncode, done.stderr) == (1, "minigan recipes: No space left on device\n")

    def test_no_standard_output(self):
        done = shell("minigan recipes >&-")
        assert (done.returncode, done.stderr) == (0, "")

    def test_an_error_without_a_standard_error(self):
        done = shell("minigan sample nowhere 2>&-")
        assert (done.returncode, done.stdout) == (1, "")
