"""The protocols that count modes: two mixtures in the plane, and stacked digits, on which the GAN of 2014 collapses."""

from collections.abc import Mapping
from typing import Any

from minigan.tables.protocol import Column, Ours, Protocol, Published

GAN_OF_2014: Mapping[str, Any] = {
    "networks": "published", "objective": "non-saturating", "updates": "simultaneous", "pack": 1, "r1": 0.0, "r2": 0.0,
    "penalty_every": 1, "ema": 0.0, "batch_size": 100, "latent": 2, "lr": 1e-4, "decay": 0.0, "beta1": 0.8,
    "beta2": 0.999, "eps": 1e-8, "iterations": 400_000,
}  # fmt: skip
"""The settings of the GAN in PacGAN's code (`minigan.recipes.mixtures.PUBLISHED`)."""

DCGAN: Mapping[str, Any] = {
    "networks": "dcgan", "channels": 64, "latent": 100, "objective": "non-saturating", "r1": 0.0, "r2": 0.0,
    "lr_G": 2e-4, "lr_D": 2e-4, "lr_end": 1.0, "beta1": 0.5, "beta2": 0.999, "g_updates": 2, "ema": 0.0,
    "iterations": 100_000,
}  # fmt: skip
"""The settings of the DCGAN in PacGAN's experiment (`minigan.recipes.stacked_mnist`)."""

LIN = "Lin et al. 2018, {}, arXiv:1712.04086; ±: standard error over 10 runs"
SRIVASTAVA = "Srivastava et al. 2017, {}, arXiv:1705.07761"
HIGH_QUALITY = "A sample has high quality within 3 sigma of a centre; 98.9 % of the data themselves have."


def _mixture(name: str, about: str, modes: int, published: tuple[Published, ...]) -> Protocol:
    """Return the protocol of a mixture, whose recipe has its name."""
    return Protocol(
        name=name,
        about=f"{about}: modes, samples of high quality and reverse KL over modes in 2500 samples.",
        columns=(
            Column("modes", f"modes (of {modes})", "summary.modes", digits=1),
            Column("high_quality", "high quality, %", "summary.high_quality", digits=1, percent=True),
            Column("reverse_kl", "reverse KL, nats", "summary.reverse_kl"),
        ),
        rows=(
            Ours("ours", "ours", name),
            Ours("gan-2014", "the GAN of 2014, trained here", name, GAN_OF_2014),
        ),
        published=published,
        seeds=10,
        notes=(HIGH_QUALITY,),
    )


RING8 = _mixture(
    "ring8",
    "Eight Gaussians with sigma 0.01 on a circle of radius 1",
    8,
    (
        Published("GAN", {"modes": "1", "high_quality": "99.3"}, SRIVASTAVA.format("Table 1")),
        Published("Unrolled GAN", {"modes": "7.6", "high_quality": "35.6"}, SRIVASTAVA.format("Table 1")),
        Published("VEEGAN", {"modes": "8", "high_quality": "52.9"}, SRIVASTAVA.format("Table 1")),
        Published("GAN", {"modes": "6.3 ± 0.5", "high_quality": "98.2"}, LIN.format("Table 1")),
        Published(
            "PacGAN2", {"modes": "7.9 ± 0.1", "high_quality": "95.6", "reverse_kl": "0.07"}, LIN.format("Table 1")
        ),
    ),
)

GRID25 = _mixture(
    "grid25",
    "25 Gaussians with sigma 0.05 at {-4, -2, 0, 2, 4}^2",
    25,
    (
        Published("GAN", {"modes": "3.3"}, SRIVASTAVA.format("Table 1")),
        Published("Unrolled GAN", {"modes": "23.6"}, SRIVASTAVA.format("Table 1")),
        Published("VEEGAN", {"modes": "24.6", "high_quality": "40"}, SRIVASTAVA.format("Table 1")),
        Published("GAN", {"modes": "17.3 ± 0.8", "high_quality": "94.8"}, LIN.format("Table 1")),
        Published(
            "PacGAN4", {"modes": "24.8 ± 0.2", "high_quality": "93.6", "reverse_kl": "0.04"}, LIN.format("Table 1")
        ),
    ),
)

STACKED_MNIST = Protocol(
    name="stacked-mnist",
    about="Three random digits as the channels of an image: which of the 1000 modes 26,000 samples reach, and the "
    "reverse KL over modes, read by our classifier.",
    columns=(
        Column("modes", "modes (of 1000)", "summary.modes", digits=1),
        Column("reverse_kl", "reverse KL, nats", "summary.reverse_kl", digits=3),
    ),
    rows=(Ours("ours", "ours", "stacked-mnist"), Ours("dcgan", "DCGAN, trained here", "stacked-mnist", DCGAN)),
    published=(
        Published("DCGAN", {"modes": "99", "reverse_kl": "3.40"}, SRIVASTAVA.format("Table 2")),
        Published("Unrolled GAN", {"modes": "48.7"}, SRIVASTAVA.format("Table 2")),
        Published("VEEGAN", {"modes": "150", "reverse_kl": "2.95"}, SRIVASTAVA.format("Table 2")),
        Published("PacDCGAN2", {"modes": "1000", "reverse_kl": "0.06"}, LIN.format("Table 2")),
        Published(
            "R3GAN's cost (RpGAN, R1, R2)",
            {"modes": "1000", "reverse_kl": "0.078"},
            "Huang et al. 2024, Table 1, arXiv:2501.05441",
        ),
    ),
    seeds=3,
    notes=(
        "The classifiers of the publications and ours differ. 26,000 samples of uniform modes have a reverse KL of "
        "0.019 on average: (K - 1) / 2n.",
    ),
    classifier="mnist",
)
