"""The parts of a recipe: hyper-parameters, networks, data and the schedule of updates."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan._arguments import number
from minigan._deprecated import renamed_arguments
from minigan._names import ConfigError, unknown
from minigan.layers.base import Layer, Shape
from minigan.network import Network
from minigan.ops import BACKENDS, get_ops
from minigan.ops.protocol import Array, Ops
from minigan.optimizers import Adam
from minigan.recipes import memory
from minigan.training.experiment import Experiment, random_streams


@dataclass(frozen=True)
class Architecture:
    """The layers of both networks.

    Parameters
    ----------
    G, D : sequence of Layer
        The layers of the generator and of the discriminator.
    noise_shape, data_shape : tuple of int
        The shapes of their inputs, without N.

    """

    G: Sequence[Layer]
    D: Sequence[Layer]
    noise_shape: Shape
    data_shape: Shape


DTYPES = ("float32", "float64")
OPTIONS = {"cpu": ("threads", "accuracy", "compiled"), "cuda": ("device", "precision", "graphs")}
"""The options of each backend (`minigan.ops.cpu.CPU`, `minigan.ops.cuda.CUDA`); "reference" has none."""
MAX_INT = 10**9  # the largest integer hyper-parameter: more iterations or larger sizes are mistakes


def as_bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images as bytes.

    Parameters
    ----------
    images : array, shape (N, H, W, C)
        At least one image: uint8, or floats in [0, 1], which are rounded to the nearest multiple of 1 / 255.

    Returns
    -------
    array of uint8, shape (N, H, W, C)
        `images` itself if it is uint8.

    Raises
    ------
    ConfigError
        If `images` is anything else.

    """
    expected = "expected an array (N, H, W, C) of uint8, or of floats in [0, 1]"
    if not isinstance(images, np.ndarray) or isinstance(images, np.ma.MaskedArray):
        raise ConfigError(f"images: got {type(images).__name__}; {expected}")
    if images.ndim != 4 or images.size == 0:
        raise ConfigError(f"images: got shape {images.shape}; {expected}, with at least one image")
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise ConfigError(f"images: got dtype {images.dtype}; {expected}")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):  # also where one is NaN
        raise ConfigError(f"images: got floats in [{low:g}, {high:g}]; {expected}")
    return np.rint(images.astype(np.float64) * 255).astype(np.uint8)


@dataclass(frozen=True)
class RunOptions:
    """The options of a run other than its hyper-parameters.

    Parameters
    ----------
    seed : int
        The seed of every random stream, at least 0; 0 by default.
    dtype : {"float32", "float64"}
        The dtype of parameters and activations; float32 by default.
    ops : {"cpu", "cuda", "reference"}
        The backend.
    data_dir : path, optional
        The folder with the data files; by default $MINIGAN_DATA, then the cache folder.
    options : mapping, optional
        Options of the backend (`OPTIONS`).
    images : array, shape (N, H, W, C), optional
        Images that replace those of the data set: uint8, or floats in [0, 1], which are rounded to bytes (`as_bytes`).

    Raises
    ------
    ConfigError
        If a value is invalid or the backend does not have an option.
    BackendUnavailable
        If options are given and the backend cannot run here.

    """

    seed: int = 0
    dtype: str = "float32"
    ops: str = "cpu"
    data_dir: str | os.PathLike[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    images: NDArray[Any] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ConfigError(unknown("dtype", self.dtype, DTYPES))
        if self.ops not in BACKENDS:
            raise ConfigError(unknown("ops", self.ops, BACKENDS))
        if self.images is not None:
            object.__setattr__(self, "images", as_bytes(self.images))
        known = [name for names in OPTIONS.values() for name in names]
        for name in self.options:
            if name not in known:
                raise ConfigError(unknown("option", name, known))
        if self.options:
            refused = [name for name in self.options if name not in OPTIONS.get(self.ops, ())]
            if refused:
                owner = next(ops for ops, names in OPTIONS.items() if refused[0] in names)
                raise ConfigError(f"ops={self.ops!r} takes no {', '.join(refused)}; expected ops={owner!r}")
            try:
                self.backend()
            except ValueError as error:
                raise ConfigError(str(error)) from None

    def backend(self) -> Ops:
        """Return the backend with its options."""
        return get_ops(self.ops, **self.options)


@dataclass(frozen=True)
class Recipe:
    """A model that can be trained: its networks, its data and its schedule.

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
        ``architecture(config)`` returns the layers of both networks.
    prior : callable
        ``prior(config, n, rng)`` draws n noise vectors z, an array (n, ...).
    assemble : callable
        ``assemble(config, run_options, G, D, streams)`` returns the experiment.
    to_images : callable, optional
        ``to_images(x)`` converts the output of G to images (N, H, W, C) in [0, 1]; None if G makes no images.
    moments : int
        The number of state vectors of an optimizer, for the estimate of memory; 2 by default, m and v of Adam.
    stored_defaults : mapping, optional
        The values of hyper-parameters that config.json of runs of earlier versions lacks, by name.
    ensembles : mapping of str to str, optional
        Where a backend can train many seeds together: the name of the backend, and the module with
        ``batching_obstacle(config, dtype)``, which returns the reason why it cannot, or "", and with
        ``train_ensemble(config, seeds, device=..., dtype=..., finished=...)`` (`minigan.ensembles`).  The module is
        imported by name when a sweep needs it, because it needs the recipe.

    """

    name: str
    about: str
    source: str
    Config: type
    architecture: Callable[[Any], Architecture]
    prior: Callable[[Any, int, np.random.Generator], Array]
    assemble: Callable[[Any, RunOptions, Network, Network, dict[str, np.random.Generator]], Experiment]
    to_images: Callable[[Array], Array] | None = None
    moments: int = 2
    stored_defaults: Mapping[str, Any] = field(default_factory=dict)
    ensembles: Mapping[str, str] = field(default_factory=dict)

    def configure_stored(self, settings: Mapping[str, Any]) -> Any:
        """Return the configuration of a run from the settings in its config.json.

        A hyper-parameter that is missing, because an earlier version wrote the file, has its value in `stored_defaults`
        or else its default.
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
        kinds = {f.name: type(getattr(config, f.name)) for f in fields(config)}
        changes = {}
        for key, given in (overrides or {}).items():
            if key not in kinds:
                raise ConfigError(unknown(f"setting of {self.name}", key, kinds))
            changes[key] = _value(key, given, kinds[key])
        return replace(config, **changes)

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
        run_options = RunOptions() if run_options is None else run_options
        if run_options.images is not None and self.to_images is None:
            raise ConfigError(f"images: {self.name} is not trained on images; expected None")
        if run_options.backend().xp is np:  # otherwise the device's memory counts, not the machine's
            memory.require_training(self, config, np.dtype(run_options.dtype))
        streams = random_streams(run_options.seed)
        G, D = self.networks(config, run_options, streams)
        experiment = self.assemble(config, run_options, G, D, streams)
        experiment.config = {
            "seed": run_options.seed,
            "dtype": run_options.dtype,
            "ops": run_options.ops,
            "options": dict(run_options.options),
            "settings": asdict(config),
            **({} if run_options.images is None else {"images": run_options.images.shape}),
        }
        return experiment

    @renamed_arguments(setting="run_options")
    def networks(
        self,
        config: Any,
        run_options: RunOptions | None = None,
        streams: dict[str, np.random.Generator] | None = None,
    ) -> tuple[Network, Network]:
        """Return G and D with initial parameters.

        Parameters
        ----------
        config : Config
            The hyper-parameters.
        run_options : RunOptions, optional
            The seed, the dtype and the backend.
        streams : dict of numpy.random.Generator, optional
            The streams "weights_G" and "weights_D"; by default those of the seed.

        Returns
        -------
        G, D : Network
            The networks.

        Raises
        ------
        ConfigError
            If they need more memory than the machine has.

        """
        run_options = RunOptions() if run_options is None else run_options
        memory.require_networks(self, config, np.dtype(run_options.dtype))
        streams = random_streams(run_options.seed) if streams is None else streams
        chains, ops = self.architecture(config), run_options.backend()
        G = Network(chains.G, rng=streams["weights_G"], dtype=run_options.dtype, ops=ops)
        D = Network(chains.D, rng=streams["weights_D"], dtype=run_options.dtype, ops=ops)
        return G, D


def _value(key: str, given: Any, kind: type) -> Any:
    value = _from_text(given, kind) if isinstance(given, str) else _exactly(given, kind)
    if value is None or (kind is int and abs(value) > MAX_INT) or (kind is float and not math.isfinite(value)):
        expected = {
            bool: "true or false",
            int: f"a whole number (of at most {MAX_INT:,})",
            float: "a number (finite)",
            str: "a string",
        }.get(kind, kind.__name__)
        raise ConfigError(f"{key}={given!r}; expected {expected}")
    return value


def _from_text(text: str, kind: type) -> Any:
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower())
    try:
        return kind(text)
    except ValueError:
        return None


def _exactly(given: Any, kind: type) -> Any:
    """Return `given` as a value of type `kind`, or None if it is of another type or the conversion is not exact."""
    if isinstance(given, np.generic):
        given = given.item()
    if kind is float and type(given) is int and abs(given) <= 2**53:
        return float(given)
    return given if type(given) is kind else None


def adam(net: Network, config: Any, *, lr: float | None = None) -> Adam:
    """Return Adam with lr (by default that of the configuration), beta1, beta2 and eps of a recipe's configuration."""
    return Adam(
        net, lr=config.lr if lr is None else lr, beta1=config.beta1, beta2=config.beta2, eps=config.eps
    )  # fmt: skip


def require_at_least(low: float, **values: float) -> None:
    """Raise ConfigError unless every named value is >= low.

    >>> require_at_least(1, batch_size=0)
    Traceback (most recent call last):
    minigan._names.ConfigError: batch_size must be >= 1, got 0
    """
    for name, value in values.items():
        if not value >= low:
            raise ConfigError(f"{name} must be >= {low:g}, got {value!r}")


def require_within(interval: str, **values: float) -> None:
    """Raise ConfigError unless every named value is in the interval, "(0, inf)" or "[0, 1)".

    >>> require_within("[0, 1)", momentum=1.5)
    Traceback (most recent call last):
    minigan._names.ConfigError: momentum must be in [0, 1), got 1.5
    """
    for name, value in values.items():
        try:
            number(name, value, interval)
        except ValueError as error:
            raise ConfigError(str(error)) from None
