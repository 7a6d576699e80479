"""`grid25`: 25 Gaussians with sigma 0.05 at {-4, -2, 0, 2, 4}^2, the "2D grid" of VEEGAN and PacGAN.

`minigan.recipes.mixtures` has what `ring8` shares, and the settings of the GAN that collapses.
"""

from dataclasses import dataclass
from functools import partial

from minigan.data import grid25
from minigan.recipes import mixtures
from minigan.recipes.base import Recipe

DATA = grid25()


@dataclass(frozen=True)
class Config(mixtures.Config):
    """The hyper-parameters of `minigan.recipes.mixtures.Config` with the defaults of `grid25`."""

    iterations: int = 40_000
    batch_size: int = 256
    r1: float = 0.01
    r2: float = 0.01


RECIPE = Recipe(
    name="grid25",
    about="N(0, I) to 25 Gaussians on a grid: which modes G reaches",
    source="VEEGAN, PacGAN",
    Config=Config,
    architecture=partial(mixtures.architecture, radius=5.0),
    prior=mixtures.prior,
    assemble=lambda config, run_options, G, D, streams: mixtures.assemble("grid25", DATA, config, G, D, streams),
    modes=len(DATA.centres),
)
