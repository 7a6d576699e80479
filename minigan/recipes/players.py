"""The layers of the players of a recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from minigan.layers.base import Layer, Shape


@dataclass(frozen=True)
class Architecture:
    """The layers of both networks.

    Parameters
    ----------
    G, D : sequence of Layer
        The layers of the generator and of the discriminator.
    noise_shape, data_shape : tuple of int
        The shapes of their inputs, without the batch axis.

    """

    G: Sequence[Layer]
    D: Sequence[Layer]
    noise_shape: Shape
    data_shape: Shape

    @property
    def players(self) -> "dict[str, PlayerLayers]":
        """The layers and the input shape of each player, by name."""
        return {"G": PlayerLayers(self.G, self.noise_shape), "D": PlayerLayers(self.D, self.data_shape)}


@dataclass(frozen=True)
class PlayerLayers:
    """The layers of one player.

    Parameters
    ----------
    layers : sequence of Layer
        The layers.
    input_shape : tuple of int
        The shape of the input, without the batch axis.

    """

    layers: Sequence[Layer]
    input_shape: Shape


@dataclass(frozen=True)
class Players:
    """The layers of all players of a game other than `GAN`; a recipe returns it in place of an `Architecture`.

    Parameters
    ----------
    players : mapping of str to PlayerLayers
        The layers and the input shape of each player, by name.

    """

    players: Mapping[str, PlayerLayers]
