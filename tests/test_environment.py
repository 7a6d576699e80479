"""Environments without a home folder, a display backend, or an encoding for every character."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from minigan import data
from minigan.recipes import RECIPES


def run(code, tmp_path, **environment):
    """Run Python code in a process with these environment variables."""
    here = str(Path(__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=120,
        env={**os.environ, "PYTHONPATH": here, **environment},
    )  # fmt: skip


def no_home():
    raise RuntimeError("Could not determine home directory.")


def test_a_user_without_a_home(monkeypatch, tmp_path):
    from minigan.ops.cuda.device import cache

    for name in ("XDG_CACHE_HOME", "MINIGAN_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", no_home)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert data.cache_folder().parent == tmp_path
    assert data.cache_folder() in data.search_folders(None)
    assert tmp_path in cache.folder().parents


def test_figures_need_no_display_backend(tmp_path):
    code = (
        "import os; from minigan import plots; plots.save(plots.loss_curves([dict.fromkeys("
        "('d_loss', 'g_loss', 'd_real', 'd_fake', 'accuracy'), .5)] * 3), 'a.png'); print(os.environ['MPLBACKEND'])"
    )
    done = run(code, tmp_path, MPLBACKEND="module://no.such_backend")
    assert (done.returncode, done.stdout.decode().strip()) == (0, "module://no.such_backend"), done.stderr.decode()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_name_that_the_output_cannot_encode(tmp_path):
    code = "from minigan.cli.support import guarded; print(guarded('minigan', lambda: print(chr(0x43F) * 5) or 0))"
    done = run(code, tmp_path, PYTHONIOENCODING="cp1252")
    assert (done.returncode, done.stdout.split()) == (0, [b"?????", b"0"]), done.stderr.decode()


def test_a_run_of_an_older_version_keeps_its_schedule():
    recipe = RECIPES["mnist-dcgan"]
    assert recipe.Config().fakes == "training"
    assert recipe.configure_stored({"latent": 3}).fakes == "inference"
    assert recipe.configure_stored({"fakes": "training"}).fakes == "training"


def test_fakes_of_mnist_dcgan():
    from minigan import eval_fakes, train_fakes
    from minigan.recipes import RunOptions

    images = np.zeros((8, 28, 28, 1), np.uint8)
    recipe = RECIPES["mnist-dcgan"]
    for name, function in (("training", train_fakes), ("inference", eval_fakes)):
        config = recipe.configure({"batch_size": 2, "fakes": name})
        assert recipe.build(config, RunOptions(images=images, ops="reference")).gan.fake_mode is function
