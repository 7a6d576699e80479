"""Check the elementwise functions, and bias with activation, through the code that launches them."""

import numpy as np
from emulated import error_of

from minigan.ops import reference
from minigan.ops.cuda.bias_act import BiasActivation
from minigan.ops.cuda.elementwise import Elementwise
from minigan.ops.cuda.norm_act import NormActivation

GATES = {"float32": 1e-6, "float64": 1e-13}
SPECIAL = [np.nan, np.inf, -np.inf, -1.0, 0.0, -0.0, 1.0, 1e-300, 800.0, -800.0]


def numbers(size, dtype, seed=0):
    """Return normal numbers, followed by the special ones."""
    return np.concatenate([3 * np.random.default_rng(seed).standard_normal(size), SPECIAL]).astype(dtype)


def leaky(x, slope):
    return np.where(x > 0, x, slope * x)


def sigmoid_backward(dy, y):
    return dy * (y * (1 - y))


def tanh_backward(dy, y):
    return dy * (1 - y * y)


UNARY = {
    "relu": reference.relu,
    "sigmoid": reference.sigmoid,
    "softplus": reference.softplus,
}


def forward(device, dtype="float64", sizes=(0, 1, 6, 300, 5001), offset=0):
    """Results agree with the reference to a few units in the last place, also for NaN and infinities."""
    for size in sizes:
        x = numbers(size + offset, dtype)
        given = device.array(x)[offset:]
        for name, right in UNARY.items():
            found = device.host(getattr(Elementwise(device), name)(given))
            assert found.dtype == dtype
            with np.errstate(all="ignore"):
                expected = right(x[offset:].astype(float))
            np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


def backward(device, dtype="float64", offset=0):
    x, dy = (a.reshape(-1) for a in np.meshgrid(numbers(20, dtype), numbers(17, dtype)))
    found = device.host(Elementwise(device).relu_backward(*(device.array(a)[offset:] for a in (dy, x))))
    np.testing.assert_array_equal(found, reference.relu_backward(dy[offset:], x[offset:]))


def both(device, dtype="float64"):
    x = numbers(300, dtype).reshape(10, -1)
    for found, expected in zip(
        Elementwise(device).softplus_sigmoid(device.array(x)), reference.softplus_sigmoid(x.astype(float)), strict=True
    ):
        np.testing.assert_allclose(
            device.host(found), expected, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny
        )


def loss(device, dtype="float64"):
    """With one block and with several; the value is an array of the device."""
    for shape in ((1,), (7, 1), (300, 1), (9000,), (12_345, 1)):
        s = 3 * np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)
        for sign, weight in ((1, 1.0), (-1, 0.5)):
            value, ds = Elementwise(device).mean_softplus(device.array(s), sign, weight)
            right, right_ds = reference.mean_softplus(s.astype(float), sign, weight)
            assert (value.shape, value.dtype, ds.dtype) == ((), dtype, dtype)
            assert abs(float(value) - right) < GATES[dtype] * right
            assert error_of(device.host(ds), right_ds) < GATES[dtype]


FUNCTIONS = {
    "none": (lambda v: v, lambda dy, y: dy),
    "relu": (reference.relu, reference.relu_backward),
    "leaky_relu": (lambda v: leaky(v, 0.2), lambda dy, y: np.where(y > 0, dy, 0.2 * dy)),
    "tanh": (np.tanh, tanh_backward),
    "sigmoid": (reference.sigmoid, sigmoid_backward),
}


def bias(device, dtype="float64", shapes=((7, 3), (3, 300, 3), (300, 4))):
    """With and without a bias, for rows that can and cannot be loaded in packs."""
    layer = BiasActivation(device, NormActivation(device))
    for shape in shapes:
        rng = np.random.default_rng(len(shape))
        x, dy = rng.standard_normal((2, *shape)).astype(dtype)
        b = rng.standard_normal(shape[-1]).astype(dtype)
        for kind, (f, back) in FUNCTIONS.items():
            y = layer.forward(device.array(x), device.array(b), kind, 0.2)
            right = f(x.astype(float) + b)
            assert error_of(device.host(y), right) < GATES[dtype]
            y_unbiased = layer.forward(device.array(x), None, kind, 0.2)
            assert error_of(device.host(y_unbiased), f(x.astype(float))) < GATES[dtype]
            dx, db = layer.backward(device.array(dy), y, kind, 0.2)
            right_dx = back(dy.astype(float), device.host(y).astype(float))
            assert error_of(device.host(dx), right_dx) < GATES[dtype]
            error = abs(device.host(db) - reference.sum_rows(right_dx))
            assert (error <= GATES[dtype] * reference.sum_rows(abs(right_dx))).all()
