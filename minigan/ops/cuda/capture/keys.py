"""The keys of dropout: a game's random stream as a network sees it while an iteration is watched or captured."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.ops.cuda.device.graph import CaptureError
from minigan.ops.protocol import Array


class Keys:
    """What a network takes for its random stream: `integers`, of whole keys of 64 bits.

    Whatever else a layer of one's own draws comes from the stream itself, and no graph can have it: `other` names it.
    """

    def __init__(self, draw: Callable[[tuple[int, ...]], Array], rng: Any = None) -> None:
        self._draw, self._rng, self.other = draw, rng, ""

    def integers(self, low: Any, *args: Any, size: Any = None, dtype: Any = np.int64, **rest: Any) -> Any:
        """Keys of that shape; without `size` one."""
        if low != 2**64 or dtype is not np.uint64 or args or rest:
            return self.__getattr__("integers")(low, *args, size=size, dtype=dtype, **rest)
        keys = self._draw(() if size is None else tuple(np.atleast_1d(size).tolist()))
        return keys[()] if size is None else keys

    def __getattr__(self, name: str) -> Any:
        self.other = f"{name} is drawn from the game's stream, which gives a graph keys of 64 bits alone"
        if self._rng is None:
            raise CaptureError(self.other)
        return getattr(self._rng, name)


def draw_keys(rng: Any, shape: tuple[int, ...]) -> Array:
    """Draw keys of that shape from the stream."""
    return np.asarray(rng.integers(2**64, size=shape or None, dtype=np.uint64))
