"""The two pairs of domains of `cyclegan-toy`: clusters in the plane, and digits with turned and inverted digits.

The right translation is known in both pairs, and it is the only one of its kind that carries one domain to the other:

points    B is A turned by 30 degrees and enlarged.  The clusters have different weights, so that a map which carries
          clusters to clusters, and A to B, must keep the labels; and that map moves the points least.
images    B is A turned by 90 degrees and inverted.  The halves of the training images have no image in common.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minigan.data import RandomBatches, Transformed
from minigan.ops.protocol import Array
from minigan.recipes.images import SIDE, held_out_images, signed, signed_to_images, training_images
from minigan.recipes.options import RunOptions
from minigan.recipes.symmetries import turned
from minigan.recipes.translations import ROWS, Domains

if TYPE_CHECKING:
    from PIL.Image import Image

Labels = NDArray[np.int64]

SIGMA = 0.15
"""The standard deviation of a cluster of A."""
WEIGHTS = (4 / 7, 2 / 7, 1 / 7)
"""The weights of the clusters; no sum of some of them is a sum of others."""
CENTRES = {"A": np.array([[-1.0, -0.5], [1.0, -0.5], [0.2, 1.0]])}
ANGLE = math.radians(30)
TURN = 1.5 * np.array([[math.cos(ANGLE), math.sin(ANGLE)], [-math.sin(ANGLE), math.cos(ANGLE)]])
"""x TURN is x (N, 2) turned by 30 degrees anticlockwise and enlarged by 1.5."""
CENTRES["B"] = CENTRES["A"] @ TURN


def points(domain: str, n: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], Labels]:
    """Draw n points (n, 2) of a domain, "A" or "B", and their labels (n,)."""
    labels = rng.choice(len(WEIGHTS), n, p=WEIGHTS)
    x = CENTRES["A"][labels] + SIGMA * rng.standard_normal((n, 2))
    return (x if domain == "A" else x @ TURN), labels


def nearest_label(domain: str, x: Array) -> Labels:
    """Return the label (N,) of the nearest centre of a domain for points (N, 2)."""
    return np.square(np.asarray(x, dtype=float)[:, None] - CENTRES[domain]).sum(axis=2).argmin(axis=1)


def point_domains(n: int, dtype: Any, streams: dict[str, np.random.Generator]) -> Domains:
    """Return the domains of points; n is the batch size."""

    def draw(domain: str) -> Callable[[], Array]:
        return lambda: points(domain, n, streams[f"data_{domain}"])[0].astype(dtype)

    def test(count: int, rng: np.random.Generator) -> tuple[Array, Array, Callable[[str, Array], float | None]]:
        (a, labels_a), (b, labels_b) = points("A", count, rng), points("B", count, rng)

        def kept(direction: str, y: Array) -> float:
            wanted, domain = (labels_a, "B") if direction == "A_to_B" else (labels_b, "A")
            return float((nearest_label(domain, y) == wanted).mean())

        return a.astype(dtype), b.astype(dtype), kept

    return Domains(draw("A"), draw("B"), test)


def picture_of_points(x: Array, title: str) -> "Image":
    """Return a picture of translations (6, N, 2)."""
    from minigan.plots import point_translations
    from minigan.plots.write import rasterise

    labels = nearest_label("A", x[0]), nearest_label("B", x[3])
    return rasterise(point_translations(np.asarray(x, dtype=float), labels, ROWS, title=title))


def to_b(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return bytes (N, H, H, 1) turned by 90 degrees anticlockwise and inverted."""
    return np.ascontiguousarray(255 - turned(images, 1))


def upright(y: Array) -> NDArray[np.float64]:
    """Return images of B, numbers in [-1, 1], turned back and inverted, as images in [0, 1]."""
    return np.clip(signed_to_images(turned(-y, -1)), 0, 1)


def image_domains(
    data: str, run_options: RunOptions, n: int, dtype: Any, streams: dict[str, np.random.Generator]
) -> Domains:
    """Return the domains of images: the first half of the training images, and the second half turned and inverted."""
    images = training_images(data, run_options, shape=(SIDE, SIDE, 1)).images
    half = len(images) // 2

    def draw(part: NDArray[np.uint8], domain: str) -> Transformed:
        return Transformed(RandomBatches(part, n, streams[f"data_{domain}"]), lambda x: signed(x, dtype))

    def test(count: int, rng: np.random.Generator) -> tuple[Array, Array, Callable[[str, Array], float | None]]:
        a, b, labels_a, labels_b = draw_pairs(data, run_options, count, rng)
        net = None if run_options.images is not None else _classifier(data)

        def kept(direction: str, y: Array) -> float | None:
            if net is None:
                return None
            read = upright(y) if direction == "A_to_B" else np.clip(signed_to_images(y), 0, 1)
            return net.accuracy_on(read, labels_a if direction == "A_to_B" else labels_b)

        return signed(a, dtype), signed(b, dtype), kept

    return Domains(draw(images[:half], "A"), draw(to_b(images[half:]), "B"), test)


def draw_pairs(
    data: str, run_options: RunOptions, n: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[Any], NDArray[Any]]:
    """Draw n test images of each domain, distinct as far as there are as many, and their labels.

    For a user's own images, which have no test images, they are training images.
    """
    found = held_out_images(data, run_options)
    order = np.resize(rng.permutation(len(found.images)), 2 * n)
    a, b = order[:n], order[n:]
    return found.images[a], to_b(found.images[b]), found.labels[a], found.labels[b]


def _classifier(data: str) -> Any:
    from minigan.classifier import stored_classifier

    return stored_classifier(data)


def picture_of_images(x: Array, title: str) -> "Image":
    """Return a picture of translations (6, N, H, W, 1) of images in [-1, 1]: a row for each part."""
    from minigan.plots import image_grid

    rows, columns = x.shape[:2]
    title = f"{title}; rows:\n{', '.join(ROWS)}"
    return image_grid(signed_to_images(x.reshape(-1, *x.shape[2:])), rows=rows, columns=columns, title=title)
