"""Device arrays over host memory, and this module as their array module: CuPy's manners, NumPy's numbers.

As in CuPy, a NumPy array does not mix with them, nor turns into one of them unless `asarray` (or `array`) is asked to,
and `get` is the way back; a reduction gives an array of no dimension, not a scalar.  Functions of NumPy's name are
NumPy's: ``arrays.exp(x)``, ``arrays.concatenate([x, y])``.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

recorder: Any = None
"""Where a graph is being captured, what records it (`minigan.ops.cuda.device.emulator.recording`)."""

MOST_JOINED = 8
"""Arrays that CuPy joins by copies; of more it sends a table of addresses from the host, which no graph can hold."""
_MIXED = "a NumPy array among arrays of the emulated CUDA device; expected device.array(host) first, or x.get()"


class Pointer(NamedTuple):
    """Where the first number of an array lies."""

    ptr: int


class ndarray:
    """An array of the emulated device."""

    __slots__ = ("_host",)
    _host: np.ndarray

    # --- crossing over ----------------------------------------------------------------------------

    def get(self) -> np.ndarray:
        """Return a copy on the host."""
        _waits("get")
        return self._host.copy()

    def set(self, host: np.ndarray) -> None:
        """Copy a host array of the same shape and dtype into this one."""
        if not isinstance(host, np.ndarray) or host.shape != self.shape or host.dtype != self.dtype:
            raise TypeError(f"set takes a NumPy array of shape {self.shape} and dtype {self.dtype}")
        _waits("set")
        self._host[...] = host

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return _apply(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Callable, types: Any, args: Any, kwargs: Any) -> Any:
        return _apply(function, args, kwargs)

    # --- what it is -------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._host.shape

    @property
    def dtype(self) -> np.dtype:
        """NumPy's name of the numbers."""
        return self._host.dtype

    @property
    def flags(self) -> Any:
        """Among them c_contiguous."""
        return self._host.flags

    @property
    def address(self) -> int:
        """Where the first number lies."""
        return self._host.__array_interface__["data"][0]

    @property
    def data(self) -> Pointer:
        """The memory, in CuPy's form."""
        return Pointer(self.address)

    @property
    def nbytes(self) -> int:
        """How many bytes the numbers take."""
        return self._host.nbytes

    @property
    def T(self) -> "ndarray":
        """The axes in reverse order."""
        return _wrap(self._host.T)

    @property
    def real(self) -> "ndarray":
        """The real part: of real numbers the array itself."""
        return _wrap(self._host.real)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[Any]:
        return (_wrap(part) for part in self._host)

    def __bool__(self) -> bool:
        _waits("bool")
        return bool(self._host)

    def __int__(self) -> int:
        _waits("int")
        return int(self._host)

    def __float__(self) -> float:
        _waits("float")
        return float(self._host)

    def __index__(self) -> int:
        _waits("index")
        return operator.index(self._host)

    def __format__(self, spec: str) -> str:
        _waits("format")
        return format(self._host if not spec else self._host.item(), spec)

    def __repr__(self) -> str:
        return repr(self._host)

    def __getitem__(self, key: Any) -> Any:
        return _apply(operator.getitem, (self, key), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        _apply(operator.setitem, (self, key, value), {})

    __hash__ = None  # type: ignore[assignment]


def _wrap(value: Any) -> Any:
    """Device arrays of NumPy's arrays and scalars; what else there is, as it is."""
    if isinstance(value, (np.ndarray, np.generic)):
        array = object.__new__(ndarray)
        array._host = np.asarray(value)
        return array
    if type(value) in (tuple, list):
        return type(value)(map(_wrap, value))
    return value


def _unwrap(value: Any) -> Any:
    """The host memory of device arrays; TypeError for a NumPy array."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(_MIXED)
    if type(value) in (tuple, list):
        return type(value)(map(_unwrap, value))
    return value


def _apply(function: Callable, args: Any, kwargs: Any) -> Any:
    """Call NumPy's function; an `out` that was given is returned as it is."""
    if "subok" in kwargs or kwargs.get("shape") == ():
        raise TypeError("subok=..., and shape=() of zeros_like and its kind, are not what they are in NumPy (CuPy 14)")
    if recorder is not None and function in (np.concatenate, np.stack) and len(args[0]) > MOST_JOINED:
        recorder.refuse(f"{function.__name__} of {len(args[0])} arrays")
    out = kwargs.get("out")
    given, named = tuple(map(_unwrap, args)), {name: _unwrap(value) for name, value in kwargs.items()}
    found = recorder.apply(function, given, named, _wrap) if recorder else _wrap(function(*given, **named))
    if out is None:
        return found
    return out[0] if isinstance(out, tuple) and len(out) == 1 else out


def _waits(what: str) -> None:
    """What the host waits for, or gives, cannot be part of a graph."""
    if recorder is not None:
        recorder.refuse(what)


def _method(name: str) -> Callable:
    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        if name in _WAITING:
            _waits(name)
        return _apply(getattr(self._host, name), args, kwargs)

    method.__name__ = name
    method.__doc__ = f"`numpy.ndarray.{name}`."
    return method


def _in_place(name: str) -> Callable:
    function = getattr(operator, f"i{name}")

    def method(self: ndarray, other: Any) -> ndarray:
        if not isinstance(other, (ndarray, int, float, complex, np.generic)):
            raise TypeError(_MIXED if isinstance(other, np.ndarray) else f"unsupported operand {type(other).__name__}")
        _apply(function, (self, other), {})
        return self

    return method


def _property(name: str) -> property:
    return property(lambda self: getattr(self._host, name), doc=f"`numpy.ndarray.{name}`.")


_METHODS = [
    "all", "any", "argmax", "argmin", "argsort", "astype", "clip", "copy", "cumsum", "dot", "fill", "flatten", "item",
    "max", "mean", "min", "nonzero", "prod", "ravel", "repeat", "reshape", "round", "squeeze", "std", "sum", "swapaxes",
    "take", "tolist", "trace", "transpose", "var", "view",
]  # fmt: skip
_WAITING = ("item", "nonzero", "tolist")
_BINARY = [
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift",
]  # fmt: skip
_COMPARISONS = ["lt", "le", "eq", "ne", "gt", "ge"]
for _name in [*_METHODS, *(f"__{op}__" for op in ("neg", "pos", "abs", "invert"))]:
    setattr(ndarray, _name, _method(_name))
for _name in [
    *(f"__{op}__" for op in _BINARY),
    *(f"__r{op}__" for op in _BINARY),
    *(f"__{op}__" for op in _COMPARISONS),
]:
    setattr(ndarray, _name, _method(_name))
for _name in _BINARY:
    setattr(ndarray, f"__i{_name}__", _in_place(_name))
for _name in ("ndim", "size", "itemsize", "strides"):
    setattr(ndarray, _name, _property(_name))


# --- the array module ---------------------------------------------------------------------------------


def asarray(value: Any, dtype: Any = None, **kwargs: Any) -> ndarray:
    """Return a device array: the same one, where that fits, or a copy of host numbers."""
    if isinstance(value, ndarray):
        return _apply(np.asarray, (value, dtype), kwargs) if dtype is not None or kwargs else value
    return array(value, dtype, **kwargs)


def array(value: Any, dtype: Any = None, **kwargs: Any) -> ndarray:
    """Return a new device array of a device array's or the host's numbers."""
    host = value._host if isinstance(value, ndarray) else value
    if not isinstance(value, ndarray):
        _waits("array")
    elif recorder is not None:
        return recorder.apply(np.array, (host, dtype), kwargs, _wrap)
    if not isinstance(value, (ndarray, np.ndarray)) and isinstance(value, (list, tuple)):
        host = [v._host if isinstance(v, ndarray) else v for v in value]
    return _wrap(np.array(host, dtype, **kwargs))


def empty(shape: Any, dtype: Any = float, **kwargs: Any) -> ndarray:
    """Return an array in which every byte is 0xFF: floating numbers are NaN until a kernel writes them."""
    host = np.empty(shape, dtype, **kwargs)
    host.reshape(-1).view(np.uint8)[...] = 0xFF
    return _wrap(host)


def empty_like(like: ndarray, dtype: Any = None) -> ndarray:
    """Return an array of that shape, as `empty` does."""
    return empty(like.shape, like.dtype if dtype is None else dtype)


def asnumpy(value: Any) -> np.ndarray:
    """Return the numbers on the host."""
    return value.get() if isinstance(value, ndarray) else np.asarray(value)


def __getattr__(name: str) -> Any:
    """NumPy's function of that name, on device arrays; types and constants as they are."""
    if name.startswith("_"):
        raise AttributeError(name)
    found = getattr(np, name)
    if isinstance(found, type) or not callable(found):
        return found

    def function(*args: Any, **kwargs: Any) -> Any:
        return _apply(found, args, kwargs)

    function.__name__ = name
    globals()[name] = function
    return function
