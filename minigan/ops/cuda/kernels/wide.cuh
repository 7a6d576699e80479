// WIDTH reals that one instruction loads or stores: 16 bytes where the host found that every array and row allows it.
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

// wide(i) for the multiples i of WIDTH, and one(i) for what is left behind the last whole Wide; by all threads.
template <class F, class One>
__device__ __forceinline__ void for_wide(long long n, F wide, One one) {
  const long long first = thread_of_grid(), step = threads_of_grid(), whole = n / WIDTH;
  for (long long i = first; i < whole; i += step) wide(i * WIDTH);
  if (whole * WIDTH + first < n) one(whole * WIDTH + first);  // fewer than WIDTH are left
}
