"""Both steps of Algorithm 1: gradients by complex step, the products they compute, and what they must not change."""

import numpy as np
import pytest
from cases import (
    BACKENDS,
    BODIES,
    CROSS_ENTROPIES,
    LAYOUTS,
    OBJECTIVES,
    ON_EACH_BACKEND,
    RELATIVISTIC,
    X_FAKE,
    X_REAL,
    Labelled,
    Z,
    chains,
    fitting,
    gan,
    laid_out,
    mask,
    network,
    outputs_of,
    snapshot,
    whole_gan,
)
from gradients import (
    TENSOR_GATE,
    assert_tensor,
    check_discriminator,
    check_generator,
    check_objective,
    check_steps_along,
)
from hypothesis import given
from hypothesis import strategies as st
from spies import Counted, LoggedStream, products

import minigan as mg
from minigan import layers, losses
from minigan.gan import discriminator_gradient, eval_mode, generator_gradient, train_mode, train_mode_tracking
from minigan.ops import reference

D_BATCHINGS = [mg.separate, mg.combined]
FROZEN_D_MODES = [train_mode, eval_mode, train_mode_tracking]
BODIES_AND_OBJECTIVES = pytest.mark.parametrize(
    ("body", "objective"),
    [(body, o) for body in BODIES for o in OBJECTIVES if o in CROSS_ENTROPIES or body in ("tanh", "dropout")]
    + [("batch norm", o) for o in (*RELATIVISTIC, mg.LeastSquares())],
    ids=str,
)
"""Each body with each cross-entropy, and each objective with two bodies.  Behind batch norm, whose mean is constant,
the gradient of a cost that is linear in s is zero."""


# --- gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 3.0, 30.0]))
def test_objectives_by_complex_step(objective, n, m, seed, scale):
    rng = np.random.default_rng(seed)
    s_real, s_fake = (scale * rng.standard_normal((k, outputs_of(objective))) for k in (n, m))
    check_objective(objective, s_real, s_fake)


@ON_EACH_BACKEND
@pytest.mark.parametrize("d_batching", D_BATCHINGS)
@BODIES_AND_OBJECTIVES
def test_whole_discriminator_step_by_complex_step(body, objective, d_batching, ops):
    """dJ_D / dtheta_D through both passes, per tensor."""
    _, D, x_real, x_fake, _ = whole_gan(body, outputs=outputs_of(objective), ops=ops)
    check_discriminator(D, objective, x_real, x_fake, d_batching=d_batching)


@ON_EACH_BACKEND
@pytest.mark.parametrize("frozen_d_mode", FROZEN_D_MODES)
@BODIES_AND_OBJECTIVES
def test_whole_generator_step_through_D_by_complex_step(body, objective, frozen_d_mode, ops):
    """dJ_G / dtheta_G through the frozen D, per tensor."""
    G, D, x_real, _, z = whole_gan(body, outputs=outputs_of(objective), ops=ops)
    check_generator(G, D, objective, z, frozen_d_mode=frozen_d_mode, x_real=x_real)


def test_every_layer_and_objective_is_in_a_whole_step():
    G, D, *_ = whole_gan("dense", outputs=1)

    def kinds(layer):
        inner = [layer.layer] if isinstance(layer, Labelled) else layer.sublayers().values()
        return {type(layer)}.union(*map(kinds, inner)) - {Labelled}

    chains = (G.layers, D.layers, *(inner for inner, _ in BODIES.values()))
    tested = set().union(*(kinds(layer) for chain in chains for layer in chain))
    public = {a for a in vars(layers).values() if isinstance(a, type) and issubclass(a, mg.Layer)}
    assert tested == public - {mg.Layer, layers.Fused}
    makers = losses.OBJECTIVES.values()
    assert {type(o) for o in OBJECTIVES} == {type(make()) for make in makers}
    assert {o.divergence for o in OBJECTIVES if isinstance(o, mg.FGAN)} == set(losses.DIVERGENCES)


@st.composite
def games(draw):
    """Networks with any layers and widths, objective, data of any batch sizes, modes, and the random stream.

    A D with batch norm is frozen with its running statistics here, because batch statistics of the samples of any G may
    be ill conditioned.  The tests above check batch statistics, per tensor, on well-conditioned networks.
    """
    objective, seed = draw(st.sampled_from(OBJECTIVES)), draw(st.integers(0, 2**16))
    D, G = draw(chains(4, outputs_of(objective))), draw(chains(3, 4))
    normed = any(isinstance(layer, mg.BatchNorm) for layer in D)
    how = {
        "d_batching": draw(st.sampled_from(D_BATCHINGS)),
        "frozen_d_mode": eval_mode if normed else draw(st.sampled_from(FROZEN_D_MODES)),
    }
    ops, n, m = draw(st.sampled_from(list(BACKENDS.values()))), draw(st.integers(16, 24)), draw(st.integers(16, 24))
    G, D = network(G, ops=ops, seed=seed, spread=0.2), network(D, ops=ops, seed=seed + 1, spread=0.2)
    rng = np.random.default_rng(seed + 2)
    return G, D, objective, [rng.standard_normal(shape) for shape in ((n, 4), (m, 4), (m, 3))], how, rng


@given(games(), st.tuples(*3 * [st.sampled_from(LAYOUTS)]))
def test_both_steps_along_a_direction(game, layouts):
    G, D, objective, arrays, how, rng = game
    arrays = [laid_out(a, layout) for a, layout in zip(arrays, layouts, strict=True)]
    v, w = rng.standard_normal(D.theta.shape), rng.standard_normal(G.theta.shape)
    check_steps_along(G, D, objective, *arrays, v, w, **how)


@given(games())
def test_both_gradients_in_float32(game):
    """They agree with the gradients in float64 to 450 float32 eps (the tensor gate in units of eps) and are float32."""
    results = {}
    for dtype in ("float32", "float64"):
        G, D, objective, arrays, how, _ = game
        G, D = (net.astype("float32").astype(dtype) for net in (G, D))
        x_real, x_fake, z = (a.astype("float32").astype(dtype) for a in fitting(objective, *arrays))
        g_D, saw_D = discriminator_gradient(D, objective, x_real, x_fake, rng=mask(), d_batching=how["d_batching"])
        g_G, saw_G = generator_gradient(
            G, D, objective, z, x_real=x_real, rng=mask(), frozen_d_mode=how["frozen_d_mode"]
        )
        results[dtype] = (g_D, g_G, saw_D.logits_real, saw_D.logits_fake, saw_G.logits_fake, saw_D.loss, saw_G.loss)
        assert {a.dtype for a in results[dtype]} == {np.dtype(dtype)}
    for got, want in zip(*results.values(), strict=True):
        assert_tensor(got, want, gate=TENSOR_GATE * np.finfo("float32").eps / np.finfo("float64").eps)


# --- what a step computes -------------------------------------------------------------------------


class TestMatrixProducts:
    """D has two Dense, a Maxout, and a first layer without parameters.  G has two Dense and such a layer."""

    def game(self, **kwargs):
        G = network([mg.Tanh(), mg.Dense(3, 5), mg.ReLU(), mg.Dense(5, 4)])
        D = network([mg.LeakyReLU(0.2), mg.Dense(4, 5), mg.Maxout(5, 6, pieces=2), mg.Tanh(), mg.Dense(6, 1)], seed=1)
        return mg.GAN(G, D, mg.SGD(G, lr=0.1), mg.SGD(D, lr=0.1), mg.NonSaturating(), **kwargs)

    def test_discriminator_step(self):
        """A pass computes y of 3 layers, dW of 3, and dx of the last 2; two passes if separate."""
        for d_batching, want in ((mg.separate, 2 * (3 + 3 + 2)), (mg.combined, 3 + 3 + 2)):
            game = self.game(d_batching=d_batching)
            assert products(game.update_D, X_REAL.view(Counted), X_FAKE.view(Counted)) == want

    @pytest.mark.parametrize("frozen_d_mode", FROZEN_D_MODES)
    def test_generator_step(self, frozen_d_mode):
        """G: y of 2 layers, dW of 2, dx of the last one.  Frozen D: y of 3 and dx of 3, no dW."""
        assert products(self.game(frozen_d_mode=frozen_d_mode).update_G, Z.view(Counted)) == (2 + 2 + 1) + (3 + 3)

    def test_simultaneous(self):
        """One pass of G and two of D; D's pullback on fakes runs twice, once for dW and once for dx."""
        real, noise = (lambda: X_REAL.view(Counted)), (lambda: Z.view(Counted))
        assert products(mg.simultaneous, self.game(), real, noise) == (2 + 2 + 1) + 2 * (3 + 3 + 2) + 3

    def test_inference_fakes(self):
        assert products(self.game(fake_mode=mg.eval_fakes).fake, Z.view(Counted)) == 2


class TestRandomStreams:
    """G and D have one dropout of 5 units each: one key per pass, drawn at its beginning."""

    @pytest.fixture
    def masked(self, monkeypatch):
        """Record the shapes and keys of all masks, in order."""
        masks, dropout = [], reference.dropout

        def spy(x, rate, key):
            masks.append((x.shape, key))
            return dropout(x, rate, key)

        monkeypatch.setattr(reference, "dropout", spy)
        return masks

    def game(self, **kwargs):
        return gan(rng=LoggedStream(), **kwargs)

    @pytest.mark.parametrize(("d_batching", "want"), [(mg.separate, [(6, 5), (4, 5)]), (mg.combined, [(10, 5)])])
    def test_discriminator_step_draws_a_key_a_pass_real_first(self, d_batching, want, masked):
        game = self.game(d_batching=d_batching)
        game.update_D(X_REAL, X_FAKE[:4])
        assert game.rng.log == [(1, 1)] * len(want)
        forwards = list(zip(want, game.rng.keys, strict=True))
        assert masked == forwards + forwards  # the pullbacks compute the same masks again, real first too

    @pytest.mark.parametrize(("frozen_d_mode", "want"), [(train_mode, 2), (train_mode_tracking, 2), (eval_mode, 1)])
    def test_generator_step_draws_one_key_for_G_and_one_for_a_D_in_training_mode(self, frozen_d_mode, want, masked):
        game = self.game(frozen_d_mode=frozen_d_mode)
        game.update_G(Z)
        assert game.rng.log == [(1, 1)] * want
        forwards = [((6, 5), key) for key in game.rng.keys]
        assert masked == forwards + forwards[::-1]

    @pytest.mark.parametrize(("fake_mode", "want"), [(mg.train_fakes, [(6, 5)]), (mg.eval_fakes, [])])
    def test_fakes(self, fake_mode, want, masked):
        game = self.game(fake_mode=fake_mode)
        game.fake(Z)
        assert masked == list(zip(want, game.rng.keys, strict=True))

    def test_two_batches_as_one_have_the_keys_of_real_first(self, masked):
        D = network([mg.Dropout(0.3), mg.Dense(4, 5), mg.Dropout(0), mg.Dropout(0.5)])
        stream, twin = LoggedStream(), LoggedStream()
        D.forward(np.concatenate([X_REAL, X_FAKE]), train=True, rng=stream, sub_batches=2)
        assert stream.log == [(2, 2)]
        (first_real, second_real), (first_fake, second_fake) = stream.keys[:2], stream.keys[2:]
        want = [((6, 4), first_real), ((6, 4), first_fake), ((6, 5), second_real), ((6, 5), second_fake)]
        assert masked == want
        for x in (X_REAL, X_FAKE):
            D.forward(x, train=True, rng=twin)
        assert twin.keys == stream.keys


# --- what a step must not change -------------------------------------------------------------------


@pytest.mark.parametrize("frozen_d_mode", FROZEN_D_MODES)
def test_D_is_bit_identical_after_a_generator_step(frozen_d_mode):
    """theta_D never changes; its running statistics change only with train_mode_tracking."""
    game = gan(frozen_d_mode=frozen_d_mode)
    theta, everything, before = game.D.theta.tobytes(), snapshot(game.D), game.G.theta.tobytes()
    version = game.D.version
    game.update_G(Z)
    assert game.D.theta.tobytes() == theta
    assert game.D.version == version
    assert (snapshot(game.D) == everything) == (frozen_d_mode is not train_mode_tracking)
    assert game.G.theta.tobytes() != before


def test_train_mode_tracking_updates_Ds_statistics_as_a_training_pass_on_fakes():
    game, by_hand = gan(frozen_d_mode=train_mode_tracking), gan()
    x_fake = by_hand.G.forward(Z, train=True, rng=by_hand.rng)[0]
    by_hand.D.forward(x_fake, train=True, rng=by_hand.rng)
    game.update_G(Z)
    assert snapshot(game.D) == snapshot(by_hand.D)


@pytest.mark.parametrize("d_batching", D_BATCHINGS)
def test_G_is_bit_identical_after_a_discriminator_step(d_batching):
    """This includes running statistics."""
    game = gan(d_batching=d_batching)
    everything, before = snapshot(game.G), game.D.theta.tobytes()
    statistics = {k: v.copy() for k, v in game.D.state.items()}
    game.update_D(X_REAL, X_FAKE)
    assert snapshot(game.G) == everything
    assert game.D.theta.tobytes() != before
    assert all((game.D.state[k] != v).any() for k, v in statistics.items())


@pytest.mark.parametrize("fake_mode", [mg.train_fakes, mg.eval_fakes])
def test_making_fakes_moves_the_running_statistics_of_G_in_training_mode_only(fake_mode):
    game = gan(fake_mode=fake_mode)
    theta, everything = game.G.theta.tobytes(), snapshot(game.G)
    game.fake(Z)
    assert game.G.theta.tobytes() == theta
    assert (snapshot(game.G) == everything) == (fake_mode is mg.eval_fakes)


def test_a_generator_step_moves_the_running_statistics_of_G():
    game = gan()
    before = {k: v.copy() for k, v in game.G.state.items()}
    game.update_G(Z)
    assert all((game.G.state[k] != v).any() for k, v in before.items())


def test_combined_and_separate_batching_agree_only_without_batch_norm():
    objective = mg.NonSaturating()
    plain = network([mg.Dense(4, 5), mg.Tanh(), mg.Dense(5, 1)])
    normed = network([mg.Dense(4, 5), mg.BatchNorm(5), mg.Tanh(), mg.Dense(5, 1)])
    for D, same in ((plain, True), (normed, False)):
        one, _ = discriminator_gradient(D, objective, X_REAL, X_FAKE + 3, d_batching=mg.combined)
        two, _ = discriminator_gradient(D, objective, X_REAL, X_FAKE + 3, d_batching=mg.separate)
        assert np.allclose(one, two, rtol=1e-12, atol=1e-14) == same


def test_half_batches_through_one_pass_are_expressible():
    """S5: half a batch of real and half of fake in one pass, and a full batch of noise for G."""
    game = gan(mg.SoftmaxTwoClass(), d_batching=mg.combined, fake_mode=mg.eval_fakes)
    sizes = []
    original = game.D.forward

    def spy(x, **kwargs):
        sizes.append(len(x))
        return original(x, **kwargs)

    game.D.forward = spy
    game.update_D(X_REAL[:3], game.fake(Z[:3]))
    game.update_G(Z)
    assert sizes == [6, 6]


# --- what a step reports --------------------------------------------------------------------------


def test_outcomes_are_what_D_saw_before_the_update():
    game, before = gan(d_batching=mg.separate), gan()
    seen = game.update_D(X_REAL, X_FAKE)
    rng = mask()
    s_real, s_fake = (before.D.forward(x, train=True, rng=rng)[0] for x in (X_REAL, X_FAKE))
    np.testing.assert_array_equal(seen.logits_real, s_real)
    np.testing.assert_array_equal(seen.logits_fake, s_fake)
    assert seen.loss == before.objective.discriminator(s_real, s_fake)[0]
    game, before = gan(), gan()
    seen, rng = game.update_G(Z), mask()
    s_fake = before.D.forward(before.G.forward(Z, train=True, rng=rng)[0], train=True, rng=rng)[0]
    np.testing.assert_array_equal(seen.logits_fake, s_fake)
    assert seen.logits_real is None
    assert seen.loss == before.objective.generator(s_fake)[0]


@pytest.mark.parametrize("d_batching", D_BATCHINGS)
def test_real_and_fake_are_not_swapped(d_batching):
    """After training on 5 (real) and -5 (fake), D is larger for the real example."""
    D = network([mg.Dense(1, 1)])
    optimizer, real = mg.SGD(D, lr=0.1), np.full((3, 1), 5.0)
    for _ in range(20):
        seen = mg.discriminator_step(D, optimizer, mg.NonSaturating(), real, -real[:2], d_batching=d_batching)
    assert seen.logits_real.shape == (3, 1)
    assert (seen.logits_real > 1).all()
    assert (seen.logits_fake < -1).all()


@ON_EACH_BACKEND
@pytest.mark.parametrize("update_state", [True, False])
def test_two_batches_as_one_are_two_passes(ops, update_state):
    """One pass of both batches gives the outputs, gradients, running statistics and random stream of two passes."""
    layers = [mg.Conv2D(1, 3, 3), mg.Dropout(0.3), mg.BatchNorm(3), mg.LeakyReLU(0.2), mg.Dropout(0.5), mg.Dropout(0)]
    layers += [mg.Flatten(), mg.Dense(48, 2)]
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((10, 6, 6, 1)), rng.standard_normal((10, 2))
    nets = [mg.Network(layers, rng=np.random.default_rng(1), dtype="float64", ops=ops) for _ in range(2)]
    g, streams = [net.zeros_like_theta() for net in nets], [np.random.default_rng(2) for _ in nets]
    y, back = nets[0].forward(x, train=True, rng=streams[0], update_state=update_state, sub_batches=2)
    dx = back(dy, g[0])
    for half in (slice(0, 5), slice(5, 10)):
        part, back_part = nets[1].forward(x[half], train=True, rng=streams[1], update_state=update_state)
        np.testing.assert_allclose(part, y[half], rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(back_part(dy[half], g[1]), dx[half], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(g[0], g[1], rtol=1e-12, atol=1e-13)
    for name, value in nets[0].state.items():
        np.testing.assert_allclose(value, nets[1].state[name], rtol=1e-13)
    assert streams[0].bit_generator.state == streams[1].bit_generator.state


def test_batches_that_cannot_run_as_one_are_refused():
    class Mine(mg.Layer):
        def forward(self, p, x, ctx):
            return x, lambda dy, g=None, *, need_dx=True: dy

    x = np.ones((6, 2))
    for chain, sub_batches, message in (
        ([mg.Dense(2, 1)], 4, "sub_batches=4 with 6 examples; expected a divisor of 6"),
        ([Mine()], 2, "sub_batches=2; expected 1, because not every layer is per_example: Mine"),
    ):
        net = mg.Network(chain, rng=np.random.default_rng(0))
        with pytest.raises(ValueError, match=message):
            net.forward(x, train=True, sub_batches=sub_batches)
