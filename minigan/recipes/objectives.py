"""Common settings of the recipes: the costs of both players, the bound of D's parameters, and D's gradient penalties.

objective, clip              `require_objective` checks them, `objective_of` returns the objective
r1, r2, penalty_every        `require_penalties` checks them, `penalties_of` returns the penalties
"""

from collections.abc import Sequence
from typing import Any

from minigan._names import ConfigError, unknown
from minigan.gan.penalties import R1, R2, GradientPenalty, mixing_layer
from minigan.layers import Dense, Layer
from minigan.losses import OBJECTIVES, Objective, needs_real
from minigan.recipes.settings import require_at_least, require_within

NAMES = tuple(name for name in OBJECTIVES if name != "softmax")
"""The objectives of a D with one output."""
PENALTY_SETTINGS = ("r1", "r2", "penalty_every")
"""The settings of gradient penalties."""


def require_objective(config: Any, *, one_kind: str = "") -> None:
    """Raise ConfigError unless a configuration's `objective`, `clip` and gradient penalties are valid together.

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


def require_penalties(config: Any) -> None:
    """Raise ConfigError unless a configuration's `r1`, `r2` and `penalty_every` are in their ranges.

    Parameters
    ----------
    config : Config
        The hyper-parameters, with `r1` and `r2`, the weights of the gradient penalties R1 and R2 of D, 0 for none, and
        `penalty_every`, the number of updates of D that share a penalty.

    """
    require_within("[0, inf)", r1=config.r1, r2=config.r2)
    require_at_least(1, penalty_every=config.penalty_every)


def penalties_of(config: Any) -> tuple[GradientPenalty, ...]:
    """Return the gradient penalties of a configuration, the argument `penalties` of `minigan.GAN`.

    Parameters
    ----------
    config : Config
        The hyper-parameters, with `r1` and `r2`.

    Returns
    -------
    tuple of GradientPenalty
        R1 and R2, those whose weight is not 0.

    """
    return tuple(kind(weight) for kind, weight in ((R1, config.r1), (R2, config.r2)) if weight)


def penalty_obstacle(layers: Sequence[Layer]) -> str:
    """Return why a discriminator with these layers has no gradient penalties, or "" if it can have them.

    >>> from minigan.layers import BatchNorm, Dense
    >>> penalty_obstacle([Dense(2, 8), BatchNorm(8), Dense(8, 1)])
    'D has BatchNorm, so that the logit of an example depends on all examples of the batch'
    """
    mixing = mixing_layer({str(i): layer for i, layer in enumerate(layers)})
    if mixing is not None:
        return f"D has {type(mixing[1]).__name__}, so that the logit of an example depends on all examples of the batch"
    outputs = next((layer.n_out for layer in reversed(layers) if isinstance(layer, Dense)), 1)
    return f"D has {outputs} outputs, and a gradient penalty is that of one logit" if outputs != 1 else ""
