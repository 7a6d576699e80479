"""Each objective against its paper: costs, optima, exact numbers, errors, and whole iterations that need real data."""

import math
from fractions import Fraction

import numpy as np
import pytest
from cases import EXPONENTIAL, OBJECTIVES, RELATIVISTIC, fitting, mask, network, outputs_of, snapshot
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.gan import generator_gradient
from minigan.losses import DIVERGENCES, generator_cost, needs_real
from minigan.ops import get_ops

SEPARABLE_ONE = [o for o in OBJECTIVES if o not in RELATIVISTIC and outputs_of(o) == 1]
SEEDS = st.integers(0, 2**32 - 1)
RNG = np.random.default_rng(0)
X, Z = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 3))


def pairs(n=5, scale=1.0, seed=0):
    return scale * np.random.default_rng(seed).standard_normal((2, n, 1))


def mean_softplus(s):
    return np.logaddexp(0, s).mean()


# --- costs ----------------------------------------------------------------------------------------


class TestCosts:
    """The papers' formulas, by NumPy."""

    @given(SEEDS)
    def test_least_squares(self, seed):
        real, fake = pairs(seed=seed)
        objective = mg.LeastSquares(a=-1, b=2, c=0.5)
        got = objective.discriminator(real, fake)
        assert got[0] == pytest.approx(((real - 2) ** 2).mean() / 2 + ((fake + 1) ** 2).mean() / 2, rel=1e-12)
        assert objective.generator(fake)[0] == pytest.approx(((fake - 0.5) ** 2).mean() / 2, rel=1e-12)

    @given(SEEDS)
    def test_hinge(self, seed):
        real, fake = pairs(seed=seed)
        value, ds_real, ds_fake = mg.Hinge().discriminator(real, fake)
        assert value == pytest.approx(np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(), rel=1e-12)
        np.testing.assert_array_equal(ds_real, np.where(real < 1, -1, 0) / 5)
        np.testing.assert_array_equal(ds_fake, np.where(fake > -1, 1, 0) / 5)
        assert mg.Hinge().generator(fake)[0] == pytest.approx(-fake.mean(), abs=1e-15)

    @given(SEEDS)
    def test_wasserstein(self, seed):
        real, fake = pairs(seed=seed)
        assert mg.Wasserstein().discriminator(real, fake)[0] == pytest.approx(fake.mean() - real.mean(), abs=1e-14)
        assert mg.Wasserstein().generator(fake)[0] == pytest.approx(-fake.mean(), abs=1e-15)

    @given(SEEDS)
    def test_relativistic(self, seed):
        real, fake = pairs(seed=seed)
        paired, average = mg.RelativisticPairing(), mg.RelativisticAverage()
        assert paired.discriminator(real, fake)[0] == pytest.approx(mean_softplus(fake - real), rel=1e-12)
        assert paired.generator(fake, real)[0] == pytest.approx(mean_softplus(real - fake), rel=1e-12)
        mean_real, mean_fake = real.mean(), fake.mean()
        want = mean_softplus(mean_fake - real) + mean_softplus(fake - mean_real)
        assert average.discriminator(real, fake)[0] == pytest.approx(want, rel=1e-12)
        want = mean_softplus(real - mean_fake) + mean_softplus(mean_real - fake)
        assert average.generator(fake, real)[0] == pytest.approx(want, rel=1e-12)

    def test_a_constant_in_all_logits_changes_nothing(self):
        real, fake = pairs()
        for objective in (*RELATIVISTIC, mg.Wasserstein()):
            for got, want in zip(
                objective.discriminator(real + 3, fake + 3), objective.discriminator(real, fake), strict=True
            ):
                np.testing.assert_allclose(got, want, rtol=1e-12)

    def test_gan_and_js_of_the_family_are_the_objectives_of_2014(self):
        real, fake = pairs(scale=3)
        for non_saturating, known in ((False, mg.Minimax()), (True, mg.NonSaturating())):
            for name, constant in (("gan", 0), ("js", math.log(2))):
                objective = mg.FGAN(name, non_saturating=non_saturating)
                got, want = objective.discriminator(real, fake), known.discriminator(real, fake)
                assert got[0] == pytest.approx(want[0] - 2 * constant, rel=1e-13)
                for a, b in zip(got[1:], want[1:], strict=True):
                    np.testing.assert_allclose(a, b, rtol=1e-13)
                np.testing.assert_allclose(objective.generator(fake)[1], known.generator(fake)[1], rtol=1e-13)

    @given(st.sampled_from(["kl", "reverse-kl", "neyman", "hellinger"]), st.sampled_from(["float32", "float64"]))
    def test_a_cost_that_overflows_is_not_finite(self, name, dtype):
        """On the wrong side it is infinite; Neyman's costs are infinities of both signs if both logits are negative."""
        objective, big = mg.FGAN(name), np.array([[2e3]], dtype=dtype)
        both = [(-big, -big)] if name != "kl" else [(big, big)]
        for real, fake in both:
            assert not np.isfinite(objective.discriminator(real, fake)[0])
        assert objective.discriminator(-big, big)[0] == np.inf

    def test_a_small_cost_keeps_its_digits(self):
        """Near the optimum the Hellinger costs are e^s - 1 and e^-s - 1: no digits are lost to the 1."""
        s = np.array([[1e-12]])
        objective = mg.FGAN("hellinger")
        assert objective.one_side(s, real=False)[0] == pytest.approx(1e-12, rel=1e-12)
        assert objective.one_side(s, real=True)[0] == pytest.approx(-1e-12, rel=1e-12)


class TestLabelSmoothing:
    def test_the_cost_is_the_cross_entropy_with_the_smoothed_label(self):
        real, fake = pairs(scale=3)
        p = 1 / (1 + np.exp(-real))
        smooth = -(0.9 * np.log(p) + 0.1 * np.log(1 - p)).mean()
        value, ds_real, ds_fake = mg.NonSaturating(real_label=0.9).discriminator(real, fake)
        assert value == pytest.approx(smooth + mean_softplus(fake), rel=1e-12)
        np.testing.assert_allclose(ds_real, (p - 0.9) / 5, rtol=1e-11, atol=1e-15)
        np.testing.assert_array_equal(ds_fake, mg.NonSaturating().discriminator(real, fake)[2])

    def test_it_is_one_sided(self):
        _, fake = pairs()
        for kind in (mg.Minimax, mg.NonSaturating):
            assert kind(real_label=0.9).generator(fake)[0] == kind().generator(fake)[0]
            assert kind(real_label=0.9).one_side(fake, real=False)[0] == kind().one_side(fake, real=False)[0]

    def test_without_it_the_bits_are_the_same_and_the_repr_does_not_show_it(self):
        real, fake = pairs()
        assert mg.Minimax(real_label=1).discriminator(real, fake)[0] == mg.Minimax().discriminator(real, fake)[0]
        assert repr(mg.Minimax()) == "Minimax(d_scale=1.0, g_scale=1.0, mean_over_all=False)"
        assert repr(mg.SoftmaxTwoClass(real_label=0.5)).endswith("mean_over_all=False, real_label=0.5)")

    def test_D_is_never_certain(self):
        """The gradient at s is 0 where sigma(s) = alpha; beyond it D is pulled back."""
        s = np.array([[math.log(9.0)], [8.0]])
        ds = mg.NonSaturating(real_label=0.9).one_side(s, real=True)[1]
        assert abs(ds[0, 0]) < 1e-16
        assert ds[1, 0] > 0.04


# --- optima ---------------------------------------------------------------------------------------


@given(st.floats(0.05, 0.95), st.integers(0, len(SEPARABLE_ONE) - 1))
def test_the_optimal_logit_has_the_probability_of_the_theory(p, index):
    """Minimise p a(s) + (1 - p) b(s) by bisection of its derivative; D* = p is what `probability` returns."""
    objective = SEPARABLE_ONE[index]
    if isinstance(objective, (mg.Hinge, mg.Wasserstein)) or getattr(objective, "real_label", 1) != 1:
        return  # they have no such optimum
    ratio = objective.d_scale

    def derivative(s):
        s = np.array([[s]])
        return (p * objective.one_side(s, real=True)[1] + (1 - p) * objective.one_side(s, real=False)[1])[0, 0] / ratio

    low, high = -40.0, 40.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if derivative(middle) < 0 else (low, middle)
    assert objective.probability(np.array([[low]]))[0] == pytest.approx(p, rel=1e-9)


def test_the_hinges_optimum_is_the_sign():
    for p, want in ((0.7, 1.0), (0.3, -1.0)):
        s = np.linspace(-3, 3, 601)
        cost = [p * np.maximum(0, 1 - x) + (1 - p) * np.maximum(0, 1 + x) for x in s]
        assert s[int(np.argmin(cost))] == pytest.approx(want)


def test_the_least_squares_game_is_pearsons_divergence():
    """With b - c = 1 and b - a = 2, sum (p + q) (s* - c)^2 = sum (p - q)^2 / (p + q), chi^2 of p + q from 2 q."""
    p, q = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.1, 0.3])
    s = (p - q) / (p + q)  # (b p + a q) / (p + q)
    cost = mg.LeastSquares(a=-1, b=1, c=0)
    total = sum((p + q)[i] * 2 * cost.generator(s[i : i + 1])[0] for i in range(3))
    assert total == pytest.approx((((p + q) - 2 * q) ** 2 / (p + q)).sum(), rel=1e-12)


# --- numbers --------------------------------------------------------------------------------------

RATIONAL = [
    mg.LeastSquares(),
    mg.LeastSquares(a=Fraction(-1, 3), b=2, c=Fraction(1, 7), d_scale=Fraction(1, 2)),
    mg.Hinge(),
    mg.Wasserstein(g_scale=Fraction(1, 3), mean_over_all=True),
    mg.FGAN("pearson"),
]


@pytest.mark.parametrize("objective", RATIONAL, ids=repr)
def test_fractions_stay_exact(objective):
    """All results are Fractions, and the difference quotient along v, exact for quadratics, is <ds, v>."""
    rng = np.random.default_rng(0)
    real, fake, v = (
        np.array([[Fraction(int(k), 7)] for k in rng.integers(-20, 20, n)], dtype=object) for n in (3, 4, 4)
    )
    value, ds_real, ds_fake = objective.discriminator(real, fake)
    generated, ds = objective.generator(fake)
    for x in (value, generated, *ds_real.ravel(), *ds_fake.ravel(), *ds.ravel()):
        assert isinstance(x, Fraction)
    h = Fraction(1, 10**6)

    def along(f):
        return (f(fake + h * v) - f(fake - h * v)) / (2 * h)

    assert along(lambda s: objective.discriminator(real, s)[0]) == (ds_fake * v).sum()
    assert along(lambda s: objective.generator(s)[0]) == (ds * v).sum()


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@pytest.mark.parametrize("ops", ["reference", "cpu", "cpu numpy"])
def test_float32_stays_float32_and_every_backend_agrees(objective, ops):
    k = outputs_of(objective)
    real, fake = fitting(
        objective, *(np.random.default_rng(i).standard_normal((4 + i, k)).astype("f4") for i in (0, 1))
    )
    backend = get_ops("cpu", compiled=False) if ops == "cpu numpy" else get_ops(ops)
    found = *objective.discriminator(real, fake, ops=backend), *generator_cost(objective, fake, real, ops=backend)
    wide = real.astype(float), fake.astype(float)
    exact = *objective.discriminator(*wide), *generator_cost(objective, wide[1], wide[0])
    for got, want in zip(found, exact, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    assert objective.probability(real, ops=backend).dtype == np.float32


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_nan_is_not_hidden(objective):
    k = outputs_of(objective)
    bad, good = np.full((3, k), np.nan), np.zeros((3, k))
    for real, fake in ((bad, good), (good, bad)):
        assert np.isnan(objective.discriminator(real, fake)[0])
    assert np.isnan(generator_cost(objective, bad, good)[0])
    assert np.isnan(objective.probability(bad)).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mg.LeastSquares(a=1), ValueError, "a and b must be different targets, got a=1 and b=1"),
        (lambda: mg.LeastSquares(c=math.inf), ValueError, "c must be finite, got inf"),
        (lambda: mg.Hinge(d_scale=0), ValueError, "d_scale must be > 0, got 0"),
        (lambda: mg.RelativisticPairing(g_scale=-1), ValueError, "g_scale must be > 0, got -1"),
        (lambda: mg.Minimax(real_label=0), ValueError, r"real_label must be in \(0, 1\], got 0"),
        (lambda: mg.SoftmaxTwoClass(real_label=1.5), ValueError, r"real_label must be in \(0, 1\], got 1.5"),
        (lambda: mg.FGAN("pearsn"), ValueError, r"unknown divergence 'pearsn' \(did you mean 'pearson'\?\)"),
        (lambda: mg.Wasserstein().generator(np.zeros((3, 2))), mg.ShapeError, r"logits have shape \(3, 2\)"),
        (lambda: mg.RelativisticAverage().discriminator(np.zeros((3, 2)), X), mg.ShapeError, r"expected \(N,\) or"),
        (
            lambda: mg.RelativisticPairing().discriminator(np.zeros((3, 1)), np.zeros((4, 1))),
            mg.ShapeError,
            r"s_real has shape \(3, 1\) and s_fake \(4, 1\); expected equal shapes, as the i-th",
        ),
        (
            lambda: mg.RelativisticPairing().generator(np.zeros(3)),
            ValueError,
            "RelativisticPairing compares fakes with real examples: s_real must be their logits, got None",
        ),
        (lambda: mg.RelativisticAverage().one_side(np.zeros(3), real=True), ValueError, "no part for one kind"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_lists_of_tests_are_complete():
    assert {o.divergence for o in EXPONENTIAL} == {"kl", "reverse-kl", "neyman", "hellinger"}
    assert {o.divergence for o in OBJECTIVES if isinstance(o, mg.FGAN)} == set(DIVERGENCES)
    assert [o for o in OBJECTIVES if needs_real(o)] == list(RELATIVISTIC)


# --- iterations -----------------------------------------------------------------------------------


def game(objective, *, norm=True, **kwargs):
    G = network([mg.Dense(3, 5), mg.BatchNorm(5), mg.ReLU(), mg.Dropout(0.2), mg.Dense(5, 4)])
    D = network(
        [mg.Dense(4, 5), *([mg.BatchNorm(5)] if norm else []), mg.Tanh(), mg.Dropout(0.3), mg.Dense(5, 1)], seed=1
    )
    return mg.GAN(G, D, mg.Adam(G, lr=0.01), mg.Adam(D, lr=0.01), objective, rng=mask(), **kwargs)


def counted(batch):
    calls = []

    def draw():
        calls.append(len(calls))
        return batch + 0.1 * calls[-1]

    draw.calls = calls
    return draw


SCHEDULES = {  # schedule -> the real batches of an iteration, without and with an objective that needs them for G
    mg.alternating: (1, 2),
    mg.same_batch: (1, 1),
    mg.simultaneous: (1, 1),
}


@pytest.mark.parametrize("objective", [mg.NonSaturating(), *RELATIVISTIC], ids=repr)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda f: f.__name__)
def test_the_schedules_draw_real_data_for_G_only_where_it_is_needed(schedule, objective):
    real, noise = counted(X), counted(Z)
    played = game(objective)
    before = snapshot(played.D), snapshot(played.G)
    seen_D, seen_G = schedule(played, real, noise)
    assert len(real.calls) == SCHEDULES[schedule][needs_real(objective)]
    assert (seen_G.logits_real is not None) == needs_real(objective)
    assert np.isfinite([seen_D.loss, seen_G.loss]).all()
    assert snapshot(played.D) != before[0]
    assert snapshot(played.G) != before[1]
    assert all(np.isfinite(list(played.metrics((seen_D, seen_G)).values())))


def test_alternating_gives_G_the_batch_after_Ds():
    real, noise = counted(X), counted(Z)
    played, by_hand = game(mg.RelativisticPairing()), game(mg.RelativisticPairing())
    mg.alternating(played, real, noise, k=2)
    for i in range(2):
        by_hand.update_D(X + 0.1 * i, by_hand.fake(Z + 0.1 * i))
    by_hand.update_G(Z + 0.1 * 2, X + 0.1 * 2)
    assert snapshot(played.D) == snapshot(by_hand.D)
    assert snapshot(played.G) == snapshot(by_hand.G)


@pytest.mark.parametrize("mode", [mg.train_mode, mg.eval_mode, mg.train_mode_tracking])
def test_the_real_batch_of_Gs_step_changes_D_as_a_batch_of_fakes_does(mode):
    played = game(mg.RelativisticPairing(), frozen_d_mode=mode)
    before = snapshot(played.D)
    played.update_G(Z, X)
    assert (snapshot(played.D) != before) == (mode is mg.train_mode_tracking)


def test_split_batch_refuses_before_it_draws():
    real, noise = counted(X), counted(Z)
    with pytest.raises(ValueError, match="objective is RelativisticAverage, which compares .* use alternating"):
        mg.split_batch(game(mg.RelativisticAverage()), real, noise)
    assert real.calls == noise.calls == []


def test_pretraining_refuses_pairs_before_it_draws():
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    with pytest.raises(
        ValueError, match="objective is RelativisticPairing, which needs as many real examples as fakes"
    ):
        mg.pretrain(game(mg.RelativisticPairing()), X, X, batch_size=4, rng=rng)
    assert rng.bit_generator.state == state
    costs = mg.pretrain(game(mg.RelativisticAverage(), norm=False), X, X, batch_size=4, rng=rng)
    assert np.isfinite(costs).all()


def test_a_missing_batch_is_an_error_before_anything_changes():
    played = game(mg.RelativisticPairing())
    before = snapshot(played.D), snapshot(played.G), played.rng.bit_generator.state
    with pytest.raises(ValueError, match="RelativisticPairing compares fakes with real examples: x_real must be"):
        played.update_G(Z)
    assert (snapshot(played.D), snapshot(played.G), played.rng.bit_generator.state) == before


def test_a_real_batch_that_is_not_needed_is_not_used():
    G, D = (game(mg.NonSaturating()).G, game(mg.NonSaturating()).D)
    with_batch, without = (generator_gradient(G, D, mg.NonSaturating(), Z, x_real=x, rng=mask())[0] for x in (X, None))
    np.testing.assert_array_equal(with_batch, without)


def test_labels_reach_the_real_batch():
    """Conditional: x_real is (x, y), as the fakes of (z, y) are."""
    G, D = network([mg.Dense(5, 4)]), network([mg.Dense(6, 3), mg.Tanh(), mg.Dense(3, 1)], seed=1)
    y = np.eye(2)[[0, 1, 0, 1, 1, 0]]
    objective = mg.RelativisticPairing()
    g, seen = generator_gradient(G, D, objective, (Z, y), x_real=(X, y))
    s_real, s_fake = D(np.hstack([X, y])), D(np.hstack([G(np.hstack([Z, y])), y]))
    assert seen.loss == pytest.approx(objective.generator(s_fake, s_real)[0], rel=1e-13)
    other, _ = generator_gradient(G, D, objective, (Z, y), x_real=(X, 1 - y))
    assert np.abs(g - other).max() > 1e-3 * np.abs(g).max()


class RelativeLeastSquares:
    """A custom objective that compares fakes with real examples, with only the methods of the protocol."""

    needs_real = True

    def discriminator(self, s_real, s_fake, *, ops=None):
        d = s_real - s_fake - 1
        return (d * d).mean() / 2, d / len(d), -d / len(d)

    def one_side(self, s, *, real, ops=None):
        raise ValueError

    def generator(self, s_fake, s_real, *, ops=None):
        d = s_real - s_fake + 1
        return (d * d).mean() / 2, -d / len(d)

    def probability(self, s, *, ops=None):
        return np.clip(s + 0.5, 0, 1).reshape(-1)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda f: f.__name__)
def test_the_protocol_is_enough(schedule):
    played = game(RelativeLeastSquares())
    assert played.needs_real
    assert all(np.isfinite(result.loss) for result in schedule(played, lambda: X, lambda: Z))


@pytest.mark.parametrize("kind", [mg.LeastSquares, mg.Hinge, mg.Wasserstein, mg.FGAN, *map(type, RELATIVISTIC[:2])])
def test_scales_of_any_kind_leave_float32_logits_float32(kind):
    s = np.ones((3, 1), dtype="float32")
    for half in (np.float64(0.5), np.float32(0.5), Fraction(1, 2)):
        objective = kind(d_scale=half, g_scale=half)
        for result in (*objective.discriminator(s, s), *generator_cost(objective, s, s)):
            assert result.dtype == np.float32
    targets = mg.LeastSquares(a=np.float64(-0.5), b=Fraction(3, 2), c=np.float64(0.25))
    for result in (*targets.discriminator(s, s), *targets.generator(s)):
        assert result.dtype == np.float32
