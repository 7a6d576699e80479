"""The backend interface: every backend has the reference's functions, with equal arguments and results."""

import inspect
from fractions import Fraction

import numpy as np
import pytest
import scipy.special
from cases import ON_EACH_BACKEND
from hypothesis import given
from hypothesis import strategies as st

from minigan.ops import BackendUnavailable, Ops, get_ops
from minigan.ops import reference as ref

FUNCTIONS = [name for name, _ in inspect.getmembers(Ops, inspect.isfunction) if not name.startswith("_")]


@ON_EACH_BACKEND
@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_agree_with_the_protocol(name, ops):
    def shape(function, skip):
        parameters = list(inspect.signature(function).parameters.values())[skip:]
        return [(p.name, p.kind, p.default) for p in parameters]

    assert shape(getattr(get_ops(ops), name), 0) == shape(getattr(Ops, name), 1)


def test_the_protocol_lists_every_function_of_the_reference():
    of_it = {n for n, f in inspect.getmembers(ref, inspect.isfunction) if f.__module__ == ref.__name__}
    assert {n for n in of_it if not n.startswith("_")} - {"real", "zeros", "dropout_hash", "dropout_threshold"} == set(
        FUNCTIONS
    )


def test_unknown_and_unavailable_backends():
    with pytest.raises(ValueError, match=r"unknown ops 'gpu' .did you mean 'cpu'.*; expected reference, cpu, cuda"):
        get_ops("gpu")
    with pytest.raises(ValueError, match="did you mean 'reference'"):
        get_ops("refrence")
    with pytest.raises(BackendUnavailable, match="expected here: ops='cpu'"):
        get_ops("cuda")


shapes = st.tuples(st.integers(1, 40), st.integers(1, 12))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(shapes, st.integers(1, 12), st.booleans(), st.integers(0, 2**32 - 1))
def test_cpu_affine_and_sums(dtype, shape, n_out, bias, seed):
    rng = np.random.default_rng(seed)
    cpu = get_ops("cpu")
    x = rng.standard_normal(shape).astype(dtype)
    W = rng.standard_normal((shape[1], n_out)).astype(dtype)
    b = rng.standard_normal(n_out).astype(dtype) if bias else None
    rtol = 2e-5 if dtype == "float32" else 1e-13
    for got, want in (
        (cpu.affine(x, W, b), ref.affine(x, W, b)),
        (cpu.sum_rows(x), ref.sum_rows(x)),
        *zip(cpu.moments(x), ref.moments(x), strict=True),
    ):
        assert got.dtype == x.dtype
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


@ON_EACH_BACKEND
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_and_softplus_over_the_whole_range(ops, dtype):
    """Against scipy in float64: a few units in the last place, from the smallest to the largest argument."""
    o, tiny = get_ops(ops), np.finfo(dtype).tiny
    x = np.concatenate([np.linspace(-110, 110, 4001), [0, 1e4, -1e4, 1e-30, -1e-30], *([1e-4, -1e-4] * 3,)]).astype(
        dtype
    )
    wide = x.astype("float64")
    eps = float(np.finfo(dtype).eps)
    expit, softplus = scipy.special.expit(wide), np.logaddexp(0, wide)
    both = o.softplus_sigmoid(x)
    for got, want in ((o.sigmoid(x), expit), (o.softplus(x), softplus), (both[0], softplus), (both[1], expit)):
        assert got.dtype == x.dtype
        np.testing.assert_allclose(got.astype("float64"), want, rtol=4 * eps, atol=float(tiny))


@ON_EACH_BACKEND
def test_dropout_masks_are_the_same_on_every_backend(ops):
    x, key = np.ones((50, 7)), 2**63 + 12345
    np.testing.assert_array_equal(get_ops(ops).dropout(x, 0.4, key), ref.dropout(x, 0.4, key))


@ON_EACH_BACKEND
def test_relu_keeps_the_kind_of_exact_numbers(ops):
    """A masked Fraction is a Fraction, because the next layer needs its methods (a masked ball has exp and sqrt)."""
    y = get_ops(ops).relu(np.array([Fraction(-1, 2), Fraction(1, 3), Fraction(0)], dtype=object))
    assert y.tolist() == [0, Fraction(1, 3), 0]
    assert {type(v) for v in y.tolist()} == {Fraction}
