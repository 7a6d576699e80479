"""Dense layers as one stage of NumPy's functions (`minigan.ops.cpu.numpy_dense`), compared with the reference."""

import threading

import numpy as np
import pytest
from gradients import check_layer
from hypothesis import example, given
from hypothesis import strategies as st

import minigan as mg
from minigan.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from minigan.ops import get_ops
from minigan.ops.cpu import matmul, numpy_dense, numpy_dense_block
from minigan.ops.cpu.kernels.numpy import dense_blocks, norm_act

NUMPY = get_ops("cpu", compiled=False, threads=2)
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
LARGE = [Dense(300, 400), ReLU(), BatchNorm.keras(400), Dense(400, 320), LeakyReLU(0.2), Dense(320, 6), Sigmoid()]
MIXED = [
    Dense(1, 130), BatchNorm(130), LeakyReLU(0.1), Dense(130, 140), LeakyReLU(2.0), BatchNorm(140), ReLU(),
    Dense(140, 1),
]  # fmt: skip


@pytest.fixture(scope="module", params=["by size", "always"])
def cut(request):
    """Whether small products are cut and paired too, so that small networks reach all branches."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "always":
            patch.setattr(matmul, "NUMPY_MIN_PARALLEL_FLOP", 0)
            patch.setattr(matmul, "NUMPY_MIN_PARALLEL_FLOP_AVX512", 0)
            patch.setattr(numpy_dense_block, "MIN_PAIR_FLOP", 0)
        yield


@st.composite
def networks(draw):
    """Return layers that one stage replaces, and the number of features of x."""
    features = n_in = draw(st.integers(1, 70))
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        width = draw(st.integers(1, 150))
        layers.append(Dense(features, width, bias=draw(st.booleans())))
        layers += draw(st.sampled_from([[], [ReLU()], [LeakyReLU(0.2)], [LeakyReLU(3.0)], [Tanh()], [Sigmoid()]]))
        if type(layers[-1]) in (Dense, ReLU, LeakyReLU) and draw(st.booleans()):
            layers.append(draw(st.sampled_from([BatchNorm(width), BatchNorm.keras(width)])))
            layers += draw(st.sampled_from([[], [ReLU()], [LeakyReLU(0.1)]]))
        features = width
    return layers, n_in


def pair(layers, dtype, ops=NUMPY):
    """Return the same network on the reference and on `ops`, fused however small it is, with random parameters."""
    rng = np.random.default_rng(0)
    reference = mg.Network(layers, rng=rng, dtype=dtype, ops="reference")
    reference.theta = reference.theta + rng.uniform(-0.1, 0.1, reference.theta.shape).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_dense, "MIN_WEIGHTS", 1)
        net = mg.Network(layers, rng=rng, dtype=dtype, ops=ops)
    net.theta = reference.theta
    return reference, net


def results(net, x, dy, *, train, sub_batches, overwrite):
    untouched = x.copy(), dy.copy()
    y, backward = net.forward(x, train=train, sub_batches=sub_batches)
    g = np.full_like(net.theta, np.nan if overwrite else 0)
    dx = backward(dy, g, overwrite=overwrite)
    again = g.copy()
    assert backward(dy, again, need_dx=False) is None  # a pullback may run twice; the second adds
    np.testing.assert_array_equal(x, untouched[0])
    np.testing.assert_array_equal(dy, untouched[1])
    return {"y": y, "dx": dx, "g": g, "g + g": again / 2, "frozen dx": backward(dy), "state": net.state_vector}


@given(networks(), st.sampled_from([1, 2, 3]), st.integers(2, 70), st.booleans(), st.booleans())
@example((LARGE, 300), 1, 64, True, True)
@example((LARGE, 300), 2, 100, True, False)
@example((LARGE, 300), 1, 513, True, True)  # computed layer by layer
@example((LARGE, 300), 1, 600, False, False)
@example((MIXED, 1), 2, 35, True, True)
@example((MIXED, 1), 1, 33, False, True)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_stage_computes_what_its_layers_do(cut, dtype, network, sub_batches, n, train, overwrite):
    layers, n_in = network
    reference, net = pair(layers, dtype)
    assert [type(layer).__name__ for layer in net._run.layers] == ["NumpyDense"]
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n * sub_batches, n_in)).astype(dtype)
    dy = rng.standard_normal((len(x), net(x).shape[1])).astype(dtype)
    options = {"train": train, "sub_batches": sub_batches, "overwrite": overwrite}
    want, got = results(reference, x, dy, **options), results(net, x, dy, **options)
    for name, expected in want.items():
        if expected.size:
            scale = 1 + np.abs(expected).max()
            np.testing.assert_allclose(got[name] / scale, expected / scale, rtol=0, atol=TOLERANCE[dtype], err_msg=name)


@pytest.mark.parametrize("train", [True, False])
def test_gradients_by_complex_step(cut, train):
    layers = [Dense(7, 9), ReLU(), BatchNorm.keras(9), Dense(9, 8), LeakyReLU(0.2), BatchNorm(8), ReLU()]
    layers += [Dense(8, 5), Tanh()]
    rng = np.random.default_rng(3)
    net = pair(layers, "float64")[1]
    check_layer(net, rng.standard_normal((6, 7)), rng.standard_normal((6, 5)), train=train)


def test_the_stage_is_the_adjoint_of_its_derivative(cut):
    """<dy, J v> = <J^T dy, v>, with J v by complex step on the reference."""
    net = pair(LARGE, "float64")[1]
    twin = net.astype(complex)
    rng = np.random.default_rng(2)
    x, v = rng.standard_normal((2, 40, 300))
    dy = rng.standard_normal((40, 6))
    dx = net.forward(x, train=True, update_state=False)[1](dy)
    Jv = twin.forward(x + 1e-30j * v, train=True, update_state=False)[0].imag / 1e-30
    np.testing.assert_allclose((dx * v).sum(), (dy * Jv).sum(), rtol=1e-12)


@pytest.mark.parametrize("n", [64, 96, 700])
@pytest.mark.parametrize("sub_batches", [1, 2])
def test_the_number_of_threads_changes_no_bit(n, sub_batches):
    """Also if several Python threads compute at once."""
    layers = [*LARGE[:3], Dense(400, 900), BatchNorm(900), Dense(900, 300), Tanh()]  # the second product is cut in many
    x = np.random.default_rng(0).standard_normal((n, 300)).astype("float32")
    found = {}

    def compute(key, threads):
        ops = get_ops("cpu", compiled=False, threads=threads)
        net = mg.Network(layers, rng=np.random.default_rng(0), ops=ops)
        for _ in range(3):
            found[key] = results(
                net, x, np.ones((n, 300), "float32"), train=True, sub_batches=sub_batches, overwrite=True
            )

    compute("alone", 1)
    callers = [threading.Thread(target=compute, args=(i, i + 1)) for i in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for key in range(4):
        for name, array in found["alone"].items():
            assert found[key][name].tobytes() == array.tobytes(), (key, name)


@pytest.mark.parametrize(
    ("layers", "stages"),
    [
        (LARGE, 1),
        (MIXED, 1),
        ([Dense(20, 20), ReLU(), Dense(20, 20)], 0),  # small: several stages take no longer
        ([Dense(200, 100), Dropout(0.5), Dense(100, 200)], 2),  # dropout stays a stage of its own
        ([Dense(200, 100), LeakyReLU(-0.5), Dense(100, 200)], 2),  # the sign of y is not that of x
        ([Dense(200, 100), LeakyReLU(0.0)], 1),  # without the activation
        ([Dense(200, 100), Softmax()], 1),
        ([Dense(200, 100), Tanh(), BatchNorm(100)], 1),  # without batch norm
        ([Conv2D(1, 4, 3), Flatten(), Dense(64, 256), Tanh()], 1),
    ],
)
def test_what_is_fused(layers, stages):
    net = mg.Network(layers, rng=np.random.default_rng(0), ops=NUMPY)
    assert sum(type(layer).__name__ == "NumpyDense" for layer in net._run.layers) == stages


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_mean_far_above_the_standard_deviation_costs_no_digits(cut, dtype):
    rng = np.random.default_rng(0)
    net = pair([Dense(3, 64), BatchNorm(64)], dtype)[1]
    p = net.parameters()
    p["0.W"][:] = rng.integers(-4, 5, (3, 64))
    p["0.b"][:] = 1e4
    net.mark_modified()
    x = (rng.integers(-8, 9, (200, 3)) / 8).astype(dtype)  # x W + b is exact in float32
    dy = rng.standard_normal((200, 64)).astype(dtype)
    got = results(net, x, dy, train=True, sub_batches=1, overwrite=True)
    exact = mg.Network(net.layers, rng=rng, dtype="longdouble", ops="reference")
    exact.load_parameters({name: v.astype("longdouble") for name, v in p.items()})
    want = results(exact, x.astype("longdouble"), dy.astype("longdouble"), train=True, sub_batches=1, overwrite=True)
    for name in ("y", "dx", "g"):
        scale = np.abs(want[name]).max()
        error = np.abs(got[name] - want[name]).max() / scale
        assert error < (3e-6 if dtype == "float32" else 1e-14), name


def test_a_library_whose_sums_are_poor_costs_no_digits_of_the_variance(monkeypatch):
    """The first mean is wrong by a hundred standard deviations."""
    rng = np.random.default_rng(0)
    u = (1000 + 0.01 * rng.standard_normal((200, 30))).astype("float32")
    exact, dot, calls = u.astype(float), np.dot, []

    def poor(a, b, out):
        dot(a, b, out=out)
        if not calls:
            out += 1
        calls.append(out)
        return out

    monkeypatch.setattr(np, "dot", poor)
    mean, var, remainder = np.empty((3, 30), "float32")
    dense_blocks.centre(u, mean, var, remainder, np.empty_like(u))
    assert len(calls) == 5
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(var, exact.var(axis=0), rtol=3e-6)
    np.testing.assert_allclose(u - remainder, exact - exact.mean(axis=0), rtol=0, atol=1e-7)


def test_infinite_and_undefined_numbers_go_where_the_layers_send_them(cut):
    x, first = np.ones((4, 20), "float32"), Dense(20, 64)
    for layers in ([first, ReLU()], [first, LeakyReLU(0.1), Dense(64, 30), ReLU()], [first, Tanh()]):
        reference, net = pair(layers, "float32")
        for bad in (np.inf, -np.inf, np.nan):
            for where in ("x", "dy"):
                arrays = {"x": x.copy(), "dy": np.ones((4, net(x).shape[1]), "float32")}
                arrays[where][1, 2] = bad
                options = {"train": True, "sub_batches": 1, "overwrite": True}
                with np.errstate(invalid="ignore"):
                    want, got = (results(n, arrays["x"], arrays["dy"], **options) for n in (reference, net))
                for name in ("y", "dx", "g"):
                    np.testing.assert_array_equal(np.isnan(got[name]), np.isnan(want[name]), err_msg=name)
                    np.testing.assert_array_equal(np.isinf(got[name]), np.isinf(want[name]), err_msg=name)


def test_an_infinite_gradient_does_not_pass_a_relu_before_batch_norm(cut):
    reference, net = pair([Dense(20, 64), ReLU(), BatchNorm(64)], "float64")
    x = np.random.default_rng(0).standard_normal((5, 20))
    dy = np.ones((5, 64))
    dy[1] = np.inf
    with np.errstate(invalid="ignore"):
        want, got = (n.forward(x, train=False)[1](dy) for n in (reference, net))
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))


def test_an_infinite_input_at_inference_leaves_the_gradient_finite(cut):
    reference, net = pair([Dense(20, 64), BatchNorm(64)], "float64")
    x = np.ones((3, 20))
    x[1] = np.inf
    with np.errstate(invalid="ignore"):
        dx = [n.forward(x, train=False)[1](np.ones((3, 64))) for n in (reference, net)]
    assert np.isfinite(dx[0]).all()
    np.testing.assert_allclose(dx[1], dx[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("n", [40, 600])
def test_a_gradient_vector_and_a_batch_may_lie_anywhere_in_memory(cut, overwrite, n):
    net = pair(LARGE, "float32")[1]
    P = net.theta.size
    x = np.random.default_rng(1).standard_normal((n, 300)).astype("float32")
    y, backward = net.forward(x, train=False)
    dy = np.random.default_rng(2).standard_normal(y.shape).astype("float32")
    want = np.ones(P, "float32")
    dx = backward(dy, want, overwrite=overwrite)
    odd = np.frombuffer(bytearray(4 * P + 1), np.uint8)[1:].view("float32")
    ones = np.ones(2 * P, "float32")
    for memory, view in ((x.T.copy().T, ones[::2]), (x[::-1].copy()[::-1], ones[:P][::-1]), (x, odd)):
        view[...] = 1
        found = net.forward(memory, train=False)[1](np.asfortranarray(dy), view, overwrite=overwrite)
        np.testing.assert_allclose(found, dx, rtol=0, atol=1e-5)
        np.testing.assert_allclose(view, want, rtol=1e-5, atol=1e-4)


def test_one_example_needs_no_unbiased_variance_unless_the_statistics_are_updated(cut):
    reference, net = pair([Dense(20, 64), BatchNorm(64)], "float64")
    x = np.random.default_rng(0).standard_normal((1, 20))
    want, got = (n.forward(x, train=True, update_state=False)[0] for n in (reference, net))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-9)
    with pytest.raises(mg.layers.ShapeError, match="unbiased"):
        net.forward(x, train=True)


def test_errors_name_the_layers():
    net = pair(LARGE[:4], "float32")[1]
    message = r"layers 0 to 3 \(Dense, ReLU, BatchNorm, Dense\): x has shape \(5, 7\)"
    with pytest.raises(mg.layers.ShapeError, match=message):
        net.forward(np.ones((5, 7), "float32"), train=True)


def test_a_training_step_with_both_batches_agrees_with_the_reference(cut):
    D = [pair([*LARGE[:5], Dense(320, 1)], "float64", ops)[1] for ops in ("reference", NUMPY)]
    x = np.random.default_rng(1).standard_normal((2, 30, 300))
    for batching in (mg.separate, mg.combined):
        want, got = (mg.gan.discriminator_gradient(net, mg.NonSaturating(), *x, d_batching=batching)[0] for net in D)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-13 * np.abs(want).max() + 1e-15)


def test_release_frees_the_masks_that_are_kept():
    NUMPY.dropout(np.ones(1 << 16, "float32"), 0.5, 7)
    assert norm_act._kept
    assert norm_act._kept_keys
    NUMPY.release()
    assert not norm_act._kept
    assert not norm_act._kept_keys
