"""The parameter vector on the CPU backend: updates in blocks, the check for finite numbers, copies."""

import numpy as np
import pytest
from cases import gan

from minigan.ops import get_ops, reference
from minigan.ops.cpu import vector
from minigan.ops.cpu.kernels.numpy import vector as numpy_vector
from minigan.training import loop

SIZES = [1, 7, vector.BLOCK_NUMBERS + 1, 3 * vector.NUMPY_BLOCK_NUMBERS + 5]
UPDATES = {
    "adam": (3, lambda o, v: o.adam(*v, 3, lr=2e-4, beta1=0.5, beta2=0.999, eps=1e-8)),
    "adam, first step": (3, lambda o, v: o.adam(*v, 1, lr=0.01, beta1=0.0, beta2=0.0, eps=0.0)),
    "rmsprop": (2, lambda o, v: o.rmsprop(*v, lr=1e-3, rho=0.9, eps=1e-8)),
    "momentum": (2, lambda o, v: o.momentum(*v, lr=0.1, momentum=0.9, nesterov=False)),
    "nesterov": (2, lambda o, v: o.momentum(*v, lr=0.1, momentum=0.9, nesterov=True)),
}


@pytest.fixture(params=[False, True], ids=["numpy", "numba"])
def compiled(request):
    if request.param:
        pytest.importorskip("numba")
    return request.param


def vectors(count, size, dtype):
    """theta, g and the optimizer's vectors, of which the last is not negative."""
    made = np.random.default_rng(size).standard_normal((count + 1, size))
    made[-1] **= 2
    return list(made.astype(dtype))


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "gate"), [("float32", 1e-6), ("float64", 2e-15)])
def test_updates_are_the_references_on_any_number_of_threads(name, size, dtype, gate, compiled):
    count, update = UPDATES[name]
    want = vectors(count, size, dtype)
    update(reference, want)
    seen = []
    for threads in (1, 2, 3):
        got = vectors(count, size, dtype)
        update(get_ops("cpu", compiled=compiled, threads=threads), got)
        for a, b in zip(got, want, strict=True):
            assert a.dtype == np.dtype(dtype)
            np.testing.assert_allclose(a, b, rtol=gate, atol=gate * np.abs(b).max())
        np.testing.assert_array_equal(got[1], want[1])  # g is only read
        seen.append([a.tobytes() for a in got])
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("name", UPDATES)
def test_other_kinds_are_the_references(name, compiled):
    count, update = UPDATES[name]
    for make in (
        lambda: vectors(count, 9, "complex128"),
        lambda: vectors(count, 9, "longdouble"),
        lambda: [np.repeat(a, 2)[::2] for a in vectors(count, 9, "float64")],
        lambda: [a.astype("float32" if i == 1 else "float64") for i, a in enumerate(vectors(count, 9, "float64"))],
    ):
        want, got = make(), make()
        update(reference, want)
        update(get_ops("cpu", compiled=compiled), got)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("size", [0, *SIZES])
def test_finite(size, dtype, compiled):
    ops = get_ops("cpu", compiled=compiled, threads=2)
    x = np.full(size, -np.finfo(dtype).max, dtype=dtype)  # their squares and their sum are not finite
    x[::2] = np.finfo(dtype).max
    assert ops.finite(x) is True
    for value in (np.nan, np.inf, -np.inf):
        for place in {0, size // 2, size - 1} if size else ():
            wrong = x.copy()
            wrong[place] = value
            assert ops.finite(wrong) is False
            assert reference.finite(wrong) is False


def test_finite_stops_after_the_first_block_that_is_not(monkeypatch):
    looked, finite = [], numpy_vector.finite
    monkeypatch.setattr(numpy_vector, "finite", lambda block: looked.append(1) or finite(block))
    x = np.zeros(8 * vector.NUMPY_BLOCK_NUMBERS)
    x[0] = np.nan
    assert not get_ops("cpu", compiled=False, threads=1).finite(x)
    assert len(looked) == 1


@pytest.mark.parametrize("size", SIZES)
def test_copies(size, compiled):
    source, target = vectors(1, size, "float32")
    get_ops("cpu", compiled=compiled, threads=2).copy(target, source)
    np.testing.assert_array_equal(target, source)
    assert not np.shares_memory(target, source)


def test_the_last_good_parameters_come_back():
    game = gan()
    good = loop.Rollback(game)
    game.D.theta[...] += 1
    good.keep()
    kept = [vector.copy() for vector in loop.trained_vectors(game)]
    version = game.D.version
    for changed in loop.trained_vectors(game):
        changed[...] = np.nan
    good.restore()
    for restored, want in zip(loop.trained_vectors(game), kept, strict=True):
        np.testing.assert_array_equal(restored, want)
    assert game.D.version > version
