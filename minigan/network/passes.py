"""What all passes of a network share: checked inputs, random keys, and pullbacks that refuse changed parameters."""

from collections.abc import Iterator

import numpy as np

from minigan import _arguments, _checks
from minigan.layers.base import ShapeError
from minigan.network.parameters import ParametricChain
from minigan.ops.protocol import Array


class StaleBackwardError(RuntimeError):
    """A pullback was called after the parameters of its forward pass had changed."""


class Passes(ParametricChain):
    """The input, the random keys and the version of theta of a pass."""

    def draw_keys(self, n: int, rng: np.random.Generator, *, sub_batches: int = 1) -> list[list[int]]:
        """Draw the random keys of a training pass, as `forward` does.

        Parameters
        ----------
        n : int
            N, the number of examples of the pass.
        rng : numpy.random.Generator
            The random stream.
        sub_batches : int
            As for `forward`.  Default: 1.

        Returns
        -------
        list of list of int
            For each call of ``ctx.keys()`` by a layer a key for each sub-batch; empty if no layer draws.

        Raises
        ------
        TypeError, ValueError
            As `forward` does for `rng` and `sub_batches`.

        """
        _checks.require_generator("rng", rng)
        return list(self._draw(n, _arguments.size("sub_batches", sub_batches), rng) or ())

    def _draw(self, n: int, sub_batches: int, rng: np.random.Generator | None) -> Iterator[list[int]] | None:
        """Draw the random keys of all layers, in the order of one pass for each sub-batch."""
        if sub_batches != 1 and n % sub_batches:
            raise ValueError(f"sub_batches={sub_batches} with {n} examples; expected a divisor of {n}")
        if sub_batches != 1 and not self.per_example:
            names = ", ".join(type(layer).__name__ for layer in self.layers if not layer.per_example)
            raise ValueError(f"sub_batches={sub_batches}; expected 1, because not every layer is per_example: {names}")
        if rng is None:
            return None
        if not self._n_keys:
            return iter(())
        keys = rng.integers(2**64, size=(sub_batches, self._n_keys), dtype=np.uint64)
        return iter(keys.T.tolist())

    def _input(self, x: Array) -> Array:
        x = self._cast("x", x)
        if x.ndim < 2 or x.shape[0] == 0:
            raise ShapeError(f"x has shape {x.shape}; expected (N, ...) with N >= 1")
        return x

    def _require_version(self, version: int) -> None:
        if version != self.version:
            raise StaleBackwardError(
                f"theta changed after this forward pass (version {version}, now {self.version}): "
                "its gradient would be wrong; run forward again"
            )
