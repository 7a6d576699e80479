"""Arrays of the emulated device: they behave as CuPy's and have NumPy's numbers."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

import minigan
from minigan.ops.cuda.device.emulator import arrays as xp

A = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x + A,
        lambda x: A + x,
        lambda x: x @ A.T,
        lambda x: x == A,
        lambda x: xp.concatenate([x, A]),
        lambda x: np.concatenate([x, A]),
        lambda x: np.add(x, A),
        lambda x: xp.exp(A),
        lambda x: xp.where(x > 0, x, A),
        lambda x: np.asarray(x),
        lambda x: np.array(x),
        lambda x: x.__iadd__(A),
        lambda x: x.__setitem__(0, A[0]),
        lambda x: A.__setitem__(0, x[0]),
        lambda x: x[np.array([0, 1])],
        lambda x: np.add(x, 1, out=A),
        lambda x: np.zeros_like(x, subok=False),
        lambda x: np.zeros_like(x, shape=()),
    ],
)
def test_what_differs_from_cupy_is_refused(mix):
    with pytest.raises(TypeError):
        mix(xp.asarray(A))


def assert_same(found, expected):
    assert isinstance(found, xp.ndarray)
    assert found.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(found.get(), expected)


@pytest.mark.parametrize(
    "function",
    [
        lambda np, x: x + 1,
        lambda np, x: 2 / (1 + x),
        lambda np, x: -x @ x.T,
        lambda np, x: x.sum(axis=0),
        lambda np, x: x.sum(),
        lambda np, x: x.max(axis=-1, keepdims=True),
        lambda np, x: x[1:, ::2],
        lambda np, x: x[x > 3],
        lambda np, x: x[np.asarray([2, 0])],
        lambda np, x: x[1, 2],
        lambda np, x: x.reshape(2, -1).T.copy(),
        lambda np, x: x.astype("float32") * 0.1,
        lambda np, x: np.concatenate([x, x], axis=1),
        lambda np, x: np.stack([x, x]),
        lambda np, x: np.split(x, 3)[1],
        lambda np, x: np.where(x > 3, x, 0),
        lambda np, x: np.take_along_axis(x, x.argmax(axis=1)[:, None], axis=1),
        lambda np, x: np.arange(5),
        lambda np, x: np.sqrt(x, out=np.empty_like(x)),
        lambda np, x: np.tanh(x).repeat(2, axis=0),
        lambda np, x: np.zeros((2, 3), dtype="float32"),
        lambda np, x: x.real,
        lambda np, x: 1 - (x <= 2),
        lambda np, x: np.isfinite(x).all(),
    ],
)
def test_functions_agree_with_numpy(function):
    assert_same(function(xp, xp.asarray(A)), function(np, A))


def test_ufuncs_of_numpy_dispatch():
    x = xp.asarray(A)
    assert_same(np.exp(x), np.exp(A))
    assert_same(np.concatenate([x, x]), np.concatenate([A, A]))
    assert_same(np.sum(x, axis=0), A.sum(axis=0))


def test_views_write_through():
    x = xp.asarray(A)
    x[1][...] = 7
    x[:, 0] += 1
    row = x[2]
    row *= 2
    expected = A.copy()
    expected[1], expected[2] = 7, 2 * expected[2]
    expected[:2, 0] += 1
    expected[2, 0] += 2
    assert_same(x, expected)
    assert A[1, 0] == 4


def test_get_and_set_copy():
    host = A.copy()
    x = xp.asarray(host)
    host[0] = -1
    back = x.get()
    back[1] = -1
    assert_same(x, A)
    assert xp.asarray(x) is x
    x.set(host)
    assert_same(x, host)


def test_scalars():
    x = xp.asarray(A)
    assert (float(x[0, 1]), int(x[0, 2]), bool(x[0, 0]), len(x), f"{x[0, 3]:.1f}") == (1.0, 2, False, 3, "3.0")
    assert x.sum().shape == ()
    assert x[0, 1].item() == 1.0
    assert [float(v) for v in x[0]] == [0, 1, 2, 3]
    assert x.tolist() == A.tolist()


def calls():
    """Return (function, names of keyword arguments) of each call of the array module in the library."""
    for path in sorted(Path(minigan.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                module = node.func.value
                if getattr(module, "id", getattr(module, "attr", None)) == "xp" and node.func.attr != "RawModule":
                    yield node.func.attr, {keyword.arg for keyword in node.keywords}


def test_cupy_has_each_function_that_the_library_calls():
    cupy = pytest.importorskip("cupy")
    found = list(calls())
    assert {"concatenate", "where", "zeros"} <= {name for name, _ in found}
    for name, keywords in found:
        function = getattr(cupy, name)
        if isinstance(function, cupy.ufunc):
            assert keywords <= {"out", "dtype"}, name
        else:
            assert keywords <= set(inspect.signature(function).parameters), name


def test_cupys_arrays_have_these_attributes():
    cupy = pytest.importorskip("cupy")
    own = {name for name in dir(xp.ndarray) if not name.startswith("_")} - {"address"}
    assert not [name for name in sorted(own) if not hasattr(cupy.ndarray, name)]
