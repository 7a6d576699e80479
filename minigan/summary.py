"""The table of a network's layers."""

from collections.abc import Iterator
from dataclasses import dataclass

from minigan.layers.base import Layer, Shape, ShapeError
from minigan.layers.chain import Chain


@dataclass(frozen=True)
class Row:
    """One layer: its place, class, output shape (without N) and numbers of parameters and running statistics.

    The rows of the layers within a layer follow it, one level deeper; their numbers are counted in its own too.
    """

    index: int | str
    layer: str
    output_shape: tuple[int, ...]
    trainable: int
    non_trainable: int
    level: int = 0

    @property
    def parameters(self) -> int:
        """All of the layer's numbers, as Keras counts them."""
        return self.trainable + self.non_trainable


@dataclass(frozen=True, repr=False)
class Summary:
    """Rows and totals; ``str`` is the printed table."""

    rows: tuple[Row, ...]

    @property
    def trainable(self) -> int:
        """The size of theta."""
        return sum(row.trainable for row in self.rows if row.level == 0)

    @property
    def non_trainable(self) -> int:
        """The number of running statistics."""
        return sum(row.non_trainable for row in self.rows if row.level == 0)

    @property
    def total(self) -> int:
        """Trainable + non-trainable."""
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
    """Return the table of a chain for x of `shape` (without N); ShapeError names the layer that does not fit."""
    return Summary(tuple(_rows(chain, shape, 0)))


def _rows(layer: Layer, shape: Shape, level: int) -> Iterator[Row]:
    """The rows of the layers within a layer; within a chain each reads what the one before it writes."""
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
