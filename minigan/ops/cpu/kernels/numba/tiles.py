"""Tiles of images to points and back, compiled (`minigan.ops.cpu.conv.tiles` has the definitions).

M tile M^t, first along the columns and then along the rows, for as many channels at a time as one of the processor's
vectors holds.  Each matrix is compiled for itself, its sums written out as machine instructions (`vectors`): nothing is
multiplied by 0 or by 1, and a tile stays in registers from its first load to its last store.  So the matrix is part of
an argument's type, by which numba compiles and keeps on disk.

Arrays come as vectors of their memory, with strides in entries.  `image` is (N, H, W, C, image, row, column strides),
`strides` says where the points of the first tile begin and has the strides (point, tile, phase), `tiles` is
(step, TH, TW, sh, sw, top, left).  Tiles are counted through the images, row by row.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator, misc, call-arg, var-annotated"

import functools
from dataclasses import dataclass

from numba.core import types
from numba.core.extending import NativeValue, intrinsic, models, register_model, typeof_impl, unbox

from minigan.ops.cpu.conv.cook_toom import Matrix
from minigan.ops.cpu.kernels.numba.jit import kernel
from minigan.ops.cpu.kernels.numba.simd import Vectors, lanes


@dataclass(frozen=True)
class Transform:
    """The exact matrix M of M tile M^t, and whether the tiles overlap where they are put."""

    matrix: Matrix
    overlap: bool = False


class _Type(types.Type):
    """The type of one transform."""

    def __init__(self, transform):
        self.matrix, self.overlap = transform.matrix, transform.overlap
        rows = "; ".join(" ".join(map(str, row)) for row in self.matrix)
        super().__init__(name=f"Transform({rows}{', overlap' * self.overlap})")


register_model(_Type)(models.OpaqueModel)
typeof_impl.register(Transform)(lambda transform, _: _Type(transform))
unbox(_Type)(lambda ty, value, c: NativeValue(c.context.get_dummy_value()))


@kernel
def gather(M, x, image, points, strides, tiles, first, last):
    """Points = M tile M^t for the tiles first ... last - 1, zero outside the image."""
    _, H, W, C, of_image, of_row, of_column = image
    begin, of_point, of_tile, of_phase = strides
    step, TH, TW, sh, sw, top, left = tiles
    size = lanes(x)
    for t in range(first, last):
        image_at, a, b = t // (TH * TW) * of_image, t // TW % TH, t % TW
        for phase in range(sh * sw):
            y, z = sh * a * step + phase // sw - top, sw * b * step + phase % sw - left
            at = begin + (t - first) * of_tile + phase * of_phase
            for c in range(0, C, size):
                _to_points(
                    M, x, image_at + c, (y, sh, H, of_row), (z, sw, W, of_column), points, at + c, of_point, C - c
                )


@kernel
def scatter(M, points, strides, x, image, bias, tiles, first, last):
    """Tile = M points M^t for the tiles first ... last - 1: x = tile + bias, or where they overlap, x = x + tile."""
    _, H, W, C, of_image, of_row, of_column = image
    begin, of_point, of_tile, of_phase = strides
    step, TH, TW, sh, sw, top, left = tiles
    size = lanes(x)
    for t in range(first, last):
        image_at, a, b = t // (TH * TW) * of_image, t // TW % TH, t % TW
        for phase in range(sh * sw):
            y, z = sh * a * step + phase // sw - top, sw * b * step + phase % sw - left
            at = begin + (t - first) * of_tile + phase * of_phase
            for c in range(0, C, size):
                rows, columns = (y, sh, H, of_row), (z, sw, W, of_column)
                _from_points(M, points, at + c, of_point, x, image_at + c, rows, columns, bias, c, C - c)


@kernel
def fill(x, image, bias, first, last):
    """x = bias, of the images first ... last - 1."""
    _, H, W, C, of_image, of_row, of_column = image
    for n in range(first, last):
        for y in range(H):
            for z in range(W):
                for c in range(C):
                    x[n * of_image + y * of_row + z * of_column + c] = bias[c]


@intrinsic
def _to_points(typingctx, M, x, at, rows, columns, points, to, apart, left):
    """Points[to + f apart] = the f-th entry of M tile M^t, for `left` channels or as many as a vector has.

    `rows` is (that of the tile's first pixel, how far apart they are, rows of the image, their stride); so `columns`.
    """

    def build(context, builder, signature, arguments):
        _, x_, at_, rows_, columns_, points_, to_, apart_, left_ = arguments
        on = Vectors(context, builder, x.dtype)
        n, q = len(M.matrix), len(M.matrix[0])

        def write(places, some):
            half = []  # [column][k]
            for j in range(q):
                column = [on.load(x_, x, *places[i][j]) for i in range(q)]
                half.append([on.combination(row, column) for row in M.matrix])
            for k in range(n):
                for l in range(n):
                    value = on.combination(M.matrix[l], [half[j][k] for j in range(q)])
                    on.store(points_, points, _nth(builder, to_, k * n + l, apart_), value, some)

        _either(builder, on, write, q, at_, rows_, columns_, left_)
        return context.get_dummy_value()

    return types.void(M, x, at, rows, columns, points, to, apart, left), build


@intrinsic
def _from_points(typingctx, M, points, to, apart, x, at, rows, columns, bias, c, left):
    """Tile = M points M^t + bias, or where tiles overlap, + what is there.  Arguments as those of `_to_points`."""

    def build(context, builder, signature, arguments):
        _, points_, to_, apart_, x_, at_, rows_, columns_, bias_, c_, left_ = arguments
        on = Vectors(context, builder, x.dtype)
        q, n = len(M.matrix), len(M.matrix[0])

        def write(places, some):
            added = None if M.overlap else on.load(bias_, bias, c_, some)
            half = []  # [column][i]
            for l in range(n):
                column = [on.load(points_, points, _nth(builder, to_, k * n + l, apart_), some) for k in range(n)]
                half.append([on.combination(row, column) for row in M.matrix])
            for i in range(q):
                for j in range(q):
                    value = on.combination(M.matrix[j], [half[l][i] for l in range(n)])
                    on.store(
                        x_, x, places[i][j][0], on.add(value, added or on.load(x_, x, *places[i][j])), places[i][j][1]
                    )

        _either(builder, on, write, q, at_, rows_, columns_, left_)
        return context.get_dummy_value()

    return types.void(M, points, to, apart, x, at, rows, columns, bias, c, left), build


def _either(builder, on, write, q, at, rows, columns, left):
    """write(places, mask of the channels) twice: for whole tiles of whole vectors without masks, and for the others.

    places[i][j] says where pixel (i, j) of a tile lies, and the mask of its channels: nothing outside the image.
    """

    def along(axis):
        first, step, size, stride = (builder.extract_value(axis, k) for k in range(4))
        found = []
        for i in range(q):
            place = _nth(builder, first, i, step)
            found.append((builder.mul(place, stride), builder.icmp_unsigned("<", place, size)))  # so is 0 <= place
        return found

    over_rows, over_columns = along(rows), along(columns)
    inside = functools.reduce(builder.and_, [within for _, within in over_rows + over_columns], on.full(left))

    def places(some):
        return [[pixel(*row, *column, some) for column in over_columns] for row in over_rows]

    def pixel(down, within, right, also_within, some):
        place = builder.add(at, builder.add(down, right))
        if some is None:
            return place, None
        inside = builder.and_(within, also_within)
        return builder.select(inside, place, at), on.where(inside, some)

    with builder.if_else(inside, likely=True) as (then, otherwise):
        with then:
            write(places(None), None)
        with otherwise:
            some = on.first(left)
            write(places(some), some)


def _nth(builder, first, i, step):
    """First + i step."""
    return builder.add(first, builder.mul(step, step.type(i)))
