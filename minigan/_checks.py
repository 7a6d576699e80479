"""Checks of the arrays that enter a network and that its layers return: their types, shapes and dtypes.

The checks compare attributes and never read an array's data, so that their cost is negligible compared with a pass.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan._views import castable
from minigan.initializers import Shape
from minigan.ops.errors import ShapeError
from minigan.ops.protocol import Array

Place = Callable[[int], str]
Pullback = Callable[..., Any]


def network_dtype(given: Any) -> np.dtype[Any]:
    """Return `given` as a dtype that the formulas of layers and optimizers support.

    Raises
    ------
    TypeError
        For float16, in which the optimizers' eps of 1e-8 is 0 and sums of squares overflow; for a byte order other than
        the machine's; and for any dtype that is not floating, complex or object.

    """
    expected = "expected float32, float64, longdouble, a complex dtype, or object"
    try:
        dtype = np.dtype(given)
    except TypeError:
        raise TypeError(f"dtype {given!r} is not a dtype; {expected}") from None
    if given is None or dtype.kind not in "fcO":
        raise TypeError(
            f"dtype must be floating, complex or object, got {given if given is None else dtype}; {expected}"
        )
    if dtype == np.float16:
        raise TypeError(f"dtype float16: its range and precision are too small for the optimizers' eps; {expected}")
    if not dtype.isnative:
        raise TypeError(
            f"dtype {dtype.str} has a foreign byte order; expected the machine's, {dtype.newbyteorder('=')}"
        )
    return dtype


def require_plain(name: str, array: Any, xp: Any) -> None:
    """Raise TypeError unless `array` is an array of the backend, and neither masked nor a matrix.

    A mask would be ignored, and `*` means the matrix product for numpy.matrix.  A numpy.memmap is accepted.
    """
    require_kind(name, array, xp.ndarray, xp.__name__)


def require_kind(name: str, array: Any, kind: Any, package: str = "") -> None:
    """Raise TypeError unless `array` is of the backend's array type, and neither masked nor a matrix."""
    if not isinstance(array, kind):
        raise TypeError(f"{name} must be a {package or kind.__module__} array, got {type(array).__name__}")
    require_unmasked(name, array)
    if isinstance(array, np.matrix):
        raise TypeError(f"{name} is a matrix; expected a plain array, np.asarray({name})")


def require_unmasked(name: str, array: Any) -> None:
    """Raise TypeError for a masked array."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be ignored; expected a plain array")


def require_flags(**flags: Any) -> None:
    """Raise TypeError unless each argument is True or False."""
    for name, value in flags.items():
        if value is not True and value is not False and not isinstance(value, np.bool_):
            raise TypeError(f"{name} must be True or False, got {value!r}")


def require_generator(name: str, value: Any) -> None:
    """Raise TypeError unless `value` is None or has the method `integers` of a numpy.random.Generator.

    While an iteration is captured as a graph, another object with this method replaces the generator.
    """
    if value is not None and not callable(getattr(value, "integers", None)):
        raise TypeError(f"{name} must be a numpy.random.Generator (np.random.default_rng(seed)) or None, got {value!r}")


def require_no_shared_memory(name: str, array: Array, other: str, vector: Array) -> None:
    """Raise ValueError if a vector shares memory with another vector, which is written or must not change."""
    if array is not vector and owns_memory(array) and owns_memory(vector):
        return
    if array is vector or _overlap(array, vector):
        raise ValueError(f"{name} shares memory with {other}; expected a separate array (net.zeros_like_theta())")


def owns_memory(array: Array) -> bool:
    """Whether the array owns its memory, according to its `base`: it is not a view of another array."""
    return getattr(array, "base", array) is None


def is_valid_gradient_vector(vector: Any, theta: Array) -> bool:
    """Whether `vector` has the type, shape and dtype of theta and owns its memory; then it needs no further check."""
    return (
        type(vector) is type(theta)
        and vector.shape == theta.shape
        and vector.dtype == theta.dtype
        and vector is not theta
        and getattr(vector, "base", vector) is None  # `owns_memory`, without the call: every step comes here
    )


def _overlap(a: Array, b: Array) -> bool:
    """Whether the memory bounds of two vectors overlap."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return bool(np.may_share_memory(a, b))
    ends = []
    for v in (a, b):
        low, reach = int(v.data.ptr), (v.size - 1) * v.strides[0]
        ends.append((low + min(reach, 0), low + max(reach, 0) + v.itemsize))
    return bool(a.size and b.size and ends[0][0] < ends[1][1] and ends[1][0] < ends[0][1])


def require_grads(grads: Array, theta: Array) -> None:
    """Raise unless gradients can be added to `grads` (P,): of theta's dtype, writeable, and apart from theta."""
    if grads.dtype != theta.dtype:
        raise TypeError(f"grads is {grads.dtype}; expected {theta.dtype}, the dtype of theta")
    if isinstance(grads, np.ndarray) and not grads.flags.writeable:
        raise ValueError("grads is read-only; expected an array that gradients can be added to")
    require_no_shared_memory("grads", grads, "theta", theta)


def layer_output(place: Place, at: int, result: Any, n: int, kind: Any, dtype: np.dtype[Any]) -> tuple[Array, Pullback]:
    """Check and return the output and the pullback that a layer's `forward` returned.

    Parameters
    ----------
    place : callable
        ``place(at)`` is the layer's name in errors.
    at : int
        The layer's index in its chain.
    result : object
        The return value of `forward`; expected (y, pullback) with y (N, ...).
    n : int
        N, the number of examples in x.
    kind : type
        The backend's array type.
    dtype : dtype
        The network's dtype.

    Returns
    -------
    tuple
        y (N, ...) in the network's dtype, and the pullback.

    Raises
    ------
    TypeError
        Unless `result` is such a pair, and y is an array of the backend whose conversion to the network's dtype only
        rounds.
    ShapeError
        Unless y has one row for each example.

    """
    if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
        given = f"a tuple of {len(result)}" if isinstance(result, tuple) else type(result).__name__
        if isinstance(result, tuple) and len(result) == 2:
            given = f"a pullback of type {type(result[1]).__name__}"
        raise TypeError(f"{place(at)}: forward returned {given}; expected (y, pullback), pullback callable")
    y = result[0]
    name = place(at) + ": y"
    require_kind(name, y, kind)
    if not y.ndim or y.shape[0] != n:
        raise ShapeError(f"{name} has shape {y.shape}; expected ({n}, ...), one row for each of the {n} examples in x")
    return _cast(name, y, dtype), result[1]


def layer_tangent(
    place: Place, at: int, result: Any, n: int, kind: Any, dtype: np.dtype[Any]
) -> tuple[Array, Array, Pullback]:
    """Check and return y, y_dot and the pullback that a layer's `pushforward` returned; see `layer_output`.

    Raises
    ------
    TypeError
        Unless `result` is (y, y_dot, pullback) with arrays of the backend whose conversion to the network's dtype only
        rounds.
    ShapeError
        Unless y has one row for each of the n examples, and y_dot the shape of y.

    """
    if not (isinstance(result, tuple) and len(result) == 3 and callable(result[2])):
        given = f"a tuple of {len(result)}" if isinstance(result, tuple) else type(result).__name__
        raise TypeError(f"{place(at)}: pushforward returned {given}; expected (y, y_dot, pullback), pullback callable")
    y, pullback = layer_output(place, at, (result[0], result[2]), n, kind, dtype)
    name = place(at) + ": y_dot"
    require_kind(name, result[1], kind)
    if result[1].shape != y.shape:
        raise ShapeError(f"{name} has shape {result[1].shape}; expected {y.shape}, the shape of y")
    return y, _cast(name, result[1], dtype), pullback


def layer_gradient(
    place: Place, at: int, dx: Any, shape: Shape, kind: Any, dtype: np.dtype[Any], argument: str = "dx"
) -> Array:
    """Check dx, which the pullback of layer `at` returned for x of `shape`, and return it in the network's dtype.

    Errors call it `argument`.

    Raises
    ------
    TypeError
        Unless dx is an array of the backend whose conversion to the network's dtype only rounds.
    ShapeError
        Unless dx has the shape of x.

    """
    name = f"{place(at)}: {argument}"
    require_kind(name, dx, kind)
    if dx.shape != shape:
        raise ShapeError(f"{name} has shape {dx.shape}; expected {shape}, the shape of x")
    return _cast(name, dx, dtype)


def logit_gradient(name: str, ds: Any, s: Array, objective: Any) -> Array:
    """Check ds, a gradient that an objective returned for the logits s, and return it in their dtype.

    Raises TypeError or ShapeError, which name the objective, unless ds is an array of the type and shape of s.
    """
    if type(ds) is type(s) and ds.dtype == s.dtype and ds.shape == s.shape:
        return ds
    name = f"{type(objective).__name__}: {name}"
    if not isinstance(ds, type(s)) or isinstance(ds, np.ma.MaskedArray | np.matrix):
        kind = type(s)
        raise TypeError(f"{name} must be a {kind.__module__} array, as the logits are, got {type(ds).__name__}")
    if ds.shape != s.shape:
        raise ShapeError(f"{name} has shape {ds.shape}; expected {s.shape}, the shape of the logits")
    return _cast(name, ds, s.dtype)


def _cast(name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    """Return the array in another dtype; raise TypeError if the conversion would do more than round."""
    if array.dtype == dtype:
        return array
    if not castable(array.dtype, dtype):
        raise TypeError(f"{name} is {array.dtype}; expected {dtype}, or real numbers")
    return array.astype(dtype)
