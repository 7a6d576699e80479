// CUDA C++ on the host: a C++ compiler compiles the same kernel source.
//
// Blocks run one after another.  The threads of a block are fibers: each has its own stack and runs until it reaches a
// barrier, a shuffle or its end, and then another one runs.  No two run at the same time, so that every run gives the
// same result, also for a wrong kernel; three schedules (forward, reverse, random) change the order of threads and
// blocks.  Shared memory is NaN before it is written.
//
// This detects missing and divergent barriers, divergent shuffles, reads of unwritten shared memory, and results that
// depend on the order of threads or blocks.  It does not detect races between blocks or missing fences, nor show speed.
#pragma once
#include <math.h>

#include <type_traits>

#include "exchanges.h"
#include "fibers.h"

// --- keywords ----------------------------------------------------------------------------------------------------

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

// --- indices, barriers, warp functions and asynchronous copies ----------------------------------------------------

#define threadIdx (emulator::running->index)
#define blockIdx (emulator::block_index)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)
#define warpSize 32

#define MINIGAN_HERE __FILE__, __LINE__
#define MINIGAN_FULL_MASK 0xffffffffu
#define __syncthreads() emulator::wait(emulator::AT_BARRIER, 0, MINIGAN_HERE)
// The optional last argument of a macro (the mask, or the width), or its default.
#define MINIGAN_OPTIONAL(unused, value, ...) value
#define __syncwarp(...) \
  emulator::wait(emulator::IN_WARP, MINIGAN_OPTIONAL(0, ##__VA_ARGS__, MINIGAN_FULL_MASK), MINIGAN_HERE)
#define MINIGAN_SHUFFLE(mask, v, lane_of, d, ...) \
  emulator::shuffle(mask, v, emulator::lane_of(d, MINIGAN_OPTIONAL(0, ##__VA_ARGS__, 32)), MINIGAN_HERE)
#define __shfl_down_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, lane_above, __VA_ARGS__)
#define __shfl_up_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, lane_below, __VA_ARGS__)
#define __shfl_xor_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, lane_xor, __VA_ARGS__)
#define __shfl_sync(mask, v, ...) MINIGAN_SHUFFLE(mask, v, lane_at, __VA_ARGS__)
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
