"""The table of a network's layers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One layer: its place, class, output shape (without N) and numbers of parameters and running statistics."""

    index: int
    layer: str
    output_shape: tuple[int, ...]
    trainable: int
    non_trainable: int

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
        return sum(row.trainable for row in self.rows)

    @property
    def non_trainable(self) -> int:
        """The number of running statistics."""
        return sum(row.non_trainable for row in self.rows)

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
            lines.append(f"{f'{row.index} {row.layer}':<22}{shape:<22}{row.parameters:>12,}")
        lines += [
            "-" * 56,
            f"total {self.total:,}   trainable {self.trainable:,}   non-trainable {self.non_trainable:,}",
        ]
        return "\n".join(lines)
