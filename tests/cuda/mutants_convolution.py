"""Bugs planted in the convolutions' kernels."""

import check_convolution as check
from mutation import Mutant

FIRST = "b.store(buffers[0][1]);\n"
STORED = "b.store(buffers[(s + 1) % 2][1]);\n"
BARRIER = "    __syncthreads();"
LEFT, SWAPPED = "outer + lane % 16, lane / 16 * 4", "outer + lane % 8 + lane / 16 * 8, lane / 8 % 2 * 4"
LANE, TRANSPOSED = "outer + threadIdx.x % 32 / 4, threadIdx.x % 4", "outer + threadIdx.x % 4, threadIdx.x % 32 / 4"
ROW, ROW_AFTER = "value[r] = load_pack(from, row < last", "value[r] = load_pack(from, row <= last"
LAST = "last = min(first + each, images * h * w)"
LATER = "last = min(first + each + 1, images * h * w)"
OFFSET = "(phase + before - d * first)"

MUTANTS = [
    *(
        Mutant(name, "patches.cu", old, new, check.patches)
        for name, old, new in [
            ("patches start a pixel late", "* sh - top;", "* sh - top + 1;"),
            ("a pixel right of the image", "column < L)", "column <= L)"),
            ("a patch row below the last", "p >= h)", "p > h)"),
            ("patches before the first", "across < 0 || ", ""),
            ("the first taps omitted", "int i = 0; i < kh", "int i = 1; i < kh"),
            ("the bias of another channel", "b[c * V + v]", "b[c + v]"),
        ]
    ),
    *(
        Mutant(name, "tiles.cuh", old, new, way)
        for name, old, new, way in [
            ("no barrier before the first stage", FIRST + BARRIER[2:], FIRST, check.bf16),
            ("no barrier between stages", STORED + BARRIER, STORED, check.fp32),
            ("one buffer instead of two", "a.store(buffers[(s + 1) % 2][0])", "a.store(buffers[s % 2][0])", check.tf32),
            ("quarters of a fragment exchanged", LEFT, SWAPPED, check.tf32),
            ("rows and columns of a fragment exchanged", LANE, TRANSPOSED, check.bf16),
            ("the numbers of a bf16 pair exchanged", "pack_bf16(v[0], w[0])", "pack_bf16(w[0], v[0])", check.bf16),
            ("bf16 instead of tf32", "return to_tf32(x);", "return pack_bf16(0.f, x);", check.tf32),
        ]
    ),
    *(
        Mutant(name, "operands.cuh", old, new, way)
        for name, old, new, way in [
            ("a phase starts a tap late", f"{OFFSET} / s, -(d / g)", f"{OFFSET} / s + 1, -(d / g)", check.fp32),
            ("phases without their padding", f"{OFFSET} % s", "(phase - d * first) % s", check.fp32),
            ("taps that are not flipped", "/ s, -(d / g), first", "/ s, d / g, first", check.bf16),
            ("padding off by one", "{k, s, -before, d, 0, 1}", "{k, s, -before - 1, d, 0, 1}", check.tf32),
            ("a carry lost", "  if (middle >= next) middle -= next, high++;\n", "", check.fp32),
            ("always the first channels", "k.high = 0, k.low += DEPTH;", "k.high = 0;", check.tf32),
            ("a tap too few per channel block", "if (k.high == down.taps)", "if (k.high + 1 >= down.taps)", check.bf16),
            ("rows of the gradient in another order", "k.low + round * chunk, k.middle", "k.low, k.middle", check.fp32),
            ("a row below the last", ROW, ROW_AFTER, check.fp32),
        ]
    ),
    *(
        Mutant(name, "convolution.cu", old, new, way)
        for name, old, new, way in [
            ("the last part not added", "part < count; part++", "part < count - 1; part++", check.bf16),
            ("a part that overlaps the next", LAST, LATER, check.fp32),
            ("the bias of the other column", "pair[1] + bias[j][1]", "pair[1] + bias[j][0]", check.tf32),
            ("rows beyond the last written", "if (r >= rows) continue;", "if (r > rows) continue;", check.fp32),
        ]
    ),
]  # fmt: skip
