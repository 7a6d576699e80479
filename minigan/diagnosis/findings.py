"""The kinds of failure, with what each means and what to try."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A kind of failure.

    Parameters
    ----------
    name : str
        The name.
    meaning : str
        What is going on.
    advice : tuple of str
        What to try, the most promising first.

    """

    name: str
    meaning: str
    advice: tuple[str, ...]


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "D certain",
            "D tells all real examples from all fakes, and no step of G changes that",
            (
                "weaken D: a smaller learning rate, fewer updates, fewer units or more dropout",
                "a gradient penalty on D, or one-sided label smoothing",
            ),
        ),
        Kind(
            "vanished gradient",
            "G hardly learns, because its cost is flat where D is certain of the fakes",
            (
                "the non-saturating objective, whose gradient does not vanish there",
                "weaken D: a smaller learning rate, fewer updates, a gradient penalty",
            ),
        ),
        Kind(
            "deadlock",
            "G's cost is at its minimum although D is certain of the fakes that it trains on, so nobody learns: in the "
            "steps of D and of G, D judges the fakes differently (batch statistics, dropout, order of updates)",
            (
                "train D on fakes that are made as in G's own step (`fake_mode=train_fakes`), together with the real "
                "examples (`alternating`)",
                "no batch norm in D, or D's batches combined (`d_batching=combined`)",
                "another seed: a deadlock often begins by chance",
            ),
        ),
        Kind(
            "oscillation",
            "D and G take turns: now the fakes fool D, now D rejects them all",
            (
                "smaller learning rates of both, and a smaller beta1 of Adam (0.5 or 0)",
                "a gradient penalty on real examples (R1), which damps the rotation",
                "a moving average of G's parameters for sampling",
            ),
        ),
        Kind(
            "memorisation",
            "more samples than chance allows are nearly equal to a training image",
            (
                "more training images, or augmented ones, which D and G both see",
                "stop earlier, or a smaller D with more dropout",
                "look at the samples beside their nearest training images",
            ),
        ),
        Kind(
            "collapse",
            "G makes nearly the same few examples from all noise",
            (
                "let D see several samples at once: packing, or the standard deviation of the minibatch",
                "a relativistic objective, which compares fakes with real examples, with gradient penalties",
                "smaller learning rates, or more updates of D",
            ),
        ),
    )
}


@dataclass(frozen=True)
class Finding:
    """A failure that was found in a run.

    Parameters
    ----------
    kind : str
        The name of the kind, a key of `KINDS`.
    iteration : int
        The iteration after which it was first found.
    evidence : str
        The measurements that show it.
    lasts : bool
        Whether it was still so at the last check.

    """

    kind: str
    iteration: int
    evidence: str
    lasts: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return the finding with its meaning and advice as JSON-serializable values."""
        kind = KINDS[self.kind]
        return {
            "kind": self.kind,
            "iteration": self.iteration,
            "lasts": self.lasts,
            "meaning": kind.meaning,
            "evidence": self.evidence,
            "try": list(kind.advice),
        }

    def __str__(self) -> str:
        kind = KINDS[self.kind]
        passed = "" if self.lasts else " It passed later."
        return (
            f"{self.kind}, found at iteration {self.iteration}: {kind.meaning} ({self.evidence}).{passed} "
            f"Try: {'; '.join(kind.advice)}."
        )
