"""Lazy gradient penalties: every n-th update of D has them, with n times their weight, in all schedules and resumed."""

import numpy as np
import pytest
from cases import network
from test_penalised_gan import PENALTIES, draws, gan

import minigan as mg
from minigan._names import ConfigError
from minigan.ensembles import ensemble_obstacle
from minigan.gan import discriminator_gradient
from minigan.gan.penalties import lazy
from minigan.recipes import RunOptions, get_recipe
from minigan.recipes.objectives import penalties_of, penalty_obstacle

SCHEDULES = {
    "alternating": lambda one, *drawn: mg.alternating(one, *drawn, k=3),
    "same_batch": lambda one, *drawn: mg.same_batch(one, *drawn, d_updates=3, g_updates=2),
    "simultaneous": mg.simultaneous,
}


def spy_on(one, monkeypatch):
    """Return a list to which each update of D adds the number of steps before it and the weights of its penalties."""
    seen, step = [], one.optimizer_D.step
    weights = []
    for kind in {type(penalty) for penalty in one.penalties}:
        add = kind.add_gradient

        def adding(self, *args, _add=add, **options):
            weights.append(self.weight)
            return _add(self, *args, **options)

        monkeypatch.setattr(kind, "add_gradient", adding)

    def stepping(g):
        seen.append((one.optimizer_D.t, tuple(weights)))
        weights.clear()
        step(g)

    monkeypatch.setattr(one.optimizer_D, "step", stepping, raising=False)
    return seen


@pytest.mark.parametrize("every", [1, 2, 4])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_nth_update_of_D_has_the_penalties(schedule, every, monkeypatch):
    one = gan(penalty_every=every)
    seen = spy_on(one, monkeypatch)
    for _ in range(9):
        SCHEDULES[schedule](one, *draws())
    every_weight = tuple(every * penalty.weight for penalty in PENALTIES)
    assert seen == [(t, () if t % every else every_weight) for t in range(len(seen))]
    assert len(seen) == (9 if schedule == "simultaneous" else 27)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_one_is_the_default_and_changes_nothing(schedule):
    plain, lazily = gan(), gan(penalty_every=1)
    assert plain.penalty_every == 1
    assert lazily.due_penalties is lazily.penalties
    for one in (plain, lazily):
        real, noise = draws()
        for _ in range(3):
            SCHEDULES[schedule](one, real, noise)
    np.testing.assert_array_equal(plain.D.theta, lazily.D.theta)
    np.testing.assert_array_equal(plain.G.theta, lazily.G.theta)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_the_sum_over_n_updates_is_that_of_n_penalties(penalty):
    """With a learning rate of 0, n updates at one D add the gradient of n penalties."""
    every, sums = 4, []
    for n in (1, every):
        one = gan((penalty,), penalty_every=n)
        one.optimizer_D = mg.SGD(one.D, lr=0.0)
        total, cost = one.D.zeros_like_theta(), 0.0
        x, x_fake = draws()[0](), np.random.default_rng(8).standard_normal((6, 4))
        for _ in range(every):
            one.rng = np.random.default_rng(5)  # the same masks and points in each update
            g, result = discriminator_gradient(
                one.D, one.objective, x, x_fake, rng=one.rng, penalties=one.due_penalties
            )
            one.optimizer_D.step(g)
            total, cost = total + g, cost + result.loss
        sums.append((total, cost))
    np.testing.assert_allclose(sums[1][0], sums[0][0], rtol=0, atol=1e-13 * np.abs(sums[0][0]).max())
    np.testing.assert_allclose(sums[1][1], sums[0][1], rtol=1e-13)


def test_a_resumed_game_continues_the_count():
    """The count is the optimizer's, which checkpoints hold."""
    whole, part = gan(penalty_every=4), gan(penalty_every=4)
    real, noise = draws()
    for _ in range(5):
        mg.alternating(whole, real, noise)
    real, noise = draws()
    for _ in range(2):
        mg.alternating(part, real, noise)
    resumed = gan(penalty_every=4, seed=7)
    resumed.rng = part.rng
    for old, new in ((part.G, resumed.G), (part.D, resumed.D)):
        new.theta = old.theta.copy()
    for old, new in ((part.optimizer_G, resumed.optimizer_G), (part.optimizer_D, resumed.optimizer_D)):
        new.t = old.t
        for name, vector in old.state.items():
            new.state[name][...] = vector
    for _ in range(3):
        mg.alternating(resumed, real, noise)
    np.testing.assert_array_equal(resumed.D.theta, whole.D.theta)
    np.testing.assert_array_equal(resumed.G.theta, whole.G.theta)


def test_packs_and_labels():
    """Lazy penalties are those of packs, and of examples with their labels."""
    one = gan((mg.R1(2.0),), pack=2, penalty_every=2)
    losses = [mg.alternating(one, *draws())[0].loss for _ in range(3)]
    plain = gan((), pack=2)
    assert losses[0] > mg.alternating(plain, *draws())[0].loss
    assert losses[1] < losses[0]
    assert losses[1] < losses[2]

    G = network([mg.ConcatEmbedding(3, 2), mg.Dense(5, 4)])
    D = network([mg.Dense(4, 6), mg.Tanh(), mg.Projection(6, 3)])
    stream = np.random.default_rng(0)
    labelled = mg.GAN(
        G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(), penalties=(mg.R1(9.0), mg.R2(9.0)), penalty_every=2
    )
    real, noise = (lambda n=n: (stream.standard_normal((6, n)), stream.integers(3, size=6)) for n in (4, 3))
    losses = [float(mg.alternating(labelled, real, noise)[0].loss) for _ in range(4)]
    assert min(losses[::2]) > max(losses[1::2])


def test_pairs_with_other_labels_are_refused():
    """A WassersteinPenalty pairs real examples and fakes, whose labels a conditional G draws independently."""
    G = network([mg.ConcatEmbedding(3, 2), mg.Dense(5, 4)])
    D = network([mg.Dense(4, 6), mg.Tanh(), mg.Projection(6, 3)])
    one = mg.GAN(
        G,
        D,
        mg.Adam(G),
        mg.Adam(D),
        mg.Wasserstein(),
        rng=np.random.default_rng(0),
        penalties=(mg.WassersteinPenalty(),),
    )
    stream = np.random.default_rng(0)
    real, noise = (lambda n=n: (stream.standard_normal((6, n)), stream.integers(3, size=6)) for n in (4, 3))
    with pytest.raises(ValueError, match="different labels"):
        mg.alternating(one, real, noise)


def test_what_does_not_fit_is_refused_when_the_game_is_made():
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match=r"penalty_every must be an int >= 1, got"):
            gan(penalty_every=wrong)
    for layer, place in ((mg.BatchNorm(6), 1), (mg.MinibatchStdDev(), 1), (mg.Residual([mg.BatchNorm(6)]), "1.body.0")):
        width = 7 if isinstance(layer, mg.MinibatchStdDev) else 6
        G, D = network(mg.Dense(3, 4)), network([mg.Dense(4, 6), layer, mg.Dense(width, 1)])
        with pytest.raises(ValueError, match=rf"D's layer {place} is [BM]\w+\(.*expected another normal"):
            mg.GAN(G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(), penalties=(mg.R1(1.0),))
        mg.GAN(G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(), penalty_every=8)  # nothing to penalise


def test_penalties_are_any_iterable_of_penalties():
    one = gan(penalties=(kind(1.0) for kind in (mg.R1, mg.R2)), penalty_every=1)
    assert one.penalties == (mg.R1(1.0), mg.R2(1.0))
    for wrong, given in ((mg.R1(1.0), r"R1\(weight=1.0\)"), (None, "None"), ("R1", "'R1'"), (mg.R1, "<class .*R1'>")):
        with pytest.raises(TypeError, match=rf"penalties is {given}; expected a sequence .*, such as \(minigan.R1"):
            gan(penalties=wrong, penalty_every=1)


def test_the_number_of_updates_that_share_a_penalty_is_checked():
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="every must be an int >= 1, got"):
            lazy((mg.R1(1.0),), wrong, 0)


def test_the_layer_that_mixes_examples_is_named_where_it_is():
    body = [mg.Dense(6, 6), mg.Residual([mg.LayerNorm(6), mg.BatchNorm(6)])]
    G, D = network(mg.Dense(3, 4)), network([mg.Dense(4, 6), mg.Residual(body), mg.Dense(6, 1)])
    with pytest.raises(ValueError, match=r"D's layer 1\.body\.1\.body\.1 is BatchNorm\(channels=6"):
        mg.GAN(G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(), penalties=(mg.R1(1.0),))
    assert penalty_obstacle(D.layers).startswith("D has BatchNorm, so that")


def test_a_penalty_with_more_fields_keeps_them():
    assert lazy(PENALTIES, 1, 5) is PENALTIES
    assert lazy(PENALTIES, 8, 5) == ()
    assert [penalty.weight for penalty in lazy(PENALTIES, 8, 16)] == [16.0, 24.0, 80.0]
    assert lazy((), 8, 16) == ()


# --- recipes --------------------------------------------------------------------------------------

WITH_PENALTIES = ("gaussian", "mnist-maxout", "mnist-conditional")
SMALL = {
    "gaussian": {"batch_size": 8, "d_updates": 3, "g_updates": 1},
    "mnist-maxout": {"batch_size": 4, "data": "digits"},
    "mnist-conditional": {"batch_size": 4, "data": "digits", "channels": 2, "features": 4},
}


def small(name, settings):
    recipe = get_recipe(name)
    return recipe.build(recipe.configure({**SMALL[name], **settings}), RunOptions())


@pytest.mark.parametrize("name", WITH_PENALTIES)
def test_the_settings_of_a_recipe_are_those_of_its_game(name):
    game = small(name, {"r1": 2, "r2": "0.5", "penalty_every": 8}).game
    assert game.penalties == (mg.R1(2.0), mg.R2(0.5))
    assert game.penalty_every == 8
    assert small(name, {}).game.penalties == ()
    assert penalties_of(get_recipe(name).configure({"r2": 3.0})) == (mg.R2(3.0),)


@pytest.mark.parametrize("name", WITH_PENALTIES)
def test_a_recipe_with_penalties_trains(name, monkeypatch):
    penalised, plain = small(name, {"r1": 5.0, "penalty_every": 2}), small(name, {})
    for _ in range(2):
        penalised.play(), plain.play()
    assert not np.array_equal(penalised.game.D.theta, plain.game.D.theta)
    assert np.isfinite(penalised.game.D.theta).all()


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gaussian", {"r1": -1.0}, r"r1 must be in \[0, inf\), got -1.0"),
        ("mnist-maxout", {"r2": -1.0}, r"r2 must be in \[0, inf\), got -1.0"),
        ("mnist-conditional", {"penalty_every": 0}, "penalty_every must be >= 1, got 0"),
        ("mnist-dense", {"r1": 1.0}, "r1: mnist-dense has no gradient penalties, because D has BatchNorm, so that the"),
        (
            "mnist-dcgan",
            {"penalty_every": 8},
            "penalty_every: mnist-dcgan has no gradient penalties, because D has Batch",
        ),
        ("dcgan64", {"r2": 1.0}, "r2: dcgan64 has no gradient penalties, because D has BatchNorm"),
        ("mnist-softmax", {"r1": 1.0}, "r1: mnist-softmax has no gradient penalties, because D has 2 outputs"),
        ("cyclegan-toy", {"r1": 1.0}, "unknown setting of cyclegan-toy 'r1'"),
    ],
)
def test_settings_of_recipes_are_checked_before_training(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        get_recipe(name).configure(settings)


def test_no_kernel_trains_many_seeds_with_penalties():
    assert ensemble_obstacle(get_recipe("gaussian").configure({"r1": 0.5}), "float32").startswith("r1=0.5, r2=0: the")
