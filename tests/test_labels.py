"""Batches of several arrays: (x, labels) in a GAN, and tuples from the data."""

from functools import partial

import numpy as np
import pytest

import minigan as mg
from minigan.data import EpochBatches, RandomBatches, Transformed
from minigan.gan import discriminator_gradient, generator_gradient, split_batch
from minigan.gan.labels import example_gradient, network_input

RNG = np.random.default_rng(0)
X, Z = RNG.standard_normal((6, 2)), RNG.standard_normal((6, 3))
Y, FAKE_LABELS = np.eye(4)[[0, 1, 2, 3, 0, 1]], np.eye(4)[[3, 1, 0, 0, 2, 2]]
COMPLEX_STEP = 1e-30


def networks(dtype="float64", ops="reference", hidden=5):
    rng = np.random.default_rng(1)
    G = mg.Network([mg.Dense(3 + 4, hidden), mg.Tanh(), mg.Dense(hidden, 2)], rng=rng, dtype=dtype, ops=ops)
    D = mg.Network([mg.Dense(2 + 4, hidden), mg.Tanh(), mg.Dense(hidden, 1)], rng=rng, dtype=dtype, ops=ops)
    return G, D


def complex_step(net, cost):
    """Return a random direction v and the derivative of the cost along it."""
    v, twin = np.random.default_rng(2).standard_normal(net.theta.size), net.astype("complex128")
    twin.theta = twin.theta + 1j * COMPLEX_STEP * v
    return v, cost(twin).imag / COMPLEX_STEP


def test_the_generators_gradient_leaves_the_labels_out():
    (G, D), objective = networks(), mg.NonSaturating()
    g, outcome = generator_gradient(G, D, objective, (Z, Y))

    def cost(G):
        x = G(np.hstack([Z, Y]).astype(complex))
        return objective.generator(D.astype("complex128")(np.hstack([x, Y])))[0]

    assert outcome.loss == pytest.approx(cost(G.astype("complex128")).real, rel=1e-14)
    v, derivative = complex_step(G, cost)
    assert g @ v == pytest.approx(derivative, rel=1e-12)


@pytest.mark.parametrize("d_batching", [mg.separate, mg.combined])
@pytest.mark.parametrize("ops", ["reference", "cpu"])
def test_the_discriminator_sees_labels_of_real_and_of_fake(d_batching, ops):
    (G, D), objective = networks(ops=ops), mg.NonSaturating()
    fake = mg.train_fakes(G, (Z, FAKE_LABELS))
    np.testing.assert_array_equal(fake[1], FAKE_LABELS)
    g, _ = discriminator_gradient(D, objective, (X, Y), fake, d_batching=d_batching)

    def cost(D):
        real, made = (np.hstack(pair).astype(complex) for pair in ((X, Y), fake))
        return objective.discriminator(D(real), D(made))[0]

    D = networks()[1]  # on the reference, in the same state
    v, derivative = complex_step(D, cost)
    assert g @ v == pytest.approx(derivative, rel=1e-12)


SCHEDULES = [partial(mg.alternating, k=2), partial(mg.same_batch, d_updates=2, g_updates=2), split_batch]


@pytest.mark.parametrize(
    ("schedule", "fake_mode"),
    [*((schedule, mode) for schedule in SCHEDULES for mode in (mg.train_fakes, mg.eval_fakes)),
     (mg.simultaneous, mg.train_fakes)],
)  # fmt: skip
def test_schedules_accept_labels(schedule, fake_mode):
    G, D = networks()
    before = G.theta.copy(), D.theta.copy()
    gan = mg.GAN(
        G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(), rng=np.random.default_rng(0), fake_mode=fake_mode,
        draws={"real": lambda: (X, Y), "noise": lambda: (Z, FAKE_LABELS)}, schedule=schedule,
    )  # fmt: skip
    numbers = gan.metrics(gan.play())
    assert np.isfinite(list(numbers.values())).all()
    assert (G.theta != before[0]).any()
    assert (D.theta != before[1]).any()


def test_simultaneous_is_the_gradient_of_both_at_one_point():
    G, D = networks()
    start = G.theta.copy(), D.theta.copy()
    gan = mg.GAN(G, D, mg.SGD(G, lr=1.0), mg.SGD(D, lr=1.0), mg.NonSaturating())
    mg.simultaneous(gan, lambda: (X, Y), lambda: (Z, FAKE_LABELS))
    same_G, same_D = networks()
    g, _ = generator_gradient(same_G, same_D, mg.NonSaturating(), (Z, FAKE_LABELS))
    np.testing.assert_allclose(start[0] - G.theta, g, rtol=1e-9, atol=1e-14)
    fake = mg.train_fakes(same_G, (Z, FAKE_LABELS))
    g, _ = discriminator_gradient(same_D, mg.NonSaturating(), (X, Y), fake)
    np.testing.assert_allclose(start[1] - D.theta, g, rtol=1e-9, atol=1e-14)


def test_each_class_goes_to_its_place():
    """Two classes, at -2 and at 2: the label decides where G's samples lie."""
    rng, streams = np.random.default_rng(3), mg.training.random_streams(0)
    labels = rng.integers(0, 2, 2000)
    x = (4.0 * labels - 2 + 0.3 * rng.standard_normal(2000))[:, None].astype("float32")
    batches = RandomBatches((x, np.eye(2, dtype="float32")[labels]), 64, streams["data"])

    def noise():
        chosen = np.eye(2, dtype="float32")[streams["noise"].integers(0, 2, 64)]
        return streams["noise"].standard_normal((64, 1)).astype("float32"), chosen

    G = mg.Network([mg.Dense(1 + 2, 16), mg.LeakyReLU(0.2), mg.Dense(16, 1)], rng=streams["weights_G"])
    D = mg.Network([mg.Dense(1 + 2, 16), mg.LeakyReLU(0.2), mg.Dense(16, 1)], rng=streams["weights_D"])
    gan = mg.GAN(
        G, D, *(mg.Adam(net, lr=5e-3, beta1=0.5) for net in (G, D)), mg.NonSaturating(),
        draws={"real": batches, "noise": noise}, schedule=mg.alternating,
    )  # fmt: skip
    mg.training.train(mg.training.Experiment("classes", gan, gan.play, 1000, streams))
    z = rng.standard_normal((1000, 1)).astype("float32")
    for k, place in enumerate((-2, 2)):
        y = np.tile(np.eye(2, dtype="float32")[k], (1000, 1))
        assert mg.eval_fakes(G, (z, y))[0].mean() == pytest.approx(place, abs=1)  # they oscillate; places are 4 apart


def test_labels_of_images_are_the_same_at_every_pixel():
    net = mg.Network([mg.Conv2D(1 + 4, 2, 3)], rng=np.random.default_rng(0), dtype="float64", ops="reference")
    images, maps = RNG.standard_normal((6, 5, 4, 1)), RNG.standard_normal((6, 5, 4, 3))
    seen = network_input(net, (images, Y))
    np.testing.assert_array_equal(seen[..., :1], images)
    np.testing.assert_array_equal(seen[:, 3, 2, 1:], Y)
    np.testing.assert_array_equal(network_input(net, (images, maps, Y))[..., 1:4], maps)
    assert network_input(net, images) is images
    np.testing.assert_array_equal(example_gradient(net, seen, (images, Y)), images)


@pytest.mark.parametrize("labels", [np.arange(6), Y[:5], np.zeros((6, 5, 3, 2)), np.zeros(())])
def test_labels_that_do_not_fit(labels):
    net = networks()[0]
    x = np.zeros((6, 5, 4, 1)) if labels.ndim == 4 else X
    with pytest.raises(
        mg.ShapeError, match=r"x has shape \(6.*\) and its labels .*; expected \(N, K\), one row per ex"
    ):
        network_input(net, (x, labels))


class TestBatches:
    @pytest.mark.parametrize("kind", [RandomBatches, EpochBatches])
    def test_rows_stay_together(self, kind):
        x, labels = np.arange(20.0)[:, None], np.arange(20)
        draw, alone = (kind(data, 6, np.random.default_rng(4)) for data in ((x, labels), x))
        for _ in range(7):
            batch, which = draw()
            np.testing.assert_array_equal(batch[:, 0], which)
            np.testing.assert_array_equal(batch, alone())
            assert len(set(which)) == 6

    def test_a_restored_position_gives_the_same_labels(self):
        data = np.arange(20.0), np.arange(20)
        one, other = (EpochBatches(data, 6, np.random.default_rng(seed)) for seed in (4, 5))
        one()
        other.restore(one.state())
        np.testing.assert_array_equal(one()[1], other()[1])
        assert one.batches_per_epoch == 3
        with pytest.raises(ValueError, match="the order is of 20 examples; expected 9"):
            EpochBatches((data[0][:9], data[1][:9]), 6, np.random.default_rng(0)).restore(one.state())

    def test_every_array_of_a_tuple_is_prepared(self):
        draw = Transformed(lambda: (np.ones(3), np.arange(3)), lambda batch: (batch[0] / 2, batch[1]))
        x, labels = draw()
        np.testing.assert_array_equal(x, [0.5] * 3)
        np.testing.assert_array_equal(labels, [0, 1, 2])

    def test_arrays_of_several_lengths(self):
        with pytest.raises(ValueError, match=r"is a tuple of arrays with \[3, 4\] examples; expected arrays of equ"):
            RandomBatches((np.ones(3), np.ones(4)), 2, np.random.default_rng(0))
        with pytest.raises(ValueError, match=r"batch_size must be in 1 ... 3 \(the number of examples\), got 4"):
            EpochBatches((np.ones(3), np.ones(3)), 4, np.random.default_rng(0))


def test_pretraining_accepts_labels():
    G, D = networks()
    gan = mg.GAN(G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating(mean_over_all=True))
    fake = gan.fake((Z, FAKE_LABELS))
    costs = mg.pretrain(gan, (X, Y), fake, batch_size=4, epochs=3, rng=np.random.default_rng(0))
    joined = networks()[1]
    same = mg.GAN(G, joined, mg.Adam(G), mg.Adam(joined), mg.NonSaturating(mean_over_all=True))
    assert costs == mg.pretrain(
        same, np.hstack([X, Y]), np.hstack(fake), batch_size=4, epochs=3, rng=np.random.default_rng(0)
    )
