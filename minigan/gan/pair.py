"""`GAN`: the game of a generator and a discriminator."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from minigan._arguments import size
from minigan._batch import Batch
from minigan._checks import logit_gradient
from minigan._deprecated import renamed_fields
from minigan.game import Draw, Game, Player, Rng
from minigan.gan.labels import network_input
from minigan.gan.modes import DBatching, DMode, FakeMode, separate, train_fakes, train_mode
from minigan.gan.packing import pack, packed_mode
from minigan.gan.penalties import GradientPenalty, lazy, require_separate_examples
from minigan.gan.steps import StepResult, discriminator_step, generator_step, require_optimizer
from minigan.layers.base import compute_gradient
from minigan.losses import Objective, accuracy, needs_real, require_objective
from minigan.network import Network
from minigan.ops.protocol import Array, Ops
from minigan.optimizers import Optimizer

StepResults = tuple[StepResult, StepResult]
"""The results of the last step of D and of the last step of G in an iteration."""


@renamed_fields(through="d_batching", fakes="fake_mode", judge="frozen_d_mode")
@dataclass
class GAN(Game):
    """The game of a generator and a discriminator.

    A schedule runs one iteration: ``alternating(gan, real, noise, k=1)``.  ``gan.play()`` does the same if the GAN has
    `draws` and a `schedule`.

    Parameters
    ----------
    G, D : Network
        The generator, from noise to examples, and the discriminator, from examples to logits.
    optimizer_G, optimizer_D : Optimizer
        An optimizer of G and one of D.
    objective : Objective
        The costs of both, such as `minigan.NonSaturating()`.
    rng : numpy.random.Generator, optional
        The random stream of dropout; not needed without dropout.
    d_batching : callable
        How D sees a batch: `separate` (the default: batch statistics of real and of fake examples) or `combined`.
    fake_mode : callable
        How G makes the fakes for D: `train_fakes` (the default: training mode) or `eval_fakes`.
    frozen_d_mode : callable
        The mode of the frozen D in G's step: `train_mode` (the default), `train_mode_tracking` or `eval_mode`.
    draws : mapping of str to callable, optional
        Functions that return the next batch, by the names of the schedule's parameters: "real" and "noise".
    schedule : callable, optional
        A function of the GAN and its draws that `play` calls, such as ``functools.partial(alternating, k=5)``.
    pack : int
        m, the number of examples that D sees at a time (`minigan.gan.packing`), which divides all batch sizes; D's
        input has m C features or channels.  1, the default: one example.
    penalties : sequence of minigan.gan.penalties.GradientPenalty
        Gradient penalties of D's cost, such as ``(R1(10.0),)``; none by default.
    penalty_every : int
        The penalties are part of every `penalty_every`-th update of D, with `penalty_every` times their weight
        (`minigan.gan.penalties.lazy`): of the updates after which D's optimizer has made 0, `penalty_every`,
        2 `penalty_every`, ... steps.  1, the default, adds them to every update, as they are defined.

    Raises
    ------
    ValueError
        If an optimizer belongs to another network, `pack` or `penalty_every` is not an int >= 1, or there are penalties
        and a layer of D mixes examples in training, such as batch norm.
    TypeError
        If `objective` lacks a method of `minigan.losses.Objective`, or `penalties` holds something else.

    Examples
    --------
    >>> import numpy as np, minigan as mg
    >>> rng = np.random.default_rng(0)
    >>> G, D = (mg.Network([mg.Dense(1, 1)], rng=rng) for _ in range(2))
    >>> gan = GAN(G, D, mg.Adam(G), mg.Adam(D), mg.NonSaturating())
    >>> seen_D, seen_G = mg.alternating(gan, lambda: rng.normal(4, 1, (8, 1)), lambda: rng.normal(size=(8, 1)))
    >>> seen_D.logits_real.shape, gan.optimizer_G.t
    ((8, 1), 1)

    """

    G: Network
    D: Network
    optimizer_G: Optimizer
    optimizer_D: Optimizer
    objective: Objective
    rng: Rng | None = None
    d_batching: DBatching = separate
    fake_mode: FakeMode = train_fakes
    frozen_d_mode: DMode = train_mode
    draws: Mapping[str, Draw] = field(default_factory=dict)
    schedule: Callable[..., StepResults] | None = None
    pack: int = 1
    penalties: Sequence[GradientPenalty] = ()
    penalty_every: int = 1

    files: ClassVar[Mapping[str, str]] = {"G": "generator", "D": "discriminator"}
    losses: ClassVar[tuple[str, ...]] = ("d_loss", "g_loss")

    def __post_init__(self) -> None:
        require_optimizer("optimizer_G", self.optimizer_G, self.G, "G")
        require_optimizer("optimizer_D", self.optimizer_D, self.D, "D")
        require_objective(self.objective)
        self.pack = size("pack", self.pack)
        if isinstance(self.penalties, str) or not isinstance(self.penalties, Iterable):
            expected = "a sequence of gradient penalties, such as (minigan.R1(10.0),)"
            raise TypeError(f"penalties is {self.penalties!r}; expected {expected}")
        self.penalties = tuple(self.penalties)
        for penalty in self.penalties:
            if not isinstance(penalty, GradientPenalty):
                raise TypeError(f"penalties holds {penalty!r}; expected gradient penalties, such as minigan.R1(10.0)")
        self.penalty_every = size("penalty_every", self.penalty_every)
        if self.penalties:
            require_separate_examples(self.D)

    @property
    def players(self) -> dict[str, Player]:
        """The players "G" and "D", from the current fields."""
        return {"G": Player(self.G, self.optimizer_G), "D": Player(self.D, self.optimizer_D)}

    @property
    def ops(self) -> Ops:
        """The backend of D."""
        return self.D.ops

    @property
    def due_penalties(self) -> Sequence[GradientPenalty]:
        """The gradient penalties of D's next update: none, or those of `penalty_every` updates (`lazy`)."""
        return lazy(self.penalties, self.penalty_every, self.optimizer_D.t)

    @property
    def needs_real(self) -> bool:
        """Whether a step of G needs real examples, as its cost compares fakes with them (`update_G`)."""
        return needs_real(self.objective)

    def play(self) -> StepResults:
        """Run one iteration of `schedule` on `draws`; raise ValueError if the GAN has no schedule."""
        if self.schedule is None:
            raise ValueError("the GAN has no schedule; expected GAN(..., draws={...}, schedule=minigan.alternating)")
        return self.schedule(self, **self.draws)

    def iteration_kind(self, steps: Mapping[str, range]) -> Hashable:
        """Return which updates of D in an iteration have penalties; None if all iterations are alike."""
        if self.penalty_every == 1 or not self.penalties:
            return None
        return tuple(bool(lazy(self.penalties, self.penalty_every, t)) for t in steps["D"])

    def metrics(self, results: StepResults) -> dict[str, float]:
        """Return the metrics of an iteration.

        Parameters
        ----------
        results : (StepResult, StepResult)
            The results of the last step of D and of the last step of G.

        Returns
        -------
        dict of float
            d_loss = J_D with the penalties of that update, g_loss = J_G, d_real = mean D(x), d_fake = mean D(G(z)), and
            the accuracy of D.

        """
        seen_D, seen_G = results
        assert seen_D.logits_real is not None  # noqa: S101  (a discriminator step always has it)
        real = self.objective.probability(seen_D.logits_real, ops=self.D.ops)
        fake = self.objective.probability(seen_D.logits_fake, ops=self.D.ops)
        return {
            "d_loss": float(seen_D.loss),
            "g_loss": float(seen_G.loss),
            "d_real": float(real.sum()) / len(real),
            "d_fake": float(fake.sum()) / len(fake),
            "accuracy": accuracy(real, fake),
        }

    def update_D(self, x_real: Batch, x_fake: Batch) -> StepResult:
        """Take one step of D (`discriminator_step`) on real and fake examples."""
        if self.pack != 1:
            x_real, x_fake = (pack(self.D.array(network_input(self.D, x)), self.pack) for x in (x_real, x_fake))
        return discriminator_step(
            self.D,
            self.optimizer_D,
            self.objective,
            x_real,
            x_fake,
            rng=self.rng,
            d_batching=self.d_batching,
            penalties=self.due_penalties,
        )

    def update_D_one_side(self, x: Batch, *, real: bool) -> tuple[Any, Array]:
        """Take one step of D on real or on fake examples alone.

        Parameters
        ----------
        x : array (N, ..., C), or a tuple of such an array and labels
            The examples.
        real : bool
            Whether they are real.

        Returns
        -------
        loss : scalar
            The part of J_D of these examples, before the update.
        s : array (N, 1)
            Their logits.

        """
        x = network_input(self.D, x)
        if self.pack != 1:
            x = pack(self.D.array(x), self.pack)
        s, backward = self.D.forward(x, train=True, rng=self.rng)
        value, ds = self.objective.one_side(s, real=real, ops=self.D.ops)
        g, overwrite = self.D.new_gradient()
        compute_gradient(backward, logit_gradient("ds", ds, s, self.objective), g, overwrite=overwrite)
        self.optimizer_D.step(g)
        return value, s

    def update_G(self, z: Batch, x_real: Batch | None = None) -> StepResult:
        """Take one step of G (`generator_step`).

        Parameters
        ----------
        z : array (M, I), or a tuple of noise and labels
            The noise.
        x_real : array (N, ..., C), or a tuple of such an array and labels, optional
            Real examples, if the GAN's `needs_real` is True; otherwise they are not used.

        Returns
        -------
        StepResult
            The cost and the logits before the update.

        """
        return generator_step(
            self.G,
            self.D,
            self.optimizer_G,
            self.objective,
            z,
            x_real=x_real,
            rng=self.rng,
            frozen_d_mode=packed_mode(self.frozen_d_mode, self.pack),
        )

    def fake(self, z: Batch) -> Batch:
        """Return the fakes G(z) for a step of D, in the GAN's `fake_mode`."""
        return self.fake_mode(self.G, z, rng=self.rng)
