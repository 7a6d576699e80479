"""Network: one vector, named views, and everything that would make a gradient silently wrong."""

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
    with pytest.raises(mg.ShapeError, match=r"vector has shape \(3,\); accepted: \(34,\)"):
        net.views(np.zeros(3))


def test_stale_backward_is_an_error_whatever_changed_theta():
    net = make()
    for change in (
        lambda: mg.SGD(net, lr=0.1).step(net.zeros_like_theta()),
        lambda: net.load_parameters(net.parameters()),
        lambda: setattr(net, "theta", net.theta + 1),
        net.touch,
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
    """An array that counts the matrix products it takes part in."""

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
    assert products(lambda: backward(dy, g, need_dx=False)) == 3  # both dW, dx of the upper layer
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
        ValueError, match=r"missing '0.b'.*unexpected '9.W'.*'0.W' has shape \(4, 3\), accepted \(3, 4\)"
    ):
        net.load_parameters(given)
    np.testing.assert_array_equal(net.theta, before)


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
        TypeError, match=r"x is complex128 but the network is float32; accepted: net.astype\('complex128'\)"
    ):
        net(X.astype(complex))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make()(np.ones((5, 4))), mg.ShapeError, r"Dense\(n_in=3.*x has shape \(5, 4\); accepted: \(N, 3\)"),
        (lambda: make()(np.ones((0, 3))), mg.ShapeError, r"x has shape \(0, 3\); accepted: \(N, ...\) with N >= 1"),
        (lambda: make()(np.ones(3)), mg.ShapeError, r"x has shape \(3,\)"),
        (lambda: make()([[1, 2, 3]]), TypeError, "x must be a numpy array, got list"),
        (
            lambda: make().forward(X, train=True)[1](np.ones((5, 3))),
            mg.ShapeError,
            r"dy has shape \(5, 3\); accepted: \(5, 2\)",
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
        (lambda: make().summary((5,)), mg.ShapeError, r"layer 0: Dense.*input shape \(5,\); accepted: \(3,\)"),
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
    assert "total 42   trainable 34   non-trainable 8" in printed


def test_descriptions_are_comparable_and_jsonable():
    import json

    assert mg.Dense(3, 4) == mg.Dense(3, 4) != mg.Dense(3, 4, bias=False)
    assert repr(mg.LeakyReLU(0.2)) == "LeakyReLU(slope=0.2)"
    described = json.loads(json.dumps(make().describe()))
    assert described[0]["layer"] == "Dense"
    assert described[0]["weight_init"] == {"initializer": "GlorotUniform"}
    assert described[2] | {"gamma_init": 0, "beta_init": 0} == {
        "layer": "BatchNorm", "channels": 4, "eps": 1e-5, "momentum": 0.1, "momentum_on": "new", "unbiased": True,
        "gamma_init": 0, "beta_init": 0,
    }  # fmt: skip


def test_network_of_one_layer_helper_moves_every_parameter():
    assert (network(mg.BatchNorm(3)).theta != make().theta[16]).all()
