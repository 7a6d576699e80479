"""The pool of past fakes that D sees (Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._arguments import size as require_size
from minigan.layers.base import Shape, ShapeError
from minigan.ops.protocol import Array, Ops

Plan = tuple[NDArray[np.int64], NDArray[np.int64]]
"""For each example that D sees, and for each place of the pool, an index into the pool followed by the new fakes."""


class ImagePool:
    """The last fakes of a generator, some of which D sees in place of new ones.

    While the pool is not full, each new fake is shown and stored.  Then, with probability 1/2, a new fake takes the
    place of a stored one, chosen at random, and D sees the stored one; otherwise D sees the new fake, which is not
    stored.  The fakes of a batch are treated one after another, so that one may replace another of the same batch.

    The random choices are made on the host, as indices (`plan`), and the fakes are moved on the backend (`exchange`).
    Both the fakes and their number belong to the state of a run: list the pool in the `sources` of the experiment.

    Parameters
    ----------
    size : int
        K, the number of fakes in the pool, at least 1; 50 in the paper.
    shape : tuple of int
        The shape of a fake, without the batch axis.
    batch_size : int
        N, the number of fakes in a batch, at least 1.
    rng : numpy.random.Generator
        The random stream of the choices.
    ops : Ops
        The backend of the fakes.
    dtype : dtype
        The dtype of the fakes.

    Attributes
    ----------
    images : array (K, ...)
        The stored fakes; zeros where none is stored yet.
    filled : int
        The number of stored fakes.

    Raises
    ------
    ValueError
        If `size` or `batch_size` is not an int >= 1.

    Examples
    --------
    >>> from minigan.ops import get_ops
    >>> pool = ImagePool(2, (1,), 1, rng=np.random.default_rng(0), ops=get_ops("reference"), dtype="float64")
    >>> [pool.exchange(np.full((1, 1), fake), pool.plan()).item() for fake in (1.0, 2.0, 3.0, 4.0, 5.0)]
    [1.0, 2.0, 1.0, 4.0, 5.0]

    """

    def __init__(
        self, size: int, shape: Shape, batch_size: int, *, rng: np.random.Generator, ops: Ops, dtype: Any
    ) -> None:
        self.size, self.batch_size = require_size("size", size), require_size("batch_size", batch_size)
        self.rng, self.xp = rng, ops.xp
        self.images = ops.xp.zeros((size, *shape), dtype=dtype)
        self.filled = 0

    def plan(self) -> Plan:
        """Draw the choices for the next batch.

        Returns
        -------
        shown : array of int64, shape (N,)
            For each example that D sees, its index in the pool of K fakes followed by the N new ones.
        kept : array of int64, shape (K,)
            For each place of the pool, the index of the fake that it holds after the batch.

        """
        kept = list(range(self.size))
        shown = []
        swaps = self.rng.random(self.batch_size) < 0.5
        places = self.rng.integers(self.size, size=self.batch_size)
        for n, (swap, place) in enumerate(zip(swaps.tolist(), places.tolist(), strict=True)):
            new = self.size + n
            if self.filled < self.size:
                kept[self.filled] = new
                self.filled += 1
                shown.append(new)
            elif swap:
                shown.append(kept[place])
                kept[place] = new
            else:
                shown.append(new)
        return np.array(shown), np.array(kept)

    def exchange(self, fakes: Array, plan: Plan) -> Array:
        """Store new fakes and return those that D sees.

        Parameters
        ----------
        fakes : array (N, ...)
            The new fakes.
        plan : (array, array)
            What `plan` returned.

        Returns
        -------
        array (N, ...)
            New and stored fakes.

        Raises
        ------
        ShapeError
            If the fakes do not have the shape that the pool was made for.

        """
        expected = (self.batch_size, *self.images.shape[1:])
        if fakes.shape != expected:
            raise ShapeError(f"fakes have shape {fakes.shape}; expected {expected}")
        shown, kept = plan
        both = self.xp.concatenate([self.images, fakes])
        self.images[...] = both[kept]
        return both[shown]

    def state(self) -> dict[str, Any]:
        """Return the stored fakes and their number, for a checkpoint (the stream has its own state)."""
        return {"images": self.images, "filled": self.filled}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned; raise ValueError if it belongs to a pool of another shape."""
        images = state["images"]
        if images.shape != self.images.shape or images.dtype != self.images.dtype:
            raise ValueError(
                f"the pool is {images.dtype} {images.shape}; expected {self.images.dtype} {self.images.shape}"
            )
        self.images[...] = self.xp.asarray(images)
        self.filled = int(state["filled"])
