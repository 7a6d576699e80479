"""The random stream of a network while an iteration is recorded or captured: dropout keys and uniform numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.ops.cuda.device.graph import CaptureError
from minigan.ops.protocol import Array


class Keys:
    """Stand in for the random stream of a network: `integers` returns 64-bit keys, and `random` uniform numbers.

    Other draws are forwarded to the stream but cannot be captured; `obstacle` says why.

    Parameters
    ----------
    draw : callable
        Takes a shape and returns that many keys, uint64.
    uniform : callable
        Takes a shape and returns that many numbers in [0, 1), float64; during capture, an array of the device.
    rng : numpy.random.Generator, optional
        The stream for all other draws.  None, as during capture, makes them raise CaptureError.

    Attributes
    ----------
    obstacle : str
        Why the iteration cannot be captured, or "" if nothing but keys and uniform numbers has been drawn.

    """

    def __init__(
        self,
        draw: Callable[[tuple[int, ...]], Array],
        uniform: Callable[[tuple[int, ...]], Array],
        rng: Any = None,
    ) -> None:
        self._draw, self._uniform, self._rng, self.obstacle = draw, uniform, rng, ""

    def integers(self, low: Any, *args: Any, size: Any = None, dtype: Any = np.int64, **rest: Any) -> Any:
        """Return keys for ``integers(2**64, size=size, dtype=np.uint64)``; forward every other call to the stream.

        Parameters
        ----------
        low : int
            2^64 for keys.
        *args, **rest
            Further arguments of `numpy.random.Generator.integers`; none for keys.
        size : int or tuple of int, optional
            The shape of the keys; by default a single key.
        dtype : type
            np.uint64 for keys; the default is NumPy's.

        Returns
        -------
        uint64 array or numpy.uint64
            The keys.

        Raises
        ------
        CaptureError
            If the call does not ask for keys and there is no stream to forward it to.

        """
        if low != 2**64 or dtype is not np.uint64 or args or rest:
            return self.__getattr__("integers")(low, *args, size=size, dtype=dtype, **rest)
        keys = self._draw(() if size is None else tuple(np.atleast_1d(size).tolist()))
        return keys[()] if size is None else keys

    def random(self, size: Any = None, *args: Any, **rest: Any) -> Any:
        """Return numbers for ``random(shape)``; forward every other call to the stream.

        Parameters
        ----------
        size : tuple of int
            The shape of the numbers.
        *args, **rest
            Further arguments of `numpy.random.Generator.random`.

        Returns
        -------
        float64 array
            Uniform numbers in [0, 1).

        Raises
        ------
        CaptureError
            If the call has other arguments and there is no stream to forward it to.

        """
        if not isinstance(size, tuple) or args or rest:
            return self.__getattr__("random")(size, *args, **rest)
        return self._uniform(size)

    def __getattr__(self, name: str) -> Any:
        self.obstacle = (
            f"{name} is drawn from the game's stream; a graph can only be given keys of 64 bits and random(shape)"
        )
        if self._rng is None:
            raise CaptureError(self.obstacle)
        return getattr(self._rng, name)


def draw_keys(rng: Any, shape: tuple[int, ...]) -> Array:
    """Draw keys of that shape, uint64, from the stream."""
    return np.asarray(rng.integers(2**64, size=shape or None, dtype=np.uint64))
