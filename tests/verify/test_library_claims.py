"""The claims about the library: complete, passing, and refuted when the library is wrong."""

import inspect

import numpy as np
import pytest
from flint import arb

import minigan as mg
from minigan import data, initializers, layers, losses
from minigan.gan import penalties
from minigan.layers.embedding import add_rows
from verify import PROFILES, Verdict
from verify.arithmetic.balls import precision
from verify.claims import library_accuracy, load_claims, statistics
from verify.claims.library_gradients import kebab
from verify.engine.certify import certificate
from verify.engine.float_checks import check_error
from verify.engine.proof import Proof
from verify.engine.statistics import MAX_ASSERTIONS
from verify.library.differentiable import check_enclosed, worst_difference
from verify.library.second_order import PENALTIES
from verify.library.subjects import EQUATIONS, LAYERS, OBJECTIVES, of_layer

CLAIMS = load_claims()
OURS = [claim.id for topic in ("Lib.*", "Stat.*", "Trained.*") for claim in CLAIMS.select(topic)]


def layer_names():
    found = {name: getattr(layers, name) for name in layers.__all__}
    return sorted(
        name
        for name, x in found.items()
        if isinstance(x, type) and issubclass(x, layers.Layer) and x not in (layers.Layer, layers.Fused)
    )


# --- nothing is left out --------------------------------------------------------------------------


def test_every_layer_has_claims():
    assert sorted(LAYERS) == layer_names()
    for name in layer_names():
        assert f"Lib.gradient.{kebab(name)}" in CLAIMS
        assert f"Lib.balls.{kebab(name)}" in CLAIMS
        mixing = all(layer.mixes_examples(train=False) for layer, _ in LAYERS[name].values())
        assert (f"Lib.second-order.{kebab(name)}" in CLAIMS) != mixing
        assert (f"Lib.second-order-balls.{kebab(name)}" in CLAIMS) != mixing


def test_every_penalty_has_claims():
    everything = {
        x for x in vars(penalties).values() if isinstance(x, type) and issubclass(x, penalties.GradientPenalty)
    }
    concrete = {x for x in everything if not inspect.isabstract(x)} - {penalties._SquaredNorm}
    assert {type(penalty) for penalty in PENALTIES.values()} == concrete
    for name in PENALTIES:
        assert f"Lib.penalty.{name}" in CLAIMS
        assert f"Lib.penalty-balls.{name}" in CLAIMS


def test_every_layer_has_an_equation_for_its_statements():
    assert set(EQUATIONS) == set(LAYERS)


@pytest.mark.parametrize("kind", LAYERS)
def test_specimens_are_of_their_class(kind):
    assert LAYERS[kind]
    assert {type(layer).__name__ for layer, _ in LAYERS[kind].values()} == {kind}


def test_every_objective_has_claims():
    assert sorted(OBJECTIVES) == sorted(losses.OBJECTIVES)
    for name, objectives in OBJECTIVES.items():
        assert {type(o) for o in objectives} == {type(losses.OBJECTIVES[name]())}
        assert f"Lib.gradient.objective-{name}" in CLAIMS
        assert f"Lib.balls.objective-{name}" in CLAIMS


def test_every_initializer_has_a_law():
    everything = {
        x.__name__
        for x in vars(initializers).values()
        if isinstance(x, type) and issubclass(x, initializers.Initializer)
    }
    assert set(statistics.LAWS) | set(statistics.CONSTANTS) == everything - {"Initializer"}


def test_every_sampler_has_a_law():
    everything = {name for name in data.__all__ if hasattr(getattr(data, name), "sample")}
    assert set(statistics.SAMPLERS) == everything
    assert all(statistics.SAMPLERS.values())


# --- they pass ------------------------------------------------------------------------------------


def test_statistical_assertions_stay_within_their_budget():
    """The failure probability of all together is at most ALPHA."""
    bounded = [
        check
        for claim in CLAIMS.select("Stat.*")
        if claim.rigor == "statistical"
        for check in certificate(claim).checks
        if check.relation == "<= gate"
    ]
    assert 30 < len(bounded) <= MAX_ASSERTIONS


def test_certificates_are_the_same_every_time():
    first, second = (certificate(CLAIMS["Lib.balls.batch-norm"]) for _ in range(2))
    assert first.checks == second.checks


def verdict(claim):
    """Return the verdict of the claim's check, without its controls."""
    proof = Proof(claim.id, PROFILES["quick"])
    with precision(45):
        claim.check(proof)
    return proof.verdict


# --- they bite: the library is made wrong, and its claims are refuted -------------------------------


def scaled_pullback(cls, factor):
    right = cls.forward

    def forward(self, p, x, ctx):
        y, backward = right(self, p, x, ctx)

        def wrong(dy, g=None, *, need_dx=True, **overwrite):
            dx = backward(dy, g, need_dx=need_dx, **overwrite)
            return dx * factor if need_dx else None

        return y, wrong

    return forward


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(("topic", "factor"), [("Lib.gradient", 1 + 1e-6), ("Lib.balls", 1 + 2.0**-50)])
def test_a_wrong_pullback_is_refuted(kind, topic, factor, monkeypatch):
    cls = getattr(mg, kind)
    if kind == "Embedding":  # its dx is 0
        monkeypatch.setattr("minigan.layers.embedding.add_rows", lambda dE, k, dy, xp: add_rows(dE, k, dy * factor, xp))
    else:
        monkeypatch.setattr(cls, "forward", scaled_pullback(cls, factor))
    assert verdict(CLAIMS[f"{topic}.{kebab(kind)}"]) is Verdict.REFUTED


def scaled_pushforward(cls, target, factor):
    """Return the class's pushforward with y_dot, dx or dx_dot multiplied by a factor."""
    right = cls.pushforward

    def pushforward(self, p, x, x_dot, ctx):
        y, y_dot, backward = right(self, p, x, x_dot, ctx)

        def wrong(dy, dy_dot, g=None, *, need_dx=True):
            dx, dx_dot = backward(dy, dy_dot, g, need_dx=need_dx)
            if target == "dx" and dx is not None:
                dx = dx * factor
            if target == "dx_dot" and dx_dot is not None:
                dx_dot = dx_dot * factor
            return dx, dx_dot

        return y, y_dot * factor if target == "y_dot" else y_dot, wrong

    return pushforward


@pytest.mark.parametrize("target", ["y_dot", "dx", "dx_dot"])
@pytest.mark.parametrize(
    "kind",  # E[k] of an Embedding does not depend on x: all three are 0
    [kind for kind in LAYERS if f"Lib.second-order.{kebab(kind)}" in CLAIMS and kind != "Embedding"],
)
@pytest.mark.parametrize(
    ("topic", "factor"), [("Lib.second-order", 1 + 1e-6), ("Lib.second-order-balls", 1 + 2.0**-50)]
)
def test_a_wrong_pushforward_is_refuted(kind, topic, factor, target, monkeypatch):
    cls = getattr(mg, kind)
    monkeypatch.setattr(cls, "pushforward", scaled_pushforward(cls, target, factor))
    assert verdict(CLAIMS[f"{topic}.{kebab(kind)}"]) is Verdict.REFUTED


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_without_its_second_pass_is_refuted(name, monkeypatch):
    """The weights get no gradient of the penalty, as if grad_x D did not depend on them."""
    monkeypatch.setattr(penalties.GradientPenalty, "add_gradient", lambda self, D, *_, **__: None)
    for topic in ("Lib.penalty", "Lib.penalty-balls"):
        assert verdict(CLAIMS[f"{topic}.{name}"]) is Verdict.REFUTED


@pytest.mark.parametrize("pattern", ["Lib.gradient.steps", "Lib.balls.steps-*", "Lib.hessian.*"])
def test_a_wrong_layer_inside_a_network_is_refuted(pattern, monkeypatch):
    for kind in ("Dense", "Maxout"):
        monkeypatch.setattr(getattr(mg, kind), "forward", scaled_pullback(getattr(mg, kind), 1 + 1e-6))
    for claim in CLAIMS.select(pattern):
        assert verdict(claim) is Verdict.REFUTED, claim.id


def test_a_batch_norm_without_its_mean_term_is_refuted(monkeypatch):
    """A classic: dx = gamma / sqrt(var + eps) dy, as if mu and var were constants."""
    right = mg.BatchNorm._train

    def careless(self, p, x, ctx):
        y, backward = right(self, p, x, ctx)
        _, var = ctx.ops.moments(x)

        def wrong(dy, g=None, *, need_dx=True):
            backward(dy, g)
            return dy * (p["gamma"] / ctx.ops.xp.sqrt(var + self.eps)) if need_dx else None

        return y, wrong

    monkeypatch.setattr(mg.BatchNorm, "_train", careless)
    for claim_id in ("Lib.gradient.batch-norm", "Lib.balls.batch-norm", "Lib.balls.steps-batch-norm"):
        assert verdict(CLAIMS[claim_id]) is Verdict.REFUTED, claim_id


def test_a_wrong_mask_is_refuted(monkeypatch):
    """Dropout whose backward pass draws another mask."""

    def forward(self, p, x, ctx):
        if not ctx.train:
            return x, lambda dy, g=None, *, need_dx=True: dy
        ops, rate, key, other = ctx.ops, self.rate, *ctx.keys(), *ctx.keys()
        return ops.dropout(x, rate, key), lambda dy, g=None, *, need_dx=True: ops.dropout(dy, rate, other)

    monkeypatch.setattr(mg.Dropout, "forward", forward)
    monkeypatch.setattr(mg.Dropout, "n_keys", 2)
    for claim_id in ("Lib.gradient.dropout", "Lib.balls.dropout", "Lib.adjoint.integers"):
        assert verdict(CLAIMS[claim_id]) is Verdict.REFUTED, claim_id


def test_a_wrong_objective_is_refuted(monkeypatch):
    right = mg.Minimax.generator
    monkeypatch.setattr(
        mg.Minimax, "generator", lambda self, s, ops=None: (right(self, s)[0], right(self, s)[1] * (1 + 1e-6))
    )
    for topic in ("Lib.gradient", "Lib.balls"):
        assert verdict(CLAIMS[f"{topic}.objective-minimax"]) is Verdict.REFUTED


def variance_for_deviation(self, n, rng):
    return self.mu + self.sigma**2 * rng.standard_normal(n)


def wide_laplace(self, n, rng):
    return rng.laplace(self.mu, 1.1 * self.b, n)


def narrow_he(self, rng, shape, fan_in, fan_out):
    limit = (5.5 / fan_in) ** 0.5
    return rng.uniform(-limit, limit, shape)


@pytest.mark.parametrize(
    ("claim_id", "cls", "name", "wrong"),
    [
        ("Stat.samplers", data.Gaussian, "sample", variance_for_deviation),
        ("Stat.samplers", data.Laplace, "sample", wide_laplace),
        ("Stat.initializers", initializers.HeUniform, "draw", narrow_he),
    ],
)
def test_a_wrong_sampler_is_refuted(claim_id, cls, name, wrong, monkeypatch):
    monkeypatch.setattr(cls, name, wrong)
    assert verdict(CLAIMS[claim_id]) is Verdict.REFUTED


# --- undecided is not a pass ----------------------------------------------------------------------


@pytest.mark.parametrize("layer", [mg.ReLU(), mg.LeakyReLU(0.2)], ids=repr)
def test_a_point_on_a_kink_is_undecided(layer):
    f = of_layer(layer, (2,), np.random.default_rng(0), train=True)
    f.point[1] = 0.0
    with pytest.raises(ArithmeticError, match="a branch depends on the sign of 0"):
        check_enclosed(Proof("Test.kink", PROFILES["quick"]), "kink", f)


def test_furthest_is_the_ball_that_decides():
    tight, wide, off, nan = arb(0, 1e-40), arb(0, 1e-3), arb(1e-20, 1e-30), arb("nan")
    assert worst_difference([tight, wide]) is wide
    assert worst_difference([tight, wide, off]) is off
    assert worst_difference([off, nan, tight]) is nan


# --- parts ----------------------------------------------------------------------------------------


def test_ulps_of_known_errors():
    x = np.array([0.5, 0.5, 0.5])
    y = np.tanh(x)
    y[1:] += [np.spacing(y[1]), -3 * np.spacing(y[2])]
    with precision(45):
        errors = library_accuracy.ulps(x, y, [arb(0.5).tanh()] * 3)
    assert errors[0] < 1
    assert abs(abs(errors[1] - errors[0]) - 1) < 1e-9 or abs(errors[1] + errors[0] - 1) < 1e-9
    assert 2 < errors[2] < 4


def test_the_ball_functions_are_their_definitions():
    for v in (-800, -3, -1e-9, 1e-9, 2, 800):
        x = arb(v)
        assert library_accuracy.small_softplus(x).overlaps((1 + x.exp()).log())
        assert library_accuracy.small_sigmoid(x).overlaps(1 / (1 + (-x).exp()))


def test_relu_may_stand_before_any_layer_on_balls():
    """Masked entries are balls too: a unit that is off goes through tanh, softplus and batch norm."""
    chain = [mg.Dense(2, 3), mg.ReLU(), mg.Tanh(), mg.ReLU(), mg.Softplus(), mg.ReLU(), mg.BatchNorm(3)]
    f = of_layer(chain, (2,), np.random.default_rng(0), train=True)
    f.point[8:14] = -abs(f.point[8:14])  # weights
    proof = Proof("Test.relu", PROFILES["quick"])
    with precision(45):
        check_enclosed(proof, "relu", f, tolerance="1e-10")
    assert proof.verdict is Verdict.PROVED


def test_errors_that_pass_are_kept_as_a_range():
    """A replay on a machine that rounds differently then overlaps them; errors that do not pass refute."""
    proof = Proof("Test.error", PROFILES["quick"])
    assert check_error(proof, "small", 3e-16, "1e-13") is Verdict.PROVED
    assert check_error(proof, "large", 2e-13, "1e-13") is Verdict.REFUTED
    assert check_error(proof, "nan", float("nan"), "1e-13") is Verdict.UNDECIDED
    small, large, _ = (check.ball for check in proof.checks)
    assert small.arb().contains(0)
    assert small.arb().contains(3e-16)
    assert large.arb() == 2e-13
