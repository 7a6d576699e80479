// The flat parameter vector: optimizer updates in place, clipping by the norm, the test for finite numbers, and copies.
//
// Each number is read and written once, by Adam in packs of 16 bytes if all vectors are aligned.  The formulas are
// those of minigan/ops/reference.py.  The grid may have any size.
#include "minigan.cuh"
#include "sums.cuh"

#define THREADS 256

// theta <- theta - decay theta
__device__ __forceinline__ void shrink(real& theta, real decay) {
  if (decay != 0) theta -= decay * theta;
}

// m <- beta1 m + rest1 g    v <- beta2 v + rest2 g^2    theta <- theta - rate m / (sqrt(v) root + eps), after the decay
// rate = lr / (1 - beta1^t)    root = 1 / sqrt(1 - beta2^t)    rest = 1 - beta
struct Adam {
  real rate, beta1, rest1, beta2, rest2, root, eps, decay;

  __device__ __forceinline__ void operator()(real& theta, real g, real& m, real& v) const {
    m = beta1 * m + rest1 * g;
    v = beta2 * v + rest2 * (g * g);
    shrink(theta, decay);
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

// If `moving` is not null, the numbers that may change between updates (rate, root, decay; lr, decay; lr, momentum,
// decay) are read from it instead of from the arguments: a graph finds new ones there at each replay.
extern "C" __global__ void __launch_bounds__(THREADS)
adam(real* __restrict__ theta, const real* __restrict__ g, real* __restrict__ m, real* __restrict__ v, long long n,
     real rate, real root, real decay, const double* __restrict__ moving, real beta1, real rest1, real beta2, real rest2,
     real eps) {
  if (moving) rate = (real)moving[0], root = (real)moving[1];
  if (moving) decay = (real)moving[2];
  update(Adam{rate, beta1, rest1, beta2, rest2, root, eps, decay}, theta, g, m, v, n);
}

// v <- rho v + rest g^2    theta <- theta - lr g / (sqrt(v) + eps), after the decay
extern "C" __global__ void __launch_bounds__(THREADS)
rmsprop(real* __restrict__ theta, const real* __restrict__ g, real* __restrict__ v, long long n, real lr,
        real decay, const double* __restrict__ moving, real rho, real rest, real eps) {
  if (moving) lr = (real)moving[0];
  if (moving) decay = (real)moving[1];
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) {
    v[i] = rho * v[i] + rest * (g[i] * g[i]);
    const real step = lr * (g[i] / (sqrt(v[i]) + eps));  // before theta is read: fewer registers are in use
    shrink(theta[i], decay);
    theta[i] -= step;
  }
}

// u <- momentum u - lr g    theta <- theta + u, or with Nesterov's rule theta + (momentum u - lr g), after the decay
extern "C" __global__ void __launch_bounds__(THREADS)
momentum(real* __restrict__ theta, const real* __restrict__ g, real* __restrict__ u, long long n, real lr,
         real momentum, real decay, const double* __restrict__ moving, int nesterov) {
  if (moving) lr = (real)moving[0], momentum = (real)moving[1];
  if (moving) decay = (real)moving[2];
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) {
    real step = lr * g[i];
    u[i] = momentum * u[i] - step;
    shrink(theta[i], decay);
    theta[i] += nesterov ? momentum * u[i] - step : u[i];
  }
}

// The factor 2^-600, with which the squares of all float64 numbers that overflow without it are finite.
constexpr double FAR = 2.409919865102884e-181;

// sums <- for each block the sum of g^2, and then for each block the sum of (FAR g)^2.    sums (2, blocks)
extern "C" __global__ void __launch_bounds__(THREADS)
sums_of_squares(const real* __restrict__ g, long long n, double* __restrict__ sums) {
  __shared__ double shared[2 * THREADS];
  double near = 0, far = 0;
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) {
    const double x = g[i], y = FAR * x;
    near += x * x;
    far += y * y;
  }
  near = sum_of_block<THREADS>(near, shared);
  far = sum_of_block<THREADS>(far, shared + THREADS);
  if (threadIdx.x == 0) sums[blockIdx.x] = near, sums[gridDim.x + blockIdx.x] = far;
}

// clipped <- g min(1, max_norm / ||g||), with NaN and infinities as in the reference.    sums (2, blocks)
extern "C" __global__ void __launch_bounds__(THREADS)
clip_norm(const real* __restrict__ g, real* __restrict__ clipped, long long n, const double* __restrict__ sums,
          int blocks, double max_norm) {
  __shared__ double shared[2 * THREADS], factors[2];
  double near = 0, far = 0;
  for (int i = threadIdx.x; i < blocks; i += THREADS) near += sums[i], far += sums[blocks + i];
  near = sum_of_block<THREADS>(near, shared);
  far = sum_of_block<THREADS>(far, shared + THREADS);
  if (threadIdx.x == 0) {
    const double power = isfinite(near) ? 1 : FAR, norm = sqrt(isfinite(near) ? near : far);
    const bool fits = norm <= power * max_norm;  // false for NaN
    factors[0] = fits ? 1 : power;
    factors[1] = fits ? 1 : max_norm / norm;
  }
  __syncthreads();
  for (long long i = thread_of_grid(); i < n; i += threads_of_grid()) clipped[i] = real(g[i] * factors[0] * factors[1]);
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
