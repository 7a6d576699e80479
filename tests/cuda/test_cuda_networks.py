"""Networks and updates on the device agree with the reference, for every layer and objective."""

import copy

import numpy as np
import pytest
from cases import BODIES, LAYERS, OBJECTIVES, chains, dense_gan, forward, mask, network, outputs_of, whole_gan
from emulated import NAME, NEEDS_HOST_COMPILER, error_of
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan.gan import combined, separate
from minigan.losses import generator_cost
from minigan.ops import get_ops, ops_of, to_host

pytestmark = NEEDS_HOST_COMPILER

DTYPES = {"float32": 5e-6, "float64": 1e-13}


@pytest.fixture(scope="module")
def cuda():
    return get_ops("cuda", device=NAME)


def both(layers, cuda, dtype, seed=0):
    """Return the same network on the host, in float64, and on the device."""
    return network(layers, seed=seed), network(layers, seed=seed, dtype=dtype, ops=cuda)


def assert_agree(host, device, x, rng, gate, *, train=True):
    """Compare y, dx and the gradient for the same x."""
    y, back = forward(host, x, train=train)
    found, found_back = forward(device, x.astype(device.dtype), train=train)
    dy = rng.standard_normal(y.shape)
    g, found_g = host.zeros_like_theta(), device.zeros_like_theta()
    dx, found_dx = back(dy, g), found_back(dy.astype(device.dtype), found_g)
    for a, b in ((found, y), (found_dx, dx), (found_g, g)):
        assert isinstance(a, device.ops.xp.ndarray)
        assert a.dtype == device.dtype
        assert error_of(to_host(a), b) < gate


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, train, dtype, cuda):
    layer, shape = LAYERS[name]
    rng = np.random.default_rng(1)
    x = rng.standard_normal((6, *shape)).astype(dtype).astype(float)
    assert_agree(*both(layer, cuda, dtype), x, rng, 10 * DTYPES[dtype], train=train)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=15)
@given(layers=chains(4, 3), n=st.integers(8, 20), seed=st.integers(0, 99))
def test_chains(layers, n, seed, dtype):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4)).astype(dtype).astype(float)
    assert_agree(*both(layers, get_ops("cuda", device=NAME), dtype), x, rng, 1000 * DTYPES[dtype])


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("d_batching", [separate, combined])
def test_updates_of_both_networks(body, d_batching, cuda):
    """One update of D and one of G, in code that does not mention a device."""
    ends = []
    for ops in ("reference", cuda):
        G, D, x_real, x_fake, z = whole_gan(body, outputs=1, ops=ops)
        optimizers = mg.Adam(D, lr=0.01), mg.RMSProp(G, lr=0.01)
        seen_D = mg.discriminator_step(
            D, optimizers[0], mg.NonSaturating(), x_real, x_fake, rng=mask(), d_batching=d_batching
        )
        seen_G = mg.generator_step(G, D, optimizers[1], mg.NonSaturating(), z, rng=mask())
        ends.append([float(seen_D.loss), float(seen_G.loss), to_host(D.theta), to_host(G.theta)])
    for found, expected in zip(ends[1], ends[0], strict=True):
        assert error_of(np.asarray(found), np.asarray(expected)) < 1e-9  # Adam divides by gradients near 0


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_objectives(objective, cuda):
    rng = np.random.default_rng(0)
    s_real, s_fake = rng.standard_normal((2, 5, outputs_of(objective)))
    on_device = [cuda.device.array(s) for s in (s_real, s_fake)]
    assert ops_of(on_device[0]) is cuda
    pairs = [
        (objective.discriminator(s_real, s_fake), objective.discriminator(*on_device)),
        (generator_cost(objective, s_fake, s_real), generator_cost(objective, *reversed(on_device))),
        ((objective.probability(s_real),), (objective.probability(on_device[0]),)),
    ]
    for expected, found in pairs:
        for a, b in zip(found, expected, strict=True):
            assert error_of(to_host(a), np.asarray(b)) < 1e-13


def test_products_are_added_to_any_layout_and_dtype(cuda):
    """`add_product` adds to a matrix, to every second column of one, and to one of another dtype."""
    rng, array = np.random.default_rng(0), cuda.device.array
    x, y, wide = (rng.standard_normal(shape) for shape in ((7, 3), (7, 4), (3, 8)))
    for dtype, gate in DTYPES.items():
        out = array(wide.astype(dtype))
        for part in (out, out[:, ::2]):
            before = to_host(part).astype(float)
            y_of = np.concatenate([y, y], axis=1) if part is out else y
            cuda.add_product(array(x), array(y_of), part)
            assert part.dtype == dtype
            assert error_of(to_host(part), before + x.T @ y_of) < gate


def test_arrays_of_the_host_and_of_the_device(cuda):
    """At inference y is of the same kind as x, NumPy's or the device's; what is not an array is refused."""
    host, device = both([mg.Dense(3, 4), mg.BatchNorm(4), mg.Tanh()], cuda, "float64")
    x = np.random.default_rng(0).standard_normal((5, 3))
    y = device(x)
    assert type(y) is np.ndarray
    assert error_of(y, host(x)) < 1e-14
    assert isinstance(device(cuda.device.array(x)), cuda.xp.ndarray)
    with pytest.raises(TypeError, match="x must be a .* array, got list"):
        device([[1.0, 2.0, 3.0]])
    with pytest.raises(TypeError, match="x must be a numpy array, got ndarray"):
        host(cuda.device.array(x))


def test_copies_and_named_arrays(cuda):
    G, _ = dense_gan(ops=cuda)
    twin = copy.deepcopy(G)
    before = to_host(G.theta)
    twin.theta = np.zeros(G.theta.shape)
    np.testing.assert_array_equal(to_host(G.theta), before)
    twin.load_parameters({name: to_host(value) for name, value in G.parameters().items()})
    twin.load_state(G.state)
    np.testing.assert_array_equal(to_host(twin.theta), before)
    assert twin.ops is cuda


def test_pooling_over_many_pixels_is_capturable(cuda):
    """The windows are more arrays than CuPy joins by copies."""
    layer, rng = mg.MaxPool2D((3, 6), stride=1), np.random.default_rng(0)
    host, device = both([layer], cuda, "float64")
    x = rng.standard_normal((2, 5, 8, 3))
    on_device = cuda.device.array(x)

    def step():
        y, back = device.forward(on_device, train=True)
        return y, back(y)

    step()
    y, dx = cuda.device.capture(step).replay()
    right, back = host.forward(x, train=True)
    np.testing.assert_array_equal(to_host(y), right)
    np.testing.assert_allclose(to_host(dx), back(right), rtol=1e-14)


def test_equal_options_give_one_backend(cuda):
    """An array without a network belongs to the backend that `get_ops` returned, with or without explicit defaults."""
    assert get_ops("cuda", graphs=True, device=NAME) is get_ops("cuda", device=NAME, precision="fp32") is cuda
    assert get_ops("cuda", device=NAME, graphs=False) is not cuda


@pytest.mark.parametrize(
    ("dtype", "reason"),
    [("complex128", " with ops='cuda'"), ("object", " with ops='cuda'"), ("float16", ": its range")],
)
def test_other_dtypes_are_refused(dtype, reason, cuda):
    with pytest.raises(TypeError, match=f"dtype {dtype}{reason}.*float32, float64"):
        mg.Network([mg.Dense(2, 2)], rng=np.random.default_rng(0), dtype=dtype, ops=cuda)


def test_exports_to_frameworks_are_on_the_host(cuda, tmp_path):
    from minigan.interop import to_keras, to_torch

    host, device = (network([mg.Dense(3, 4), mg.BatchNorm(4)], ops=ops) for ops in ("reference", cuda))
    for there, here in (
        (to_torch(device), to_torch(host)),
        (dict(enumerate(to_keras(device))), dict(enumerate(to_keras(host)))),
    ):
        for name, value in here.items():
            np.testing.assert_array_equal(there[name], value)
