"""Bugs planted in the random numbers and in the batches."""

import check_images
import check_random
from mutation import Mutant


def planted(name, old, new, check, file="random.cu"):
    return Mutant(name, file, old, new, check)


def in_data(name, old, new):
    return planted(name, old, new, check_images.batches, "data.cu")


GUARD = "if (4 * b + j < n) out[4 * b + j] = w"

MUTANTS = [
    planted("nine rounds", "round < 10", "round < 9", check_random.integers),
    planted("a multiplier with a wrong bit", "1157ull, c.of[2]", "1155ull, c.of[2]", check_random.integers),
    planted("a carry omitted", "c2 += carry && c1 == 0", "c2 += 0", check_random.integers),
    planted("a carry too many", "c3 += carry && c1 == 0 && c2 == 0", "c3 += carry && c1 == 0", check_random.integers),
    planted("the last words are omitted", GUARD, GUARD.replace("j < n", "3 < n"), check_random.integers),
    planted("words after the end", GUARD, GUARD.partition(") ")[2], check_random.integers),
    planted("a lost bit of a uniform", "double(w >> 11)", "2 * double(w >> 12)", check_random.uniforms),
    planted("cosine and sine exchanged", "&sine, &cosine", "&cosine, &sine", check_random.normals),
    planted("log(u), where u may be 0", "log(1 - uniform_of", "log(0 + uniform_of", check_random.normals),
    planted("half a turn", "sincospi(2 * ", "sincospi(", check_random.normals),
    planted("an index of the lower bits", "__umul64hi(w.of[j], (word)count)", "w.of[j] % count", check_random.indices),
    planted("a position that is overwritten", "*position += steps", "*position = steps", check_random.advancing),
    in_data("an image past the end", "index >= count", "index > count"),
    in_data("the order does not start again", ") % length", ")"),
    in_data("every batch is the first", "(position ? *position : 0)", "0"),
    in_data("a grey channel is repeated wrongly", "(j * PACK + k) / REPEAT", "(j * PACK + k) % 4"),
    in_data("the shift is scaled", "real(image[i]) + shift", "(real(image[i]) + shift)"),
    in_data("a pixel after the packs is omitted", "i = 4 * packs + threadIdx.x", "i = 4 * packs + 1 + threadIdx.x"),
    in_data("four bytes without alignment", " && (reinterpret_cast<unsigned long long>(image) & 3) == 0", ""),
    in_data("a thread writes one pack only", "i < packs; i += THREADS", "i < packs; i += packs"),
    in_data("bytes are signed", "{real(bytes.x)", "{real((signed char)bytes.x)"),
]  # fmt: skip
