"""`GAN`: the game of a generator and a discriminator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from minigan._batch import Batch
from minigan._checks import logit_gradient
from minigan._deprecated import renamed_arguments
from minigan.game import Draw, Game, Player, Rng
from minigan.gan.steps import (
    DBatching,
    DMode,
    FakeMode,
    StepResult,
    discriminator_step,
    generator_step,
    require_optimizer,
    seen_by,
    separate,
    train_fakes,
    train_mode,
)
from minigan.losses import Objective, accuracy, require_objective
from minigan.network import Network
from minigan.ops.protocol import Array, Ops
from minigan.optimizers import Optimizer

StepResults = tuple[StepResult, StepResult]
"""The last outcomes of D and of G in one iteration."""


@dataclass
class GAN(Game):
    """Two networks, their optimizers, the objective and the random stream of dropout.

    A schedule plays it: ``alternating(gan, real, noise, k=1)``.  With `draws` and a `schedule` (a function of the game
    and its draws: `functools.partial` of one that takes counts) ``gan.play()`` does.
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

    files: ClassVar[Mapping[str, str]] = {"G": "generator", "D": "discriminator"}
    losses: ClassVar[tuple[str, ...]] = ("d_loss", "g_loss")

    def __post_init__(self) -> None:
        require_optimizer("optimizer_G", self.optimizer_G, self.G, "G")
        require_optimizer("optimizer_D", self.optimizer_D, self.D, "D")
        require_objective(self.objective)

    @property
    def players(self) -> dict[str, Player]:
        """G and D, as the fields are now."""
        return {"G": Player(self.G, self.optimizer_G), "D": Player(self.D, self.optimizer_D)}

    @property
    def ops(self) -> Ops:
        """D's backend."""
        return self.D.ops

    def play(self) -> StepResults:
        """Play one iteration of `schedule` on `draws`; ValueError where the GAN has no schedule."""
        if self.schedule is None:
            raise ValueError("the GAN has no schedule; expected GAN(..., draws={...}, schedule=minigan.alternating)")
        return self.schedule(self, **self.draws)

    def metrics(self, results: StepResults) -> dict[str, float]:
        """Return d_loss, g_loss, mean D(x), mean D(G(z)) and D's accuracy, from the last outcomes of both players."""
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
        """Take one discriminator step."""
        return discriminator_step(
            self.D, self.optimizer_D, self.objective, x_real, x_fake, rng=self.rng, d_batching=self.d_batching
        )

    def update_D_one_side(self, x: Batch, *, real: bool) -> tuple[Any, Array]:
        """Take one discriminator step on real examples alone or on fakes alone; returns their cost and logits."""
        s, backward = self.D.forward(seen_by(self.D, x), train=True, rng=self.rng)
        value, ds = self.objective.one_side(s, real=real, ops=self.D.ops)
        g = self.D.zeros_like_theta()
        backward(logit_gradient("ds", ds, s, self.objective), g, need_dx=False)
        self.optimizer_D.step(g)
        return value, s

    def update_G(self, z: Batch) -> StepResult:
        """Take one generator step."""
        return generator_step(
            self.G, self.D, self.optimizer_G, self.objective, z, rng=self.rng, frozen_d_mode=self.frozen_d_mode
        )

    def fake(self, z: Batch) -> Batch:
        """Return fakes for D to be trained on."""
        return self.fake_mode(self.G, z, rng=self.rng)


GAN.__init__ = renamed_arguments(  # type: ignore[method-assign]
    through="d_batching", fakes="fake_mode", judge="frozen_d_mode"
)(GAN.__init__)
