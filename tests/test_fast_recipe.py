"""`mnist-fast`: its learning rates, its lazy penalty, its settings, and samples from the average of G."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_resume import TINY, images  # noqa: F401  (a fixture)

import minigan as mg
from minigan._names import ConfigError
from minigan.recipes import RunOptions, get_recipe
from minigan.recipes.mnist_fast import learning_rate
from minigan.runs import load_generator, sample
from minigan.training import read_arrays, resume, train

RECIPE = get_recipe("mnist-fast")


def build(**settings):
    return RECIPE.build(RECIPE.configure(TINY["mnist-fast"] | settings), RunOptions(seed=3))


# --- learning rates -------------------------------------------------------------------------------


def test_the_rate_falls_linearly_to_zero():
    rate = learning_rate(RECIPE.configure({"iterations": 8, "decay_from": 0.5}), 2.0)
    assert [rate(t) for t in range(1, 11)] == [2, 2, 2, 2, 2, 1.5, 1, 0.5, 0, 0]


@given(st.integers(1, 300), st.floats(0, 1, exclude_max=True), st.floats(1e-6, 1))
def test_rates_of_any_run(iterations, decay_from, lr):
    """Constant, then falling by equal steps; every update of the run moves the parameters, and none after it."""
    rate = learning_rate(RECIPE.configure({"iterations": iterations, "decay_from": decay_from}), lr)
    found = np.array([rate(t) for t in range(1, iterations + 2)])
    assert found[0] <= lr
    assert found[-1] == 0
    assert (np.diff(found) <= 0).all()
    assert found[:-1].min() > 0
    assert (found[: int(decay_from * iterations)] == lr).all()
    falling = found[found < lr]
    np.testing.assert_allclose(np.diff(falling, 2), 0, atol=1e-12 * lr)


def test_the_rate_may_be_constant():
    rate = learning_rate(RECIPE.configure({"iterations": 3, "decay_from": 1}), 2.0)
    assert [rate(t) for t in range(1, 6)] == [2.0] * 5


def test_both_players_have_their_own_rate(images):  # noqa: F811
    experiment = build(lr_G=1e-3, lr_D=2e-3, iterations=4, decay_from=0.5)
    G, D = experiment.gan.optimizer_G, experiment.gan.optimizer_D
    assert [G.lr(t) for t in (1, 3, 4)] == [1e-3, 1e-3, 5e-4]
    assert [D.lr(t) for t in (1, 3, 4)] == [2e-3, 2e-3, 1e-3]


def test_more_iterations_than_planned_are_refused_if_the_rates_have_fallen_to_0(images, in_tmp):  # noqa: F811
    """A longer run is another setting, so that `minigan resume --iterations` does not continue this one."""
    train(build(), folder="run", checkpoint_every=2)
    before, planned = Path("run/summary.json").read_bytes(), TINY["mnist-fast"]["iterations"]
    with pytest.raises(
        ConfigError, match=rf"iterations={planned + 3}: the learning rates are 0 after iteration {planned}, .* new run"
    ):
        resume(build(), "run", iterations=planned + 3)
    assert Path("run/summary.json").read_bytes() == before  # nothing has changed


def test_more_iterations_are_trained_if_a_rate_does_not_fall(images, in_tmp):  # noqa: F811
    train(build(decay_from=1), folder="run", checkpoint_every=2)
    planned = TINY["mnist-fast"]["iterations"]
    assert resume(build(decay_from=1), "run", iterations=planned + 1)["iterations"] == planned + 1


# --- the game -------------------------------------------------------------------------------------


def test_the_penalty_is_part_of_every_nth_update_of_D(images):  # noqa: F811
    experiment = build(r1=2.0, penalty_every=3)
    found = []
    for _ in range(7):
        found.append(tuple(experiment.gan.due_penalties))
        experiment.play()
    assert found == [(mg.R1(6.0),) if t % 3 == 0 else () for t in range(7)]


def test_the_players_share_one_pass(images, monkeypatch):  # noqa: F811
    experiment, passes = build(r1=0.0), []
    for name, net in (("G", experiment.gan.G), ("D", experiment.gan.D)):

        def counted(x, *, forward=net.forward, name=name, **arguments):
            passes.append(name)
            return forward(x, **arguments)

        monkeypatch.setattr(net, "forward", counted)
    experiment.play()
    assert passes == ["G", "D", "D"]  # D on real images and on fakes


def test_objective_and_penalties_are_settings(images):  # noqa: F811
    gan = build(objective="relativistic", r1=0.5, r2=0.25, penalty_every=1).gan
    assert gan.objective == mg.RelativisticPairing()
    assert tuple(gan.penalties) == (mg.R1(0.5), mg.R2(0.25))
    assert build(objective="wasserstein", clip=0.01, r1=0.0).gan.optimizer_D.clip == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay_from": 1.5}, r"decay_from must be in \[0, 1\], got 1.5"),
        ({"channels_D": 0}, "channels_D must be >= 1, got 0"),
        ({"penalty_every": 0}, "penalty_every must be >= 1, got 0"),
        ({"r1": -1.0}, r"r1 must be in \[0, inf\), got -1.0"),
        ({"objective": "wasserstein"}, "objective=wasserstein needs clip > 0"),
        ({"ema": 1.0}, r"ema must be in \[0, 1\), got 1.0"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ConfigError, match=message):
        RECIPE.configure(settings)


# --- runs -----------------------------------------------------------------------------------------


def test_samples_come_from_the_average(images, in_tmp):  # noqa: F811
    train(build(), folder="run")
    average = load_generator("run")[0]
    stored = read_arrays("run/generator-ema.npz")
    assert all((value == stored[name]).all() for name, value in average.parameters().items())
    assert any((value != stored[name]).any() for name, value in read_arrays("run/generator.npz").items())
    x = sample(Path("run"), n=12, seed=0)
    assert x.shape == (12, 28, 28, 1)
    assert np.abs(x).max() <= 1


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_bits_for_any_number_of_threads(images, threads):  # noqa: F811
    found = []
    for n in (2, threads):
        config = RECIPE.configure({"batch_size": 32, "iterations": 4, "penalty_every": 2})
        experiment = RECIPE.build(config, RunOptions(seed=3, options={"threads": n}))
        train(experiment)
        found.append([experiment.gan.G.theta.tobytes(), experiment.gan.D.theta.tobytes()])
    assert found[0] == found[1]
