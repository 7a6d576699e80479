"""The least-squares objective (Mao et al. 2017), which CycleGAN is trained with."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from minigan._arguments import scalar, set_numbers
from minigan.layers.base import ShapeError
from minigan.ops.protocol import Array, Ops


@dataclass(frozen=True)
class LeastSquares:
    """J_D = d_scale (mean (s_real - 1)^2 + mean s_fake^2) / 2,   J_G = g_scale mean (s_fake - 1)^2 / 2.

    ds_real = d_scale (s_real - 1) / N,  ds_fake = d_scale s_fake / M;  G: ds_fake = g_scale (s_fake - 1) / M

    Parameters
    ----------
    d_scale, g_scale : float
        The scales of J_D and of J_G, > 0; 1 as in Mao et al. 2017, eq. 9.

    """

    _: KW_ONLY
    d_scale: float = 1.0
    g_scale: float = 1.0

    def __post_init__(self) -> None:
        set_numbers(self, d_scale="(0, inf)", g_scale="(0, inf)")

    def discriminator(self, s_real: Array, s_fake: Array, *, ops: Ops | None = None) -> tuple[Any, Array, Array]:
        """Return J_D, ds_real and ds_fake."""
        real, ds_real = self.one_side(s_real, real=True)
        fake, ds_fake = self.one_side(s_fake, real=False)
        return real + fake, ds_real, ds_fake

    def one_side(self, s: Array, *, real: bool, ops: Ops | None = None) -> tuple[Any, Array]:
        """Return the part of J_D of real, or of fake, examples and its gradient."""
        return _half_square(s - int(real), self.d_scale)

    def generator(self, s_fake: Array, *, ops: Ops | None = None) -> tuple[Any, Array]:
        """Return J_G and ds_fake."""
        return _half_square(s_fake - 1, self.g_scale)

    def probability(self, s: Array, *, ops: Ops | None = None) -> Array:
        """Return s, clipped to [0, 1]: for fixed G the best s is D*(x) = p / (p + q)."""
        return s.clip(0, 1).reshape(-1)


def _half_square(error: Array, scale: float) -> tuple[Any, Array]:
    n = len(error)
    if error.size != n:
        raise ShapeError(f"logits have shape {error.shape}; expected (N,) or (N, 1) with N >= 1")
    weight = scalar(scale, error.dtype)
    return weight * (error * error).sum() / (2 * n), weight * error / n
