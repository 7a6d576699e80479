"""Names of the previous version still work and warn with the new name."""

import importlib

import numpy as np
import pytest
from cases import X_FAKE, X_REAL, Z, gan

import minigan as mg

MODULES = [
    "minigan",
    "minigan.data",
    "minigan.ensembles",
    "minigan.game",
    "minigan.gan",
    "minigan.recipes",
    "minigan.training",
]
NAMES = [(name, old, new) for name in MODULES for old, new in importlib.import_module(name)._RENAMED.items()]


@pytest.mark.parametrize(("module", "old", "new"), NAMES, ids=[f"{module}.{old}" for module, old, _ in NAMES])
def test_names_of_modules(module, old, new):
    there = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=rf"^{module}\.{old} is now called {module}\.{new}$"):
        assert getattr(there, old) is getattr(there, new)
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'nothing'"):
        there.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("through", "d_batching", mg.combined),
        ("fakes", "fake_mode", mg.eval_fakes),
        ("judge", "frozen_d_mode", mg.eval_mode),
    ],
)
def test_arguments_of_a_gan(old, new, value):
    with pytest.warns(DeprecationWarning, match=f"the argument {old} is now called {new}"):
        assert getattr(gan(**{old: value}), new) is value
    with pytest.raises(TypeError, match=f"got {old} and {new}; expected {new} alone"):
        gan(**{old: value, new: value})


FIELDS = [
    (lambda **fields: mg.BatchNorm(3, **fields), "momentum_on", "convention", "old"),
    *[
        (kind, old, new, value)
        for kind in (mg.Minimax, mg.NonSaturating, mg.SoftmaxTwoClass)
        for old, new, value in (
            ("factor", "d_scale", 0.25),
            ("factor_G", "g_scale", 0.5),
            ("pooled", "mean_over_all", 1),
        )
    ],
    (gan, "judge", "frozen_d_mode", mg.eval_mode),
]


@pytest.mark.parametrize(
    ("make", "old", "new", "value"), FIELDS, ids=[f"{i} {old}" for i, (_, old, *_) in enumerate(FIELDS)]
)
def test_fields_of_layers_objectives_and_games(make, old, new, value):
    with pytest.warns(DeprecationWarning, match=rf"^\w+: the argument {old} is now called {new}$"):
        made = make(**{old: value})
    assert getattr(made, new) == value
    with pytest.warns(DeprecationWarning, match=rf"\.{old} is now called {new}$"):
        assert getattr(made, old) == value
    with pytest.raises(TypeError, match=f"got {old} and {new}; expected {new} alone"):
        make(**{old: value, new: value})


def test_an_old_attribute_can_be_set():
    game = gan()
    with pytest.warns(DeprecationWarning, match="GAN.judge is now called frozen_d_mode"):
        game.judge = mg.eval_mode
    assert game.frozen_d_mode is mg.eval_mode


def test_arguments_of_steps():
    game = gan()
    with pytest.warns(DeprecationWarning, match="discriminator_step: the argument through is now called d_batching"):
        mg.discriminator_step(
            game.D, game.optimizer_D, game.objective, X_REAL, X_FAKE, rng=game.rng, through=mg.separate
        )
    with pytest.warns(DeprecationWarning, match="generator_step: the argument judge is now called frozen_d_mode"):
        mg.generator_step(game.G, game.D, game.optimizer_G, game.objective, Z, rng=game.rng, judge=mg.train_mode)


def test_results_and_methods():
    game = gan()
    step = game.update_D(X_REAL, X_FAKE)
    for old, new in (("value", "loss"), ("s_real", "logits_real"), ("s_fake", "logits_fake")):
        with pytest.warns(DeprecationWarning, match=f"StepResult.{old} is now called {new}"):
            assert getattr(step, old) is getattr(step, new)
    with pytest.raises(AttributeError, match="StepResult has no attribute 'cost'"):
        step.cost  # noqa: B018
    net = mg.Network([mg.Dense(2, 1)], rng=np.random.default_rng(0))
    with pytest.warns(DeprecationWarning, match="Network.describe is now called to_config"):
        assert net.describe() == net.to_config()
    version = net.version
    with pytest.warns(DeprecationWarning, match="Network.touch is now called mark_modified"):
        net.touch()
    assert net.version > version
