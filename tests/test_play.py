"""Update schedules: how often and when each player is updated, on which batches, and what is reported."""

import numpy as np
import pytest
from cases import OBJECTIVES, X_FAKE, X_REAL, Z, gan, mask, network, outputs_of, snapshot
from gradients import TENSOR_GATE
from spies import LoggedSGD, LoggedStream

import minigan as mg
from minigan.gan import StepResult, discriminator_gradient, generator_gradient


class Batches:
    """A draw that returns a new batch each time and keeps all batches."""

    def __init__(self, shape, seed, log=None, name=""):
        self.shape, self.rng, self.drawn = shape, np.random.default_rng(seed), []
        self.log, self.name = [] if log is None else log, name

    def __call__(self):
        self.drawn.append(self.rng.standard_normal(self.shape))
        self.log.append(self.name)
        return self.drawn[-1]


def logged(**kwargs):
    """A game, its draws, and the common log of draws, generated fakes and updates."""
    game, log = gan(**kwargs), []
    game.optimizer_G = LoggedSGD(game.G, name="update G", log=log)
    game.optimizer_D = LoggedSGD(game.D, name="update D", log=log)
    make = game.fake_mode

    def fake_mode(*args, **kwargs):
        log.append("fakes")
        return make(*args, **kwargs)

    game.fake_mode = fake_mode
    return game, Batches((6, 4), 1, log, "real"), Batches((6, 3), 2, log, "noise"), log


def updates(log):
    return [event for event in log if event.startswith("update")]


def test_alternating_updates_D_k_times_on_fresh_batches_then_G_once():
    for k in (1, 3):
        game, real, noise, log = logged()
        mg.alternating(game, real, noise, k=k)
        assert updates(log) == ["update D"] * k + ["update G"]
        assert (log.count("real"), log.count("noise"), log.count("fakes")) == (k, k + 1, k)
        assert log[-2:] == ["noise", "update G"]  # fresh noise, drawn after the last update of D


def test_alternating_is_algorithm_1():
    game, by_hand = gan(), gan()
    real, noise = Batches((6, 4), 1), Batches((6, 3), 2)
    seen_D, seen_G = mg.alternating(game, real, noise, k=3)
    for x, z in zip(real.drawn, noise.drawn, strict=False):
        last_D = by_hand.update_D(x, mg.train_fakes(by_hand.G, z, rng=by_hand.rng))
    last_G = by_hand.update_G(noise.drawn[3])
    assert snapshot(game.D) == snapshot(by_hand.D)
    assert snapshot(game.G) == snapshot(by_hand.G)
    assert (seen_D.loss, seen_G.loss) == (last_D.loss, last_G.loss)


def test_same_batch_makes_the_fakes_once():
    """Fakes generated between updates would differ (new dropout masks) and update G's statistics again."""
    game, real, noise, log = logged(fake_mode=mg.train_fakes)
    mg.same_batch(game, real, noise, d_updates=2, g_updates=3)
    assert updates(log) == ["update D"] * 2 + ["update G"] * 3
    assert sorted(log[:3]) == ["fakes", "noise", "real"]
    assert len(log) == 3 + 2 + 3


@pytest.mark.parametrize("fake_mode", [mg.train_fakes, mg.eval_fakes])
def test_same_batch_repeats_both_players_on_one_batch(fake_mode):
    game, by_hand = gan(fake_mode=fake_mode), gan(fake_mode=fake_mode)
    real, noise = Batches((6, 4), 1), Batches((6, 3), 2)
    seen_D, seen_G = mg.same_batch(game, real, noise, d_updates=2, g_updates=3)
    fake = by_hand.fake(noise.drawn[0])
    for _ in range(2):
        last_D = by_hand.update_D(real.drawn[0], fake)
    for _ in range(3):
        last_G = by_hand.update_G(noise.drawn[0])
    assert snapshot(game.D) == snapshot(by_hand.D)
    assert snapshot(game.G) == snapshot(by_hand.G)
    assert (seen_D.loss, seen_G.loss) == (last_D.loss, last_G.loss)


def test_simultaneous_draws_once_and_updates_each_player_once():
    game, real, noise, log = logged(rng=LoggedStream())
    game.fake_mode = mg.train_fakes  # the only mode that it accepts: the fakes of G's pass in training mode
    forwards = []
    for name, net in (("G", game.G), ("D", game.D)):

        def spy(x, name=name, forward=net.forward, **kwargs):
            forwards.append(name)
            return forward(x, **kwargs)

        net.forward = spy
    mg.simultaneous(game, real, noise)
    assert sorted(log[:2]) == ["noise", "real"]
    assert sorted(log[2:]) == ["update D", "update G"]
    assert forwards == ["G", "D", "D"]
    assert game.rng.log == [(1, 1)] * 3  # a key of G, of D on real and of D on fake
    assert len(set(game.rng.keys)) == 3


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_simultaneous_takes_both_gradients_at_the_same_point(objective):
    """Without dropout, the gradients equal those of the two separate functions before either update."""
    k = outputs_of(objective)
    G = network([mg.Dense(3, 5), mg.BatchNorm(5), mg.ReLU(), mg.Dense(5, 4)])
    D = network([mg.Dense(4, 5), mg.Tanh(), mg.Dense(5, k)], seed=1)
    game = mg.GAN(G, D, mg.SGD(G, lr=0.1), mg.SGD(D, lr=0.1), objective)
    x_fake = G.forward(Z, train=True, update_state=False)[0]
    g_D, saw_D = discriminator_gradient(D, objective, X_REAL, x_fake)
    g_G, saw_G = generator_gradient(G.astype("float64"), D, objective, Z, x_real=X_REAL)
    want_D, want_G = D.theta - 0.1 * g_D, G.theta - 0.1 * g_G
    seen_D, seen_G = mg.simultaneous(game, lambda: X_REAL, lambda: Z)
    np.testing.assert_allclose(D.theta, want_D, rtol=TENSOR_GATE)
    np.testing.assert_allclose(G.theta, want_G, rtol=TENSOR_GATE)
    assert (seen_D.loss, seen_G.loss) == (saw_D.loss, saw_G.loss)
    np.testing.assert_array_equal(seen_D.logits_real, saw_D.logits_real)
    np.testing.assert_array_equal(seen_D.logits_fake, seen_G.logits_fake)


def test_pretraining_takes_every_example_once_an_epoch_in_shuffled_batches():
    """By hand: one permutation per epoch, split into batches; the last batch of an epoch is smaller."""
    objective = mg.SoftmaxTwoClass(mean_over_all=True)
    kwargs = {"d_batching": mg.combined, "objective": objective}
    game, by_hand = gan(**kwargs), gan(**kwargs)
    x_real, x_fake = np.random.default_rng(0).standard_normal((2, 13, 4))
    x_fake, rng, twin = x_fake[:9], LoggedStream(5), np.random.Generator(np.random.PCG64(5))
    G_before, updated = snapshot(game.G), []
    game.optimizer_D.step = lambda g, step=game.optimizer_D.step: (updated.append("D"), step(g))
    values = mg.pretrain(game, x_real, x_fake, batch_size=8, epochs=2, rng=rng)
    want = []
    for _ in range(2):
        order = twin.permutation(22)
        for batch in (order[:8], order[8:16], order[16:]):
            real, fake = batch[batch < 13], batch[batch >= 13] - 13
            want.append(by_hand.update_D(x_real[real], x_fake[fake]).loss)
    assert values == want
    assert len(updated) == 6
    assert rng.log == [("permutation", 22)] * 2
    assert snapshot(game.D) == snapshot(by_hand.D)
    assert snapshot(game.G) == G_before


def test_pretraining_leaves_out_batches_of_one_kind():
    game = gan(mg.NonSaturating(mean_over_all=True), d_batching=mg.combined)
    one = np.ones((1, 4))
    values = mg.pretrain(game, one, np.zeros((40, 4)), batch_size=8, epochs=3, rng=mask())
    assert len(values) == game.optimizer_D.t == 3  # the only real example is in one batch per epoch


def test_pretraining_teaches_D():
    objective = mg.SoftmaxTwoClass(mean_over_all=True)
    game, rng = gan(objective, d_batching=mg.combined), np.random.default_rng(0)
    x_real, x_fake = rng.normal(1, 1, (200, 4)), rng.normal(-1, 1, (150, 4))
    values = mg.pretrain(game, x_real, x_fake, batch_size=32, epochs=5, rng=rng)
    assert len(values) == 5 * 11  # ceil(350 / 32)
    D_real, D_fake = (objective.probability(game.D(x)) for x in (x_real, x_fake))
    assert D_real.mean() > 0.8 > 0.2 > D_fake.mean()


def sigma(s):
    return 1 / (1 + np.exp(-s))


def reading_of(objective):
    """The key of PROBABILITIES: how an objective reads a logit."""
    return getattr(objective, "divergence", (type(objective), getattr(objective, "a", 0)))


PROBABILITIES = {
    (mg.LeastSquares, 0): lambda s: np.clip(s, 0, 1),
    (mg.LeastSquares, -1): lambda s: np.clip((s + 1) / 2.5, 0, 1),
    "kl": lambda s: sigma(s - 1),
    "pearson": lambda s: np.maximum(s / 2 + 1, 0) / (1 + np.maximum(s / 2 + 1, 0)),
    "neyman": lambda s: sigma(s / 2),
    "hellinger": lambda s: sigma(2 * s),
}
"""D(x) of objectives other than sigma(s)."""


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_the_reported_figures_are_those_of_real_and_fake(objective):
    """D accepts two of three real and one of two fake examples, so swapping real and fake changes every number."""
    logits = (np.array([2.0, 1.0, -1.0])[:, None], np.array([-3.0, 0.5])[:, None])
    if outputs_of(objective) == 2:
        logits = tuple(np.hstack([0 * s, s]) for s in logits)
    game = gan(objective)
    figures = game.metrics((StepResult(0.25, *logits), StepResult(0.75, None, logits[1] - 9)))
    D = [PROBABILITIES.get(reading_of(objective), sigma)(np.array(s)) for s in ((2, 1, -1), (-3, 0.5))]
    right = (D[0] > 0.5).sum() + (D[1] <= 0.5).sum()
    want = {"d_loss": 0.25, "g_loss": 0.75, "d_real": np.mean(D[0]), "d_fake": np.mean(D[1]), "accuracy": right / 5}
    assert figures == pytest.approx(want, rel=1e-14)
    all_right = game.metrics((StepResult(0.0, logits[0][:2], logits[1][:1]), StepResult(0.0, None, logits[1])))
    assert all_right["accuracy"] == pytest.approx(((D[0][:2] > 0.5).sum() + (D[1][:1] <= 0.5).sum()) / 3)
    if reading_of(objective) not in PROBABILITIES:
        assert (figures["accuracy"], all_right["accuracy"]) == (3 / 5, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mg.alternating(gan(), None, None, k=0), "k must be >= 1, got 0"),
        (lambda: mg.same_batch(gan(), None, None, d_updates=0), "d_updates must be >= 1, got 0"),
        (lambda: mg.same_batch(gan(), None, None, g_updates=0), "g_updates must be >= 1, got 0"),
        (lambda: mg.pretrain(gan(), X_REAL, X_FAKE, batch_size=0, rng=mask()), "batch_size must be >= 1, got 0"),
        (lambda: mg.pretrain(gan(), X_REAL, X_FAKE, batch_size=4, epochs=0, rng=mask()), "epochs must be >= 1, got 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
