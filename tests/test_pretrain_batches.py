"""Pretraining of a D with batch norm skips batches that are too small; if all are, it fails immediately."""

import numpy as np
import pytest

import minigan as mg

DATA = np.random.default_rng(1)
X, FAKE = DATA.standard_normal((49, 3)).astype("f4"), DATA.standard_normal((49, 3)).astype("f4")


def game(*layers, d_batching=mg.separate, rng=None):
    rng_ = np.random.default_rng(0)
    G = mg.Network([mg.Dense(2, 3)], rng=rng_)
    D = mg.Network([mg.Dense(3, 4), *layers, mg.ReLU(), mg.Dense(4, 1)], rng=rng_)
    objective = mg.NonSaturating(mean_over_all=True)
    return mg.GAN(G, D, mg.Adam(G), mg.Adam(D), objective, rng=rng, d_batching=d_batching)


def seen_sizes(gan):
    """Record the numbers of real and fake examples in every update."""
    sizes, d_batching = [], gan.d_batching

    def counted(D, x_real, x_fake, *, rng=None):
        sizes.append((len(x_real), len(x_fake)))
        return d_batching(D, x_real, x_fake, rng=rng)

    gan.d_batching = counted
    return sizes


def unbiased():
    return mg.BatchNorm(4)


@pytest.mark.parametrize("layers", [(unbiased(),), (mg.Residual([mg.Chain([mg.Dense(4, 4), unbiased()])]),)])
def test_every_seed_is_trained(layers):
    left_out = 0
    for seed in range(50):
        gan = game(*layers)
        sizes = seen_sizes(gan)
        costs = mg.pretrain(gan, X, FAKE, batch_size=32, rng=np.random.default_rng(seed))
        assert len(costs) == len(sizes)
        assert min(map(min, sizes)) >= 2
        assert sizes[:3] == [s for s in sizes if sum(s) == 32]
        left_out += len(sizes) == 3
    assert left_out > 10  # in the last batches, which have two examples


@pytest.mark.parametrize("kwargs", [{"d_batching": mg.combined}, {}], ids=["one batch of both kinds", "no batch norm"])
def test_one_example_of_a_kind_is_enough_where_no_statistic_is_taken_of_it(kwargs):
    gan = game(*([unbiased()] if kwargs else []), **kwargs)
    sizes = []
    update = gan.update_D
    gan.update_D = lambda a, b: sizes.append((len(a), len(b))) or update(a, b)
    for seed in range(50):
        mg.pretrain(gan, X, FAKE, batch_size=32, rng=np.random.default_rng(seed))
    assert (1, 1) in sizes


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"x_real": X[:1]}, ValueError, "x_real has 1 examples and x_fake 49; expected 2 or more of each"),
        ({"batch_size": 3}, ValueError, "batch_size must be >= 4, got 3"),
        ({"x_fake": FAKE[:, :2]}, mg.ShapeError, r"\(N, 3\)"),
        ({"x_real": X[:, :2]}, mg.ShapeError, r"\(N, 3\)"),
        ({"x_real": X.astype(complex)}, TypeError, "complex"),
        ({"rng": None}, TypeError, "rng must be a numpy.random.Generator"),
        ({"rng": 7}, TypeError, "rng must be a numpy.random.Generator"),
    ],
)
def test_what_is_refused_moves_nothing(change, kind, message):
    gan, rng = game(unbiased()), np.random.default_rng(0)
    theta, state, stream = gan.D.theta.copy(), gan.D.state_vector.copy(), rng.bit_generator.state
    with pytest.raises(kind, match=message):
        mg.pretrain(gan, **{"x_real": X, "x_fake": FAKE, "batch_size": 32, "rng": rng, **change})
    assert rng.bit_generator.state == stream
    np.testing.assert_array_equal(gan.D.theta, theta)
    np.testing.assert_array_equal(gan.D.state_vector, state)


def test_a_stream_that_dropout_lacks_is_refused_before_the_shuffle():
    gan, rng = game(mg.Dropout(0.5)), np.random.default_rng(0)
    stream = rng.bit_generator.state
    with pytest.raises(ValueError, match="rng"):
        mg.pretrain(gan, X, FAKE, batch_size=32, rng=rng)
    assert rng.bit_generator.state == stream
