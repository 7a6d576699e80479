"""Metrics of the distance between a generator and the data.

An estimate from samples is an `Estimate`, with a 95 % interval; the docstring of each metric says what it covers.
"""

from minigan.metrics._intervals import Estimate, share_of
from minigan.metrics.classes import class_histogram, classifier_score, mean_confidence, total_variation
from minigan.metrics.divergences import integrate, jsd, kl, optimal_discriminator, value, value_at_point
from minigan.metrics.features import (
    DensityCoverage,
    PrecisionRecall,
    density_coverage,
    frechet_distance,
    precision_recall,
)
from minigan.metrics.log_likelihood import Parzen, parzen, parzen_log_density
from minigan.metrics.mmd import PolynomialKernel, RBFMixture, kid, median_bandwidths, mmd_squared
from minigan.metrics.modes import ModeCounts, ModeReport, mixture_modes, mode_counts, mode_report, reverse_kl
from minigan.metrics.neighbours import nearest
from minigan.metrics.sliced import sliced_wasserstein

__all__ = [
    "DensityCoverage",
    "Estimate",
    "ModeCounts",
    "ModeReport",
    "Parzen",
    "PolynomialKernel",
    "PrecisionRecall",
    "RBFMixture",
    "class_histogram",
    "classifier_score",
    "density_coverage",
    "frechet_distance",
    "integrate",
    "jsd",
    "kid",
    "kl",
    "mean_confidence",
    "median_bandwidths",
    "mixture_modes",
    "mmd_squared",
    "mode_counts",
    "mode_report",
    "nearest",
    "optimal_discriminator",
    "parzen",
    "parzen_log_density",
    "precision_recall",
    "reverse_kl",
    "share_of",
    "sliced_wasserstein",
    "total_variation",
    "value",
    "value_at_point",
]
