"""`cyclegan-toy`: CycleGAN (Zhu et al. 2017) between two small unpaired domains.

data=points    clusters in the plane, and the same clusters turned by 30 degrees and enlarged by 1.5
data=mnist     digits, and other digits turned by 90 degrees and inverted

The costs are those of the paper: least squares, L1 cycle and identity terms, a pool of 50 past fakes for each D, and
Adam with beta1 = 0.5 (`minigan.gan.cycle`).  The networks are small: two hidden layers for points, and for images two
convolutions after `Symmetries`.  The domains are chosen so that the right translation is known
(`minigan.recipes.domains`), and summary.json says how well it was found: "cycle_error", "identity_error" and
"labels_kept" on test examples.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan._names import ConfigError, unknown
from minigan.game import Player
from minigan.gan.cycle import DISTANCES, NAMES, CycleGAN
from minigan.gan.pool import ImagePool
from minigan.layers import Conv2D, Dense, Flatten, LeakyReLU, Tanh
from minigan.layers.base import Layer
from minigan.losses import LeastSquares, NonSaturating, Objective
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes.adam import adam
from minigan.recipes.base import Recipe
from minigan.recipes.domains import image_domains, picture_of_images, picture_of_points, point_domains
from minigan.recipes.images import SIDE, signed_to_images
from minigan.recipes.options import RunOptions
from minigan.recipes.players import PlayerLayers, Players
from minigan.recipes.settings import require_at_least, require_within
from minigan.recipes.symmetries import POSITIONS, Symmetries
from minigan.recipes.translations import Domains, Translations, Translator, measure
from minigan.training.experiment import Experiment

IMAGE_DATA = ("mnist", "fashion-mnist")
OBJECTIVES = ("least-squares", "non-saturating")
EVALUATION_EXAMPLES = {"points": 10_000, "images": 5000}
"""The test examples of each domain at the end of a run; the 10,000 test images are halved."""
SLOPE = 0.2


@dataclass(frozen=True)
class Config:
    """The hyper-parameters.

    Parameters
    ----------
    iterations : int
        The number of iterations, each of which updates all four players once.
    batch_size : int
        The number of examples of each domain in an iteration.
    objective : str
        The adversarial cost: "least-squares" as in the paper, or "non-saturating".
    cycle, identity : float
        The weights of the cycle and of the identity term, >= 0.
    distance : str
        The distance of both terms: "l1" as in the paper, or "l2".
    pool : int
        The number of past fakes in the pool of each D; 50 as in the paper.  0: D sees the newest fakes.
    hidden : int
        The number of hidden units of each hidden layer, for points.
    channels : int
        The channels of G's hidden layer and of D's first one, for images.
    symmetries : bool
        Whether the generators of images see the eight positions of an image (`Symmetries`).
    kernel : int
        The height and width of the kernels of G's two convolutions, for images; 1 suffices after `Symmetries`.
    lr_G, lr_D : float
        The learning rates of Adam, for the generators and for the discriminators.
    beta1, beta2 : float
        The weights of Adam's old moments, in [0, 1).
    eps : float
        Adam's eps, > 0.
    data : str
        "points", "mnist" or "fashion-mnist".
    sample_every : int
        The number of iterations between two pictures.

    """

    iterations: int = 1000
    batch_size: int = 32
    objective: str = "least-squares"
    cycle: float = 1.0
    identity: float = 0.5
    distance: str = "l1"
    pool: int = 50
    hidden: int = 64
    channels: int = 8
    symmetries: bool = True
    kernel: int = 1
    lr_G: float = 3e-3
    lr_D: float = 3e-4
    beta1: float = 0.5
    beta2: float = 0.999
    eps: float = 1e-8
    data: str = "points"
    sample_every: int = 100

    def __post_init__(self) -> None:
        require_at_least(1, iterations=self.iterations, batch_size=self.batch_size, sample_every=self.sample_every)
        require_at_least(1, hidden=self.hidden, channels=self.channels, kernel=self.kernel)
        require_at_least(0, pool=self.pool, cycle=self.cycle, identity=self.identity)
        require_within("(0, inf)", lr_G=self.lr_G, lr_D=self.lr_D, eps=self.eps)
        require_within("[0, 1)", beta1=self.beta1, beta2=self.beta2)
        for name, given, known in (
            ("objective", self.objective, OBJECTIVES),
            ("distance", self.distance, DISTANCES),
            ("data", self.data, ("points", *IMAGE_DATA)),
        ):
            if given not in known:
                raise ConfigError(unknown(name, given, known))


def makes_images(config: Config) -> bool:
    """Return whether the domains are images."""
    return config.data != "points"


def architecture(config: Config) -> Players:
    """Return the layers of two generators and of two discriminators, which end in one logit."""

    def act(*layers: Layer) -> list[Layer]:
        return [*layers, LeakyReLU(SLOPE)]

    if makes_images(config):
        c, k = config.channels, config.kernel
        positions = len(POSITIONS) if config.symmetries else 1
        G: list[Layer] = [
            *([Symmetries()] if config.symmetries else []),
            *act(Conv2D(positions, c, k, padding="same")), Conv2D(c, 1, k, padding="same"), Tanh(),
        ]  # fmt: skip
        D: list[Layer] = [
            *act(Conv2D(1, 2 * c, 4, stride=2, padding=1)), *act(Conv2D(2 * c, 4 * c, 4, stride=2, padding=1)),
            Flatten(), Dense(SIDE // 4 * (SIDE // 4) * 4 * c, 1),
        ]  # fmt: skip
    else:
        h = config.hidden
        G, D = ([*act(Dense(2, h)), *act(Dense(h, h)), Dense(h, outputs)] for outputs in (2, 1))
    shape = (SIDE, SIDE, 1) if makes_images(config) else (2,)
    return Players({name: PlayerLayers(G if name.startswith("G") else D, shape) for name in NAMES})


def domains_of(config: Config, run_options: RunOptions, dtype: Any, streams: dict[str, np.random.Generator]) -> Domains:
    """Return the data of both domains."""
    if makes_images(config):
        return image_domains(config.data, run_options, config.batch_size, dtype, streams)
    return point_domains(config.batch_size, dtype, streams)


def objective_of(config: Config) -> Objective:
    """Return the adversarial cost with the scales of the published code: J_D is halved, J_G is not."""
    if config.objective == "non-saturating":
        return NonSaturating(d_scale=0.5)
    return LeastSquares(g_scale=2.0)  # J_G is a mean of halved squares


def assemble(
    config: Config,
    run_options: RunOptions,
    G_AB: Network,
    G_BA: Network,
    D_A: Network,
    D_B: Network,
    streams: dict[str, np.random.Generator],
) -> Experiment:
    """Build the experiment; an iteration draws a batch of each domain and updates all players once."""
    dtype, ops = G_AB.dtype, G_AB.ops
    networks = dict(zip(NAMES, (G_AB, G_BA, D_A, D_B), strict=True))
    domains = domains_of(config, run_options, dtype, streams)
    shape = architecture(config).players["D_A"].input_shape
    pools = {
        name: ImagePool(config.pool, shape, config.batch_size, rng=streams["pool"], ops=ops, dtype=dtype)
        for name in ("A", "B")
        if config.pool
    }
    rates = {name: config.lr_G if name.startswith("G") else config.lr_D for name in NAMES}
    game = CycleGAN(
        {name: Player(net, adam(net, config, lr=rates[name])) for name, net in networks.items()},
        objective_of(config),
        domains.a,
        domains.b,
        cycle=config.cycle,
        identity=config.identity,
        distance=config.distance,
        pools=pools,
        rng=streams["dropout"],
    )
    images = makes_images(config)
    a, b, _ = domains.test(10 if images else 500, streams["figures"])

    def evaluate() -> dict[str, Any]:
        n = EVALUATION_EXAMPLES["images" if images else "points"]
        return measure(networks, *domains.test(n, streams["evaluation"]))

    return Experiment(
        name="cyclegan-toy",
        game=game,
        play=game.play,
        iterations=config.iterations,
        streams=streams,
        figures=[Translations(networks, a, b, lambda x, title: picture(config, x, title), every=config.sample_every)],
        evaluate=evaluate,
        sources={f"pool_{name}": pool for name, pool in pools.items()},
    )


def draw(config: Config, run_options: RunOptions, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return n test examples of each domain."""
    streams = {"data_A": rng, "data_B": rng}  # of batches, which are not drawn here
    a, b, _ = domains_of(config, run_options, run_options.dtype, streams).test(n, rng)
    return a, b


def picture(config: Config, x: Array, title: str) -> Any:
    """Return a picture of translations (6, N, ...)."""
    return (picture_of_images if makes_images(config) else picture_of_points)(x, title)


RECIPE = Recipe(
    name="cyclegan-toy",
    about="two unpaired domains, both directions: points of the plane, or digits (data=mnist)",
    source="Zhu et al. 2017",
    Config=Config,
    architecture=architecture,
    prior=None,
    assemble=assemble,
    to_images=signed_to_images,
    streams=("data_A", "data_B", "pool"),
    makes_images=makes_images,
    translator=Translator(draw, picture),
    measures="translates examples; its cycle error, identity error and share of kept labels",
)
