"""The table of a network's layers with their output shapes and parameter counts."""

from collections.abc import Iterator
from dataclasses import dataclass

from minigan.layers.base import Layer, Shape, ShapeError
from minigan.layers.chain import Chain


@dataclass(frozen=True)
class Row:
    """A layer in the table.

    Parameters
    ----------
    index : int or str
        The layer's index in its chain, or the name "body" or "shortcut" of a chain in a `Residual`.
    layer : str
        The name of its class.
    output_shape : tuple of int
        The shape of y, without N.
    trainable : int
        The number of its parameters, with those of its sublayers.
    non_trainable : int
        The number of its running statistics, with those of its sublayers.
    level : int
        The depth of nesting, 0 for the layers of the network.  The rows of a layer's sublayers follow its row.

    """

    index: int | str
    layer: str
    output_shape: tuple[int, ...]
    trainable: int
    non_trainable: int
    level: int = 0

    @property
    def parameters(self) -> int:
        """The number of parameters and running statistics, which Keras counts together."""
        return self.trainable + self.non_trainable


@dataclass(frozen=True, repr=False)
class Summary:
    """The rows and totals of the table; ``print(summary)`` shows it.

    Parameters
    ----------
    rows : tuple of Row
        A row for each layer, in order.

    """

    rows: tuple[Row, ...]

    @property
    def trainable(self) -> int:
        """The number of parameters, the size of theta."""
        return sum(row.trainable for row in self.rows if row.level == 0)

    @property
    def non_trainable(self) -> int:
        """The number of running statistics."""
        return sum(row.non_trainable for row in self.rows if row.level == 0)

    @property
    def total(self) -> int:
        """The number of parameters and running statistics."""
        return self.trainable + self.non_trainable

    def __repr__(self) -> str:
        return f"Summary(total={self.total}, trainable={self.trainable}, non_trainable={self.non_trainable})"

    def __str__(self) -> str:
        lines = [f"{'layer':<22}{'output shape':<22}{'parameters':>12}", "-" * 56]
        for row in self.rows:
            shape = "(" + ", ".join(["N", *map(str, row.output_shape)]) + ")"
            name = f"{'  ' * row.level}{row.index} {row.layer}"
            lines.append(f"{name:<22}{shape:<22}{row.parameters:>12,}")
        lines += [
            "-" * 56,
            f"total {self.total:,}   trainable {self.trainable:,}   non-trainable {self.non_trainable:,}",
        ]
        return "\n".join(lines)


def summarize(chain: Chain, shape: Shape) -> Summary:
    """Return the table of a chain of layers.

    Parameters
    ----------
    chain : Chain
        The layers of a network.
    shape : tuple of int
        The shape of x, without N.

    Returns
    -------
    Summary
        The rows and totals.

    Raises
    ------
    ShapeError
        If x does not fit a layer; the message names the layer.

    """
    return Summary(tuple(_rows(chain, shape, 0)))


def _rows(layer: Layer, shape: Shape, level: int) -> Iterator[Row]:
    """Yield the rows of a layer's sublayers; in a chain the output shape of one is the input shape of the next."""
    for index, inner in layer.sublayers().items():
        try:
            after = inner.output_shape(shape)
        except ShapeError as error:
            raise ShapeError(f"layer {index} ({type(inner).__name__}): {error}") from None
        place = int(index) if index.isdecimal() else index
        yield Row(place, type(inner).__name__, after, inner.n_parameters, inner.n_state, level)
        yield from _rows(inner, shape, level + 1)
        if isinstance(layer, Chain):
            shape = after
