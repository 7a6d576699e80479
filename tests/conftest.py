"""Configuration of all tests: deterministic hypothesis, a temporary home folder."""

import os
import signal

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "default", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("thorough", parent=hypothesis.settings.get_profile("default"), max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("MINIGAN_HYPOTHESIS", "default"))


# If a shell starts Python in the background, Python and its children ignore Ctrl-C, which some tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """On a machine with a GPU, show warnings of other packages instead of treating them as errors."""
    if os.environ.get("MINIGAN_CUDA_DEVICE") == "gpu":
        config.addinivalue_line("filterwarnings", "default")
        config.addinivalue_line("filterwarnings", "error::minigan.ops.cuda.capture.iterations.CaptureWarning")


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    """A new working folder, and a home folder without a data cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def data_dir():
    """The folder with the real data sets; skip the test if there is none."""
    folder = os.environ.get("MINIGAN_DATA")
    if not folder:
        pytest.skip("MINIGAN_DATA is not set: the real data sets are not available")
    return folder


@pytest.fixture
def images(monkeypatch):
    """Sixty random 28x28 images that image recipes load as MNIST."""
    import numpy as np

    from minigan import data

    rng = np.random.default_rng(0)
    fake = data.Images("mnist", rng.integers(0, 256, (60, 28, 28, 1)).astype(np.uint8), np.zeros(60, np.uint8))
    monkeypatch.setattr("minigan.recipes.images.load", lambda name, split, data_dir=None: fake)
    return fake
