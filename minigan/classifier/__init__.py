"""The evaluation classifier of `minigan evaluate`: a small network of this library's layers.

    x (N, H, H, C) -> conv 5x5, 16 -> max-pool -> conv 5x5, 32 -> max-pool -> 128 features h -> dropout -> 10 logits s

for 28x28 grey images; `Config` sets the sizes for other images.

ReLU follows each pooling (which gives the same result as ReLU before it, with a quarter of the values) and the dense
layer of the features.  The classifier is trained on the cross-entropy by Adam, with a cosine schedule from its learning
rate to zero.  Body and head are two networks, so that h can be read.
"""

from minigan.classifier.files import classifier_of, read_classifier, stored_classifier, write_classifier
from minigan.classifier.network import CLASSES, CLASSIFIERS, FEATURES, Classifier, Config, Log, unit, untrained
from minigan.classifier.training import mirrored, train_classifier

__all__ = [
    "CLASSES",
    "CLASSIFIERS",
    "FEATURES",
    "Classifier",
    "Config",
    "Log",
    "classifier_of",
    "mirrored",
    "read_classifier",
    "stored_classifier",
    "train_classifier",
    "unit",
    "untrained",
    "write_classifier",
]
