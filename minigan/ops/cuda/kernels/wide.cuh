// WIDTH reals that one instruction loads or stores: 16 bytes if the host found every array and row aligned, else one.
#pragma once

#ifndef WIDTH
#define WIDTH 1
#endif

constexpr int THREADS = 256;

struct alignas(sizeof(real) * WIDTH) Wide {
  real at[WIDTH];
};

__device__ __forceinline__ Wide load(const real* p) { return *reinterpret_cast<const Wide*>(p); }

__device__ __forceinline__ void store(real* p, const Wide& v) { *reinterpret_cast<Wide*>(p) = v; }

__device__ __forceinline__ Wide every(real v) {
  Wide w;
#pragma unroll
  for (int k = 0; k < WIDTH; k++) w.at[k] = v;
  return w;
}

// Call wide(i) for every multiple i of WIDTH with WIDTH numbers left, and one(i) for each of the remaining numbers; the
// threads of the grid share the calls.
template <class F, class One>
__device__ __forceinline__ void for_wide(long long n, F wide, One one) {
  const long long first = thread_of_grid(), step = threads_of_grid(), packs = n / WIDTH;
  for (long long i = first; i < packs; i += step) wide(i * WIDTH);
  if (packs * WIDTH + first < n) one(packs * WIDTH + first);  // fewer than WIDTH remain
}
