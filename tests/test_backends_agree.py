"""The backends agree on masked infinities and large means, and no code bypasses the chosen backend."""

import inspect
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from cases import CROSS_ENTROPIES, OBJECTIVES, ON_EACH_BACKEND, outputs_of

import minigan as mg
from minigan import metrics
from minigan.data import Gaussian
from minigan.losses import generator_cost
from minigan.ops import Ops, get_ops, ops_of, reference
from minigan.ops.cpu import CPU
from minigan.recipes import RunOptions, get_recipe
from minigan.training import train

NAN, INF = np.nan, np.inf


@ON_EACH_BACKEND
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "complex128"])
def test_relu_backward_masks_infinities_and_hides_nothing(ops, dtype):
    dy = np.array([INF, -INF, NAN, -2, INF, -INF, NAN, -2, 5], dtype=dtype)
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1, NAN], dtype=dtype)
    dx = get_ops(ops).relu_backward(dy, y)
    assert dx.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(dx, np.array([0, 0, 0, 0, INF, -INF, NAN, -2, 5], dtype=dtype))
    assert not np.signbit(dx[:4].real).any()
    if dy.dtype.kind == "f":
        flipped = dy[:8].reshape(2, 4).T  # not contiguous
        np.testing.assert_array_equal(get_ops(ops).relu_backward(flipped, np.ones((4, 2), dtype)), flipped)


@ON_EACH_BACKEND
def test_relu_and_its_pullback_keep_the_kind_of_exact_numbers(ops):
    o, third = get_ops(ops), Fraction(1, 3)
    dx = o.relu_backward(np.array([third, third, INF], dtype=object), np.array([Fraction(0), third, Fraction(0)]))
    assert dx.tolist() == [0, third, 0]
    assert [type(v) for v in dx] == [Fraction, Fraction, float]
    assert o.relu(np.array([-INF, third], dtype=object)).tolist() == [0, third]


@ON_EACH_BACKEND
def test_relu_and_its_pullback_keep_balls(ops):
    arb = pytest.importorskip("flint").arb
    o = get_ops(ops)
    dx = o.relu_backward(np.array([arb(2, 0.5), arb("inf"), arb(3)]), np.array([arb(0), arb(0), arb(1)]))
    assert all(type(v) is arb for v in dx)
    assert dx.tolist() == [0, 0, 3]
    assert o.relu(np.array([arb("-inf"), arb(2)])).tolist() == [0, 2]


@ON_EACH_BACKEND
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 3e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("n", [7, 1000, 100_000])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_moments_where_the_mean_is_far_above_the_deviation(ops, dtype, rtol, n, offset):
    """Compared with extended precision: mu to the last digit of x, the variance to the rounding of its sum."""
    x = (offset + np.random.default_rng(0).standard_normal((n, 3))).astype(dtype)
    wide = x.astype("longdouble")
    want_mu = wide.mean(axis=0)
    want_var = ((wide - want_mu) ** 2).mean(axis=0)
    mu, var = get_ops(ops).moments(x)
    assert (mu.dtype, var.dtype) == (x.dtype, x.dtype)
    np.testing.assert_allclose(mu.astype("longdouble"), want_mu, rtol=0, atol=np.spacing(x.dtype.type(offset or 1)))
    np.testing.assert_allclose(var.astype("longdouble"), want_var, rtol=rtol)


def refuse(*args, **kwargs):
    raise AssertionError("the wrong backend was called")


def forbid(monkeypatch, module):
    """Make every function that the module defines raise."""
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and name != "real":
            monkeypatch.setattr(module, name, refuse)


def test_a_run_on_the_reference_is_wholly_reference(monkeypatch, tmp_path):
    for name, _ in inspect.getmembers(Ops, inspect.isfunction):
        monkeypatch.setattr(CPU, name, refuse)
    recipe = get_recipe("gaussian")
    experiment = recipe.build(recipe.configure({"batch_size": "20"}), RunOptions(ops="reference"))
    summary = train(experiment, iterations=2, folder=tmp_path)
    assert summary["status"] == "completed"
    assert (tmp_path / "gaussian.png").exists()
    real, fake = Gaussian(4, 2), Gaussian(0, 1)
    assert metrics.value(real, fake, lambda x: 0 * x) == pytest.approx(-2 * np.log(2))


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_the_steps_compute_the_objective_on_the_networks_backend(objective, monkeypatch):
    G = mg.Network([mg.Dense(2, 3)], rng=np.random.default_rng(0))
    D = mg.Network([mg.Dense(3, outputs_of(objective))], rng=np.random.default_rng(1))
    z, x = np.ones((4, 2), dtype="float32"), np.ones((4, 3), dtype="float32")
    forbid(monkeypatch, reference)
    gan = mg.GAN(G, D, mg.SGD(G, lr=0.1), mg.SGD(D, lr=0.1), objective)
    played = [gan.update_D(x, gan.fake(z)), gan.update_G(z, x), *mg.simultaneous(gan, lambda: x, lambda: z)]
    assert all(np.isfinite(outcome.loss) for outcome in played)
    objective.probability(played[0].logits_fake, ops=get_ops("cpu"))


def test_arrays_without_a_network_go_to_the_backend_of_their_kind():
    class Mine(np.ndarray):
        pass

    assert ops_of(np.zeros(2).view(Mine)) is reference
    assert ops_of(np.float64(1)) is reference
    cupys = type("ndarray", (), {"__module__": "cupy._core.core"})
    with pytest.raises(mg.BackendUnavailable):  # the objectives ask for the CUDA backend, which is not available
        mg.Minimax().probability(cupys())
    with pytest.raises(TypeError, match="list given; expected an array of numpy or cupy"):
        ops_of([1.0])


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_objectives_use_no_array_module_but_the_backends(objective):
    """With another backend's `xp`, the objectives call only its functions, as CuPy needs."""
    seen = []

    def logged(function):
        def call(*args, **kwargs):
            seen.append(function.__name__)
            return function(*args, **kwargs)

        return call

    xp = SimpleNamespace(**{f.__name__: logged(f) for f in (np.stack, np.exp, np.expm1)})
    functions = ("mean_softplus", "softplus_sigmoid", "sigmoid", "relu", "relu_backward")
    foreign = SimpleNamespace(name="foreign", xp=xp, **{name: getattr(reference, name) for name in functions})
    s = np.random.default_rng(0).standard_normal((3, outputs_of(objective)))
    for got, want in zip(objective.discriminator(s, s, ops=foreign), objective.discriminator(s, s), strict=True):
        np.testing.assert_array_equal(got, want)
    for got, want in zip(
        generator_cost(objective, s, s, ops=foreign), generator_cost(objective, s, s), strict=True
    ):  # fmt: skip
        np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(objective.probability(s, ops=foreign), objective.probability(s))
    if objective in CROSS_ENTROPIES:
        assert seen == (["stack"] * 3 if outputs_of(objective) == 2 else [])
