"""Each kind of bug that the emulator detects, planted in a sum over a block and in other small kernels."""

import numpy as np
from emulated import error_of
from mutation import Mutant


def block_sums(device):
    x = np.random.default_rng(0).standard_normal(1000)
    sums = device.xp.full(3, np.nan)
    device.launch("probes", "block_sums", 3, 128, device.array(x), sums, x.size, REAL="double")
    i = np.arange(x.size) % 384 // 128
    assert error_of(device.host(sums), np.bincount(i, x)) < 1e-13


def reversed_parts(device):
    x = np.random.default_rng(0).standard_normal(1000)
    y = device.xp.full(1000, np.nan)
    device.launch("probes", "reversed_parts", 4, 256, device.array(x), y, 1000, shared=256 * 8, REAL="double")
    expected = np.concatenate([x[start : start + 256][::-1] for start in range(0, 1000, 256)])
    np.testing.assert_array_equal(device.host(y), expected)


def through_copies(device):
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    y = device.xp.full(1000, np.nan, dtype=np.float32)
    device.launch("probes", "through_copies", 1, 256, device.array(x), y, 1000, REAL="float")
    np.testing.assert_array_equal(device.host(y), x)


BARRIER = "  __syncthreads();\n  if (warp == 0)"
SHUFFLE = "    sum += __shfl_down_sync(0xffffffffu, sum, d);"


def planted(name, old, new, check=block_sums, says="", **kwargs):
    return Mutant(name, "probes.cu", old, new, check, says, **kwargs)


MUTANTS = [
    planted("missing barrier", BARRIER, "  if (warp == 0)"),
    planted(
        "early return before a barrier", BARRIER, f"  if (threadIdx.x >= 96) return;\n{BARRIER}",
        says="while 32 had ended",
    ),
    planted(
        "barrier in a branch", BARRIER, "  if (warp != 2) __syncthreads();\n  if (warp == 0)", says="while 32 had ended"
    ),
    planted(
        "two barriers instead of one", BARRIER,
        "  if (warp < 2) __syncthreads();\n  else\n    __syncthreads();\n  if (warp == 0)",
        says="divergent __syncthreads",
    ),
    planted(
        "shuffle in a branch", SHUFFLE, f"    if (lane > 20 && d == 16) continue;\n{SHUFFLE}",
        says="lanes of the mask ffffffff that do not arrive",
    ),
    planted("shuffle of the wrong distance", "d = 16; d > 0; d /= 2) {", "d = 8; d > 0; d /= 2) {"),
    planted("shared memory off by one", "part[lane] : 0;", "part[lane + 1] : 0;"),
    planted("unwritten shared memory", "lane < warps ? part[lane] : 0;", "lane <= warps ? part[lane] : 0;"),
    planted("read out of bounds", "i < n; i += threads_of", "i <= n; i += threads_of", says="-11"),
    planted("write out of bounds", "sums[blockIdx.x] = sum", "sums[blockIdx.x + 1] = sum", says="outside an array"),
    planted(
        "write before the array", "sums[blockIdx.x] = sum", "sums[(int)blockIdx.x - 1] = sum", says="outside an array"
    ),
    planted("write far out of bounds", "sums[blockIdx.x] = sum", "sums[blockIdx.x + (1LL << 40)] = sum", says="-11"),
    planted("missing barrier, dynamic", "x[i];\n  __syncthreads();", "x[i];", reversed_parts),
    planted(
        "write after the end of dynamic shared memory", "part[threadIdx.x] = x[i]", "part[threadIdx.x + 1] = x[i]",
        reversed_parts, says="-11",
    ),
    planted("read before the copy is complete", "  cp_async_wait<1>();\n", "", through_copies),
    planted(
        "copy from outside an array", "x + (i + 3 < n ? i : 0), i + 3 < n && ", "x + i, ", through_copies, says="-11"
    ),
]  # fmt: skip
