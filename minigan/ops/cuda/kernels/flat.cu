// The flat parameter vector: optimizer updates in place, the test for finite numbers, and copies.
//
// Each number is read and written once, by Adam in packs of 16 bytes if all vectors are aligned.  The formulas are
// those of minigan/ops/reference.py.  The grid may have any size.
#include "minigan.cuh"

#define THREADS 256

// m <- beta1 m + rest1 g    v <- beta2 v + rest2 g^2    theta <- theta - rate m / (sqrt(v) root + eps)
// rate = lr / (1 - beta1^t)    root = 1 / sqrt(1 - beta2^t)    rest = 1 - beta
struct Adam {
  real rate, beta1, rest1, beta2, rest2, root, eps;

  __device__ __forceinline__ void operator()(real& theta, real g, real& m, real& v) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
    theta -= rate * (m / (sqrt(v) * root + eps));
  }
};

__device__ __forceinline__ void update(const Adam& adam, real* theta, const real* g, real* m, real* v, long long n) {
  long long first = thread_of_grid(), step = threads_of_grid();
  long long packs = in_packs(theta) && in_packs(g) && in_packs(m) && in_packs(v) ? n / PACK : 0;
  Pack *theta_of = reinterpret_cast<Pack*>(theta), *m_of = reinterpret_cast<Pack*>(m), *v_of = reinterpret_cast<Pack*>(v);
  const Pack* g_of = reinterpret_cast<const Pack*>(g);
  for (long long i = first; i < packs; i += step) {
    Pack a = theta_of[i], b = g_of[i], c = m_of[i], d = v_of[i];
#pragma unroll
    for (int k = 0; k < PACK; k++) adam(a.of[k], b.of[k], c.of[k], d.of[k]);
    theta_of[i] = a, m_of[i] = c, v_of[i] = d;
  }
  for (long long i = packs * PACK + first; i < n; i += step) adam(theta[i], g[i], m[i], v[i]);
}

// If `moving` is not null, the numbers that may change between updates (rate and root; lr; lr and momentum) are read
// from it instead of from the arguments: a graph finds new ones there at each replay.
extern "C" __global__ void __launch_bounds__(THREADS)
adam(real* __restrict__ theta, const real* __restrict__ g, real* __restrict__ m, real* __restrict__ v, long long n,
     real rate, real root, const double* __restrict__ moving, real beta1, real rest1, real beta2, real rest2, real eps) {
  if (moving) rate = (real)moving[0], root = (real)moving[1];
  update(Adam{rate, beta1, rest1, beta2, rest2, root, eps}, theta, g, m, v, n);
}

// v <- rho v + rest g^2    theta <- theta - lr g / (sqrt(v) + eps)
extern "C" __global__ void __launch_bounds__(THREADS)
rmsprop(real* __restrict__ theta, const real* __restrict__ g, real* __restrict__ v, long long n, real lr,
        const double* __restrict__ moving, real rho, real rest, real eps) {
  if (moving) lr = (real)moving[0];
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) {
    v[i] = rho * v[i] + rest * (g[i] * g[i]);
    theta[i] -= lr * (g[i] / (sqrt(v[i]) + eps));
  }
}

// u <- momentum u - lr g    theta <- theta + u, or with Nesterov's rule theta + (momentum u - lr g)
extern "C" __global__ void __launch_bounds__(THREADS)
momentum(real* __restrict__ theta, const real* __restrict__ g, real* __restrict__ u, long long n, real lr,
         real momentum, const double* __restrict__ moving, int nesterov) {
  if (moving) lr = (real)moving[0], momentum = (real)moving[1];
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) {
    real step = lr * g[i];
    u[i] = momentum * u[i] - step;
    theta[i] += nesterov ? momentum * u[i] - step : u[i];
  }
}

// found <- 1 if any number is infinite or NaN.  Several threads may write it, all the same value.
extern "C" __global__ void __launch_bounds__(THREADS)
not_finite(const real* __restrict__ x, long long n, int* found) {
  bool bad = false;
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) bad |= !isfinite(x[i]);
  if (bad) found[0] = 1;
}

extern "C" __global__ void __launch_bounds__(THREADS)
copy(real* __restrict__ to, const real* __restrict__ from, long long n) {
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) to[i] = from[i];
}
