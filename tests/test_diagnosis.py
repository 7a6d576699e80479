"""The diagnosis: rules on made series, runs that are made to fail each way, and silence on healthy ones."""

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import lines, normalised, small

import minigan as mg
from minigan.data import ring8
from minigan.diagnosis import KINDS, block_length, cost_curves, diagnose
from minigan.diagnosis.blocks import block_of
from minigan.metrics import mixture_modes
from minigan.recipes import RunOptions, get_recipe
from minigan.training import (
    Callback,
    Diagnosis,
    Evaluate,
    Experiment,
    ProgressBar,
    random_streams,
    read_json,
    resume,
    train,
)
from minigan.training.diagnosis import spread

NS, MINIMAX = mg.NonSaturating(), mg.Minimax()


def softplus(s):
    return math.log1p(math.exp(s))


def row(s_real, s_fake, s_g=None, *, objective=NS, **more):
    """The metrics of an iteration in which all logits of a kind are equal; `s_g` are those in G's step."""
    s_g = s_fake if s_g is None else s_g
    g_loss = softplus(-s_g) if objective is NS else -softplus(s_g)
    d = {"d_loss": softplus(-s_real) + softplus(s_fake), "g_loss": g_loss}
    d |= {"d_real": 1 / (1 + math.exp(-s_real)), "d_fake": 1 / (1 + math.exp(-s_fake))}
    return d | {"accuracy": ((s_real > 0) + (s_fake <= 0)) / 2} | more


def kinds(history, **rest):
    return [finding.kind for finding in diagnose(history, **rest)]


# --- the rules on made series ----------------------------------------------------------------------------


class TestRules:
    @pytest.mark.parametrize("objective", [NS, MINIMAX, mg.SoftmaxTwoClass(), mg.NonSaturating(d_scale=0.5)])
    def test_an_undecided_d_is_healthy(self, objective):
        assert kinds([row(0.5, -0.5, objective=objective)] * 300, objective=objective) == []

    def test_certain(self):
        assert kinds([row(7, -7)] * 300, objective=NS) == ["D certain"]
        assert kinds([row(7, -7, objective=MINIMAX)] * 300, objective=MINIMAX) == ["D certain", "vanished gradient"]

    def test_certain_with_half_the_cost(self):
        """With d_scale = 1/2, J_D = .011 is certain; with d_scale = 1, J_D = .04 is not."""
        halved = [row(4.5, -4.5) | {"d_loss": softplus(-4.5)}] * 300
        assert kinds(halved, objective=mg.NonSaturating(d_scale=0.5)) == ["D certain"]
        assert kinds([row(3.9, -3.9)] * 300, objective=NS) == []

    def test_a_g_that_fools_d_now_and_then_is_healthy(self):
        """D's last update sees old fakes, and G escapes in its own updates: `mnist-dense` trains like this."""
        assert kinds([row(8, -8, s_g=-8 if i % 5 else 1) for i in range(300)], objective=NS) == []

    def test_deadlock(self):
        assert kinds([row(7, -7, s_g=6)] * 300, objective=NS) == ["deadlock"]
        assert kinds([row(7, -7, s_g=2)] * 300, objective=NS) == []  # G still has a gradient: .12

    def test_a_g_that_still_pays_now_and_then_is_no_deadlock(self):
        assert kinds([row(7, -7, s_g=1 if i % 3 == 0 else 6) for i in range(300)], objective=NS) == []

    def test_a_winning_g_is_no_deadlock(self):
        assert kinds([row(0.1, 6)] * 300, objective=NS) == []

    def test_vanished_gradient(self):
        """sigma(s) <= 2 % of 1/2; D is uncertain of real examples, so that it is not certain."""
        assert kinds([row(0.0, -4.7, objective=MINIMAX)] * 300, objective=MINIMAX) == ["vanished gradient"]
        assert kinds([row(0.0, -4.5, objective=MINIMAX)] * 300, objective=MINIMAX) == []
        assert kinds([row(0.0, -4.7)] * 300, objective=NS) == []

    def test_oscillation(self):
        wave = [row(0.2, 4 * math.sin(i / 10)) for i in range(400)]
        assert kinds(wave, objective=NS) == ["oscillation"]
        assert kinds([row(0.2, math.sin(i / 10)) for i in range(400)], objective=NS) == []

    def test_one_change_of_side_is_no_oscillation_and_an_early_one_passes(self):
        assert kinds([row(0.2, 4 if i < 200 else -2) for i in range(400)], objective=NS) == []
        wave = [row(0.2, 4 * math.sin(i / 10) if i < 400 else 0.1) for i in range(1600)]
        [found] = diagnose(wave, objective=NS)
        assert (found.kind, found.lasts) == ("oscillation", False)
        assert "It passed later." in str(found)

    @given(st.integers(0, 2**32 - 1), st.integers(8, 64))
    def test_noise_of_batches_is_no_oscillation(self, seed, n):
        """D(G(z)) is 0 or 1 at random for each of n fakes."""
        noise = np.random.default_rng(seed).binomial(n, 0.5, 400) / n
        assert kinds([row(0.1, -0.1) | {"d_fake": d} for d in noise], objective=NS) == []

    def test_collapse_of_the_spread(self):
        history = [row(0.1, -0.1)] * 200
        assert kinds(history, spreads={2 * k: 1.0 if k < 50 else 0.04 for k in range(1, 101)}) == ["collapse"]
        assert kinds(history, spreads={2 * k: 1.0 if k < 50 else 0.06 for k in range(1, 101)}) == []
        assert kinds(history, spreads={2 * k: 1.0 if k != 50 else 0.0 for k in range(1, 101)}) == []  # for a moment
        assert kinds(history, spreads={2 * k: math.nan for k in range(1, 101)}) == []
        assert kinds(history, spreads={2 * k: 0.0 for k in range(1, 101)}) == []  # nothing to compare with

    def test_collapse_of_modes(self):
        assert kinds([row(0, 0, modes=4)] * 200, modes=8) == ["collapse"]
        assert kinds([row(0, 0, modes=5)] * 200, modes=8) == []
        assert kinds([row(0, 0, modes=8 if i < 50 else 3) for i in range(200)]) == ["collapse"]
        assert kinds([row(0, 0, modes=0 if i < 90 else 8) for i in range(200)], modes=8) == []  # still learning
        sparse = [row(0, 0, **({"modes": 2} if i % 10 == 9 else {})) for i in range(200)]
        assert kinds(sparse, modes=8) == ["collapse"]

    def test_a_failure_must_last_a_tenth_of_the_run(self):
        def run(failed):
            return [row(7, -7) if 100 <= i < 100 + failed else row(0.5, -0.5) for i in range(1000)]

        assert kinds(run(90), objective=NS) == []
        [found] = diagnose(run(100), objective=NS)
        assert (found.iteration, found.lasts) == (200, False)
        assert kinds([row(7, -7)] * 19, objective=NS) == []  # and at least twenty iterations
        assert kinds([row(7, -7)] * 20, objective=NS) == ["D certain"]

    def test_a_rule_does_not_apply_without_its_metrics(self):
        assert kinds([{"cycle_loss": 1.0}] * 300, objective=NS) == []
        assert kinds([{k: v for k, v in row(7, -7).items() if k != "accuracy"}] * 300, objective=NS) == []
        assert kinds([row(7, -7)] * 300) == []  # no objective
        assert diagnose([]) == []

    @given(st.integers(1, 350))
    def test_blocks_cover_a_run(self, iterations):
        assert 1 <= block_length(iterations) * 100 < iterations + 100
        block = block_of([row(0.5, -0.5)] * 3, last=iterations + 3)
        assert (block.first, block.last) == (iterations + 1, iterations + 3)

    def test_a_finding_says_what_it_is_and_what_to_try(self):
        [found] = diagnose([row(7, -7, s_g=6)] * 300, objective=NS)
        kind = KINDS["deadlock"]
        for part in ("deadlock, found at iteration 30:", kind.meaning, "D(G(z)) 0.0009", *kind.advice):
            assert part in str(found)
        assert found.as_dict() == {
            "kind": "deadlock", "iteration": 30, "lasts": True, "meaning": kind.meaning, "evidence": found.evidence,
            "try": list(kind.advice),
        }  # fmt: skip


class Critic:
    """The costs of a Wasserstein GAN: J_D is unbounded."""

    def discriminator(self, s_real, s_fake, *, ops=None):
        return s_fake.mean() - s_real.mean(), -np.ones_like(s_real) / len(s_real), np.ones_like(s_fake) / len(s_fake)

    def one_side(self, s, *, real, ops=None):
        return (-s if real else s).mean(), (-1 if real else 1) * np.ones_like(s) / len(s)

    def generator(self, s_fake, *, ops=None):
        return -s_fake.mean(), -np.ones_like(s_fake) / len(s_fake)

    def probability(self, s, *, ops=None):
        return (1 / (1 + np.exp(-s))).reshape(-1)


class Pairs(Critic):
    """A relativistic objective, whose J_G needs the logits of real examples."""

    needs_real = True

    def discriminator(self, s_real, s_fake, *, ops=None):
        cost, ds, _ = NS.discriminator(s_real - s_fake, np.full_like(s_fake, -50.0))
        return cost, ds, -ds

    def generator(self, s_fake, s_real, *, ops=None):
        return NS.generator(s_fake - s_real)


class TestCostCurves:
    def test_of_the_cross_entropy(self):
        curves = cost_curves(NS)
        assert curves.d_is_bounded
        assert curves.d_excess(2 * math.log(2)) == pytest.approx(1)
        assert curves.d_excess(0) == pytest.approx(0, abs=1e-8)
        assert curves.g_excess(math.log(2)) == pytest.approx(1)
        assert curves.g_cost_at(0.05) == pytest.approx(-math.log(0.05), rel=1e-2)
        assert curves.slope_at(0.01) == pytest.approx(2 * 0.99, rel=1e-2)
        assert cost_curves(MINIMAX).slope_at(0.01) == pytest.approx(0.02, rel=1e-2)

    def test_scales_do_not_matter(self):
        a, b = cost_curves(NS), cost_curves(mg.NonSaturating(d_scale=0.25, g_scale=3))
        assert b.d_excess(0.25) == pytest.approx(a.d_excess(1.0))
        assert b.g_excess(0.3) == pytest.approx(a.g_excess(0.1))
        assert b.slope_at(0.3) == pytest.approx(a.slope_at(0.3))

    def test_two_outputs_and_pairs(self):
        two = cost_curves(mg.SoftmaxTwoClass(d_scale=1.0))
        np.testing.assert_allclose(two.d_cost, cost_curves(NS).d_cost, atol=1e-12)
        np.testing.assert_allclose(two.probability, cost_curves(NS).probability, atol=1e-12)
        assert cost_curves(Pairs()).d_is_bounded

    def test_a_critic_is_never_certain(self):
        assert not cost_curves(Critic()).d_is_bounded
        large = row(30, -30) | {"d_loss": -60.0, "g_loss": 30.0}
        assert kinds([large] * 300, objective=Critic()) == []
        assert kinds([row(0.2, 4 * math.sin(i / 10)) for i in range(400)], objective=Critic()) == []

    def test_an_objective_of_another_kind_has_none(self):
        assert cost_curves(object()) is None
        assert kinds([row(7, -7)] * 300, objective=object()) == []


# --- runs that are made to fail ----------------------------------------------------------------------------


def toy(objective, play, *, lr_G, lr_D, iterations, seed=0, shift=0.0, modes=False):
    """Points of `ring8`, moved by `shift`, and small networks."""
    streams, data = random_streams(seed), ring8()
    G, D = (
        mg.Network([mg.Dense(2, 32), mg.ReLU(), mg.Dense(32, n)], rng=streams[f"weights_{name}"], dtype="float64")
        for name, n in (("G", 2), ("D", 1))
    )
    gan = mg.GAN(G, D, mg.Adam(G, lr=lr_G, beta1=0.5), mg.Adam(D, lr=lr_D, beta1=0.5), objective)
    z = np.random.default_rng(5).standard_normal((200, 2))
    measured = Evaluate(
        lambda: {"modes": mixture_modes(G(z), data.centres, sigma=0.1).modes.value}, every=10
    )  # a wide sigma: the points of a short run need not be exact
    return Experiment(
        "toy",
        gan,
        lambda: play(
            gan, lambda: data.sample(64, streams["data"]) + shift, lambda: streams["noise"].normal(size=(64, 2))
        ),
        iterations,
        streams,
        callbacks=[*([measured] if modes else []), Diagnosis(lambda: G(z[:32]), modes=8 if modes else None)],
    )


def found_in(experiment):
    return [(finding["kind"], finding["lasts"]) for finding in train(experiment)["diagnosis"]]


def test_a_g_that_hardly_moves_leaves_d_certain():
    run = toy(NS, mg.alternating, lr_G=1e-6, lr_D=1e-2, iterations=300, shift=3.0)
    assert found_in(run) == [("D certain", True)]


def test_the_minimax_cost_against_a_strong_d_has_no_gradient():
    run = toy(MINIMAX, mg.alternating, lr_G=1e-4, lr_D=1e-2, iterations=300, shift=3.0)
    assert ("vanished gradient", True) in found_in(run)
    same = toy(NS, mg.alternating, lr_G=1e-4, lr_D=1e-2, iterations=300, shift=3.0)
    assert "vanished gradient" not in dict(found_in(same))


def test_a_d_that_sees_old_fakes_only_is_a_deadlock():
    old = np.random.default_rng(0).normal(0, 0.1, (64, 2))

    def play(gan, real, noise):
        return gan.update_D(real(), old), gan.update_G(noise())

    assert found_in(toy(NS, play, lr_G=1e-2, lr_D=1e-2, iterations=400)) == [("deadlock", True)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("modes", [False, True])
def test_twenty_steps_of_g_for_one_of_d_collapse(seed, modes):
    """G moves all samples to the maximum of D, and then after it."""

    def play(gan, real, noise):
        seen = gan.update_D(real(), gan.fake(noise()))
        return seen, [gan.update_G(noise()) for _ in range(20)][-1]

    found = found_in(toy(NS, play, lr_G=1e-2, lr_D=1e-3, iterations=200, seed=seed, modes=modes))
    assert [kind for kind, _ in found] == ["collapse"]


@pytest.mark.parametrize("schedule", [mg.alternating, mg.simultaneous])
def test_the_dirac_gan_oscillates(schedule):
    """G(z) = theta, D(x) = psi x, data 0, without regularisation (Mescheder et al. 2018, section 2)."""
    streams = random_streams(0)
    G, D = (mg.Network([mg.Dense(1, 1, bias=False)], rng=streams["weights_G"], dtype="float64") for _ in range(2))
    G.theta[:], D.theta[:] = 2.0, 0.0
    gan = mg.GAN(G, D, mg.SGD(G, lr=0.1), mg.SGD(D, lr=0.1), MINIMAX)
    run = Experiment(
        "dirac",
        gan,
        lambda: schedule(gan, lambda: np.zeros((4, 1)), lambda: np.ones((4, 1))),
        800,
        streams,
        callbacks=[Diagnosis()],
    )
    assert "oscillation" in dict(found_in(run))


@pytest.mark.parametrize("seed", range(20))
def test_healthy_runs_are_silent(seed):
    recipe = get_recipe("gaussian")
    config = recipe.configure({"iterations": 150, "batch_size": 64, "lr": 5e-3, "evaluate_every": 150})
    summary = train(recipe.build(config, RunOptions(seed=seed, ops="reference")))
    assert summary["diagnosis"] == []
    assert summary["generator"]["mean"] == pytest.approx(4, abs=1.0)  # healthy indeed


# --- the callback ------------------------------------------------------------------------------------------


def test_every_recipe_has_it_and_bits_and_metrics_are_those_without_it(in_tmp):
    with_it, without = small(iterations="40"), small(iterations="40")
    assert [type(c) for c in with_it.callbacks] == [Evaluate, Diagnosis]
    without.callbacks.pop()
    assert "diagnosis" in train(with_it, folder="a")
    assert "diagnosis" not in train(without, folder="b")
    assert (in_tmp / "a/metrics.jsonl").read_bytes() == (in_tmp / "b/metrics.jsonl").read_bytes()
    for name in ("generator.npz", "discriminator.npz"):
        with np.load(in_tmp / "a" / name) as a, np.load(in_tmp / "b" / name) as b:
            assert all(np.array_equal(a[key], b[key]) for key in a.files)
    for name, rng in with_it.streams.items():
        assert rng.bit_generator.state == without.streams[name].bit_generator.state
    assert read_json("a/summary.json")["diagnosis"] == []


class Stop(Callback):
    def on_iteration(self, run):
        if run.iteration == 130:
            run.stop_reason = "enough"


def failing():
    """A run whose metrics are those of a deadlock from iteration 101 on, and whose samples have collapsed."""
    streams = random_streams(0)
    G, D = (mg.Network([mg.Dense(1, 1)], rng=streams[f"weights_{name}"]) for name in "GD")
    gan = mg.GAN(G, D, mg.SGD(G, lr=1e-6), mg.SGD(D, lr=1e-6), NS)
    data, noise = streams["data"], streams["noise"]
    experiment = Experiment(
        "failing",
        gan,
        lambda: mg.alternating(gan, lambda: data.normal(size=(8, 1)), lambda: noise.normal(size=(8, 1))),
        400,
        streams,
    )

    class Made(Callback):
        def on_iteration(self, run):
            run.metrics = row(7, -7, s_g=6) if run.iteration > 100 else row(0.5, -0.5)

    samples = np.random.default_rng(0).normal(size=(8, 2))
    made = Diagnosis(lambda: samples * (1e-3 if len(made._spreads) > 20 else 1))
    experiment.callbacks = [Made(), made]
    return experiment


def test_a_resumed_run_finds_what_an_uninterrupted_one_finds(in_tmp):
    whole = train(failing(), folder="whole", checkpoint_every=50)
    train(failing(), folder="parts", checkpoint_every=50, callbacks=[Stop()])
    rest = resume(failing(), "parts", iterations=400, callbacks=[Stop()])
    assert rest["diagnosis"] == whole["diagnosis"]
    assert [(f["kind"], f["iteration"]) for f in whole["diagnosis"]] == [("collapse", 124), ("deadlock", 140)]
    assert lines(in_tmp / "whole") == lines(in_tmp / "parts")


def test_a_run_that_is_resumed_for_longer_has_other_blocks(in_tmp):
    train(failing(), folder="parts", checkpoint_every=50, callbacks=[Stop()])
    rest = resume(failing(), "parts", iterations=900, callbacks=[Stop()])
    assert {f["kind"]: f["iteration"] % 9 for f in rest["diagnosis"]} == {"collapse": 0, "deadlock": 0}
    assert all(f["lasts"] for f in rest["diagnosis"])


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_the_progress_bar_says_it_once_when_it_happens_and_at_the_end(stream):
    shown = stream()
    train(failing(), callbacks=[ProgressBar(shown)])
    text = shown.getvalue()
    assert text.count("deadlock, found at iteration 140: G's cost is at its minimum") == 2
    assert text.count("diagnosis: deadlock") == 1
    assert text.index("deadlock, found") < text.index("diagnosis: ")


def test_a_healthy_run_prints_nothing_of_it():
    shown = io.StringIO()
    train(small(), callbacks=[ProgressBar(shown)])
    assert "diagnosis" not in shown.getvalue()


def test_other_games_and_diverged_runs_have_it_too():
    diverged = normalised(D_state=math.inf)
    diverged.callbacks.append(Diagnosis())
    summary = train(diverged)
    assert (summary["status"], summary["diagnosis"]) == ("diverged", [])


@given(st.integers(0, 2**32 - 1), st.integers(2, 10), st.integers(1, 4))
def test_the_spread_is_a_root_mean_square(seed, n, f):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, f, 2))
    assert spread(x) == pytest.approx(math.sqrt(np.mean([x[:, i, j].var() for i in range(f) for j in range(2)])))
    assert spread(rng.permutation(x) + 7) == pytest.approx(spread(x))
