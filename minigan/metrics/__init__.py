"""Metrics of the distance between a generator and the data."""

from minigan.metrics.classes import class_histogram, classifier_score, mean_confidence, total_variation
from minigan.metrics.divergences import integrate, jsd, kl, optimal_discriminator, value, value_at_point
from minigan.metrics.features import PrecisionRecall, frechet_distance, precision_recall
from minigan.metrics.neighbours import nearest

__all__ = [
    "PrecisionRecall",
    "class_histogram",
    "classifier_score",
    "frechet_distance",
    "integrate",
    "jsd",
    "kl",
    "mean_confidence",
    "nearest",
    "optimal_discriminator",
    "precision_recall",
    "total_variation",
    "value",
    "value_at_point",
]
