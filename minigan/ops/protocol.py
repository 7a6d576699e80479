"""The functions of a backend and their signatures."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from numpy.typing import NDArray

from minigan.ops.geometry import Geometry

Array = NDArray[Any]
Rule = Callable[[Sequence[Any], Any], tuple[Any, int] | None]
"""``rule(layers, ops)`` returns the `minigan.layers.Fused` layer that replaces the first n layers, and n; or None."""


class Ops(Protocol):
    """The functions of a backend that layers use in addition to the array methods that NumPy and CuPy share.

    ``minigan.ops.reference`` defines the correct results.  Every other backend has the same functions with the same
    arguments (a test compares the signatures), and its results differ only by rounding.
    """

    name: str
    one_pass: bool
    """Whether one pass over several batches, such as real and fake examples, is faster than separate passes."""

    @property
    def dtypes(self) -> Sequence[Any] | None:
        """The dtypes that a network may have; None for all dtypes that its layers support."""

    @property
    def rules(self) -> Sequence[Rule]:
        """The rules that fuse consecutive layers, in the order in which they are tried."""

    def engine(self) -> dict[str, Any]:
        """Return the options of the backend, with defaults, and other properties that influence the last bits."""

    def kernel(self, name: str) -> Callable[..., Any]:
        """Return the registered kernel of that name (`minigan.ops.registry`)."""

    @property
    def xp(self) -> Any:
        """The array module: numpy or cupy."""

    def session(self) -> AbstractContextManager[None]:
        """Return a context for many operations, which share their setup in it."""

    def play(
        self, schedule: Callable[..., Any], game: Any, draws: Mapping[str, Callable[[], Any]], counts: Mapping[str, Any]
    ) -> Any:
        """Run ``schedule(game, **draws, **counts)``, one iteration of a game, and return its result.

        `draws` return batches (an array or a tuple of arrays); `counts` do not change between iterations.
        """

    def affine(self, x: Array, W: Array, b: Array | None = None) -> Array:
        """Return x W + b.    x (N, I)   W (I, O)   b (O,)"""

    def add_product(self, x: Array, y: Array, out: Array, *, overwrite: bool = False) -> None:
        """Add x^T y, the weight gradient of an affine map, to `out` in place, or with `overwrite` write it there.

        x (N, I)   y (N, O)   out (I, O)
        """

    def sum_rows(self, x: Array) -> Array:
        """Return the sum over all axes but the last.    x (..., C) -> (C,)"""

    def correlate(self, x: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """Return the correlation of the large images x with W, plus b: small images."""

    def correlate_adjoint(self, y: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """Return the adjoint of `correlate` in x at the small images y, plus b: large images."""

    def correlate_weights(self, x: Array, y: Array, geometry: Geometry) -> Array:
        """Return the adjoint of `correlate` in W: the gradient of <y, correlate(x, W)> with respect to W."""

    def relu(self, x: Array) -> Array:
        """Return max(x, 0)."""

    def relu_backward(self, dy: Array, y: Array) -> Array:
        """Return 0 where y <= 0, even if dy is not finite there, else dy."""

    def sigmoid(self, x: Array) -> Array:
        """Return 1 / (1 + exp(-x))."""

    def softplus(self, x: Array) -> Array:
        """Return log(1 + exp(x))."""

    def softplus_sigmoid(self, x: Array) -> tuple[Array, Array]:
        """Return log(1 + exp(x)) and its derivative 1 / (1 + exp(-x)), which share an exponential."""

    def mean_softplus(self, s: Array, sign: int, weight: float) -> tuple[Any, Array]:
        """Return weight mean softplus(sign s) and its gradient with respect to s."""

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Return the mean and the biased variance over all axes but the last.    x (..., C) -> (C,), (C,)"""

    def dropout(self, x: Array, rate: float, key: int) -> Array:
        """Return x times a mask that the key determines: 0 with probability rate, else 1 / (1 - rate)."""

    def empty_vector(self, size: int, dtype: Any) -> Array:
        """Return an uninitialised vector (size,)."""

    def zero_vector(self, size: int, dtype: Any) -> Array:
        """Return a vector of zeros (size,)."""

    def finite(self, x: Array) -> bool:
        """Return whether all numbers of x are finite."""

    def copy(self, target: Array, source: Array) -> None:
        """Copy `source` to `target` in place."""

    def clip_norm(self, g: Array, max_norm: float) -> Array:
        """Return g min(1, max_norm / ||g||), which may be g itself.    g (P,)"""

    def adam(
        self,
        theta: Array,
        g: Array,
        m: Array,
        v: Array,
        t: int,
        *,
        lr: float,
        beta1: float,
        beta2: float,
        eps: float,
        decay: float = 0.0,
    ) -> None:
        """Subtract decay theta from theta, then update theta, m and v in place by step t of Adam."""

    def rmsprop(
        self, theta: Array, g: Array, v: Array, *, lr: float, rho: float, eps: float, decay: float = 0.0
    ) -> None:
        """Subtract decay theta from theta, then update theta and v in place by a step of RMSProp."""

    def momentum(
        self, theta: Array, g: Array, u: Array, *, lr: float, momentum: float, nesterov: bool, decay: float = 0.0
    ) -> None:
        """Subtract decay theta from theta, then update theta and u in place by gradient descent with momentum."""
