"""The base class of the optimizers: what a step does before and after the update that each optimizer defines."""

from collections.abc import Sequence
from typing import Any, ClassVar

from minigan._arguments import size
from minigan._checks import is_valid_gradient_vector, owns_memory, require_flags, require_no_shared_memory
from minigan._views import castable
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.optimizers import groups as group_settings
from minigan.optimizers.groups import Groups, Slice
from minigan.optimizers.values import (
    DECAY_INTERVAL,
    NON_NEGATIVE_INTERVAL,
    Schedule,
    at_step,
    bound,
    constant,
    schedule,
)

Part = tuple[Array, Array, dict[str, Array], float, float]
"""The same slice of theta, of g and of each vector of `state`; its learning rate; its decay, lr weight_decay."""


class Optimizer:
    """The base class: t counts the steps, and `state` contains by name the vectors that a checkpoint needs.

    A step consists of, in this order,

        g <- g min(1, clip_norm / ||g||)            if `clip_norm` is set
        theta <- theta - lr weight_decay theta      if `weight_decay` is not 0
        theta <- theta - ...                        the update of the optimizer
        theta <- min(max(theta, -clip), clip)       if `clip` is set

    A subclass defines `_update`.  Hyper-parameters may be changed between steps (``adam.lr = 1e-4``) and are checked
    whenever they are set.

    Parameters
    ----------
    net : Network
        The network whose theta is updated.
    lr : float or callable
        The learning rate, >= 0, or a schedule ``lr(t)``.
    clip : float, optional
        A bound c > 0: after each step every number of theta is clipped to [-c, c], NaN stays NaN.  Wasserstein GANs
        bound the slope of D this way (Arjovsky et al. 2017, Algorithm 1, with c = 0.01).  None, the default, clips
        nothing.
    weight_decay : float
        w >= 0: theta is multiplied by 1 - lr w before the update, which decouples the decay from the gradient and its
        moments (Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 2, whose lambda is lr w; with Adam it is
        PyTorch's AdamW).  The rate is that of the step, so that a schedule applies to both.  In float32 a number moves
        only if lr w > 6e-8, half a unit in its last place.  0, the default, decays nothing.
    clip_norm : float, optional
        A bound c > 0 of the norm of the whole gradient (Pascanu et al. 2013, arXiv:1211.5063, Algorithm 1).  The given
        g does not change.  If g contains NaN or infinities, so does theta after the step, and training ends as
        diverged.  None, the default, clips nothing.
    groups : mapping of str to mapping, optional
        Other values of "lr", "weight_decay" and "clip" for some parameters, by patterns of their names
        (``net.parameters()``) in which "*" is any text, "?" any character and "[01]" one of these: ``{"*.b": {"lr":
        0.0}}`` freezes the biases.  If several patterns match a name, each setting comes from the last that gives it.
        Moments are updated even where lr is 0, and `clip_norm` is the bound for all parameters together.  The groups
        are read-only: set ``adam.groups = {...}`` to change them.  None, the default: one group.

    Raises
    ------
    ValueError, TypeError
        If a hyper-parameter is outside its range, or a pattern matches no parameter.

    """

    lr: Schedule
    clip: float | None = None
    weight_decay: float = 0.0
    clip_norm: float | None = None
    groups: Groups = group_settings.NO_GROUPS
    _slices: tuple[Slice, ...] = ()
    _schedule_intervals: ClassVar[dict[str, str]] = {"lr": NON_NEGATIVE_INTERVAL, "momentum": DECAY_INTERVAL}
    """The intervals of the attributes that may be schedules."""
    _number_intervals: ClassVar[dict[str, str]] = {
        "rho": DECAY_INTERVAL,
        "beta1": DECAY_INTERVAL,
        "beta2": DECAY_INTERVAL,
        "eps": NON_NEGATIVE_INTERVAL,
    }
    """The intervals of the attributes that are numbers."""

    def __init__(
        self,
        net: Network,
        *,
        lr: Schedule,
        clip: float | None = None,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        groups: Groups | None = None,
    ) -> None:
        self.net = net
        self.lr = lr
        self.clip = clip
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.groups = groups if groups is not None else group_settings.NO_GROUPS
        self.t = 0
        self.state: dict[str, Array] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; raise ValueError or TypeError if a hyper-parameter or t is outside its range."""
        if name in self._schedule_intervals:
            value = schedule(self.net, name, value, self._schedule_intervals[name])
        elif name in self._number_intervals:
            value = constant(self.net, name, value, self._number_intervals[name])
        elif name == "weight_decay":
            value = constant(self.net, name, value, NON_NEGATIVE_INTERVAL)
        elif name in ("clip", "clip_norm"):
            value = bound(self.net, name, value)
        elif name == "groups":
            value = group_settings.checked(self.net, value)
            object.__setattr__(self, "_slices", group_settings.slices_of(self.net, value))
        elif name == "t":
            value = size(name, value, low=0)
        elif name == "nesterov":
            require_flags(nesterov=value)
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        names = [
            name for name in (*self._schedule_intervals, "nesterov", *self._number_intervals) if hasattr(self, name)
        ]
        values = {name: getattr(self, name) for name in names}
        values |= {name: value for name in ("clip", "clip_norm") if (value := getattr(self, name)) is not None}
        if self.weight_decay:
            values["weight_decay"] = self.weight_decay
        if self.groups:
            values["groups"] = {pattern: dict(settings) for pattern, settings in self.groups.items()}
        values |= {"t": self.t, "parameters": self.net.theta.size}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values.items())})"

    def step(self, g: Array) -> None:
        """Update theta by one step, and increase `t` and the network's version.

        theta, `state` and `t` are unchanged if an error is raised.

        Parameters
        ----------
        g : array (P,)
            The gradient dL/dtheta, in the network's dtype or one that casts to it.

        Raises
        ------
        TypeError, ShapeError
            If g does not fit theta.
        ValueError
            If g shares memory with theta or `state`, or a schedule returns a value outside its range.

        """
        theta = self.net.theta
        if not is_valid_gradient_vector(g, theta):
            self.net.check_vector("g", g)
            if not castable(g.dtype, self.net.dtype):
                raise TypeError(f"g is {g.dtype} but the network is {self.net.dtype}; expected {self.net.dtype}")
            require_no_shared_memory("g", g, "theta", theta)
        for name, vector in self.state.items():
            if g is vector or not owns_memory(g):
                require_no_shared_memory("g", g, f"state[{name!r}]", vector)
        if self.clip_norm is not None:
            g = self.net.ops.clip_norm(g.astype(theta.dtype, copy=False), self.clip_norm)
        self._update(theta, g, self.t + 1)
        if self.clip is not None or self._slices:
            self._clip(theta)
        object.__setattr__(self, "t", self.t + 1)  # without the check, which t + 1 does not need
        self.net.mark_modified()

    @property
    def updates_per_step(self) -> int:
        """The number of slices of theta that a step updates one after another: 1 without `groups`."""
        return len(self._slices) or 1

    def _update(self, theta: Array, g: Array, t: int) -> None:
        """Update theta and the vectors of `state` in place; t = 1, 2, ...

        `_parts` gives the slices of theta with their rates and decays.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define _update")

    def _parts(self, theta: Array, g: Array, t: int) -> Sequence[Part]:
        """Return the slices that step t updates; all rates are evaluated and checked before the first update."""
        own = self.lr
        lr = at_step(self.net, t, "lr", own, NON_NEGATIVE_INTERVAL) if callable(own) else own
        if not self._slices:
            return ((theta, g, self.state, lr, lr * self.weight_decay),)
        rates: dict[str | None, float] = {None: lr}
        decays: dict[str | None, float] = {None: self.weight_decay}
        for pattern, settings in self.groups.items():
            if "lr" in settings:
                name = f"groups[{pattern!r}]['lr']"
                rates[pattern] = at_step(self.net, t, name, settings["lr"], NON_NEGATIVE_INTERVAL)
            if "weight_decay" in settings:
                decays[pattern] = settings["weight_decay"]
        parts: list[Part] = []
        for one in self._slices:
            part, rate = one.part, rates[one.lr]
            state = {name: vector[part] for name, vector in self.state.items()}
            parts.append((theta[part], g[part], state, rate, rate * decays[one.weight_decay]))
        return parts

    def _clip(self, theta: Array) -> None:
        """Clip the numbers of theta to their bounds, which may differ by group."""
        bounds: dict[str | None, float | None] = {None: self.clip}
        bounds |= {pattern: settings["clip"] for pattern, settings in self.groups.items() if "clip" in settings}
        for numbers, c in [(theta[one.part], bounds[one.clip]) for one in self._slices] or [(theta, self.clip)]:
            if c is not None:
                numbers.clip(-c, c, out=numbers)

    def _at(self, t: int, name: str, value: Schedule, interval: str) -> float:
        """Return the value at step t; the value of a schedule is checked here, before anything changes."""
        return at_step(self.net, t, name, value, interval)
