"""The settings `objective` and `clip` of the recipes: the costs of both players, and the bound of D's parameters."""

from typing import Any

from minigan._names import ConfigError, unknown
from minigan.losses import OBJECTIVES, Objective, needs_real
from minigan.recipes.settings import require_within

NAMES = tuple(name for name in OBJECTIVES if name != "softmax")
"""The objectives of a D with one output."""


def require_objective(config: Any, *, one_kind: str = "") -> None:
    """Raise ConfigError unless a configuration's `objective` and `clip` are valid together.

    Parameters
    ----------
    config : Config
        The hyper-parameters, with `objective`, the name of an objective, and `clip`, a bound of the absolute values of
        D's parameters, or 0 for none.
    one_kind : str
        Why D's updates see real examples or fakes alone, which excludes objectives that compare both; empty if they
        see both.

    """
    if config.objective not in NAMES:
        raise ConfigError(unknown("objective", config.objective, NAMES))
    if config.clip:
        require_within("(0, inf)", clip=config.clip)
    elif config.objective == "wasserstein":
        raise ConfigError(
            "objective=wasserstein needs clip > 0, a bound of D's parameters, got clip=0.0; the published value is 0.01"
        )
    if one_kind and needs_real(objective_of(config)):
        raise ConfigError(f"objective={config.objective} compares real examples with fakes, but {one_kind}")


def objective_of(config: Any, **scales: Any) -> Objective:
    """Return the objective of a configuration with the recipe's scales.

    Parameters
    ----------
    config : Config
        The hyper-parameters, with `objective`.
    **scales
        Arguments of the objective, such as ``d_scale=0.5``.

    Returns
    -------
    Objective
        The objective.

    """
    return OBJECTIVES[config.objective](**scales)
