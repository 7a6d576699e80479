"""SIGTERM ends a sweep as Ctrl-C does from the moment on which its file exists, whoever trains the seeds."""

import os
import signal

import pytest

from minigan import runs


@pytest.fixture
def deaf():
    """Without a handler of the sweep, SIGTERM would end the process: here it is an error."""

    def unhandled(*_):
        raise AssertionError("SIGTERM was not handled by the sweep")

    before = signal.signal(signal.SIGTERM, unhandled)
    yield unhandled
    signal.signal(signal.SIGTERM, before)


def test_sigterm_before_the_workers_start_leaves_nothing(in_tmp, monkeypatch, deaf):
    def terminate(one, seeds, **_):
        assert (in_tmp / "s" / "sweep.json").is_file()
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(runs.seeds, "train_in_workers", terminate)
    swept = runs.sweep("gaussian", seeds=3, out="s", folder=True)
    assert swept.status == "interrupted"
    assert not (in_tmp / "s").exists()
    assert signal.getsignal(signal.SIGTERM) is deaf


def test_sigterm_keeps_the_completed_seeds(in_tmp, monkeypatch, deaf):
    def terminate(one, seeds, *, workers, on_seed_end):
        on_seed_end({"seed": 0, "status": "completed", "jsd": 0.5})
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(runs.seeds, "train_in_workers", terminate)
    swept = runs.sweep("gaussian", seeds=3, out="s", folder=True)
    assert (swept.status, len(swept.summaries)) == ("interrupted", 1)
    assert '"status": "interrupted"' in swept.path.read_text()
