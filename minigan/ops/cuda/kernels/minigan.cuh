// The first include of every kernel file: names that mean the same on a GPU and in the emulator.
//
//   real                         float or double (-DREAL=...)
//   DYNAMIC_SHARED(T, name)      T* name: the dynamic shared memory of the launch
//   Pack, PACK                   16 bytes of reals, which one instruction loads, and their number
//   MMA_BF16, MMA_TF32           d += a b by one warp, on tensor cores
//   pack_bf16, to_tf32           round to their operands, to nearest
//   LOAD_MATRICES                load such operands from shared memory
//   load_16                      load 16 bytes, or zeros if a condition is false
//   cp_async_16 ...              asynchronous copies to shared memory
#pragma once

#ifdef MINIGAN_EMULATED
#include <cuda_on_cpu.h>
#else
#include <cuda_bf16.h>

#define DYNAMIC_SHARED(T, name)                                        \
  extern __shared__ __align__(128) unsigned char minigan_dynamic_shared[]; \
  T* name = reinterpret_cast<T*>(minigan_dynamic_shared)

// d (16, 8) += a (16, 16) b (16, 8).  A word holds two bf16 numbers, neighbours in a row of a or in a column of b; the
// first one is in the lower half.  Lane 4 g + t holds, where each word stands for its first number,
//   a[0..3]: (g, 2 t), (g + 8, 2 t), (g, 2 t + 8), (g + 8, 2 t + 8)
//   b[0..1]: (2 t, g), (2 t + 8, g)
//   d[0..3]: (g, 2 t), (g, 2 t + 1), (g + 8, 2 t), (g + 8, 2 t + 1)
#define MMA_BF16(d, a, b)                                                             \
  asm volatile(                                                                       \
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "                          \
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                         \
      : "+f"((d)[0]), "+f"((d)[1]), "+f"((d)[2]), "+f"((d)[3])                        \
      : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "r"((b)[0]), "r"((b)[1]))

// d (16, 8) += a (16, 8) b (8, 8).  Lane 4 g + t holds a[0..3]: (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4);
// b[0..1]: (t, g), (t + 4, g); d as above.
#define MMA_TF32(d, a, b)                                                             \
  asm volatile(                                                                       \
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "                           \
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                         \
      : "+f"((d)[0]), "+f"((d)[1]), "+f"((d)[2]), "+f"((d)[3])                        \
      : "r"((a)[0]), "r"((a)[1]), "r"((a)[2]), "r"((a)[3]), "r"((b)[0]), "r"((b)[1]))

__device__ __forceinline__ unsigned pack_bf16(float low, float high) {
  unsigned word;  // cvt's first source operand is the upper half
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

// Round ties to even on Hopper: one instruction, where ties away from zero take four.  Older GPUs round them away.
__device__ __forceinline__ unsigned to_tf32(float x) {
  unsigned word;
#if __CUDA_ARCH__ >= 900
  asm("cvt.rn.tf32.f32 %0, %1;" : "=r"(word) : "f"(x));
#else
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(x));
#endif
  return word;
}

// Load 16 bytes that no thread of this launch writes; if not `valid`, read nothing and return zeros.  A predicated
// instruction, because the compiler would branch.
__device__ __forceinline__ float4 load_16(const float* global, bool valid) {
  float4 v;
  asm volatile(
      "{ .reg .pred valid; setp.ne.b32 valid, %5, 0;"
      " mov.f32 %0, 0f00000000; mov.f32 %1, 0f00000000; mov.f32 %2, 0f00000000; mov.f32 %3, 0f00000000;"
      " @valid ld.global.nc.v4.f32 {%0, %1, %2, %3}, [%4]; }"
      : "=&f"(v.x), "=&f"(v.y), "=&f"(v.z), "=&f"(v.w)
      : "l"(global), "r"((int)valid));
  return v;
}

// Load four matrices of 8 rows of 4 words from shared memory into d[0..3].  Lane 8 i + r gives the address of row r of
// matrix i, a multiple of 16 bytes; lane 4 g + t gets word t of row g of each matrix.
#define LOAD_MATRICES(d, row)                                                                             \
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"                            \
               : "=r"((d)[0]), "=r"((d)[1]), "=r"((d)[2]), "=r"((d)[3])                                   \
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))                                \
               : "memory")

// Start to copy 16 (or 4) bytes to shared memory; if not `valid`, read nothing and write zeros.  Both addresses are
// multiples of 16 (or 4).  The copies that a thread has started since its last commit are one group; wait<n> returns
// when all but its latest n groups are complete.  Another thread sees the copies after a barrier that follows the wait.
__device__ __forceinline__ void cp_async_16(void* shared, const void* global, bool valid = true) {
  unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(valid ? 16 : 0) : "memory");
}

__device__ __forceinline__ void cp_async_4(void* shared, const void* global, bool valid = true) {
  unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(global), "r"(valid ? 4 : 0) : "memory");
}

__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int N>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
#endif

#ifndef REAL
#define REAL float
#endif
typedef REAL real;

constexpr int PACK = 16 / sizeof(real);
struct alignas(16) Pack {
  real of[PACK];
};

// Whether an array is aligned to 16 bytes, so that it can be read in packs.
__device__ __forceinline__ bool in_packs(const void* x) { return (reinterpret_cast<unsigned long long>(x) & 15) == 0; }

// The index of this thread in the grid, and the number of threads: for grid-stride loops.
__device__ __forceinline__ long long thread_of_grid() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ long long threads_of_grid() { return (long long)gridDim.x * blockDim.x; }
