"""The benchmark of `mnist-fast`: PyTorch computes the same, which the check sees, and a smoke run has a section."""

import json

import pytest
from test_benchmarks import native, no_torch  # noqa: F401  (a fixture)

from benchmarks import __main__ as command
from benchmarks.core import implementations, measure
from benchmarks.core.checks import difference
from benchmarks.cpu import fast
from benchmarks.report import fast as fast_section

TORCH = {"reason": "PyTorch is not installed (make test-torch installs it)"}


def test_a_smoke_run_without_pytorch(monkeypatch, tmp_path):
    no_torch(monkeypatch)
    assert command.main(["fast", "--quick", "--out", str(tmp_path)]) == 0
    result, page = json.loads((tmp_path / "fast.json").read_text()), (tmp_path / "benchmarks.md").read_text()
    assert result["iterations_per_block"] == 2
    assert result["absent"]["torch"] == "torch is not installed"
    assert result["seconds"]["minigan"]["median"] > 0
    assert result["check"]["against_torch"] == "PyTorch is not installed"
    assert max(result["check"]["against_reference"].values()) <= implementations.ABSOLUTE_TOLERANCE
    assert "| torch (eager, NCHW, default Adam) | " in page
    assert "PyTorch was not measured" in page
    assert "the numbers mean nothing" in page


def test_timed_iterations_are_those_of_a_training(monkeypatch):
    """A block has `penalty_every` iterations, and each moves the average of G."""
    one = fast.make("minigan", threads=1, small=True)
    fast.block_of(one)()
    assert one.run.iteration == one.gan.optimizer_D.t == one.config.penalty_every == 2
    assert (one.average.network.theta != one.gan.G.theta).any()


def test_the_check_sees_a_lower_learning_rate():
    """The checked iterations pass the place from which the rates fall."""
    one = fast.make("minigan", threads=1, small=True)
    assert one.gan.optimizer_D.lr(fast.CHECKED_ITERATIONS) < one.gan.optimizer_D.lr(1)
    assert one.gan.due_penalties
    fast.block_of(one)()


def test_the_sentence_names_the_fastest():
    result = {"best_torch": "torch", "usual_torch": "usual", "ratio": {"torch": 1.5, "usual": 2.0}}
    found = fast_section.sentence("AVX2", result)
    assert found == (
        "- AVX2: the fastest eager PyTorch (`torch`) takes 1.50 times as long as minigan, the usual one (`usual`) 2.00 "
        "times."
    )


@pytest.mark.torch
def test_pytorch_plays_the_same_game():
    pytest.importorskip("torch", **TORCH)
    found = fast.check()["against_torch"]
    assert set(found) == {"nchw", "channels_last"}
    assert max(found.values()) <= implementations.ABSOLUTE_TOLERANCE


@pytest.mark.torch
@pytest.mark.parametrize("fault", ["penalty", "average", "rate"])
def test_another_game_is_seen(monkeypatch, fault):
    """A relative error of 1e-6 in the penalty, in the average or in the learning rate."""
    pytest.importorskip("torch", **TORCH)
    import torch

    from benchmarks.other_libraries.torch.optimizers import _Scheduled

    if fault == "penalty":
        grad = torch.autograd.grad

        def wrong(*arguments, **options):
            return tuple(v * (1 + 1e-6) for v in grad(*arguments, **options))

        monkeypatch.setattr(torch.autograd, "grad", wrong)
    elif fault == "average":
        lerp = torch._foreach_lerp_
        monkeypatch.setattr(torch, "_foreach_lerp_", lambda a, b, weight: lerp(a, b, weight * (1 + 1e-6)))
    else:
        start = _Scheduled.__init__
        monkeypatch.setattr(_Scheduled, "__init__", lambda self, o, lr: start(self, o, lambda t: lr(t) * (1 + 1e-6)))
    with pytest.raises(SystemExit, match="mnist-fast: minigan and PyTorch, nchw differ"):
        fast.check()


def test_minigan_runs_of_one_seed_are_equal():
    runs = [fast.Minigan(small=True, dtype="float64") for _ in range(2)]
    for one in runs:
        fast.block_of(one)()
    assert difference(runs[0].experiment, runs[1].experiment) == 0
    assert measure.installed("numpy")
