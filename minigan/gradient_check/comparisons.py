"""The comparisons of a gradient check, the contract of a pullback, and the validity of the complex step."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from minigan.gradient_check.numeric import H, direction_error, tensor_error
from minigan.gradient_check.pairs import (
    Pair,
    in_dtype,
    network_pairs,
    objective_pairs,
    one_side_pairs,
    pushforward_pairs,
)
from minigan.gradient_check.report import Comparison
from minigan.losses import needs_real
from minigan.network import Network
from minigan.ops import to_host
from minigan.ops.protocol import Array

NEGLIGIBLE = 1e-9
"""A tensor whose gradient is a smaller share of the largest one, such as that of a bias before batch norm, which is 0
but for rounding, is compared on the scale of the largest one."""
DIFFERENCE_STEP = 1e-6
MAX_DIFFERENCE_ERROR = 1e-3
"""The bound of the relative difference between the complex step and central differences, which are that inexact near
kinks.  It is not a bound of the gradient's error: it shows whether the complex step is valid."""


def _scale(largest: float, top: float) -> float:
    """Return the scale of a tensor's error, from its largest number and that of all tensors."""
    return largest if largest > NEGLIGIBLE * top else top


class Comparisons:
    """The comparisons, problems and notes of one call of `gradcheck`."""

    def __init__(self, rng: np.random.Generator, tolerance: float, max_entries: int) -> None:
        self.rng, self.tolerance, self.max_entries = rng, tolerance, max_entries
        self.comparisons: list[Comparison] = []
        self.problems: list[str] = []
        self.notes: list[str] = []

    def choose(self, size: int) -> Array:
        """Return all entries, or `max_entries` random ones."""
        if size <= self.max_entries:
            return np.arange(size)
        return np.sort(self.rng.choice(size, self.max_entries, replace=False))

    def compare(self, place: str, pairs: Iterator[Pair]) -> None:
        """Add a comparison for each pair."""
        found = list(pairs)
        top = max((float(np.abs(pair.want).max()) for pair in found if pair.want.size), default=0.0)
        for pair in found:
            size = int(np.prod(pair.shape))
            if not size:
                continue
            own = float(np.abs(pair.want).max())
            error = tensor_error(pair.got, pair.want, _scale(own, top))
            k = int(np.argmax(np.nan_to_num(np.abs(pair.got - pair.want), nan=np.inf)))
            index = tuple(int(i) for i in np.unravel_index(pair.entries[k], pair.shape))
            values = float(pair.got[k]), float(pair.want[k])
            name = f"{place}{pair.name}"
            self.comparisons.append(Comparison(name, error, self.tolerance, index, *values, len(pair.entries), size))

    def network(self, net: Network, x: Array, labels: Array | None, *, train: bool) -> None:
        """Check a network in one mode."""
        place, seed = "training: " if train else "inference: ", int(self.rng.integers(2**32))
        stream = partial(np.random.default_rng, seed)
        given: Any = x if labels is None else (x, labels)
        forward = partial(net.forward, given, train=train, update_state=False)
        before = x.copy()
        y, again = (to_host(forward(rng=stream())[0]).copy() for _ in range(2))
        if not np.array_equal(y, again, equal_nan=True):
            self.problems.append(
                f"{place}two passes with the same random stream differ, so nothing was compared: the forward pass "
                "draws from elsewhere than ctx.keys(), or changes running statistics although ctx.update_state is False"
            )
            return
        dy = self.rng.standard_normal(y.shape)
        arguments: Any = {"train": train, "stream": stream, "labels": labels, "choose": self.choose}
        self.compare(place, network_pairs(net, x, dy, **arguments))
        self._contract(place, net, forward(rng=stream())[1], dy)
        self._direction(place, net, x, labels, dy, train=train, stream=stream)
        self._pushforward(place, net, x, dy, arguments)
        if not np.array_equal(x, before, equal_nan=True):
            self.problems.append(f"{place}a pass changed x")

    def _contract(self, place: str, net: Network, backward: Any, dy: Array) -> None:
        """Check that a pullback adds to the gradient or writes it, can be called twice, and does not change dy."""
        before, once = dy.copy(), net.zeros_like_theta()
        first = to_host(backward(dy, once)).copy()
        twice = once.copy()
        second, frozen = to_host(backward(dy, twice)), to_host(backward(dy))
        if not all(np.array_equal(first, dx, equal_nan=True) for dx in (second, frozen)):
            self.problems.append(f"{place}the pullback returns another dx when it is called again, or without grads")
        if not np.array_equal(dy, before):
            self.problems.append(f"{place}the pullback changes dy")
        if not once.size:
            return
        if wrong := self._different(net, twice, 2 * once):
            self.problems.append(f"{place}the pullback does not add to the gradient of {wrong}")
        alone = net.zeros_like_theta()
        backward(dy, alone, need_dx=False)
        if wrong := self._different(net, alone, once):
            self.problems.append(f"{place}with need_dx=False the pullback computes another gradient of {wrong}")
        written, overwrite = net.new_gradient()
        if overwrite:
            written[...] = np.nan
            backward(dy, written, overwrite=True)
            if wrong := self._different(net, written, once):
                self.problems.append(f"{place}with overwrite=True the pullback computes another gradient of {wrong}")

    def _different(self, net: Network, got: Array, want: Array) -> str:
        """Return the names of the parameters whose gradients differ, separated by commas."""
        wanted = {name: to_host(view) for name, view in net.views(want).items()}
        largest = {name: float(np.abs(view).max(initial=0)) for name, view in wanted.items()}
        top, found = max(largest.values()), net.views(got)
        errors = {
            name: tensor_error(to_host(found[name]), view, _scale(largest[name], top)) for name, view in wanted.items()
        }
        return ", ".join(name for name, error in errors.items() if not error <= self.tolerance)

    def _direction(
        self, place: str, net: Network, x: Array, labels: Array | None, dy: Array, *, train: bool, stream: Any
    ) -> None:
        """Check the adjoint identity along a direction, and the complex step against central differences."""
        theta = to_host(net.theta).copy()
        v, w = self.rng.standard_normal(x.shape), self.rng.standard_normal(theta.shape)
        twin, g = in_dtype(net, complex), net.zeros_like_theta()

        def y(of: Network, step: Any) -> Array:
            of.theta = of.ops.xp.asarray(theta + step * w)
            z = x + step * v
            given: Any = z if labels is None else (z, labels)
            return to_host(of.forward(given, train=train, rng=stream(), update_state=False)[0])

        derivative = float((dy * (y(twin, 1j * H).imag / H)).sum())
        y(net, 0.0)
        given: Any = x if labels is None else (x, labels)
        dx = to_host(net.forward(given, train=train, rng=stream(), update_state=False)[1](dy, g))
        both, along = np.concatenate([dx.ravel(), to_host(g)]), np.concatenate([v.ravel(), w])
        error = direction_error(both, along, derivative)
        product = float((both * along).sum())
        name = f"{place}adjoint, all entries"
        self.comparisons.append(Comparison(name, error, self.tolerance, (), product, derivative))
        terms = [dy * y(net, sign * DIFFERENCE_STEP) for sign in (1, -1)]
        y(net, 0.0)
        difference = float((terms[0] - terms[1]).sum()) / (2 * DIFFERENCE_STEP)
        scale = MAX_DIFFERENCE_ERROR * max(abs(difference), abs(derivative)) + 1e-7 * float(np.abs(terms[0]).sum())
        if not abs(difference - derivative) <= scale:
            self.problems.append(
                f"{place}the check is not valid: along a direction the complex step is {derivative:.6g} and a central "
                f"difference {difference:.6g}; the forward pass is not complex-analytic (abs, sign, conj, real), or "
                "has a kink at x"
            )

    def _pushforward(self, place: str, net: Network, x: Array, dy: Array, arguments: Any) -> None:
        """Check the pushforward, if every layer defines one in this mode."""
        mixing = any(layer.mixes_examples(train=arguments["train"]) for layer in net.layers)
        if mixing:
            self.notes.append(f"{place}no pushforward, because a layer mixes examples")
            return
        x_dot, dy_dot = self.rng.standard_normal(x.shape), self.rng.standard_normal(dy.shape)
        try:
            pairs = list(pushforward_pairs(net, x, x_dot, dy, dy_dot, **arguments))
        except NotImplementedError as error:
            self.notes.append(f"{place}no pushforward: {error}")
            return
        self.compare(f"{place}pushforward, ", iter(pairs))

    def objective(self, objective: Any, s_real: Array, s_fake: Array) -> None:
        """Check an objective."""
        self.compare("", objective_pairs(objective, s_real, s_fake, choose=self.choose))
        if needs_real(objective):
            self.notes.append("no one_side, because the objective compares fakes with real examples")
        else:
            self.compare("", one_side_pairs(objective, s_fake, choose=self.choose))
            parts = [objective.one_side(s, real=real)[0] for s, real in ((s_real, True), (s_fake, False))]
            whole = objective.discriminator(s_real, s_fake)[0]
            if len(s_real) == len(s_fake) and not abs(sum(parts) - whole) <= self.tolerance * sum(map(abs, parts)):
                self.notes.append(f"J_D is {whole:.6g}, but its parts by one_side add up to {sum(parts):.6g}")
        self._differences(objective, s_real, s_fake)

    def _differences(self, objective: Any, s_real: Array, s_fake: Array) -> None:
        """Check that the complex step of J_D is its derivative, by central differences along a direction."""
        u, v = self.rng.standard_normal(s_real.shape), self.rng.standard_normal(s_fake.shape)

        def value(step: Any) -> Any:
            return objective.discriminator(s_real + step * u, s_fake + step * v)[0]

        derivative = float(np.imag(value(1j * H))) / H
        difference = float(value(DIFFERENCE_STEP) - value(-DIFFERENCE_STEP)) / (2 * DIFFERENCE_STEP)
        bound = MAX_DIFFERENCE_ERROR * max(abs(difference), abs(derivative)) + 1e-7 * abs(float(value(0.0)))
        if not abs(difference - derivative) <= bound:
            self.problems.append(
                f"the check is not valid: along a direction the complex step of J_D is {derivative:.6g} and a central "
                f"difference {difference:.6g}; the cost is not complex-analytic, or has a kink at the logits"
            )
