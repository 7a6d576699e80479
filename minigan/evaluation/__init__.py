"""Evaluate the samples of a run, and real test images as the baseline, with a classifier and nearest neighbours.

    found = evaluate("runs/mnist-dense/001")
    print(found)

Both sets of images, the baseline and the samples, are compared with the same training images:

    total variation   of the class histogram from the uniform one          (0: all classes are equally frequent)
    confidence        mean_n max_k p(k | x_n)
    score             exp(E KL(p(y | x) || p(y)))                          (Salimans et al. 2016, with our classifier)
    Frechet           between the classifier's 128 features, not FID       (Heusel et al. 2017, with our classifier)
    precision, recall of the manifolds of features, k = 3                  (Kynkaanniemi et al. 2019)
    density, coverage of the balls of real images, k = 5                   (Naeem et al. 2020)
    KID               between features, not Inception's                    (Binkowski et al. 2018, with our classifier)
    sliced Wasserstein distance of pixels                                  (Bonneel et al. 2015)
    nearest           Euclidean distances of pixels in [0, 1] to the nearest training image

A generator that copies its training images has distances far below those of the baseline.  Both sets have the same
size, on which the Frechet distance, precision and recall depend.
"""

from minigan.evaluation.compare import Reference, evaluate
from minigan.evaluation.controls import clipped_gaussian, k_means_centres
from minigan.evaluation.copies import Memorisation, memorisation
from minigan.evaluation.images import match_blur, splits, spread, to_classifier_size
from minigan.evaluation.parzen import mnist_parzen, parzen_controls
from minigan.evaluation.report import Evaluation, Row, write_evaluation

__all__ = [
    "Evaluation",
    "Memorisation",
    "Reference",
    "Row",
    "clipped_gaussian",
    "evaluate",
    "k_means_centres",
    "match_blur",
    "memorisation",
    "mnist_parzen",
    "parzen_controls",
    "splits",
    "spread",
    "to_classifier_size",
    "write_evaluation",
]
