"""Sweeps of the Gaussian game in one kernel: initial weights, summaries and files."""

import json

import numpy as np
import pytest
from check_gan1d import normals
from emulated import NAME, NEEDS_HOST_COMPILER

from minigan import ensembles, runs
from minigan.cli import main
from minigan.gan import same_batch
from minigan.ops import get_ops
from minigan.ops.cuda.gan1d import Ensemble
from minigan.recipes import RunOptions, get_recipe
from minigan.recipes.gaussian import Config, distances

pytestmark = NEEDS_HOST_COMPILER

SMALL = {"iterations": 3, "batch_size": 30, "d_updates": 2, "g_updates": 2}


def swept(**how):
    how = {"options": {"device": NAME}, "overrides": SMALL, "seeds": 3, **how}
    return runs.sweep("gaussian", ops="cuda", **how)


def test_a_seed_agrees_with_the_library_on_the_same_draws():
    found = swept(dtype="float64").summaries[2]
    recipe = get_recipe("gaussian")
    config = recipe.configure(SMALL)
    gan = recipe.build(config, RunOptions(seed=2, dtype="float64", ops="reference")).gan
    for t in range(config.iterations):
        x, z = (normals(2, t, kind, config.batch_size)[:, None] for kind in (0, 1))
        seen = same_batch(gan, lambda x=x: config.mu + config.sigma * x, lambda z=z: z, d_updates=2, g_updates=2)
    last = gan.metrics(seen)
    assert {name: found["metrics"][name] for name in last} == pytest.approx(last, rel=1e-9)
    a, b = gan.G.theta
    assert found["generator"] == pytest.approx({"mean": b, "std": abs(a), "a": a, "b": b}, rel=1e-9)
    expected = distances(gan, ensembles.Gaussian(config.mu, config.sigma))
    assert (found["jsd"], found["value"]) == pytest.approx((expected["jsd"], expected["value"]), rel=1e-9)


def test_a_negative_slope_gives_a_positive_standard_deviation():
    found = [summary["generator"] for summary in swept(seeds=5).summaries]
    assert {one["a"] > 0 for one in found} == {True, False}
    assert [one["std"] for one in found] == [abs(one["a"]) for one in found]


def test_a_summary_has_the_fields_of_a_run():
    found = swept().summaries[0]
    run = runs.train_recipe("gaussian", overrides=SMALL, folder=False)
    assert set(run) - set(found) == {"diagnosis"}  # which reads every iteration; a kernel runs all of them
    for part in ("losses", "metrics", "parameters", "target"):
        assert set(found[part]) == set(run[part]), part
    assert found["parameters"] == run["parameters"]
    assert set(run["generator"]) - set(found["generator"]) == {"samples"}


def test_the_command_writes_the_sweep(in_tmp, capsys, monkeypatch):
    get = ensembles.RunOptions.backend
    monkeypatch.setattr(
        RunOptions, "backend", lambda self: get_ops("cuda", device=NAME) if self.ops == "cuda" else get(self)
    )
    settings = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    assert main(["sweep", "gaussian", "--seeds", "4", "--ops", "cuda", "--out", "s", *settings]) == 0
    stored = json.loads((in_tmp / "s" / "sweep.json").read_text())
    assert (stored["status"], stored["runs"], stored["failures"], stored["ops"]) == ("completed", 4, 0, "cuda")
    assert stored["together"].startswith("all seeds in one kernel")
    assert {"generator.mean", "generator.std", "jsd", "value", "losses.d_loss", "metrics.accuracy"} <= set(
        stored["table"]
    )
    assert [one["seed"] for one in stored["summaries"]] == [0, 1, 2, 3]
    printed = capsys.readouterr()
    assert "4 runs of gaussian, 0 failed" in printed.out
    assert "seed 3: completed" in printed.err


def test_settings_that_the_kernel_lacks_are_separate_runs(monkeypatch):
    calls = []
    monkeypatch.setattr(runs.seeds, "train_in_workers", lambda one, seeds, **_: calls.append(seeds))
    swept(overrides={**SMALL, "patience": 2})
    swept(overrides={**SMALL, "hidden": 32})
    swept(overrides={**SMALL, "hidden": 11}, dtype="float64")
    assert calls == [3, 3, 3]
    assert (
        ensembles.ensemble_obstacle(Config(hidden=32), "float32") == "hidden=32 in float32: the kernel takes at most 31"
    )


def test_a_gan_that_diverged_is_a_failure(monkeypatch):
    initial = Ensemble.__init__

    def spoilt(self, config, theta, **how):
        theta[1, 0] = np.nan
        initial(self, config, theta, **how)

    monkeypatch.setattr(Ensemble, "__init__", spoilt)
    found = swept()
    assert [one["seed"] for one in found.failures] == [1]
    assert found.failures[0]["status"] == "diverged"
    assert "seed 1: diverged: parameters or losses are not finite" in str(found)
    assert set(found.table()) >= {"jsd", "generator.mean"}
    json.dumps(found.as_dict(), allow_nan=False)


def test_an_interrupted_sweep_leaves_nothing(in_tmp, monkeypatch):
    def interrupted(self, iterations):
        raise KeyboardInterrupt

    monkeypatch.setattr(Ensemble, "train", interrupted)
    found = swept(folder=True, out="s")
    assert (found.status, found.summaries) == ("interrupted", [])
    assert list(in_tmp.iterdir()) == []


def test_a_learning_rate_for_each_gan():
    device = get_ops("cuda", device=NAME).device
    gans = ensembles.gaussian_ensemble(Config(**SMALL), [4, 4], device=device, lr=np.array([1e-3, 1e-2]))
    gans.train(3)
    start = ensembles.gaussian_ensemble(Config(**SMALL), [4, 4], device=device).theta
    moved = np.abs(gans.theta - start).max(axis=1)
    assert moved[1] > 5 * moved[0] > 0
