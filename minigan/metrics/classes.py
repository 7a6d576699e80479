"""Metrics of the probabilities p (N, K) that a classifier gives to N images: class frequencies and confidence."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan.metrics._ranges import within

Floats = NDArray[np.float64]


def class_histogram(p: ArrayLike) -> NDArray[np.intp]:
    """Return, for each class k, the number of images whose most probable class is k.

    Parameters
    ----------
    p : array (N, K)
        Probabilities of K classes for N images: each number is >= 0, and each row has the sum 1.

    Returns
    -------
    array of int, shape (K,)
        The counts; their sum is N.

    Raises
    ------
    ValueError
        If p is not (N, K) with N, K >= 1, or a row is not a probability distribution (within 1e-6).

    """
    p = _probabilities(p)
    return np.bincount(p.argmax(axis=1), minlength=p.shape[1])


def total_variation(counts: ArrayLike) -> float:
    """1/2 sum_k |c_k / n - 1/K|, n = sum_k c_k: the total variation distance from the uniform distribution.

    Parameters
    ----------
    counts : array (K,)
        c, the number of images of each class; >= 0 and not all 0.

    Returns
    -------
    float
        In [0, 1 - 1/K]: 0 if all classes are equally frequent, 1 - 1/K if only one occurs.

    Raises
    ------
    ValueError
        If the counts are not as described.

    Examples
    --------
    >>> total_variation([5, 5, 0, 0])
    0.5

    """
    c = np.asarray(counts, dtype=float)
    if c.ndim != 1 or c.size == 0 or (c < 0).any() or not 0 < c.sum() < np.inf:
        raise ValueError(f"counts are {c.tolist()}; expected (K,), >= 0 and not all 0")
    return within(float(np.abs(c / c.sum() - 1 / len(c)).sum() / 2), 0, 1 - 1 / len(c))


def mean_confidence(p: ArrayLike) -> float:
    """mean_n max_k p_nk: the mean probability of the most probable class.

    Parameters
    ----------
    p : array (N, K)
        Probabilities of K classes for N images: each number is >= 0, and each row has the sum 1.

    Returns
    -------
    float
        In [1/K, 1].

    Raises
    ------
    ValueError
        If p is not (N, K) with N, K >= 1, or a row is not a probability distribution (within 1e-6).

    """
    p = _probabilities(p)
    return within(float(p.max(axis=1).mean()), 1 / p.shape[1], 1)


def classifier_score(p: ArrayLike) -> float:
    """exp(mean_n KL(p_n || q)), q = mean_n p_n.

    The formula is that of the Inception score (Salimans et al. 2016); with another classifier the numbers are not
    comparable with Inception scores.

    Parameters
    ----------
    p : array (N, K)
        Probabilities of K classes for N images: each number is >= 0, and each row has the sum 1.

    Returns
    -------
    float
        In [1, K]: K if the classifier is certain of every image and the classes are equally frequent.

    Raises
    ------
    ValueError
        If p is not (N, K) with N, K >= 1, or a row is not a probability distribution (within 1e-6).

    Examples
    --------
    >>> round(classifier_score([[1, 0], [0, 1]]), 12), classifier_score([[0.5, 0.5], [0.5, 0.5]])
    (2.0, 1.0)

    """
    from scipy.special import rel_entr

    p = _probabilities(p)
    information = rel_entr(p, p.mean(axis=0)).sum(axis=1).mean()  # rel_entr: a log(a / b), 0 where a = 0
    return within(float(np.exp(information)), 1, p.shape[1])


def _probabilities(p: ArrayLike) -> Floats:
    p = np.asarray(p, dtype=float)
    if p.ndim != 2 or 0 in p.shape:
        raise ValueError(f"p has shape {p.shape}; expected (N, K) with N, K >= 1")
    if not ((p >= 0).all() and np.allclose(p.sum(axis=1), 1, rtol=0, atol=1e-6)):
        raise ValueError("p has rows that are not probabilities; expected >= 0, with sum 1")
    return p
