"""The array module of the emulated device: arrays in host memory that behave as CuPy's.

As in CuPy, NumPy arrays are not converted implicitly: `asarray` (or `array`) copies them to the device, and `get`
copies back; a reduction returns a 0-d array, not a scalar.  Every other function of NumPy is available under its name:
``arrays.exp(x)``, ``arrays.concatenate([x, y])``.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

recorder: Any = None
"""The `minigan.ops.cuda.device.emulator.recording.Recording` of the graph that is being captured, if any."""

MAX_JOINED_ARRAYS = 8
"""Most arrays that CuPy joins by copies; for more it copies a table of addresses from the host, which no graph can."""
_MIXED = "a NumPy array among arrays of the emulated CUDA device; expected device.array(host) first, or x.get()"


class Pointer(NamedTuple):
    """The address of an array's first number, as CuPy's ``x.data`` has it."""

    ptr: int


class ndarray:
    """An array of the emulated device."""

    __slots__ = ("_host",)
    _host: np.ndarray

    # --- copies to and from the host --------------------------------------------------------------

    def get(self) -> np.ndarray:
        """Return a copy on the host."""
        _require_no_capture("get")
        return self._host.copy()

    def set(self, host: np.ndarray) -> None:
        """Copy a host array of the same shape and dtype into this one."""
        if not isinstance(host, np.ndarray) or host.shape != self.shape or host.dtype != self.dtype:
            given = f"{host.dtype} {host.shape}" if isinstance(host, np.ndarray) else type(host).__name__
            raise TypeError(f"set: {given} given; expected a NumPy array of {self.dtype} {self.shape}")
        _require_no_capture("set")
        self._host[...] = host

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return _apply(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Callable, types: Any, args: Any, kwargs: Any) -> Any:
        return _apply(function, args, kwargs)

    # --- attributes -------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._host.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the numbers."""
        return self._host.dtype

    @property
    def flags(self) -> Any:
        """NumPy's flags of the memory, such as c_contiguous."""
        return self._host.flags

    @property
    def address(self) -> int:
        """The address of the first number."""
        return self._host.__array_interface__["data"][0]

    @property
    def data(self) -> Pointer:
        """The address in CuPy's form, ``x.data.ptr``."""
        return Pointer(self.address)

    @property
    def nbytes(self) -> int:
        """The number of bytes of all numbers."""
        return self._host.nbytes

    @property
    def T(self) -> "ndarray":
        """The array with its axes in reverse order."""
        return _wrap(self._host.T)

    @property
    def real(self) -> "ndarray":
        """The real part; for real numbers a view of the array."""
        return _wrap(self._host.real)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[Any]:
        return (_wrap(part) for part in self._host)

    def __bool__(self) -> bool:
        _require_no_capture("bool")
        return bool(self._host)

    def __int__(self) -> int:
        _require_no_capture("int")
        return int(self._host)

    def __float__(self) -> float:
        _require_no_capture("float")
        return float(self._host)

    def __index__(self) -> int:
        _require_no_capture("index")
        return operator.index(self._host)

    def __format__(self, spec: str) -> str:
        _require_no_capture("format")
        return format(self._host if not spec else self._host.item(), spec)

    def __repr__(self) -> str:
        return repr(self._host)

    def __getitem__(self, key: Any) -> Any:
        return _apply(operator.getitem, (self, key), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        _apply(operator.setitem, (self, key, value), {})

    __hash__ = None  # type: ignore[assignment]


def _wrap(value: Any) -> Any:
    """Return NumPy arrays and scalars as device arrays on the same memory, and all other values unchanged."""
    if isinstance(value, (np.ndarray, np.generic)):
        array = object.__new__(ndarray)
        array._host = np.asarray(value)
        return array
    if type(value) in (tuple, list):
        return type(value)(map(_wrap, value))
    return value


def _unwrap(value: Any) -> Any:
    """Return device arrays as NumPy arrays on the same memory; raise TypeError for a NumPy array."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(_MIXED)
    if type(value) in (tuple, list):
        return type(value)(map(_unwrap, value))
    return value


def _apply(function: Callable, args: Any, kwargs: Any) -> Any:
    """Call a function of NumPy on device arrays; return its result, or the very object given as `out`."""
    if "subok" in kwargs or kwargs.get("shape") == ():
        raise TypeError("subok, and shape=() for zeros_like and similar functions, differ between CuPy 14 and NumPy")
    if recorder is not None and function in (np.concatenate, np.stack) and len(args[0]) > MAX_JOINED_ARRAYS:
        recorder.refuse(f"{function.__name__} of {len(args[0])} arrays")
    out = kwargs.get("out")
    host_args, host_kwargs = tuple(map(_unwrap, args)), {name: _unwrap(value) for name, value in kwargs.items()}
    if recorder is None:
        result = _wrap(function(*host_args, **host_kwargs))
    else:
        result = recorder.apply(function, host_args, host_kwargs, _wrap)
    if out is None:
        return result
    return out[0] if isinstance(out, tuple) and len(out) == 1 else out


def _require_no_capture(what: str) -> None:
    """Raise KernelError during a capture: a graph cannot contain what makes the host wait or copies from it."""
    if recorder is not None:
        recorder.refuse(what)


def _method(name: str) -> Callable:
    """Return a method that applies the method of that name of NumPy's arrays."""

    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        if name in _SYNCHRONISING:
            _require_no_capture(name)
        return _apply(getattr(self._host, name), args, kwargs)

    method.__name__ = name
    method.__doc__ = f"`numpy.ndarray.{name}`."
    return method


def _in_place(name: str) -> Callable:
    """Return the method of an operator such as ``+=``."""
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
_SYNCHRONISING = ("item", "nonzero", "tolist")  # the host waits for their result
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
    """Return a device array: the same one if it has that dtype, else a converted copy or a copy of host numbers."""
    if isinstance(value, ndarray):
        return _apply(np.asarray, (value, dtype), kwargs) if dtype is not None or kwargs else value
    return array(value, dtype, **kwargs)


def array(value: Any, dtype: Any = None, **kwargs: Any) -> ndarray:
    """Return a new device array with the numbers of a device array or of the host."""
    host = value._host if isinstance(value, ndarray) else value
    if not isinstance(value, ndarray):
        _require_no_capture("array")
    elif recorder is not None:
        return recorder.apply(np.array, (host, dtype), kwargs, _wrap)
    if not isinstance(value, (ndarray, np.ndarray)) and isinstance(value, (list, tuple)):
        host = [v._host if isinstance(v, ndarray) else v for v in value]
    return _wrap(np.array(host, dtype, **kwargs))


def empty(shape: Any, dtype: Any = float, **kwargs: Any) -> ndarray:
    """Return an array in which every byte is 0xFF, so that floating-point numbers are NaN until they are written."""
    host = np.empty(shape, dtype, **kwargs)
    host.reshape(-1).view(np.uint8)[...] = 0xFF
    return _wrap(host)


def empty_like(like: ndarray, dtype: Any = None) -> ndarray:
    """Return an array of the same shape, filled as by `empty`; by default of the same dtype."""
    return empty(like.shape, like.dtype if dtype is None else dtype)


def __getattr__(name: str) -> Any:
    """Return NumPy's function of that name for device arrays, or NumPy's type or constant itself."""
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
