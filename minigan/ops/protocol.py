"""The signatures that every backend has."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from numpy.typing import NDArray

from minigan.ops.geometry import Geometry

Array = NDArray[Any]
Rule = Callable[[Sequence[Any], Any], tuple[Any, int] | None]
"""``rule(layers, ops)``: the `minigan.layers.Fused` layer for the first n of the layers, and n; or None."""


class Ops(Protocol):
    """What a layer asks of a backend beyond the array methods that NumPy and CuPy share.

    ``minigan.ops.reference`` is the definition of correct; every other backend has the same
    functions with the same arguments (a test compares the signatures) and agrees with it to
    rounding.
    """

    name: str
    one_pass: bool
    """Whether several batches run faster as one: D's real and fake examples."""

    @property
    def dtypes(self) -> Sequence[Any] | None:
        """The dtypes that a network may have; None: all that its layers know."""

    @property
    def rules(self) -> Sequence[Rule]:
        """Which neighbouring layers it runs as one, in the order in which the rules are tried."""

    def engine(self) -> dict[str, Any]:
        """The options with which it runs, defaults filled in, and what else the last bits of its results depend on."""

    def kernel(self, name: str) -> Callable[..., Any]:
        """The registered kernel of that name (`minigan.ops.registry`)."""

    @property
    def xp(self) -> Any:
        """The array module: numpy or cupy."""

    def session(self) -> AbstractContextManager[None]:
        """A block around many operations, which spares each of them what they would set up alike."""

    def play(
        self, schedule: Callable[..., Any], game: Any, draws: Mapping[str, Callable[[], Any]], counts: Mapping[str, Any]
    ) -> Any:
        """``schedule(game, **draws, **counts)``, one iteration of a game, in the backend's own way.

        `draws` return batches (an array or a tuple of arrays); `counts` are the same from iteration to iteration.
        """

    def affine(self, x: Array, W: Array, b: Array | None = None) -> Array:
        """x W + b."""

    def add_product(self, x: Array, y: Array, out: Array) -> None:
        """Out <- out + x^T y: the weight gradient of an affine map, added in place."""

    def sum_rows(self, x: Array) -> Array:
        """Sum over all axes but the last."""

    def correlate(self, x: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """The correlation of large images x with W, + b: small images."""

    def correlate_adjoint(self, y: Array, W: Array, geometry: Geometry, b: Array | None = None) -> Array:
        """Its adjoint in x: from small images y to large ones, + b."""

    def correlate_weights(self, x: Array, y: Array, geometry: Geometry) -> Array:
        """Its adjoint in W: the gradient of <y, correlate(x, W)>."""

    def relu(self, x: Array) -> Array:
        """max(x, 0)."""

    def relu_backward(self, dy: Array, y: Array) -> Array:
        """0 where y <= 0, whatever dy is there, else dy."""

    def sigmoid(self, x: Array) -> Array:
        """1 / (1 + exp(-x))."""

    def softplus(self, x: Array) -> Array:
        """log(1 + exp(x))."""

    def softplus_sigmoid(self, x: Array) -> tuple[Array, Array]:
        """log(1 + exp(x)) and its derivative 1 / (1 + exp(-x)), which share an exponential."""

    def mean_softplus(self, s: Array, sign: int, weight: float) -> tuple[Any, Array]:
        """weight mean softplus(sign s) and its gradient."""

    def moments(self, x: Array) -> tuple[Array, Array]:
        """Mean and biased variance over all axes but the last."""

    def dropout(self, x: Array, rate: float, key: int) -> Array:
        """x times a mask that the key decides: 0 with probability rate, else 1 / (1 - rate)."""

    def zero_vector(self, size: int, dtype: Any) -> Array:
        """A vector of zeros."""

    def finite(self, x: Array) -> bool:
        """Whether no number of x is infinite or NaN."""

    def copy(self, target: Array, source: Array) -> None:
        """target = source, in place."""

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
    ) -> None:
        """One update of Adam, in place."""

    def rmsprop(self, theta: Array, g: Array, v: Array, *, lr: float, rho: float, eps: float) -> None:
        """One update of RMSProp, in place."""

    def momentum(self, theta: Array, g: Array, u: Array, *, lr: float, momentum: float, nesterov: bool) -> None:
        """One update of gradient descent with momentum, in place."""
