"""Recipes: one module per model, with its hyper-parameters, networks, data and update schedule."""

from typing import TYPE_CHECKING

from minigan._deprecated import renamed
from minigan._names import unknown
from minigan.recipes.base import Architecture, Recipe
from minigan.recipes.cyclegan_toy import RECIPE as CYCLEGAN_TOY
from minigan.recipes.dcgan64 import RECIPE as DCGAN64
from minigan.recipes.gaussian import RECIPE as GAUSSIAN
from minigan.recipes.mnist_conditional import RECIPE as MNIST_CONDITIONAL
from minigan.recipes.mnist_dcgan import RECIPE as MNIST_DCGAN
from minigan.recipes.mnist_dense import RECIPE as MNIST_DENSE
from minigan.recipes.mnist_fast import RECIPE as MNIST_FAST
from minigan.recipes.mnist_maxout import RECIPE as MNIST_MAXOUT
from minigan.recipes.mnist_softmax import RECIPE as MNIST_SOFTMAX
from minigan.recipes.options import RunOptions

__all__ = ["RECIPES", "Architecture", "Recipe", "RunOptions", "get_recipe"]

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        GAUSSIAN,
        MNIST_DENSE,
        MNIST_MAXOUT,
        MNIST_DCGAN,
        MNIST_SOFTMAX,
        MNIST_CONDITIONAL,
        MNIST_FAST,
        DCGAN64,
        CYCLEGAN_TOY,
    )
}


def get_recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Parameters
    ----------
    name : str
        A key of `RECIPES`.

    Returns
    -------
    Recipe
        The recipe.

    Raises
    ------
    ValueError
        If there is no recipe of that name; the message suggests the most similar name.

    """
    if name not in RECIPES:
        raise ValueError(unknown("recipe", name, RECIPES))
    return RECIPES[name]


_RENAMED = {
    "Setting": "RunOptions",
}
"""Old name -> new name.  The old names work for one more release."""

if not TYPE_CHECKING:  # so that type checkers know every name

    def __getattr__(name):
        return renamed("minigan.recipes", _RENAMED, globals(), name)
