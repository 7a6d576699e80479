"""Old names of the arguments and attributes of runs, recipes, experiments and sweeps still work and warn."""

from dataclasses import fields

import pytest

from minigan._names import ConfigError
from minigan.ensembles import train_ensemble
from minigan.recipes import Recipe, RunOptions, get_recipe
from minigan.runs import sweep, train_recipe
from minigan.training import Callback, Experiment, train

SMALL = {"iterations": 1, "batch_size": 10, "d_updates": 1, "g_updates": 1}


def test_settings_are_overrides():
    recipe = get_recipe("gaussian")
    with pytest.warns(DeprecationWarning, match="configure: the argument settings is now called overrides"):
        assert recipe.configure(settings=SMALL) == recipe.configure(overrides=SMALL)
    with pytest.warns(DeprecationWarning, match="train_recipe: the argument settings is now called overrides"):
        assert train_recipe("gaussian", settings=SMALL, folder=False)["iterations"] == 1
    with pytest.raises(TypeError, match="got settings and overrides; expected overrides alone"):
        recipe.configure(settings=SMALL, overrides=SMALL)


def test_a_setting_is_run_options():
    recipe = get_recipe("gaussian")
    with pytest.warns(DeprecationWarning, match="build: the argument setting is now called run_options"):
        assert recipe.build(recipe.configure(SMALL), setting=RunOptions(seed=3)).config["seed"] == 3


def test_the_recipe_of_an_experiment_is_its_name():
    experiment = get_recipe("gaussian").build()
    with pytest.warns(DeprecationWarning, match="Experiment.recipe is now called name"):
        assert experiment.recipe == experiment.name == "gaussian"
    with pytest.warns(DeprecationWarning, match="Experiment: the argument recipe is now called name"):
        assert Experiment(recipe="own", **{k: v for k, v in vars(experiment).items() if k != "name"}).name == "own"


def test_a_callback_may_read_and_set_the_old_attributes_of_a_run():
    class Old(Callback):
        def on_iteration(self, run):
            with pytest.warns(DeprecationWarning, match="Run.hooks is now called callbacks"):
                assert self in run.hooks
            with pytest.warns(DeprecationWarning, match="Run.is_last is now called is_last_iteration"):
                assert run.is_last is (run.iteration == 3)
            with pytest.warns(DeprecationWarning, match="Run.not_resumable is now called resume_advice"):
                assert run.not_resumable == run.resume_advice
            with pytest.warns(DeprecationWarning, match="Run.stop is now called stop_reason"):
                assert run.stop is None
            if run.iteration == 2:
                with pytest.warns(DeprecationWarning, match="Run.stop is now called stop_reason"):
                    run.stop = "enough"

    recipe = get_recipe("gaussian")
    summary = train(recipe.build(recipe.configure({**SMALL, "iterations": 3})), callbacks=[Old()])
    assert (summary["status"], summary["reason"], summary["iterations"]) == ("stopped early", "enough", 2)
    assert summary["recipe"] == "gaussian"


def test_the_moments_of_a_recipe_are_optimizer_vectors():
    with pytest.warns(DeprecationWarning, match="Recipe.moments is now called optimizer_vectors"):
        assert get_recipe("mnist-maxout").moments == 1
    recipe = get_recipe("gaussian")
    known = {f.name: getattr(recipe, f.name) for f in fields(recipe) if f.name != "optimizer_vectors"}
    with pytest.warns(DeprecationWarning, match="Recipe: the argument moments is now called optimizer_vectors"):
        assert Recipe(**known, moments=3).optimizer_vectors == 3


def test_before_is_pretraining():
    known = vars(get_recipe("gaussian").build())
    fields = {name: known[name] for name in ("name", "game", "play", "iterations", "streams")}
    with pytest.warns(DeprecationWarning, match="the argument before is now called pretraining"):
        assert Experiment(**fields, before=lambda: {"a": 1}).pretraining() == {"a": 1}
    assert Experiment(**fields).pretraining() == {}


def test_done_and_finished_are_on_seed_end():
    with (
        pytest.warns(DeprecationWarning, match="sweep: the argument done is now called on_seed_end"),
        pytest.raises(ConfigError, match="seeds must be an int >= 1, got 0"),
    ):
        sweep("gaussian", seeds=0, done=print)
    with (
        pytest.warns(DeprecationWarning, match="train_ensemble: the argument finished is now called on_seed_end"),
        pytest.raises(ValueError, match="seeds must be an int >= 1, got 0"),
    ):
        train_ensemble(get_recipe("gaussian").Config(), 0, device=None, dtype="float32", finished=print)
