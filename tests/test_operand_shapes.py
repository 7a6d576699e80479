"""Operands whose shapes do not fit are refused on every backend: the kernels check no index themselves."""

import numpy as np
import pytest
from cases import ON_EACH_BACKEND

from minigan.ops import get_ops
from minigan.ops.cuda.device.source import KernelError
from minigan.ops.geometry import Geometry

GEOMETRY = Geometry((5, 4), (3, 2), (3, 3), (1, 1), (1, 1), ((0, 0), (0, 0)))
X, Y, W = (2, 5, 4, 3), (2, 3, 2, 6), (3, 3, 3, 6)
ON_EACH_DTYPE = pytest.mark.parametrize("dtype", ["float32", "float64"])


def calls(ops, dtype):
    """Return the three correlations as functions of the shapes of their operands."""

    def array(shape):
        return ops.xp.asarray(np.ones(shape, dtype))

    return {
        "correlate": lambda x, w: ops.correlate(array(x), array(w), GEOMETRY),
        "adjoint": lambda y, w: ops.correlate_adjoint(array(y), array(w), GEOMETRY),
        "weights": lambda x, y: ops.correlate_weights(array(x), array(y), GEOMETRY),
    }


CORRELATIONS = {
    "x without its channels": ("correlate", (X[:3], W), r"^x has shape \(2, 5, 4\); expected \(N, 5, 4, 3\)"),
    "x with an axis more": ("correlate", ((*X, 1), W), r"^x has shape \(2, 5, 4, 3, 1\); expected \(N, 5, 4, 3\)"),
    "x of other channels": ("correlate", ((2, 5, 4, 2), W), r"^x has shape .*; expected \(N, 5, 4, 3\)"),
    "x of one pixel, which NumPy would repeat": ("correlate", ((2, 1, 1, 3), W), r"^x has .*; expected \(N, 5, 4, 3\)"),
    "W without its outputs": ("correlate", (X, W[:3]), r"^W has shape \(3, 3, 3\); expected \(3, 3, C, O\)"),
    "W with an axis more": ("correlate", (X, (*W, 1)), r"^W has shape \(3, 3, 3, 6, 1\); expected \(3, 3, C, O\)"),
    "W of more taps": ("correlate", (X, (4, 3, 3, 6)), r"^W has shape \(4, 3, 3, 6\); expected \(3, 3, C, O\)"),
    "y without its channels": ("adjoint", (Y[:3], W), r"^y has shape \(2, 3, 2\); expected \(N, 3, 2, 6\)"),
    "y of one pixel, which NumPy would repeat": ("adjoint", ((2, 1, 1, 6), W), r"^y has .*; expected \(N, 3, 2, 6\)"),
    "W of more taps, adjoint": ("adjoint", (Y, (3, 4, 3, 6)), r"^W has shape .*; expected \(3, 3, C, O\)"),
    "W without its outputs, adjoint": ("adjoint", (Y, W[:3]), r"^W has shape \(3, 3, 3\); expected \(3, 3, C, O\)"),
    "W with an axis more, adjoint": ("adjoint", (Y, (*W, 1)), r"^W has shape .*; expected \(3, 3, C, O\)"),
    "x without its channels, weights": ("weights", (X[:3], Y), r"^x has shape \(2, 5, 4\); expected \(N, 5, 4, C\)"),
    "y without its channels, weights": ("weights", (X, Y[:3]), r"^y has shape \(2, 3, 2\); expected \(N, 3, 2, O\)"),
    "x of one pixel, weights": ("weights", ((2, 1, 1, 3), Y), r"^x has shape .*; expected \(N, 5, 4, C\)"),
    "y of another size": ("weights", (X, (2, 2, 3, 6)), r"^y has shape \(2, 2, 3, 6\); expected \(N, 3, 2, O\)"),
    "different numbers of images": ("weights", (X, (3, *Y[1:])), "^x has 2 images, y has 3; expected equal numbers"),
}


@ON_EACH_BACKEND
@ON_EACH_DTYPE
@pytest.mark.parametrize("case", CORRELATIONS)
def test_a_correlation_names_the_operand_that_does_not_fit(case, dtype, ops):
    name, shapes, message = CORRELATIONS[case]
    with pytest.raises(ValueError, match=message):
        calls(get_ops(ops) if isinstance(ops, str) else ops, dtype)[name](*shapes)


UPDATES = {
    "adam": (4, lambda o, v: o.adam(*v, 3, lr=2e-4, beta1=0.5, beta2=0.999, eps=1e-8)),
    "rmsprop": (3, lambda o, v: o.rmsprop(*v, lr=1e-3, rho=0.9, eps=1e-8)),
    "momentum": (3, lambda o, v: o.momentum(*v, lr=0.1, momentum=0.9, nesterov=False)),
}


@ON_EACH_BACKEND
@ON_EACH_DTYPE
@pytest.mark.parametrize("size", [1, 4, 6])
@pytest.mark.parametrize("name", UPDATES)
def test_an_update_refuses_vectors_of_another_size(name, size, dtype, ops):
    """Neither the gradient nor a vector of the optimizer may be shorter or longer than theta; nothing has changed."""
    count, update = UPDATES[name]
    for wrong in range(1, count):
        vectors = [np.full(size if i == wrong else 5, 1 + i, dtype) for i in range(count)]
        before = [v.copy() for v in vectors]
        with pytest.raises(
            ValueError, match=rf"^{name}: theta has shape \(5,\), \w has shape \({size},\); expected eq"
        ):
            update(get_ops(ops), vectors)
        for found, right in zip(vectors, before, strict=True):
            np.testing.assert_array_equal(found, right)


@ON_EACH_BACKEND
@ON_EACH_DTYPE
@pytest.mark.parametrize("size", [3, 6])
def test_a_copy_refuses_a_source_of_another_size(size, dtype, ops):
    with pytest.raises(ValueError, match="broadcast"):
        get_ops(ops).copy(np.zeros(5, dtype), np.zeros(size, dtype))


@ON_EACH_BACKEND
@ON_EACH_DTYPE
@pytest.mark.parametrize("N", [3, 2000])  # a small and a large product, which are computed differently
@pytest.mark.parametrize(
    ("I", "inputs", "bias"), [(1, 2, 300), (2, 1, 300), (40, 41, 300), (40, 40, 299), (40, 40, 301)]
)
def test_an_affine_map_refuses_operands_that_do_not_fit(N, I, inputs, bias, dtype, ops):
    x, W, b = np.ones((N, inputs), dtype), np.ones((I, 300), dtype), np.ones(bias, dtype)
    with pytest.raises((ValueError, KernelError)):
        get_ops(ops).affine(x, W, b)
