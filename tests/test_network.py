"""Network: one vector, named views, and errors for everything that would make a gradient silently wrong."""

import copy
from fractions import Fraction

import numpy as np
import pytest
from cases import network

import minigan as mg

LAYERS = [mg.Dense(3, 4), mg.ReLU(), mg.BatchNorm(4), mg.Dense(4, 2)]


def make(**kwargs):
    return mg.Network(LAYERS, rng=np.random.default_rng(0), **{"dtype": "float64", **kwargs})


X = np.random.default_rng(1).standard_normal((5, 3))


def test_names_shapes_and_one_vector():
    net = make()
    shapes = {k: v.shape for k, v in net.parameters().items()}
    assert shapes == {"0.W": (3, 4), "0.b": (4,), "2.gamma": (4,), "2.beta": (4,), "3.W": (4, 2), "3.b": (2,)}
    assert {k: v.shape for k, v in net.state.items()} == {"2.running_mean": (4,), "2.running_var": (4,)}
    assert net.theta.shape == (34,)
    assert all(np.shares_memory(v, net.theta) for v in net.parameters().values())
    np.testing.assert_array_equal(np.concatenate([v.ravel() for v in net.parameters().values()]), net.theta)


def test_views_of_a_gradient():
    net = make()
    y, backward = net.forward(X, train=True)
    g = net.zeros_like_theta()
    backward(np.ones_like(y), g)
    views = net.views(g)
    np.testing.assert_array_equal(views["3.b"], [5, 5])
    views["0.W"][...] = 7
    assert (g[:12] == 7).all()
    with pytest.raises(mg.ShapeError, match=r"vector has shape \(3,\); expected \(34,\)"):
        net.views(np.zeros(3))
    with pytest.raises(TypeError, match="vector must be a numpy array, got list"):
        net.views([0.0] * 34)
    with pytest.raises(TypeError, match="grads must be a numpy array, got list"):
        backward(np.ones_like(y), [0.0] * 34)


def test_stale_backward_is_an_error_whatever_changed_theta():
    net = make()
    for change in (
        lambda: mg.SGD(net, lr=0.1).step(net.zeros_like_theta()),
        lambda: net.load_parameters(net.parameters()),
        lambda: setattr(net, "theta", net.theta + 1),
        net.mark_modified,
    ):
        y, backward = net.forward(X, train=True)
        change()
        with pytest.raises(mg.StaleBackwardError, match="run forward again"):
            backward(np.ones_like(y))


def test_augmented_assignment_to_theta_raises_the_version_and_keeps_the_views():
    net = make()
    before, version = net.parameters()["0.W"][0, 0], net.version
    net.theta += 1
    assert net.version == version + 1
    assert net.parameters()["0.W"][0, 0] == before + 1


class Counted(np.ndarray):
    """An array that counts the matrix products in which it is a factor."""

    products = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        plain = [np.asarray(a) if isinstance(a, Counted) else a for a in inputs]
        if ufunc is np.matmul:
            Counted.products += 1
        if out is not None:
            kwargs["out"] = tuple(np.asarray(a) if isinstance(a, Counted) else a for a in out)
        result = getattr(ufunc, method)(*plain, **kwargs)
        return result.view(Counted) if isinstance(result, np.ndarray) else result


def products(call):
    Counted.products = 0
    call()
    return Counted.products


def test_frozen_means_no_parameter_product_and_need_dx_false_no_input_product():
    net = mg.Network([mg.Dense(3, 4), mg.Dense(4, 2)], rng=np.random.default_rng(0), dtype="float64", ops="reference")
    y, backward = net.forward(X.view(Counted), train=True)
    dy, g = np.ones(y.shape).view(Counted), net.zeros_like_theta()
    assert products(lambda: backward(dy, g)) == 4  # dW and dx of both layers
    assert products(lambda: backward(dy)) == 2  # dx only
    assert products(lambda: backward(dy, g, need_dx=False)) == 3  # both dW, dx of the last layer
    assert products(lambda: backward(dy, need_dx=False)) == 0


def test_layers_below_the_first_parameters_are_not_visited():
    net = mg.Network([mg.Tanh(), mg.Flatten(), mg.Dense(3, 2)], rng=np.random.default_rng(0), dtype="float64")
    y, backward = net.forward(X, train=True)
    g, h = net.zeros_like_theta(), net.zeros_like_theta()
    backward(np.ones_like(y), g)
    assert backward(np.ones_like(y), h, need_dx=False) is None
    np.testing.assert_array_equal(g, h)


def test_inference_keeps_nothing_and_changes_nothing():
    net = mg.Network([mg.Dense(3, 4), mg.BatchNorm(4), mg.Dropout(0.5)], rng=np.random.default_rng(0), dtype="float64")
    state = {k: v.copy() for k, v in net.state.items()}
    y = net(X)
    assert isinstance(y, np.ndarray)
    np.testing.assert_array_equal(y, net.forward(X, train=False)[0])
    for key, value in state.items():
        np.testing.assert_array_equal(net.state[key], value)


def test_load_parameters_names_every_mismatch_and_changes_nothing():
    net = make()
    before = net.theta.copy()
    given = net.parameters()
    del given["0.b"]
    given |= {"0.W": np.zeros((4, 3)), "9.W": np.zeros(2), "2.gamma": np.full(4, 9.0)}
    with pytest.raises(
        ValueError, match=r"missing '0.b'.*unexpected '9.W'.*'0.W' has shape \(4, 3\), expected \(3, 4\)"
    ):
        net.load_parameters(given)
    np.testing.assert_array_equal(net.theta, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_load_parameters_cuts_nothing_and_changes_all_or_nothing(dtype):
    """Values that cannot be converted are found before the first array is copied."""
    net = make(dtype=dtype)
    before, version = net.theta.copy(), net.version
    fine = {name: np.full(view.shape, 7) for name, view in net.parameters().items()}
    bad = {
        "0.b": np.ones(4) * 1j,
        "2.gamma": np.array(["1", "2", "3", "4"]),
        "2.beta": np.array([Fraction(1)] * 4),
        "3.W": [[1, 2], [3]],
        "3.b": np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]"),
    }
    with pytest.raises(ValueError, match="parameters do not fit the network") as caught:
        net.load_parameters(fine | bad)
    for name, kind in (("0.b", "complex128"), ("2.gamma", "<U1"), ("2.beta", "object"), ("3.b", "datetime64")):
        assert f"{name!r} is {kind}" in str(caught.value)
    assert f"expected {dtype} or real numbers" in str(caught.value)
    assert "'3.W' is not an array" in str(caught.value)
    np.testing.assert_array_equal(net.theta, before)
    assert net.version == version
    net.load_parameters(fine)
    np.testing.assert_array_equal(net.theta, 7)
    with pytest.raises(ValueError, match="state do not fit the network: '2.running_var' is complex128"):
        net.load_state({"2.running_mean": np.ones(4), "2.running_var": np.ones(4) * 1j})
    np.testing.assert_array_equal(net.state["2.running_mean"], 0)


def test_load_parameters_may_be_given_the_networks_own_views():
    """If the views are permuted, no view may be overwritten before it is read."""
    net = mg.Network([mg.Dense(2, 2), mg.Dense(2, 2)], rng=np.random.default_rng(0), dtype="float64")
    own = net.parameters()
    first, second = own["0.W"].copy(), own["1.W"].copy()
    net.load_parameters({**own, "0.W": own["1.W"], "1.W": own["0.W"]})
    np.testing.assert_array_equal(net.parameters()["0.W"], second)
    np.testing.assert_array_equal(net.parameters()["1.W"], first)


def test_real_numbers_load_into_any_dtype_and_complex_ones_into_complex():
    net = make()
    for twin in (net.astype("complex64"), net.astype(object)):
        twin.load_parameters({name: np.ones(view.shape) for name, view in net.parameters().items()})
        assert (twin.theta == 1).all()
        twin.load_parameters({name: np.full(view.shape, 1j) for name, view in net.parameters().items()})
        assert (twin.theta == 1j).all()


def test_theta_is_not_cut_to_its_real_part():
    net = make()
    before = net.theta.copy()
    with pytest.raises(TypeError, match="theta is complex128 but the network is float64"):
        net.theta = net.theta * 1j
    np.testing.assert_array_equal(net.theta, before)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_is_a_network_of_its_own(duplicate, dtype):
    net = make().astype(dtype)
    net.forward(X, train=True)
    twin = duplicate(net)
    assert (twin.layers, twin.dtype, twin.ops) == (net.layers, net.dtype, net.ops)
    np.testing.assert_array_equal(twin(X), net(X))
    assert not np.shares_memory(twin.theta, net.theta)
    before, state = net.theta.copy(), net.state["2.running_mean"].copy()
    y, backward = net.forward(X, train=True, update_state=False)
    twin.theta += 1
    twin.forward(X, train=True)
    np.testing.assert_array_equal(net.theta, before)
    np.testing.assert_array_equal(net.state["2.running_mean"], state)
    backward(np.ones_like(y))  # still valid: another network's theta has changed


def test_a_copy_keeps_exact_numbers():
    net = mg.Network([mg.Dense(2, 2)], rng=np.random.default_rng(0)).astype(object, Fraction)
    assert copy.deepcopy(net).theta.tolist() == net.theta.tolist()
    assert {type(v) for v in copy.copy(net).theta.tolist()} == {Fraction}


def test_a_network_says_that_it_is_not_pickled():
    with pytest.raises(TypeError, match=r"a Network cannot be pickled; save net.parameters\(\) and net.state"):
        make().__reduce_ex__(2)


def test_parameters_and_state_round_trip():
    net, other = make(), mg.Network(LAYERS, rng=np.random.default_rng(5), dtype="float64")
    net.forward(X, train=True)
    assert not np.array_equal(net(X), other(X))
    other.load_parameters(net.parameters())
    other.load_state(net.state)
    np.testing.assert_array_equal(net(X), other(X))


def test_same_seed_same_weights_in_every_dtype():
    a, b, c = make(), make(dtype="float32"), make()
    np.testing.assert_array_equal(a.theta, c.theta)
    np.testing.assert_array_equal(a.theta.astype("float32"), b.theta)


def test_astype_keeps_parameters_and_state():
    net = make()
    net.forward(X, train=True)
    for twin in (net.astype("complex128"), net.astype(object, Fraction)):
        np.testing.assert_array_equal(twin.theta.astype("complex128"), net.theta)
        for key, value in net.state.items():
            np.testing.assert_array_equal(twin.state[key].astype("complex128"), value)


def test_input_is_cast_to_the_networks_dtype():
    net = make(dtype="float32")
    assert net(X).dtype == np.float32
    assert net(np.ones((2, 3), dtype=int)).dtype == np.float32
    with pytest.raises(
        TypeError, match=r"x is complex128 but the network is float32; expected net.astype\('complex128'\)"
    ):
        net(X.astype(complex))


def test_dy_is_cast_as_x_is():
    net = make(dtype="float32")
    y, backward = net.forward(X, train=True)
    dy = np.random.default_rng(2).standard_normal(y.shape)
    g, h = net.zeros_like_theta(), net.zeros_like_theta()
    dx = backward(dy, g)
    assert dx.dtype == np.float32
    np.testing.assert_array_equal(dx, backward(dy.astype("float32"), h))
    np.testing.assert_array_equal(g, h)
    assert backward(np.ones(y.shape, dtype=int)).dtype == np.float32
    assert make(dtype="complex64")(X.astype("complex128")).dtype == np.complex64
    for wrong, message in (
        (dy * 1j, r"dy is complex128 but the network is float32; expected net.astype\('complex128'\), or real"),
        (dy.astype(object), "dy is object but the network is float32"),
        (dy.tolist(), "dy must be a numpy array, got list"),
    ):
        with pytest.raises(TypeError, match=message):
            backward(wrong)
    with pytest.raises(TypeError, match="x is <U1 but the network is object"):
        make().astype(object)(np.full((5, 3), "1"))


def test_the_views_write_through_and_touch_tells_the_pullbacks():
    """The docstrings of theta and parameters warn of this."""
    net = make()
    y, backward = net.forward(X, train=True)
    net.parameters()["0.W"][0, 0] = 7
    net.views(net.theta)["0.b"][1] = 8
    assert (net.theta[0], net.theta[13]) == (7, 8)
    backward(np.ones_like(y))  # the network does not know of the change
    net.mark_modified()
    with pytest.raises(mg.StaleBackwardError):
        backward(np.ones_like(y))
    for warning in (mg.Network.theta, mg.Network.parameters):
        assert "mark_modified" in warning.__doc__


@pytest.mark.parametrize("layer", [mg.Flatten(), mg.Reshape((3,)), mg.Dropout(0.5)], ids=repr)
def test_some_layers_give_x_itself_or_a_view(layer):
    """The docstrings of forward and of these layers warn of this."""
    net, x = mg.Network([layer], rng=np.random.default_rng(0), dtype="float64"), X.copy()
    assert np.shares_memory(net(x), x)
    y, backward = net.forward(x, train=False)
    dy = np.ones(y.shape)
    assert np.shares_memory(y, x)
    assert np.shares_memory(backward(dy), dy)
    assert "view" in mg.Network.forward.__doc__


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make().summary("3"), ValueError, r"input_shape\[0\] must be an int >= 1, got '3'"),
        (lambda: make().summary(None), ValueError, "input_shape must be an int >= 1, got None"),
        (lambda: make().summary((2.5,)), ValueError, r"input_shape\[0\] must be an int >= 1, got 2.5"),
        (
            lambda: make()(np.ones((5, 4))),
            mg.ShapeError,
            r"^layers? 0.* \(Dense.*x has shape \(5, 4\)",
        ),
        (lambda: make()(np.ones((0, 3))), mg.ShapeError, r"x has shape \(0, 3\); expected \(N, ...\) with N >= 1"),
        *(
            (
                lambda x=x: make(dtype="float64").forward(x, train=False),
                mg.ShapeError,
                rf"x has shape {shape}; expected \(N",
            )
            for x, shape in ((np.ones((0, 3)), r"\(0, 3\)"), (np.ones(3), r"\(3,\)"), (np.ones(3, int), r"\(3,\)"))
        ),
        (lambda: make()(np.ones(3)), mg.ShapeError, r"x has shape \(3,\)"),
        (lambda: make()([[1, 2, 3]]), TypeError, "x must be a numpy array, got list"),
        (
            lambda: make().forward(X, train=True)[1](np.ones((5, 3))),
            mg.ShapeError,
            r"dy has shape \(5, 3\); expected \(5, 2\)",
        ),
        (lambda: mg.Network([], rng=np.random.default_rng(0)), ValueError, "layers is empty"),
        (
            lambda: mg.Network([mg.ReLU], rng=np.random.default_rng(0)),
            TypeError,
            r"layers\[0\] must be a minigan Layer",
        ),
        (lambda: mg.Network(LAYERS, rng=3), TypeError, "rng must be a numpy.random.Generator .*, got 3"),
        (lambda: make(dtype="int32"), TypeError, "dtype must be floating, complex or object, got int32"),
        (lambda: make(ops="cp"), ValueError, "unknown ops 'cp' .did you mean 'cpu'"),
        (lambda: make().summary((5,)), mg.ShapeError, r"^layer 0 \(Dense\): input shape \(5,\); expected \(3,\)"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_summary_prints_and_counts_as_keras(capsys):
    table = make().summary((3,))
    assert (table.total, table.trainable, table.non_trainable) == (42, 34, 8)
    assert [row.parameters for row in table.rows] == [16, 0, 16, 10]
    assert [row.output_shape for row in table.rows] == [(4,), (4,), (4,), (2,)]
    printed = capsys.readouterr().out
    assert printed == str(table) + "\n"
    assert make().summary(3) == make().summary(np.int64(3)) == table
    assert "total 42   trainable 34   non-trainable 8" in printed


def test_descriptions_are_comparable_and_jsonable():
    import json

    assert mg.Dense(3, 4) == mg.Dense(3, 4) != mg.Dense(3, 4, bias=False)
    assert repr(mg.LeakyReLU(0.2)) == "LeakyReLU(slope=0.2)"
    described = json.loads(json.dumps(make().to_config()))
    assert described[0]["layer"] == "Dense"
    assert described[0]["weight_init"] == {"initializer": "GlorotUniform"}
    assert described[2] | {"gamma_init": 0, "beta_init": 0} == {
        "layer": "BatchNorm", "channels": 4, "eps": 1e-5, "momentum": 0.1, "momentum_on": "new", "unbiased": True,
        "gamma_init": 0, "beta_init": 0,
    }  # fmt: skip


def test_network_of_one_layer_helper_moves_every_parameter():
    assert (network(mg.BatchNorm(3)).theta != make().theta[16]).all()
