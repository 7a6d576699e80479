"""A recipe names the module that trains many seeds together on a backend; `sweep` asks for nothing else."""

import sys
from dataclasses import replace
from types import ModuleType

import pytest

from minigan import recipes, runs

SMALL = {"iterations": 2, "batch_size": 10, "d_updates": 1, "g_updates": 1}


@pytest.fixture
def ensemble(monkeypatch):
    """Train the seeds of gaussian on the backend "cpu" together, by a module that only counts; returns the module."""
    module = ModuleType("own_ensemble")
    module.obstacle, module.calls = "", []

    def train_ensemble(config, seeds, *, device, dtype, on_seed_end):
        module.calls.append((config.iterations, seeds, device, dtype))
        for seed in range(seeds):
            on_seed_end({"seed": seed, "status": "completed", "jsd": 0.5})

    module.ensemble_obstacle = lambda config, dtype: module.obstacle
    module.train_ensemble = train_ensemble
    monkeypatch.setitem(sys.modules, "own_ensemble", module)
    recipe = replace(recipes.get_recipe("gaussian"), name="own", ensembles={"cpu": "own_ensemble"})
    monkeypatch.setitem(recipes.RECIPES, "own", recipe)
    monkeypatch.setattr("minigan.ops.cpu.CPU.device", "a device", raising=False)
    return module


def test_a_sweep_uses_the_ensemble_of_the_backend(ensemble):
    swept = runs.sweep("own", seeds=3, overrides=SMALL)
    assert ensemble.calls == [(2, 3, "a device", "float32")]
    assert swept.status == "completed"
    assert swept.table()["jsd"]["mean"] == 0.5
    assert swept.config["together"].startswith("all seeds in one kernel")


def test_other_backends_and_settings_are_separate_runs(ensemble, monkeypatch):
    calls = []
    monkeypatch.setattr(runs.seeds, "train_in_workers", lambda one, seeds, **_: calls.append(seeds))
    assert "together" not in runs.sweep("own", seeds=2, overrides=SMALL, ops="reference").config
    ensemble.obstacle = "no room"
    assert "together" not in runs.sweep("own", seeds=4, overrides=SMALL).config
    assert calls == [2, 4]
    assert ensemble.calls == []


def test_gaussian_has_one_on_cuda():
    """The others have none."""
    found = {name: dict(recipe.ensembles) for name, recipe in recipes.RECIPES.items() if recipe.ensembles}
    assert found == {"gaussian": {"cuda": "minigan.ensembles"}}
