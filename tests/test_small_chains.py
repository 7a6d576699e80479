"""Small dense chains in one compiled call: results of the separate layers, for any sizes; which layers are fused."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.special
from cases import LAYOUTS, laid_out
from gradients import TENSOR_GATE, assert_tensor, check_layer
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.ops import get_ops, reference
from minigan.ops.cpu import mlp
from minigan.ops.cpu.rules import SmallChain
from minigan.recipes import RunOptions, get_recipe
from minigan.training import train

pytest.importorskip("numba")
CPU = get_ops("cpu", compiled=True)
KINKED = [mg.ReLU(), mg.LeakyReLU(0.25), mg.LeakyReLU(0.0), None]
SMOOTH = [mg.Tanh(), mg.Sigmoid(), None]
NAN, INF = np.nan, np.inf
DTYPES = ["float32", "float64"]


@st.composite
def chains(draw, activations):
    """Dense layers of 1 to 32 features, each with an activation or none, and the number of examples."""
    widths = draw(st.lists(st.integers(1, 32), min_size=2, max_size=5))
    chain = []
    for n_in, n_out in pairwise(widths):
        chain += [mg.Dense(n_in, n_out, bias=draw(st.booleans())), draw(st.sampled_from(activations))]
    return [layer for layer in chain if layer is not None], draw(st.integers(1, 300))


def on(ops, chain, theta, dtype="float64"):
    """The network with these parameters; on the compiled backend it is one stage."""
    net = mg.Network(chain, rng=np.random.default_rng(0), dtype=dtype, ops=ops)
    net.theta = theta
    assert ops is not CPU or [type(stage) for stage in net._run.layers] == [SmallChain]
    return net


def results(net, x, dy):
    """y, dx and dtheta; checks that the pullback can be repeated, also frozen, and does not change x and dy."""
    y, backward = net.forward(x, train=True)
    kept = x.copy(), dy.copy()
    g = net.zeros_like_theta()
    dx = backward(dy, g)
    once = g.copy()
    np.testing.assert_array_equal(backward(dy), dx)
    np.testing.assert_array_equal(backward(dy, g), dx)
    np.testing.assert_array_equal(g, once + once)
    assert backward(dy, g, need_dx=False) is None
    assert backward(dy, need_dx=False) is None
    for array, before in zip((x, dy), kept, strict=True):
        np.testing.assert_array_equal(array, before)
    assert {a.dtype for a in (y, dx, g)} == {net.dtype}
    return y, dx, once


def size(chain):
    return mg.Network(chain, rng=np.random.default_rng(0)).theta.size


def ends(chain):
    """The numbers of input and output features."""
    dense = [layer for layer in chain if isinstance(layer, mg.Dense)]
    return dense[0].n_in, dense[-1].n_out


@pytest.mark.parametrize("dtype", DTYPES)
@given(chains(KINKED), st.integers(0, 2**32 - 1), st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS))
def test_exact_on_small_whole_numbers(dtype, case, seed, layout_x, layout_dy):
    """Exact sums do not depend on the order of terms, and a ReLU may be exactly at its kink."""
    chain, n = case
    rng = np.random.default_rng(seed)
    theta = rng.integers(-1, 2, size(chain)).astype(dtype)
    x, dy = (rng.integers(-3, 4, (n, k)).astype(dtype) for k in ends(chain))
    x, dy = laid_out(x, layout_x), laid_out(dy, layout_dy)
    for got, want in zip(*(results(on(ops, chain, theta, dtype), x, dy) for ops in (CPU, "reference")), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 511, 512, 513, 1023, 1024, 1025, 2500])
@pytest.mark.parametrize("widths", [(1, 1), (1, 10, 1), (3, 5, 2), (2, 32, 32, 1)], ids=str)
def test_exact_where_blocks_begin_and_end(widths, n):
    chain = [layer for i, o in pairwise(widths) for layer in (mg.Dense(i, o), mg.ReLU())]
    rng = np.random.default_rng(n)
    theta = rng.integers(-1, 2, size(chain)).astype("float64")
    x, dy = (rng.integers(-3, 4, (n, k)).astype("float64") for k in ends(chain))
    for got, want in zip(*(results(on(ops, chain, theta), x, dy) for ops in (CPU, "reference")), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", DTYPES)
@given(chains(SMOOTH), st.integers(0, 2**32 - 1))
def test_smooth_chains_to_the_tensor_gate(dtype, case, seed):
    """Each tensor agrees with the reference in float64 relative to its maximum, in units of the dtype's eps."""
    chain, n = case
    rng = np.random.default_rng(seed)
    theta = (0.2 * rng.standard_normal(size(chain))).astype("float32")
    x, dy = (rng.standard_normal((n, k)).astype("float32") for k in ends(chain))
    fused, plain = on(CPU, chain, theta, dtype), on("reference", chain, theta)
    *got, g = results(fused, x.astype(dtype), dy.astype(dtype))
    *want, want_g = results(plain, x.astype("float64"), dy.astype("float64"))
    pairs = [*zip(got, want, strict=True), *((v, plain.views(want_g)[k]) for k, v in fused.views(g).items())]
    for tensor, right in pairs:
        assert_tensor(tensor, right, gate=TENSOR_GATE * np.finfo(dtype).eps / np.finfo("float64").eps)


@pytest.mark.parametrize("activation", [*KINKED[:2], *SMOOTH[:2]], ids=repr)
def test_every_entry_by_complex_step(activation):
    chain = [mg.Dense(3, 5), activation, mg.Dense(5, 2, bias=False), activation, mg.Dense(2, 1)]
    rng = np.random.default_rng(3)
    net = on(CPU, chain, 0.5 * rng.standard_normal(size(chain)))
    check_layer(net, rng.standard_normal((7, 3)), rng.standard_normal((7, 1)), train=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", [*KINKED[:2], *SMOOTH], ids=repr)
def test_nan_and_infinities_go_where_the_layers_let_them(activation, dtype):
    """Only an inactive ReLU stops them; other examples and the padding of a block are not affected."""
    chain = [layer for layer in (mg.Dense(1, 2), activation, mg.Dense(2, 1)) if layer is not None]
    theta = np.array([1, -1, 0, 0, 2, 3, 1], dtype=dtype)
    x = np.array([[NAN], [INF], [-INF], [1], [0], [-1]], dtype=dtype)
    dy = np.array([[1], [1], [1], [INF], [NAN], [-INF]], dtype=dtype)
    wrong = theta.copy()
    for at, value in ((None, 0), (0, INF), (2, INF), (2, NAN), (6, -INF)):
        wrong[:] = theta
        if at is not None:
            wrong[at] = value
        for rows in (slice(None), slice(3, None), slice(3, 4)):
            arrays = [results_with_nan(on(ops, chain, wrong, dtype), x[rows], dy[rows]) for ops in (CPU, "reference")]
            for got, want in zip(*arrays, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-6)


def results_with_nan(net, x, dy):
    with np.errstate(all="ignore"):
        y, backward = net.forward(x, train=True)
        g = net.zeros_like_theta()
        return y, backward(dy, g), g


def test_which_layers_join():
    """The longest sequence of Dense layers with activations is fused, without wide layers and other dtypes."""

    def stages(*chain, ops=CPU, dtype="float32"):
        net = mg.Network(chain, rng=np.random.default_rng(0), ops=ops, dtype=dtype)
        return [len(s.members) if isinstance(s, SmallChain) else type(s).__name__ for s in net._run.layers]

    d = mg.Dense(4, 4)
    assert stages(d, mg.ReLU(), d, d, mg.Tanh()) == [5]
    assert stages(mg.ReLU(), d, mg.ReLU(), mg.ReLU(), d) == ["FusedNormActivation", 2, "FusedNormActivation", 1]
    assert stages(d, mg.LeakyReLU(-0.1), d) == [1, "FusedNormActivation", 1]
    assert stages(d, mg.BatchNorm(4), mg.ReLU(), d) == [1, "FusedNormActivation", 1]
    assert stages(d, mg.Dense(4, mlp.MAX_FEATURES + 1), mg.Dense(mlp.MAX_FEATURES + 1, 1)) == [1, "Dense", "Dense"]
    assert stages(d, mg.ReLU(), ops=get_ops("cpu", compiled=False)) == ["Dense", "FusedNormActivation"]
    assert stages(d, mg.ReLU(), ops="reference") == ["Dense", "ReLU"]
    for dtype in ("longdouble", "complex128", object):
        assert stages(d, mg.ReLU(), dtype=dtype) == ["Dense", "ReLU"]


def test_bad_input_is_refused_as_dense_refuses_it():
    net = mg.Network([mg.Dense(3, 2), mg.ReLU()], rng=np.random.default_rng(0), ops=CPU)
    with pytest.raises(mg.ShapeError, match=r"layers? 0.*Dense.*: x has shape \(4, 2\); expected \(N, 3\)"):
        net(np.ones((4, 2), dtype="float32"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [-1, 1])
def test_mean_softplus(sign, dtype):
    """For logits of any size and layout; the gradient of a logit depends only on that logit."""
    s = np.concatenate([np.linspace(-120, 120, 2001), [0, -0.0, 1e4, -1e4, 1e-30, INF, -INF, NAN]]).astype(dtype)
    wide = sign * s.astype("float64")
    eps, tiny = float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    with np.errstate(over="ignore"):
        want = sign * 0.25 * scipy.special.expit(wide) / len(s)
    value, ds = CPU.mean_softplus(s[:-3], sign, 0.25)
    assert value.dtype == ds.dtype == np.dtype(dtype)
    np.testing.assert_allclose(value, 0.25 * np.logaddexp(0, wide[:-3]).mean(), rtol=4 * eps)
    for layout in LAYOUTS:
        _, ds = CPU.mean_softplus(laid_out(s[:, None], layout), sign, 0.25)
        np.testing.assert_allclose(ds[:, 0], want, rtol=4 * eps, atol=tiny)
    assert np.isnan(CPU.mean_softplus(s, sign, 0.25)[0])
    assert CPU.mean_softplus(np.array([sign * INF, 0], dtype), sign, 1.0)[0] == INF
    assert CPU.mean_softplus(np.array([sign * -INF], dtype), sign, 1.0)[0] == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 31, 4096])
def test_adam_is_the_references(n, dtype):
    """Ten steps, also with a gradient that is not contiguous."""
    rng = np.random.default_rng(n)
    start, gradients = rng.standard_normal(n).astype(dtype), rng.standard_normal((10, 2 * n))
    settings = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7}
    for step in (1, 2):
        ends = []
        for ops in (CPU, reference):
            theta, m, v = start.copy(), np.zeros(n, dtype), np.zeros(n, dtype)
            for t, g in enumerate(gradients, 1):
                ops.adam(theta, g.astype(dtype)[: step * n : step], m, v, t, **settings)
            ends.append((theta, m, v))
        for got, want in zip(*ends, strict=True):
            np.testing.assert_allclose(got, want, rtol=0, atol=16 * np.finfo(dtype).eps * np.abs(want).max())


def run(monkeypatch, iterations, dtype, **options):
    """Train `gaussian` on the reference, or on the CPU backend with options; return parameters and losses."""
    cpu = get_ops("cpu", **options) if options else None
    monkeypatch.setattr("minigan.ops._default_cpu", lambda: cpu)
    recipe = get_recipe("gaussian")
    experiment = recipe.build(recipe.configure({}), RunOptions(dtype=dtype, ops="cpu" if options else "reference"))
    summary = train(experiment, iterations=iterations)
    gan = experiment.gan
    assert gan.D.ops is (cpu or reference)
    return np.concatenate([gan.G.theta, gan.D.theta, list(summary["losses"].values())])


@pytest.mark.parametrize("compiled", [True, False])
def test_thirty_iterations_of_gaussian_are_the_references(compiled, monkeypatch):
    """The iterations have 600 updates."""
    want = run(monkeypatch, 30, "float64")
    np.testing.assert_allclose(run(monkeypatch, 30, "float64", compiled=compiled), want, rtol=1e-9)


@pytest.mark.parametrize("compiled", [True, False])
def test_any_number_of_threads_gives_the_same_bits(compiled, monkeypatch):
    results = {run(monkeypatch, 5, "float32", compiled=compiled, threads=n).tobytes() for n in (1, 2, 3)}
    assert len(results) == 1
