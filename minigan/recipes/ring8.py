"""`ring8`: eight Gaussians with sigma 0.01 on a circle of radius 1, the "2D ring" of VEEGAN and PacGAN.

The defaults pair real examples with fakes (Huang et al. 2024, R3GAN) with the penalties R1 and R2 (Mescheder et al.
2018).  `minigan.recipes.mixtures` has what `grid25` shares, and the settings of the GAN that collapses.
"""

from functools import partial

from minigan.data import ring8
from minigan.recipes import mixtures
from minigan.recipes.base import Recipe

DATA = ring8()
Config = mixtures.Config

RECIPE = Recipe(
    name="ring8",
    about="N(0, I) to eight Gaussians on a circle: which modes G reaches",
    source="VEEGAN, PacGAN",
    Config=Config,
    architecture=partial(mixtures.architecture, radius=1.0),
    prior=mixtures.prior,
    assemble=lambda config, run_options, G, D, streams: mixtures.assemble("ring8", DATA, config, G, D, streams),
    modes=len(DATA.centres),
)
