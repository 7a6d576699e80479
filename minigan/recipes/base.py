"""What a recipe is: a configuration whose fields are the hyper-parameters, two networks, and a way to play."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from minigan._names import unknown
from minigan.layers.base import Layer, Shape
from minigan.network import Network
from minigan.ops import Array
from minigan.training.experiment import Experiment, random_streams


@dataclass(frozen=True)
class Architecture:
    """Both chains of layers and the shapes (without N) that they read."""

    G: Sequence[Layer]
    D: Sequence[Layer]
    noise_shape: Shape
    data_shape: Shape


@dataclass(frozen=True)
class Setting:
    """What every run has beside its hyper-parameters."""

    seed: int = 0
    dtype: str = "float32"
    ops: str = "cpu"
    data_dir: str | None = None


@dataclass(frozen=True)
class Recipe:
    """A system to reproduce."""

    name: str
    about: str
    source: str
    Config: type
    architecture: Callable[[Any], Architecture]
    prior: Callable[[Any, int, np.random.Generator], Array]  # prior(config, n, rng) -> z (n, ...)
    play: Callable[[Any, Setting, Network, Network, dict[str, np.random.Generator]], Experiment]
    to_images: Callable[[Array], Array] | None = None  # G's output -> (N, H, W, C) in [0, 1]

    def configure(self, settings: Mapping[str, str] | None = None) -> Any:
        """Return the configuration with `settings` (texts, as from ``--set key=value``) in place of the defaults.

        ValueError names an unknown key, or a value of the wrong kind.
        """
        config = self.Config()
        kinds = {f.name: type(getattr(config, f.name)) for f in fields(config)}
        changes = {}
        for key, text in (settings or {}).items():
            if key not in kinds:
                raise ValueError(unknown(f"setting of {self.name}", key, kinds))
            changes[key] = _parse(key, text, kinds[key])
        return replace(config, **changes)

    def build(self, config: Any = None, setting: Setting | None = None) -> Experiment:
        """Return the experiment, ready for `minigan.training.train`."""
        config = self.Config() if config is None else config
        setting = Setting() if setting is None else setting
        streams = random_streams(setting.seed)
        G, D = self.networks(config, setting, streams)
        experiment = self.play(config, setting, G, D, streams)
        experiment.config = {
            "seed": setting.seed,
            "dtype": setting.dtype,
            "ops": setting.ops,
            "settings": asdict(config),
        }
        return experiment

    def networks(
        self,
        config: Any,
        setting: Setting | None = None,
        streams: dict[str, np.random.Generator] | None = None,
    ) -> tuple[Network, Network]:
        """Return G and D with initial parameters."""
        setting = Setting() if setting is None else setting
        streams = random_streams(setting.seed) if streams is None else streams
        chains = self.architecture(config)
        G = Network(chains.G, rng=streams["weights_G"], dtype=setting.dtype, ops=setting.ops)
        D = Network(chains.D, rng=streams["weights_D"], dtype=setting.dtype, ops=setting.ops)
        return G, D


def _parse(key: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
    else:
        try:
            return kind(text)
        except ValueError:
            pass
    accepted = {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, kind.__name__)
    raise ValueError(f"{key}={text!r}; accepted: {accepted}")


def require_at_least(low: float, **values: float) -> None:
    """Raise ValueError unless every named value is >= low.

    >>> require_at_least(1, batch_size=0)
    Traceback (most recent call last):
    ValueError: batch_size must be >= 1, got 0
    """
    for name, value in values.items():
        if not value >= low:
            raise ValueError(f"{name} must be >= {low:g}, got {value!r}")
