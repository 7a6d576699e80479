"""Objectives on logits: definitions, stability, gradients, conventions."""

import math

import numpy as np
import pytest
import scipy.special
from cases import CROSS_ENTROPIES, EXPONENTIAL, OBJECTIVES, fitting, outputs_of
from gradients import assert_tensor, complex_step
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.losses import accuracy, generator_cost, softmax_cross_entropy

IDS = [repr(o) for o in OBJECTIVES]


def logits(rng, objective, n, scale=2.0):
    return scale * rng.standard_normal((n, outputs_of(objective)))


@pytest.mark.parametrize("objective", OBJECTIVES, ids=IDS)
@given(n=st.integers(1, 6), m=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_cotangents_by_complex_step(objective, n, m, seed):
    rng = np.random.default_rng(seed)
    real, fake = fitting(objective, logits(rng, objective, n), logits(rng, objective, m))
    _, ds_real, ds_fake = objective.discriminator(real, fake)
    scale = max(np.abs(ds_real).max(), np.abs(ds_fake).max())
    assert_tensor(ds_real, complex_step(lambda s: objective.discriminator(s, fake.astype(complex))[0], real), scale)
    assert_tensor(ds_fake, complex_step(lambda s: objective.discriminator(real.astype(complex), s)[0], fake), scale)
    ds = generator_cost(objective, fake, real)[1]
    assert_tensor(ds, complex_step(lambda s: generator_cost(objective, s, real.astype(complex))[0], fake))


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_values_are_the_papers(n, m, seed):
    rng = np.random.default_rng(seed)
    s_real, s_fake = rng.standard_normal((n, 1)), rng.standard_normal((m, 1))
    D_real, D_fake = scipy.special.expit(s_real), scipy.special.expit(s_fake)
    V = np.log(D_real).mean() + np.log(1 - D_fake).mean()
    for objective in (mg.Minimax(), mg.NonSaturating()):
        assert objective.discriminator(s_real, s_fake)[0] == pytest.approx(-V, rel=1e-12)
        np.testing.assert_allclose(objective.probability(s_real), D_real[:, 0])
    assert mg.Minimax().generator(s_fake)[0] == pytest.approx(np.log(1 - D_fake).mean(), rel=1e-12)
    assert mg.NonSaturating().generator(s_fake)[0] == pytest.approx(-np.log(D_fake).mean(), rel=1e-12)


def test_factor_and_pooled_are_the_documents_conventions():
    """Factor 1/2 gives the mean over a labelled batch; `pooled` gives it for unequal numbers of real and fake."""
    rng = np.random.default_rng(0)
    s_real, s_fake = rng.standard_normal(3), rng.standard_normal(5)
    cross_entropy = np.concatenate([np.logaddexp(0, -s_real), np.logaddexp(0, s_fake)])
    got, ds_real, ds_fake = mg.NonSaturating(d_scale=0.5, mean_over_all=True).discriminator(s_real, s_fake)
    assert got == pytest.approx(cross_entropy.mean(), rel=1e-14)
    np.testing.assert_allclose(ds_real, (scipy.special.expit(s_real) - 1) / 8)
    np.testing.assert_allclose(ds_fake, scipy.special.expit(s_fake) / 8)
    for mean_over_all in (False, True):
        half = mg.Minimax(d_scale=0.5, mean_over_all=mean_over_all).discriminator(s_real, s_fake[:3])[0]
        assert mg.Minimax().discriminator(s_real, s_fake[:3])[0] == pytest.approx(2 * half, rel=1e-14)


@pytest.mark.parametrize("kind", [mg.Minimax, mg.NonSaturating, mg.SoftmaxTwoClass])
def test_factor_G_multiplies_the_generators_cost_alone(kind):
    whole, half = kind(), kind(g_scale=0.5)
    rng = np.random.default_rng(0)
    real, fake = logits(rng, whole, 4), logits(rng, whole, 3)
    for got, want in zip(half.discriminator(real, fake), whole.discriminator(real, fake), strict=True):
        np.testing.assert_array_equal(got, want)
    (value, ds), (value_whole, ds_whole) = half.generator(fake), whole.generator(fake)
    assert value == value_whole / 2
    np.testing.assert_array_equal(ds, ds_whole / 2)
    assert_tensor(ds, complex_step(lambda s: half.generator(s)[0], fake))


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_softmax_two_class_is_scipys_log_softmax(n, seed):
    rng = np.random.default_rng(seed)
    real, fake = rng.standard_normal((n, 2)), rng.standard_normal((n, 2))
    log_real, log_fake = (scipy.special.log_softmax(s, axis=1) for s in (real, fake))
    want = -(log_real[:, 1].mean() + log_fake[:, 0].mean()) / 2
    assert mg.SoftmaxTwoClass().discriminator(real, fake)[0] == pytest.approx(want, rel=1e-12)
    assert mg.SoftmaxTwoClass().generator(fake)[0] == pytest.approx(-log_fake[:, 1].mean(), rel=1e-12)
    np.testing.assert_allclose(mg.SoftmaxTwoClass().probability(real), np.exp(log_real[:, 1]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("objective", [o for o in OBJECTIVES if o not in EXPONENTIAL], ids=repr)
def test_stable_for_huge_logits(objective, dtype):
    k = outputs_of(objective)
    for sign_real in (-1, 1):
        for sign_fake in (-1, 1):
            big = np.array([[-1e4, 1e4]] if k == 2 else [[1e4]], dtype=dtype)
            value, ds_real, ds_fake = objective.discriminator(sign_real * big, sign_fake * big)
            generated, ds = generator_cost(objective, sign_fake * big, sign_real * big)
            for result in (value, ds_real, ds_fake, generated, ds):
                assert np.isfinite(result).all()
                assert result.dtype == np.dtype(dtype)
    gap = 2e4 if k == 2 else 1e4
    if objective in CROSS_ENTROPIES:
        wrong = objective.discriminator(-big, big)[0]
        assert wrong == pytest.approx(2 * objective.d_scale * gap, rel=1e-6)


def test_saturation():
    """If D rejects the fakes with certainty, the saturating gradient vanishes like D, and the other one is -1 / M."""
    s = np.array([-30.0])
    assert mg.Minimax().generator(s)[1][0] == pytest.approx(-math.exp(-30), rel=1e-12)
    assert mg.NonSaturating().generator(s)[1][0] == pytest.approx(-1, rel=1e-12)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_softmax_cross_entropy(n, k, seed):
    """Value against scipy, gradient against the complex step; one class has cost 0; each row of ds sums to 0."""
    rng = np.random.default_rng(seed)
    s, labels = 2 * rng.standard_normal((n, k)), rng.integers(0, k, n)
    value, ds = softmax_cross_entropy(s, labels)
    want = -scipy.special.log_softmax(s, axis=1)[np.arange(n), labels].mean()
    assert value == pytest.approx(want, rel=1e-13, abs=1e-15)
    assert_tensor(ds, complex_step(lambda s: softmax_cross_entropy(s, labels)[0], s), scale=1 / n)
    np.testing.assert_allclose(ds.sum(axis=1), 0, atol=1e-15)
    assert softmax_cross_entropy(s + 1000, labels)[0] == pytest.approx(value, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_cross_entropy_is_stable_and_keeps_the_dtype(dtype):
    s, labels = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0]], dtype=dtype), np.array([1, 1], dtype=np.uint8)
    before = s.copy()
    value, ds = softmax_cross_entropy(s, labels)
    assert value.dtype == ds.dtype == np.dtype(dtype)
    assert value == 1e4  # (2e4 + 0) / 2
    np.testing.assert_array_equal(ds, [[0.5, -0.5, 0], [0, 0, 0]])
    np.testing.assert_array_equal(s, before)


def test_softmax_cross_entropy_of_two_classes_is_the_objectives():
    s = np.random.default_rng(0).standard_normal((7, 2))
    want = mg.SoftmaxTwoClass(d_scale=1.0).one_side(s, real=True)
    got = softmax_cross_entropy(s, np.ones(7, dtype=int))
    assert got[0] == pytest.approx(want[0], rel=1e-14)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-13)


def test_accuracy():
    assert accuracy(np.array([0.9, 0.4]), np.array([0.1, 0.5, 0.6])) == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mg.Minimax(d_scale=0), ValueError, "d_scale must be > 0, got 0"),
        (lambda: mg.SoftmaxTwoClass(d_scale=-1), ValueError, "d_scale must be > 0, got -1"),
        (lambda: mg.NonSaturating(g_scale=0.0), ValueError, "g_scale must be > 0, got 0.0"),
        (lambda: mg.SoftmaxTwoClass(g_scale=-0.5), ValueError, "g_scale must be > 0, got -0.5"),
        (
            lambda: mg.Minimax().generator(np.zeros((3, 2))),
            mg.ShapeError,
            r"logits have shape \(3, 2\); expected \(N,\) or",
        ),
        (lambda: mg.NonSaturating().generator(np.zeros(0)), mg.ShapeError, "with N >= 1"),
        (lambda: mg.SoftmaxTwoClass().generator(np.zeros((3, 1))), mg.ShapeError, r"expected \(N, 2\)"),
        (lambda: softmax_cross_entropy(np.zeros(3), np.zeros(3, int)), mg.ShapeError, r"expected \(N, K\)"),
        (
            lambda: softmax_cross_entropy(np.zeros((3, 2)), np.zeros(2, int)),
            mg.ShapeError,
            r"labels have shape \(2,\); expected \(3,\)",
        ),
        (
            lambda: softmax_cross_entropy(np.zeros((3, 2)), np.zeros(3)),
            TypeError,
            "labels are float64; expected whole numbers",
        ),
        (
            lambda: softmax_cross_entropy(np.zeros((2, 2)), np.array([0, 2])),
            ValueError,
            "labels lie in 0 ... 2; expected 0 ... 1",
        ),
        (lambda: softmax_cross_entropy(np.zeros((2, 2)), np.array([-1, 0])), ValueError, "labels lie in -1 ... 0"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
