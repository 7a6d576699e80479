"""Recipes: one module per model, with its hyper-parameters, networks, data and update schedule.

`get_recipe` also finds recipes of other packages, and objects of any module (docs/extending.md).
"""

from typing import TYPE_CHECKING

from minigan._deprecated import renamed
from minigan._names import ConfigError
from minigan.recipes.base import Recipe
from minigan.recipes.cyclegan_toy import RECIPE as CYCLEGAN_TOY
from minigan.recipes.dcgan64 import RECIPE as DCGAN64
from minigan.recipes.find import find_recipe
from minigan.recipes.gaussian import RECIPE as GAUSSIAN
from minigan.recipes.grid25 import RECIPE as GRID25
from minigan.recipes.mnist_conditional import RECIPE as MNIST_CONDITIONAL
from minigan.recipes.mnist_dcgan import RECIPE as MNIST_DCGAN
from minigan.recipes.mnist_dense import RECIPE as MNIST_DENSE
from minigan.recipes.mnist_fast import RECIPE as MNIST_FAST
from minigan.recipes.mnist_maxout import RECIPE as MNIST_MAXOUT
from minigan.recipes.mnist_softmax import RECIPE as MNIST_SOFTMAX
from minigan.recipes.mnist_wgan_gp import RECIPE as MNIST_WGAN_GP
from minigan.recipes.options import RunOptions
from minigan.recipes.players import Architecture, PlayerLayers, Players
from minigan.recipes.ring8 import RECIPE as RING8
from minigan.recipes.stacked_mnist import RECIPE as STACKED_MNIST

__all__ = ["RECIPES", "Architecture", "PlayerLayers", "Players", "Recipe", "RunOptions", "get_recipe"]

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        GAUSSIAN,
        MNIST_DENSE,
        MNIST_MAXOUT,
        MNIST_DCGAN,
        MNIST_SOFTMAX,
        MNIST_CONDITIONAL,
        MNIST_WGAN_GP,
        STACKED_MNIST,
        MNIST_FAST,
        DCGAN64,
        CYCLEGAN_TOY,
        RING8,
        GRID25,
    )
}


def get_recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Parameters
    ----------
    name : str
        A key of `RECIPES`; or a name that an installed package has registered by an entry point of the group
        "minigan.recipes"; or ``module:object``, which imports the module.

    Returns
    -------
    Recipe
        The recipe.

    Raises
    ------
    ConfigError
        If there is no recipe of that name, where the message suggests the most similar name, or if it cannot be
        imported.

    """
    if not isinstance(name, str):
        raise ConfigError(f"the name of a recipe must be a string, got {name!r}")
    return RECIPES[name] if name in RECIPES else find_recipe(name, RECIPES)


_RENAMED = {
    "Setting": "RunOptions",
}
"""Old name -> new name.  The old names work for one more release."""

if not TYPE_CHECKING:  # so that type checkers know every name

    def __getattr__(name):
        return renamed("minigan.recipes", _RENAMED, globals(), name)
