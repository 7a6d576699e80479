// CUDA C++ on the host: the same kernel source, compiled by a C++ compiler.
//
// Blocks run one after another.  The threads of a block are fibers: each has a stack of its own, and one runs until it
// comes to a barrier, a shuffle or its end, where it hands over.  No two run at once, so what goes wrong is the same
// at every run; three schedules (forward, reverse, random) change who comes first.  Shared memory begins as NaN.
//
// Seen: missing and divergent barriers, divergent shuffles, reads of shared memory that nobody wrote, results that
// depend on the order of threads or blocks.  Not seen: races between blocks, missing fences, speed.
#pragma once
#include <math.h>

#include <type_traits>

#include "exchanges.h"
#include "fibers.h"

// --- words of the language ---------------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section("minigan_shared")))
#define DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(emulator::dynamic_shared)

#define MINIGAN_VECTORS(type, name, bytes)                                                                        \
  struct alignas(2 * bytes) name##2 { type x, y; };                                                               \
  struct alignas(4 * bytes < 16 ? 4 * bytes : 16) name##4 { type x, y, z, w; };                                   \
  inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                                \
  inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
MINIGAN_VECTORS(float, float, 4)
MINIGAN_VECTORS(double, double, 8)
MINIGAN_VECTORS(int, int, 4)
MINIGAN_VECTORS(unsigned, uint, 4)
MINIGAN_VECTORS(unsigned char, uchar, 1)
#undef MINIGAN_VECTORS

// --- what a thread knows and does -------------------------------------------------------------------------------

#define threadIdx (emulator::running->index)
#define blockIdx (emulator::block_index)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)
#define warpSize 32

#define MINIGAN_HERE __FILE__, __LINE__
#define MINIGAN_ALL 0xffffffffu
#define __syncthreads() emulator::wait(emulator::AT_BARRIER, 0, MINIGAN_HERE)
// Of a macro with an optional last argument (the mask, or the width), the one that was given, or the default.
#define MINIGAN_OR(unused, value, ...) value
#define __syncwarp(...) emulator::wait(emulator::IN_WARP, MINIGAN_OR(0, ##__VA_ARGS__, MINIGAN_ALL), MINIGAN_HERE)
#define MINIGAN_SHUFFLE(mask, v, from, d, ...) \
  emulator::shuffle(mask, v, emulator::from(d, MINIGAN_OR(0, ##__VA_ARGS__, 32)), MINIGAN_HERE)
#define __shfl_down_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, above, __VA_ARGS__)
#define __shfl_up_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, below, __VA_ARGS__)
#define __shfl_xor_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, across, __VA_ARGS__)
#define __shfl_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, at, __VA_ARGS__)
#define __ballot_sync(mask, v) emulator::ballot(mask, v, MINIGAN_HERE)
#define __any_sync(mask, v) (emulator::ballot(mask, v, MINIGAN_HERE) != 0)
#define __all_sync(mask, v) (emulator::ballot(mask, v, MINIGAN_HERE) == (mask))
#define LOAD_MATRICES(d, row) emulator::load_matrices(d, row, MINIGAN_HERE)
#define MMA_BF16(d, a, b) emulator::mma_bf16(d, a, b, MINIGAN_HERE)
#define MMA_TF32(d, a, b) emulator::mma_tf32(d, a, b, MINIGAN_HERE)

inline void cp_async_16(void* to, const void* from, bool valid = true) { emulator::copy_async(to, from, 16, valid); }
inline void cp_async_4(void* to, const void* from, bool valid = true) { emulator::copy_async(to, from, 4, valid); }
inline void cp_async_commit() { emulator::commit_copies(); }
template <int N> inline void cp_async_wait() { emulator::wait_copies(N); }

#include "cuda_functions.h"
