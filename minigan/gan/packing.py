"""Packing: D sees m examples at a time, and tells packs of real ones from packs of fakes (Lin et al. 2018).

A pack is one input of D, with the features or channels of its m examples one after another.  Packs of fakes that are
all alike are easily told from packs of real examples, so that collapse costs G more.  Source: Lin, Khetan, Fanti and
Oh, "PacGAN: The Power of Two Samples in Generative Adversarial Networks", 2018 (arXiv:1712.04086), section 3.

    GAN(G, D, ..., pack=2)      D has an input of 2 C features or channels, and a logit for each pack
"""

from minigan._batch import Batch
from minigan.game import Rng
from minigan.gan.labels import network_input
from minigan.gan.modes import DMode
from minigan.layers.base import Pullback, ShapeError
from minigan.network import Network
from minigan.ops.protocol import Array


def pack(x: Array, m: int) -> Array:
    """y_k,..,(i C + c) = x_(k m + i),..,c: m successive examples as one.    x (N, ..., C)   y (N / m, ..., m C)

    Parameters
    ----------
    x : array (N, ..., C)
        The examples.
    m : int
        The number of examples in a pack, at least 1.

    Returns
    -------
    array (N / m, ..., m C)
        The packs.

    Raises
    ------
    ShapeError
        If m does not divide N, or x has no features.

    Examples
    --------
    >>> import numpy as np
    >>> pack(np.arange(8).reshape(4, 2), 2)
    array([[0, 1, 2, 3],
           [4, 5, 6, 7]])

    """
    if x.ndim < 2 or len(x) % m:
        raise ShapeError(f"x has shape {x.shape} with pack={m}; expected (N, ..., C), N a multiple of {m}")
    N, *middle, C = x.shape
    parts = x.reshape(N // m, m, -1, C)  # (N / m, m, pixels, C)
    return parts.swapaxes(1, 2).reshape(N // m, *middle, m * C)


def unpack(y: Array, m: int) -> Array:
    """x_(k m + i),..,c = y_k,..,(i C + c): the inverse of `pack`, and thus its pullback.

    Parameters
    ----------
    y : array (K, ..., m C)
        Packs, or the gradient with respect to packs.
    m : int
        The number of examples in a pack, at least 1.

    Returns
    -------
    array (K m, ..., C)
        The examples, or the gradient with respect to them.

    Examples
    --------
    >>> import numpy as np
    >>> unpack(pack(np.arange(8).reshape(4, 2), 2), 2).tolist()
    [[0, 1], [2, 3], [4, 5], [6, 7]]

    """
    K, *middle, width = y.shape
    parts = y.reshape(K, -1, m, width // m)  # (K, pixels, m, C)
    return parts.swapaxes(1, 2).reshape(K * m, *middle, width // m)


def packed_mode(frozen_d_mode: DMode, m: int) -> DMode:
    """Return `frozen_d_mode` for packs: the function that packs the fakes first, and unpacks their gradient.

    Parameters
    ----------
    frozen_d_mode : callable
        `train_mode`, `train_mode_tracking`, `eval_mode` or a function like them.
    m : int
        The number of examples in a pack; with m = 1, `frozen_d_mode` itself is returned.

    Returns
    -------
    callable
        ``(D, x, rng=None) -> s, backward`` with a logit for each pack.

    """
    if m == 1:
        return frozen_d_mode

    def mode(D: Network, x: Batch, *, rng: Rng | None = None) -> tuple[Array, Pullback]:
        s, back = frozen_d_mode(D, pack(D.array(network_input(D, x)), m), rng=rng)

        def backward(ds: Array, g: Array | None = None, *, need_dx: bool = True) -> Array | None:
            dy = back(ds, g, need_dx=need_dx)
            return unpack(dy, m) if need_dx else None  # dL/dx

        return s, backward

    return mode
