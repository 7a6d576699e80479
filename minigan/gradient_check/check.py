"""`gradcheck`: the public check of a layer, a network or an objective."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan import _arguments, _checks
from minigan._labels import split_labels
from minigan.gradient_check.comparisons import Comparisons
from minigan.gradient_check.pairs import in_dtype
from minigan.gradient_check.report import GradientError, GradientReport
from minigan.layers.base import Layer
from minigan.losses import METHODS
from minigan.network import Network
from minigan.ops.protocol import Array

SPREAD = 0.5
"""How far the parameters of a layer are moved from their initial values, which may be 0: a bias, beta of a norm."""


def gradcheck(
    subject: Any,
    x: Any = None,
    *,
    shape: int | Sequence[int] | None = None,
    n: int = 4,
    train: bool | None = None,
    seed: int = 0,
    tolerance: float = 1e-10,
    max_entries: int = 200,
    check: bool = False,
) -> GradientReport:
    """Compare hand-written gradients with the complex step, Im f(x + i h v) / h = <grad f, v>, in float64.

    For a layer or a network, y = f(x; theta), and random dy, v and w:

        dx = J_x^T dy,  g = J_theta^T dy              entry by entry, against the derivatives of <dy, y>
        <dx, v> + <g, w> = <dy, J_x v + J_theta w>    the adjoint identity, over all entries at once
        y_dot = J_x x_dot, and its pullback           where a pushforward is defined

    and the contract of a pullback: it adds to the gradient, or with ``overwrite=True`` writes it if its layer says that
    it can (`Layer.writes_gradient`), can be called twice, and changes neither x nor dy.  For an objective, the
    gradients of J_D, of its parts by `one_side`, and of J_G.

    What can make a check lie, and what is done about it:

    - float32 has 7 digits.  The check computes in float64, also for a float32 network; kernels for float32 need tests
      of their own, against these.
    - At a kink (ReLU at 0) the derivative is one-sided, and far from it a wrong mask at the kink goes unnoticed.  x is
      random; give an x with entries on both sides of a kink.
    - Random numbers: every pass gets the same stream, so that dropout has the same masks.  A layer that draws from
      anywhere else is reported.
    - abs, sign, conj, real and comparisons of complex numbers are not complex-analytic: the complex step of such a
      forward pass is wrong, although the gradient may be right.  The complex step is compared with central differences
      along a direction, and a disagreement is reported.  Write sqrt(square(x)), and masks of ``real(x)``.
    - A cotangent of ones hides errors behind a normalisation, whose gradient it makes 0.  dy is random.
    - One point is not all: run it with several seeds and shapes, and with different sizes on every axis.

    Parameters
    ----------
    subject : Layer, Network or Objective
        What is checked.  A layer's parameters are random, and it runs as it is written, on the backend "reference"; a
        network keeps its parameters and its backend.  A subclass of `Network` is constructed with the arguments of
        `Network`.
    x : array (N, ...) or tuple of arrays, optional
        The examples; with labels, a tuple (x, labels).  For an objective, (s_real, s_fake).  By default random.
    shape : int or tuple of int, optional
        The shape of one example, without N, if x is not given.  For an objective that of one logit, by default (1,).
    n : int
        N, the number of random examples; 4 by default, so that batch statistics are not degenerate.
    train : bool, optional
        The mode of the passes; by default both are checked.
    seed : int
        The seed of all random numbers.
    tolerance : float
        The largest relative error, |d| / max |g| in each tensor.  1e-10 by default: above the rounding errors of deep
        networks in float64, and far below the smallest mistakes in a formula.  The layers of this library pass 1e-13.
    max_entries : int
        How many entries of each tensor are compared, chosen at random; 200 by default, as each takes a forward pass.
        The adjoint identity compares the others.
    check : bool
        Whether to raise GradientError if the check does not pass; False by default.

    Returns
    -------
    GradientReport
        The largest error of each tensor and where it is; ``report.passed``, ``print(report)``.

    Raises
    ------
    GradientError
        With ``check=True``, if the check does not pass.
    TypeError, ValueError
        If `subject` is something else, or an argument is invalid; and whatever the subject itself raises.

    Examples
    --------
    >>> from minigan import Dense, gradcheck
    >>> gradcheck(Dense(3, 2), shape=3).passed
    True

    """
    n, max_entries = _arguments.size("n", n), _arguments.size("max_entries", max_entries)
    tolerance = _arguments.number("tolerance", tolerance, "(0, inf)")
    _checks.require_flags(check=check, train=False if train is None else train)
    rng = np.random.default_rng(_arguments.size("seed", seed, low=0))
    checked = Comparisons(rng, tolerance, max_entries)
    if isinstance(subject, (Layer, Network)):
        net, text = _network(subject, rng), repr(subject)
        given, labels = _examples(net, x, shape, n, rng)
        for mode in (True, False) if train is None else (bool(train),):
            checked.network(net, given, labels, train=mode)
    elif all(callable(getattr(subject, name, None)) for name in METHODS) and not isinstance(subject, type):
        text = repr(subject)
        checked.objective(subject, *_logits(x, shape, n, rng))
    else:
        raise TypeError(
            f"subject is {subject!r}; expected a layer, a Network or an objective with {', '.join(METHODS)}"
        )
    text = text if len(text) <= 100 else f"{text[:97]}..."
    report = GradientReport(text, tuple(checked.comparisons), tuple(checked.problems), tuple(checked.notes))
    if check and not report.passed:
        raise GradientError(str(report))
    return report


def _network(subject: Layer | Network, rng: np.random.Generator) -> Network:
    """Return a float64 network: a copy, or one of the layer alone with random parameters and running statistics."""
    if isinstance(subject, Network):
        return in_dtype(subject, np.float64)
    net = Network([subject], rng=rng, dtype="float64", ops="reference")  # as it is written, not fused
    net.theta = net.theta + SPREAD * rng.standard_normal(net.theta.shape)
    for name, value in net.state.items():
        value[...] += SPREAD * rng.uniform(0 if name.endswith("var") else -1, 1, value.shape)
    return net


def _examples(net: Network, x: Any, shape: Any, n: int, rng: np.random.Generator) -> tuple[Array, Array | None]:
    """Return float64 examples and, for a network that reads labels, their labels."""
    if x is None:
        if shape is None:
            raise ValueError("x and shape are None; expected the examples x, or the shape of one, such as (28, 28, 1)")
        x = rng.standard_normal((n, *_arguments.shape("shape", shape)))
    elif shape is not None:
        raise ValueError(f"x and shape={shape!r} are given; expected one of them")
    labels = None
    if isinstance(x, tuple):
        x, labels = split_labels(x, net.n_classes, np)
    elif net.n_classes:
        labels = np.arange(len(x)) % net.n_classes
    return np.array(x, np.float64), labels


def _logits(x: Any, shape: Any, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return float64 logits of real examples and of fakes."""
    if x is None:
        real, fake = rng.standard_normal((2, n, *_arguments.shape("shape", 1 if shape is None else shape)))
        return real, fake
    if not isinstance(x, tuple) or len(x) != 2:
        raise TypeError(f"x is {type(x).__name__}; expected a tuple (s_real, s_fake) for an objective")
    return np.array(x[0], np.float64), np.array(x[1], np.float64)
