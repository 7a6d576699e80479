// Elementwise functions, and the mean of softplus with its gradient.
//
// The formulas are those of minigan/ops/reference.py.  NaN and infinities propagate, except where relu's mask is 0.
// Each number is read and written once; map and map_back use packs of 16 bytes if all arrays are aligned.
#include "minigan.cuh"
#include "functions.cuh"
#include "sums.cuh"

#define THREADS 256

// y_i = f(x_i)
template <class F>
__device__ __forceinline__ void map(const real* x, real* y, long long n, F f) {
  const long long first = thread_of_grid(), step = threads_of_grid(), packs = in_packs(x) && in_packs(y) ? n / PACK : 0;
  for (long long i = first; i < packs; i += step) {
    Pack v = reinterpret_cast<const Pack*>(x)[i];
#pragma unroll
    for (int k = 0; k < PACK; k++) v.of[k] = f(v.of[k]);
    reinterpret_cast<Pack*>(y)[i] = v;
  }
  for (long long i = packs * PACK + first; i < n; i += step) y[i] = f(x[i]);
}

// dx_i = f(dy_i, y_i)
template <class F>
__device__ __forceinline__ void map_back(const real* dy, const real* y, real* dx, long long n, F f) {
  const long long first = thread_of_grid(), step = threads_of_grid();
  const long long packs = in_packs(dy) && in_packs(y) && in_packs(dx) ? n / PACK : 0;
  for (long long i = first; i < packs; i += step) {
    const Pack v = reinterpret_cast<const Pack*>(y)[i];
    Pack d = reinterpret_cast<const Pack*>(dy)[i];
#pragma unroll
    for (int k = 0; k < PACK; k++) d.of[k] = f(d.of[k], v.of[k]);
    reinterpret_cast<Pack*>(dx)[i] = d;
  }
  for (long long i = packs * PACK + first; i < n; i += step) dx[i] = f(dy[i], y[i]);
}

extern "C" __global__ void __launch_bounds__(THREADS)
relu(const real* __restrict__ x, real* __restrict__ y, long long n) {
  map(x, y, n, [](real v) { return relu_of(v); });
}

extern "C" __global__ void __launch_bounds__(THREADS)
relu_backward(const real* __restrict__ dy, const real* __restrict__ y, real* __restrict__ dx, long long n) {
  map_back(dy, y, dx, n, [](real d, real v) { return v <= 0 ? real(0) : d; });
}

extern "C" __global__ void __launch_bounds__(THREADS)
sigmoid(const real* __restrict__ x, real* __restrict__ y, long long n) {
  map(x, y, n, [](real v) { return sigmoid_of(v, exp_minus_abs(v)); });
}

extern "C" __global__ void __launch_bounds__(THREADS)
softplus(const real* __restrict__ x, real* __restrict__ y, long long n) {
  map(x, y, n, [](real v) { return softplus_of(v, exp_minus_abs(v)); });
}

// cost = softplus(x) and slope = its derivative, which share an exponential.
extern "C" __global__ void __launch_bounds__(THREADS)
softplus_sigmoid(const real* __restrict__ x, real* __restrict__ cost, real* __restrict__ slope, long long n) {
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) {
    const real v = x[i], e = exp_minus_abs(v);
    cost[i] = softplus_of(v, e);
    slope[i] = sigmoid_of(v, e);
  }
}

// ds_i = sign weight sigma(sign s_i) / N, and for each block factor times its sum of softplus(sign s_i).
// A single block writes the sum to `value`, with factor = weight / N.  Several blocks write to `sums` (grid,), with
// factor = 1, and mean_of_sums adds these up.
extern "C" __global__ void __launch_bounds__(THREADS)
mean_softplus(const real* __restrict__ s, real* __restrict__ ds, double* __restrict__ sums, real* __restrict__ value,
              long long n, real sign, real slope, double factor) {
  __shared__ double shared[THREADS];
  double sum = 0;
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) {
    const real v = sign * s[i], e = exp_minus_abs(v);
    sum += softplus_of(v, e);
    ds[i] = slope * sigmoid_of(v, e);
  }
  sum = factor * sum_of_block<THREADS>(sum, shared);
  if (threadIdx.x > 0) return;
  if (value) *value = real(sum);
  else sums[blockIdx.x] = sum;
}

// value = factor times the sum of `sums`.    sums (blocks,)
extern "C" __global__ void __launch_bounds__(THREADS)
mean_of_sums(const double* __restrict__ sums, real* __restrict__ value, int blocks, double factor) {
  __shared__ double shared[THREADS];
  double sum = 0;
  for (int i = threadIdx.x; i < blocks; i += THREADS) sum += sums[i];
  sum = sum_of_block<THREADS>(sum, shared);
  if (threadIdx.x == 0) *value = real(factor * sum);
}
