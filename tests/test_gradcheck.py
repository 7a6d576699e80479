"""`minigan.gradcheck`: it passes what is right, finds relative errors of 1e-6, and says when it cannot be relied on."""

from dataclasses import dataclass

import numpy as np
import pytest
from cases import ENGINES, LAYERS, OBJECTIVES, network, outputs_of
from test_mutations import SINGLE, WRONG, plant

import minigan as mg
from minigan.gradient_check import Comparison, GradientReport
from minigan.gradient_check.numeric import MAX_TENSOR_ERROR

SHAPES = {name: shape for name, (_, shape) in LAYERS.items()}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_passes_with_the_librarys_tolerance(name):
    layer, shape = LAYERS[name]
    report = mg.gradcheck(layer, shape=shape, tolerance=MAX_TENSOR_ERROR)
    assert report.passed, str(report)
    names = {one.name for one in report.comparisons}
    assert {
        f"{mode}: {tensor}"
        for mode in ("training", "inference")
        for tensor in ("x", *(f"0.{p}" for p in layer.parameters()))
    } <= names
    for mode, train in (("training", True), ("inference", False)):
        assert (f"{mode}: pushforward, y_dot" in names) is not layer.mixes_examples(train=train)


@pytest.mark.parametrize(("name", "target"), SINGLE)
def test_an_error_of_1e_6_in_a_layer_is_found(name, target, monkeypatch):
    layer, shape = LAYERS[name]
    plant(monkeypatch, layer, target, WRONG)
    report = mg.gradcheck(layer, shape=shape)
    tensor = "x" if target == "dx" else f"0.{target}"
    failed = {one.name.partition(": ")[2] for one in report.failures}
    assert tensor in failed, str(report)
    # the derivatives that a pushforward's pullback must equal are those of the pullback, which is wrong
    assert {name for name in failed if not name.startswith("pushforward")} <= {tensor, "adjoint, all entries"}
    worst = next(one for one in report.failures if one.name.endswith(f": {tensor}"))
    assert worst.error == pytest.approx(1e-6, rel=1e-3)
    assert worst.got == pytest.approx(worst.want * WRONG, rel=1e-9)
    with pytest.raises(mg.GradientError, match="FAILED"):
        mg.gradcheck(layer, shape=shape, check=True)


@pytest.mark.parametrize("ops", ENGINES.values(), ids=ENGINES)
def test_a_network_with_its_own_parameters(ops):
    layers = [mg.Dense(3, 6), mg.BatchNorm(6), mg.LeakyReLU(0.2), mg.Dropout(0.3), mg.Dense(6, 2), mg.Tanh()]
    net = mg.Network(layers, rng=np.random.default_rng(0), ops=ops)
    before = net.theta.tobytes(), net.state_vector.tobytes(), net.version
    report = mg.gradcheck(net, shape=3, n=6)
    assert report.passed, str(report)
    assert (net.theta.tobytes(), net.state_vector.tobytes(), net.version) == before
    assert report.subject.startswith("Network([Dense(")


def test_examples_and_labels():
    net = network([mg.ConcatEmbedding(3, 2), mg.Dense(4, 1)])
    x, labels = np.ones((4, 2), "float32"), np.array([0, 2, 1, 1])
    for given in (x, (x, labels)):
        assert mg.gradcheck(net, given).passed
    assert mg.gradcheck(net, shape=2, train=True).passed
    with pytest.raises(ValueError, match=r"labels must be in 0 ... 2"):
        mg.gradcheck(net, (x, labels + 1))


def test_of_a_large_tensor_some_entries_and_all_along_a_direction(monkeypatch):
    layer = mg.Dense(30, 40)
    report = mg.gradcheck(layer, shape=30, max_entries=50)
    assert report.passed
    one = next(one for one in report.comparisons if one.name == "training: 0.W")
    assert (one.compared, one.size) == (50, 1200)
    right = mg.Dense.forward

    def forward(self, p, x, ctx):
        y, backward = right(self, p, x, ctx)

        def wrong(dy, g=None, **options):
            dx = backward(dy, g, **options)
            if g is not None:
                g["W"][7, 11] *= 1.001
            return dx

        return y, wrong

    monkeypatch.setattr(mg.Dense, "forward", forward)
    report = mg.gradcheck(layer, shape=30, max_entries=2)
    assert "training: adjoint, all entries" in {one.name for one in report.failures}


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_every_objective_passes(objective):
    report = mg.gradcheck(objective, shape=outputs_of(objective), tolerance=MAX_TENSOR_ERROR)
    assert report.passed, str(report)
    relative = getattr(objective, "needs_real", False)
    assert len(report.comparisons) == (3 if relative else 5)
    assert bool(report.notes) is relative


@pytest.mark.parametrize(
    ("method", "place", "names"),
    [
        ("discriminator", 1, {"s_real of J_D"}),
        ("discriminator", 2, {"s_fake of J_D"}),
        ("generator", 1, {"s_fake of J_G"}),
        ("one_side", 1, {"s of one_side, real", "s of one_side, fake"}),
    ],
)
def test_an_error_of_1e_6_in_an_objective_is_found(method, place, names, monkeypatch):
    right = getattr(mg.NonSaturating, method)

    def wrong(self, *logits, **options):
        return tuple(r * WRONG if i == place else r for i, r in enumerate(right(self, *logits, **options)))

    monkeypatch.setattr(mg.NonSaturating, method, wrong)
    report = mg.gradcheck(mg.NonSaturating())
    assert {one.name for one in report.failures} == names


def test_given_logits():
    real, fake = np.array([[1.0], [-2.0], [0.5]]), np.array([[0.25], [3.0]])
    assert mg.gradcheck(mg.LeastSquares(), (real, fake)).passed
    with pytest.raises(TypeError, match=r"x is ndarray; expected a tuple \(s_real, s_fake\)"):
        mg.gradcheck(mg.LeastSquares(), real)


# --- own layers with the mistakes that occur ------------------------------------------------------


@dataclass(frozen=True)
class Scale(mg.Layer):
    """y = a x, with a mistake."""

    mistake: str = ""

    def parameters(self):
        return {"a": mg.Parameter((2,), mg.Constant(1.0), 1, 1)}

    def state(self):
        return {"running_mean": ((2,), 0.0)}

    def forward(self, p, x, ctx):
        xp, a = ctx.ops.xp, p["a"]
        if self.mistake == "x":
            x *= 1
            x += 1e-3
        u = xp.abs(x) if self.mistake == "abs" else x
        y = a * u
        if self.mistake == "random":
            y = y + NOISE.standard_normal(y.shape)
        if self.mistake == "state":
            ctx.state["running_mean"] += 1.0
            y = y + ctx.state["running_mean"]
        calls = []

        def backward(dy, g=None, *, need_dx=True):
            calls.append(1)
            if g is not None and not (self.mistake == "frozen input" and not need_dx):
                if self.mistake == "overwrites":
                    g["a"][...] = (dy * u).sum(axis=0)
                else:
                    g["a"] += (dy * u).sum(axis=0)
            dx = a * dy * (xp.sign(x.real) if self.mistake == "abs" else 1)
            if self.mistake == "once":
                dx = dx * len(calls)
            if self.mistake == "dy":
                dy *= 2
            if self.mistake == "nan":
                dx = dx * np.nan
            return dx if need_dx else None

        return y, backward


NOISE = np.random.default_rng(0)


def test_the_layer_without_a_mistake():
    report = mg.gradcheck(Scale(), shape=2)
    assert report.passed, str(report)
    assert any("no pushforward: " in note and "Scale does not define pushforward" in note for note in report.notes)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("abs", "the check is not valid: along a direction the complex step is .* not complex-analytic"),
        ("random", "two passes with the same random stream differ, so nothing was compared"),
        ("state", "changes running statistics although ctx.update_state is False"),
        ("overwrites", "the pullback does not add to the gradient of 0.a"),
        ("frozen input", "with need_dx=False the pullback computes another gradient of 0.a"),
        ("once", "the pullback returns another dx when it is called again"),
        ("dy", "the pullback changes dy"),
        ("nan", r"training: x +inf  wrong at \(0, 0\): got nan"),
        ("x", "two passes with the same random stream differ"),
    ],
)
def test_mistakes(mistake, message):
    report = mg.gradcheck(Scale(mistake), shape=2)
    assert not report.passed
    with pytest.raises(mg.GradientError, match=f"(?s){message}"):
        mg.gradcheck(Scale(mistake), shape=2, check=True)


@dataclass(frozen=True)
class Writer(Scale):
    """y = a x, whose pullback says that it can write the gradient."""

    writes_gradient = True

    def forward(self, p, x, ctx):
        y, pullback = super().forward(p, x, ctx)

        def backward(dy, g=None, *, need_dx=True, overwrite=False):
            if g is not None and overwrite and self.mistake != "adds":
                g["a"][...] = 0
            return pullback(dy, g, need_dx=need_dx)

        return y, backward


def test_a_pullback_that_adds_where_it_says_that_it_writes_is_found():
    assert mg.gradcheck(Writer(), shape=2).passed
    report = mg.gradcheck(Writer("adds"), shape=2)
    problem = "training: with overwrite=True the pullback computes another gradient of 0.a"
    assert report.problems[0] == problem, str(report)


def test_a_gradient_that_is_zero_but_for_rounding_breaks_no_contract():
    layers = [mg.Dense(6, 32), mg.BatchNorm(32), mg.Dense(32, 5), mg.BatchNorm(5)]
    for ops in ("reference", "cpu"):
        net = mg.Network(layers, rng=np.random.default_rng(0), ops=ops)
        assert mg.gradcheck(net, shape=6, n=40, check=True).passed


def test_a_kink_at_x_is_reported():
    report = mg.gradcheck(mg.ReLU(), np.zeros((3, 2)))
    assert "has a kink at x" in str(report)
    assert mg.gradcheck(mg.ReLU(), np.array([[-1.0, 1.0]])).passed


def test_a_subclass_of_network_is_checked_with_its_own_pass():
    class Twice(mg.Network):
        factor = 2.0

        def forward(self, x, **options):
            y, backward = super().forward(x, **options)
            return 2 * y, lambda dy, g=None, *, need_dx=True: backward(self.factor * dy, g, need_dx=need_dx)

    net = Twice([mg.Dense(2, 1)], rng=np.random.default_rng(0))
    assert mg.gradcheck(net, shape=2, train=True).comparisons[0].passed
    Twice.factor = 2.000002
    report = mg.gradcheck(net, shape=2, train=True)
    assert {"training: x", "training: 0.W"} <= {one.name for one in report.failures}


# --- arguments and report -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((mg.ReLU(),), "x and shape are None; expected the examples x, or the shape of one"),
        ((3,), "subject is 3; expected a layer, a Network or an objective with discriminator"),
        ((mg.NonSaturating,), "expected a layer, a Network or an objective"),
        ((mg.ReLU,), "expected a layer, a Network or an objective"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        mg.gradcheck(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n must be an int >= 1"),
        ({"max_entries": 0}, "max_entries must be an int >= 1"),
        ({"tolerance": 0}, "tolerance must be > 0"),
        ({"seed": -1}, "seed must be an int >= 0"),
        ({"train": 1}, "train must be True or False"),
        ({"check": "yes"}, "check must be True or False"),
        ({"x": np.ones((2, 3))}, r"x and shape=3 are given; expected one of them"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        mg.gradcheck(mg.Dense(3, 2), shape=3, **options)


def test_a_report_without_comparisons_has_not_passed():
    assert not GradientReport("nothing", ()).passed
    assert not GradientReport("a", (Comparison("x", float("nan"), 1e-3, (0,), 0.0, 0.0),)).passed


def test_the_report_is_readable():
    text = str(mg.gradcheck(mg.Dense(3, 2), shape=3, train=False))
    assert text.startswith("gradcheck of Dense(")
    assert ": passed, largest relative error " in text.splitlines()[0]
    assert text.splitlines()[1].startswith("  inference: x  ")


def test_the_name_is_lazy():
    assert callable(mg.gradcheck)
    assert {"gradcheck", "GradientError", "GradientReport"} <= set(dir(mg))
