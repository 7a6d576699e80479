"""The parts of a recipe: hyper-parameters, networks, data and the schedule of updates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from minigan._deprecated import renamed_arguments, renamed_fields
from minigan._names import ConfigError, unknown
from minigan.layers.base import Shape
from minigan.network import Network
from minigan.ops.protocol import Array
from minigan.recipes import memory
from minigan.recipes.compilation import share_compilation
from minigan.recipes.fields import require_batch, require_fields, require_kind, require_layers
from minigan.recipes.generators import average_generator, samples
from minigan.recipes.objectives import PENALTY_SETTINGS, penalty_obstacle
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture, PlayerLayers, Players
from minigan.recipes.settings import setting
from minigan.recipes.translations import Translator
from minigan.training.diagnosis import Diagnosis
from minigan.training.experiment import RECIPE_OBJECT, Experiment, random_streams


def _always(_config: Any) -> bool:
    return True


@renamed_fields(moments="optimizer_vectors")
@dataclass(frozen=True)
class Recipe:
    """A model that can be trained: its networks, its data and its schedule.

    A user calls `build`, which checks the configuration and the memory, creates the random streams and the networks,
    and passes them to the recipe's own `assemble`, which adds the data, the game, the schedule and the figures.

    Parameters
    ----------
    name : str
        The name, as in ``minigan train NAME``.
    about : str
        One line on what is trained.
    source : str
        The publication or tutorial that the recipe reproduces.
    Config : type
        A frozen dataclass of the hyper-parameters with their defaults.
    architecture : callable
        ``architecture(config)`` returns the layers of both networks, an `Architecture`, or those of other players,
        `Players`.
    prior : callable, optional
        ``prior(config, n, rng)`` draws n noise vectors z from the stream `rng` and returns an array of float64 of shape
        (n, ...); None if no player is a generator that reads noise.
    assemble : callable
        ``assemble(config, run_options, G, D, streams)`` returns the `Experiment` that trains the networks G and D,
        whose parameters are initial, with the random streams of `random_streams`.  Other players take the places of G
        and D, in their order.  It raises ConfigError if a hyper-parameter does not fit the data, and DataError if data
        files are missing or damaged.
    to_images : callable, optional
        ``to_images(x)`` converts the output of G to images (N, H, W, C) in [0, 1]; None if G makes no images.
    optimizer_vectors : int
        The number of state vectors of an optimizer, for the estimate of memory; 2 by default, m and v of Adam.
    stored_defaults : mapping, optional
        The values of hyper-parameters that config.json of runs of earlier versions lacks, by name.
    ensembles : mapping of str to str, optional
        Where a backend can train many seeds together: the name of the backend, and the module with
        ``ensemble_obstacle(config, dtype)``, which returns the reason why it cannot, or "", and with
        ``train_ensemble(config, seeds, device=..., dtype=..., on_seed_end=...)`` (`minigan.ensembles`).  The module is
        imported by name when a sweep needs it, because it needs the recipe.
    streams : sequence of str, optional
        The names of random streams that the recipe needs besides those of `random_streams` and one for the initial
        weights of each player, "weights_" and its name.
    makes_images : callable, optional
        ``makes_images(config)`` returns whether a configuration of a recipe with `to_images` is about images; by
        default all are.
    translator : Translator, optional
        How samples of a recipe without a prior are drawn and shown (`minigan.recipes.translations`).
    modes : int, optional
        The number of modes of the data, if the metrics of a run have "modes", the number that samples reach: the
        diagnosis of collapse compares both.
    measures : str
        What summary.json says of the samples, in words, if `minigan evaluate` cannot compare them with images of the
        data set; empty if it can.
    normal_data : callable, optional
        ``normal_data(config)`` returns mu and sigma if the data are N(mu, sigma^2), which `minigan verify trained`
        takes as given; None, the default, if they are not.  A recipe that replaces the data of another one replaces
        this field too.
    reference : str, optional
        What `minigan.recipes.get_recipe` finds the recipe by, ``module:object`` or a registered name; set by
        `get_recipe`.  "" for a recipe of this package.

    Raises
    ------
    TypeError, ValueError
        If a field is of the wrong type, or `Config` is not a frozen dataclass with defaults; the message names it.

    """

    name: str
    about: str
    source: str
    Config: type
    architecture: Callable[[Any], Any]
    prior: Callable[[Any, int, np.random.Generator], Array] | None
    assemble: Callable[..., Experiment]
    to_images: Callable[[Array], Array] | None = None
    optimizer_vectors: int = 2
    stored_defaults: Mapping[str, Any] = field(default_factory=dict)
    ensembles: Mapping[str, str] = field(default_factory=dict)
    streams: Sequence[str] = ()
    makes_images: Callable[[Any], bool] = _always
    translator: Translator | None = None
    modes: int | None = None
    measures: str = ""
    normal_data: Callable[[Any], tuple[float, float]] | None = None
    reference: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        require_fields(self)

    def players(self, config: Any) -> Mapping[str, PlayerLayers]:
        """Return the layers and the input shape of each player, by name.

        Parameters
        ----------
        config : Config
            The hyper-parameters.

        Returns
        -------
        mapping of str to PlayerLayers
            The players of ``architecture(config)``.

        Raises
        ------
        ConfigError
            If `architecture` returned something else, layers do not fit each other or the input shape, or there is a
            generator G but no prior.

        """
        found = self.architecture(config)
        require_kind(self.name, "architecture(config)", found, (Architecture, Players))
        players: Mapping[str, PlayerLayers] = found.players
        for name, player in players.items():
            require_layers(f"{self.name}: player {name}", player.layers, player.input_shape)
        if "G" in players and self.prior is None:
            raise ConfigError(f"{self.name}: prior is None; expected a function, as the architecture has a generator G")
        return players

    def configure_stored(self, settings: Mapping[str, Any]) -> Any:
        """Return the configuration of a run from the settings in its config.json.

        Parameters
        ----------
        settings : mapping
            Hyper-parameters by name, the value of "settings" in config.json.  One that is missing, because an earlier
            version wrote the file, has its value in `stored_defaults` or else its default.

        Returns
        -------
        Config
            The configuration of the run.

        Raises
        ------
        ConfigError
            If a name is unknown, or a value is outside its range or of another type.

        """
        return self.configure({**self.stored_defaults, **settings})

    @renamed_arguments(settings="overrides")
    def configure(self, overrides: Mapping[str, Any] | None = None) -> Any:
        """Return the configuration with the given hyper-parameters, and defaults for all others.

        Parameters
        ----------
        overrides : mapping, optional
            Hyper-parameters by name: values of the types of their defaults (or an int in place of a float, if the
            conversion is exact), or strings as from ``--set key=value``.

        Returns
        -------
        Config
            The configuration of the recipe.

        Raises
        ------
        ConfigError
            If a name is unknown, or a value is outside its range or of another type.

        """
        config = self.Config()
        types = {f.name: type(getattr(config, f.name)) for f in fields(config)}
        changes = {}
        for key, given in (overrides or {}).items():
            if key not in types:
                raise ConfigError(self._unknown(key, types))
            changes[key] = setting(key, given, types[key])
        return replace(config, **changes)

    def _unknown(self, key: str, types: Mapping[str, type]) -> str:
        """Return the message for a setting that the recipe does not have."""
        D = self.architecture(self.Config()).players.get("D")
        why = penalty_obstacle(D.layers) if D is not None and key in PENALTY_SETTINGS else ""
        return (
            f"{key}: {self.name} has no gradient penalties, because {why}"
            if why
            else unknown(f"setting of {self.name}", key, types)
        )

    @renamed_arguments(setting="run_options")
    def build(self, config: Any = None, run_options: RunOptions | None = None) -> Experiment:
        """Build the experiment, for `minigan.training.train`.

        Parameters
        ----------
        config : Config, optional
            The hyper-parameters, as `configure` returns them; by default all have their defaults.
        run_options : RunOptions, optional
            The seed, the dtype, the backend and the data.

        Returns
        -------
        Experiment
            The experiment with initial parameters.

        Raises
        ------
        ConfigError
            If a hyper-parameter is invalid or does not fit the data (a batch larger than the data set), or training
            needs more memory than the machine has.
        DataError
            If data files are missing or damaged.

        """
        config = self.configure(None if config is None else asdict(config))
        players = self.players(config)
        run_options = RunOptions() if run_options is None else run_options
        if run_options.images is not None and self.image_shape(config) is None:
            raise ConfigError(
                f"images must be None because {self.name} is not trained on images, "
                f"got an array of shape {run_options.images.shape}"
            )
        if run_options.backend().xp is np:  # otherwise the device's memory counts, not the machine's
            memory.require_training(self, config, np.dtype(run_options.dtype))
        share_compilation(self.reference or self.name, asdict(config), run_options)
        streams = self._random_streams(config, run_options)
        networks = self.networks(config, run_options, streams)
        if "G" in players:
            self._require_noise(config, players["G"])
        experiment = self.assemble(config, run_options, *networks, streams)
        require_kind(self.name, "assemble(...)", experiment, (Experiment,))
        experiment.name = self.name
        if "G" in players:
            if getattr(config, "ema", 0):
                average_generator(experiment, networks[0], config.ema)
            sample = samples(self.prior, config, networks[0], run_options.seed)
            experiment.callbacks.append(Diagnosis(sample, modes=self.modes))
        experiment.config = {
            "seed": run_options.seed,
            "dtype": run_options.dtype,
            "ops": run_options.ops,
            "options": dict(run_options.options),
            "settings": asdict(config),
            **({RECIPE_OBJECT: self.reference} if ":" in self.reference else {}),
            **({} if run_options.images is None else {"images": run_options.images.shape}),
        }
        return experiment

    @renamed_arguments(setting="run_options")
    def networks(
        self,
        config: Any,
        run_options: RunOptions | None = None,
        streams: dict[str, np.random.Generator] | None = None,
    ) -> tuple[Network, ...]:
        """Return G and D, or the other players of a game, with initial parameters.

        Parameters
        ----------
        config : Config
            The hyper-parameters.
        run_options : RunOptions, optional
            The seed, the dtype and the backend.
        streams : dict of numpy.random.Generator, optional
            The streams "weights_G" and "weights_D", or those of the other players; by default those of the seed.

        Returns
        -------
        tuple of Network
            The networks, in the order of the architecture's players.

        Raises
        ------
        ConfigError
            If they need more memory than the machine has.

        """
        players = self.players(config)
        run_options = RunOptions() if run_options is None else run_options
        memory.require_networks(self, config, np.dtype(run_options.dtype))
        streams = self._random_streams(config, run_options) if streams is None else streams
        dtype, ops = run_options.dtype, run_options.backend()
        return tuple(
            Network(player.layers, rng=streams[f"weights_{name}"], dtype=dtype, ops=ops)
            for name, player in players.items()
        )

    def image_shape(self, config: Any) -> Shape | None:
        """Return the shape (H, W, C) of the images of a configuration; None if it is not about images."""
        if self.to_images is None or not self.makes_images(config):
            return None
        shape = [*self.players(config).values()][-1].input_shape  # that of a discriminator
        return self.to_images(np.zeros((1, *shape))).shape[1:]

    def has_pictures(self, config: Any) -> bool:
        """Return whether samples of a run can be written as a picture."""
        return self.translator is not None or self.image_shape(config) is not None

    def _require_noise(self, config: Any, G: PlayerLayers) -> None:
        """Raise ConfigError unless `prior` returns arrays of the input shape of G."""
        assert self.prior is not None  # noqa: S101  (`players` has checked it)
        require_batch(self.name, self.prior(config, 2, np.random.default_rng(0)), 2, tuple(G.input_shape))

    def _random_streams(self, config: Any, run_options: RunOptions) -> dict[str, np.random.Generator]:
        weights = [f"weights_{name}" for name in self.players(config)]
        return random_streams(run_options.seed, *weights, *self.streams)
