"""The transforms of Winograd's convolutions, compiled (`minigan.ops.cpu.conv.tiles` has the definitions).

M tile M^t is computed along the columns and then along the rows, for as many channels at a time as a vector register
holds.  Each matrix is compiled separately, and its sums are emitted as machine instructions (`simd`): nothing is
multiplied by 0 or 1, and a tile stays in registers from its first load to its last store.  To that end the matrix is
part of an argument's type, which is the key of numba's compilations and of its cache on disk.

All arrays are passed as vectors of their memory, and strides count entries.  Tiles are numbered image by image, row by
row.  The compiled functions read an `ImageLayout`, a `PointLayout` and a `TileLayout` at an address, as int64.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba.core import types
from numba.core.extending import NativeValue, intrinsic, models, register_model, typeof_impl, unbox

from minigan.ops.cpu.conv.cook_toom import Matrix
from minigan.ops.cpu.kernels.numba.jit import kernel_by_address
from minigan.ops.cpu.kernels.numba.pointers import integers
from minigan.ops.cpu.kernels.numba.simd import Vectors, lanes
from minigan.ops.cpu.threads.team import callable_at


class ImageLayout(NamedTuple):
    """The shape and strides of images (N, H, W, C) whose channels are adjacent."""

    N: int
    H: int
    W: int
    C: int
    image_stride: int
    row_stride: int
    column_stride: int


class PointLayout(NamedTuple):
    """The place of the first tile's points, and the strides of points (n n, tiles, phases, C)."""

    start: int
    point_stride: int
    tile_stride: int
    phase_stride: int


class TileLayout(NamedTuple):
    """The positions of tiles: `minigan.ops.cpu.conv.tiles.Tiles` as numbers."""

    step: int
    TH: int
    TW: int
    sh: int
    sw: int
    top: int
    left: int


@dataclass(frozen=True, eq=False)
class Transform:
    """The exact matrix M of M tile M^t.  Its hash, by identity, costs less than that of its numbers.

    Attributes
    ----------
    matrix
        The rows of M.
    overlap
        Whether `scatter` adds the tiles to the image, because they overlap there, instead of writing them.

    """

    matrix: Matrix
    overlap: bool = False


class _TransformType(types.Type):
    """The numba type of one transform."""

    def __init__(self, transform):
        self.matrix, self.overlap = transform.matrix, transform.overlap
        rows = "; ".join(" ".join(map(str, row)) for row in self.matrix)
        super().__init__(name=f"Transform({rows}{', overlap' * self.overlap})")


register_model(_TransformType)(models.OpaqueModel)
typeof_impl.register(Transform)(lambda transform, _: _TransformType(transform))
unbox(_TransformType)(lambda ty, value, c: NativeValue(c.context.get_dummy_value()))


GATHER, SCATTER, FILL = "c x x i i i", "c x x x i i i", "x x i i i"
"""The types of the arguments of the compiled functions, see `team.address_of`."""
LAYOUTS_SIZE = 18
"""How many numbers the three layouts have together."""


def gather(M: Any, x: Any, image: Any, points: Any, layout: Any, tiles: Any, first: int, last: int) -> None:
    """Compute points = M tile M^t for the tiles first ... last - 1; pixels outside the image are zero.

    image: ImageLayout of x    layout: PointLayout of points    tiles: TileLayout of the tiles in x
    """
    layouts = np.array((*image, *layout, *tiles), np.int64)
    function = callable_at(gather_tiles, GATHER, str(x.dtype), M)
    function(0, x.ctypes.data, points.ctypes.data, layouts.ctypes.data, first, last)


def scatter(M: Any, points: Any, layout: Any, x: Any, image: Any, bias: Any, tiles: Any, first: int, last: int) -> None:
    """Compute tile = M points M^t for tiles first ... last - 1; x = tile + bias, or, if tiles overlap, x = x + tile.

    layout: PointLayout of points    image: ImageLayout of x    tiles: TileLayout of the tiles in x
    """
    layouts = np.array((*image, *layout, *tiles), np.int64)
    function = callable_at(scatter_tiles, SCATTER, str(x.dtype), M)
    function(0, points.ctypes.data, x.ctypes.data, bias.ctypes.data, layouts.ctypes.data, first, last)


def fill(x: Any, image: Any, bias: Any, first: int, last: int) -> None:
    """x = bias, for the images first ... last - 1.    image: ImageLayout of x"""
    layout = np.array(image, np.int64)
    function = callable_at(_fill, FILL, str(x.dtype))
    function(x.ctypes.data, bias.ctypes.data, layout.ctypes.data, first, last)


@kernel_by_address
def gather_tiles(M, x, points, layouts, first, last):
    """`gather`; the three layouts lie one after the other."""
    at = integers(layouts)
    H, W, C, image_stride, row_stride, column_stride = at[1], at[2], at[3], at[4], at[5], at[6]
    point_start, point_stride, tile_stride, phase_stride = at[7], at[8], at[9], at[10]
    step, TH, TW, sh, sw, top, left = at[11], at[12], at[13], at[14], at[15], at[16], at[17]
    vector = lanes(x)
    for t in range(first, last):
        image_start, a, b = t // (TH * TW) * image_stride, t // TW % TH, t % TW
        for phase in range(sh * sw):
            y, z = sh * a * step + phase // sw - top, sw * b * step + phase % sw - left
            start = point_start + (t - first) * tile_stride + phase * phase_stride
            rows, columns = (y, sh, H, row_stride), (z, sw, W, column_stride)
            for c in range(0, C, vector):
                _to_points(M, x, image_start + c, rows, columns, points, start + c, point_stride, C - c)
    return 0


@kernel_by_address
def scatter_tiles(M, points, x, bias, layouts, first, last):
    """`scatter`; the three layouts lie one after the other."""
    at = integers(layouts)
    H, W, C, image_stride, row_stride, column_stride = at[1], at[2], at[3], at[4], at[5], at[6]
    point_start, point_stride, tile_stride, phase_stride = at[7], at[8], at[9], at[10]
    step, TH, TW, sh, sw, top, left = at[11], at[12], at[13], at[14], at[15], at[16], at[17]
    vector = lanes(x)
    for t in range(first, last):
        image_start, a, b = t // (TH * TW) * image_stride, t // TW % TH, t % TW
        for phase in range(sh * sw):
            y, z = sh * a * step + phase // sw - top, sw * b * step + phase % sw - left
            start = point_start + (t - first) * tile_stride + phase * phase_stride
            rows, columns = (y, sh, H, row_stride), (z, sw, W, column_stride)
            for c in range(0, C, vector):
                _from_points(M, points, start + c, point_stride, x, image_start + c, rows, columns, bias, c, C - c)
    return 0


@kernel_by_address
def _fill(x, bias, layout, first, last):
    at = integers(layout)
    for n in range(first, last):
        for y in range(at[1]):
            for z in range(at[2]):
                start = n * at[4] + y * at[5] + z * at[6]
                for c in range(at[3]):
                    x[start + c] = bias[c]
    return 0


@intrinsic
def _to_points(typingctx, M, x, origin, rows, columns, points, start, stride, channels):
    """points[start + f stride] = entry f of M tile M^t, for `channels` channels or the first that fill a vector.

    x[origin] is the first of these channels in the image's first pixel.  `rows` is (the tile's first row in the image,
    the step between its rows, the rows of the image, their stride in memory); `columns` likewise.
    """

    def build(context, builder, signature, arguments):
        _, x_, origin_, rows_, columns_, points_, start_, stride_, channels_ = arguments
        vectors = Vectors(context, builder, x.dtype)
        n, q = len(M.matrix), len(M.matrix[0])

        def emit(pixels, mask):
            columns_done = []  # [column j][row k] of M tile
            for j in range(q):
                column = [vectors.load(x_, x, *pixels[i][j]) for i in range(q)]
                columns_done.append([vectors.combination(row, column) for row in M.matrix])
            for k in range(n):
                for l in range(n):
                    value = vectors.combination(M.matrix[l], [columns_done[j][k] for j in range(q)])
                    vectors.store(points_, points, _multiple(builder, start_, k * n + l, stride_), value, mask)

        _emit_both_cases(builder, vectors, emit, q, origin_, rows_, columns_, channels_)
        return context.get_dummy_value()

    return types.void(M, x, origin, rows, columns, points, start, stride, channels), build


@intrinsic
def _from_points(typingctx, M, points, start, stride, x, origin, rows, columns, bias, c, channels):
    """Compute tile = M points M^t + bias[c ...]; if tiles overlap, add the pixels of x instead of the bias.

    The other arguments are those of `_to_points`.
    """

    def build(context, builder, signature, arguments):
        _, points_, start_, stride_, x_, origin_, rows_, columns_, bias_, c_, channels_ = arguments
        vectors = Vectors(context, builder, x.dtype)
        q, n = len(M.matrix), len(M.matrix[0])

        def emit(pixels, mask):
            added = None if M.overlap else vectors.load(bias_, bias, c_, mask)
            columns_done = []  # [column l][row i] of M points
            for l in range(n):
                at = [_multiple(builder, start_, k * n + l, stride_) for k in range(n)]
                column = [vectors.load(points_, points, place, mask) for place in at]
                columns_done.append([vectors.combination(row, column) for row in M.matrix])
            for i in range(q):
                for j in range(q):
                    value = vectors.combination(M.matrix[j], [columns_done[l][i] for l in range(n)])
                    place, pixel_mask = pixels[i][j]
                    total = vectors.add(value, added or vectors.load(x_, x, place, pixel_mask))
                    vectors.store(x_, x, place, total, pixel_mask)

        _emit_both_cases(builder, vectors, emit, q, origin_, rows_, columns_, channels_)
        return context.get_dummy_value()

    return types.void(M, points, start, stride, x, origin, rows, columns, bias, c, channels), build


def _emit_both_cases(builder, vectors, emit, q, origin, rows, columns, channels):
    """Call emit(pixels, mask) twice: without masks for whole tiles of whole vectors, and with masks for the others.

    pixels[i][j] is the place of pixel (i, j) of the tile in memory and the mask of its channels, which is zero outside
    the image; `mask` is that of the channels alone.
    """

    def along(axis):
        """Return the offset of each row or column of the tile, and whether it lies in the image."""
        first, step, size, stride = (builder.extract_value(axis, k) for k in range(4))
        found = []
        for i in range(q):
            index = _multiple(builder, first, i, step)
            inside = builder.icmp_unsigned("<", index, size)  # unsigned, a negative index is large
            found.append((builder.mul(index, stride), inside))
        return found

    tile_rows, tile_columns = along(rows), along(columns)
    whole = functools.reduce(
        builder.and_, [inside for _, inside in tile_rows + tile_columns], vectors.full(channels)
    )  # fmt: skip

    def pixels(mask):
        return [[pixel(*row, *column, mask) for column in tile_columns] for row in tile_rows]

    def pixel(row_offset, row_inside, column_offset, column_inside, mask):
        place = builder.add(origin, builder.add(row_offset, column_offset))
        if mask is None:
            return place, None
        inside = builder.and_(row_inside, column_inside)
        return builder.select(inside, place, origin), vectors.where(inside, mask)

    with builder.if_else(whole, likely=True) as (then, otherwise):
        with then:
            emit(pixels(None), None)
        with otherwise:
            mask = vectors.first(channels)
            emit(pixels(mask), mask)


def _multiple(builder, first, i, step):
    """Emit first + i step."""
    return builder.add(first, builder.mul(step, step.type(i)))
