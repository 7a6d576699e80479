"""The result of a gradient check."""

from dataclasses import dataclass

import numpy as np


class GradientError(AssertionError):
    """Raised by ``gradcheck(..., check=True)`` if the check does not pass; the message is the report."""


@dataclass(frozen=True)
class Comparison:
    """A gradient compared with the derivative.

    Parameters
    ----------
    name : str
        What is compared: "training: x", "inference: 0.W", "s_fake of J_G".
    error : float
        The largest relative error: |got - want| / max |want|, or of the norms along a direction.
    tolerance : float
        The bound of `error`.
    index : tuple of int
        The entry with the largest error; () for a comparison along a direction.
    got, want : float
        The gradient and the derivative there.
    compared, size : int
        How many of how many entries were compared.

    """

    name: str
    error: float
    tolerance: float
    index: tuple[int, ...]
    got: float
    want: float
    compared: int = 1
    size: int = 1

    @property
    def passed(self) -> bool:
        """Whether the error is at most the tolerance."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        text = f"{self.name:<34}{self.error:>9.2g}"
        if not self.passed:
            place = f"at {self.index}" if self.index else "in all"
            text += f"  wrong {place}: got {self.got:.17g}, expected {self.want:.17g}"
        elif self.compared < self.size:
            text += f"  ({self.compared} of {self.size:,} entries)"
        return text


@dataclass(frozen=True)
class GradientReport:
    """The result of `minigan.gradcheck`; ``print(report)`` shows every comparison.

    Parameters
    ----------
    subject : str
        What was checked.
    comparisons : tuple of Comparison
        Each gradient, compared with the derivative.
    problems : tuple of str
        What else is wrong: a pullback that breaks its contract, or a check that cannot be relied on.
    notes : tuple of str
        What was not checked, and why.

    """

    subject: str
    comparisons: tuple[Comparison, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[Comparison, ...]:
        """The comparisons whose error is above the tolerance."""
        return tuple(one for one in self.comparisons if not one.passed)

    @property
    def passed(self) -> bool:
        """Whether something was compared, nothing failed, and there is no problem."""
        return bool(self.comparisons) and not self.failures and not self.problems

    @property
    def largest_error(self) -> float:
        """The largest relative error; NaN if nothing was compared."""
        return max((one.error for one in self.comparisons), default=np.nan)

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        lines = [f"gradcheck of {self.subject}: {verdict}, largest relative error {self.largest_error:.2g}"]
        lines += [f"  {one}" for one in self.comparisons]
        lines += [f"  problem: {text}" for text in self.problems]
        lines += [f"  note: {text}" for text in self.notes]
        return "\n".join(lines)
