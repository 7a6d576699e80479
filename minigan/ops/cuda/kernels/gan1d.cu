#include "minigan.cuh"
// The Gaussian game in one kernel: a block trains one GAN for many iterations.
//
//   G: x = a z + b     D: s = w2 . relu(w1 x + b1) + b2     w1, b1, w2 (H,)
//   J_D = factor (mean softplus(-s_real) + mean softplus(s_fake))     J_G = mean softplus(-s_fake)
//
// An iteration draws n reals x and n latent numbers z; then Adam updates D d_updates times on these, and G g_updates
// times on the same z.  Parameters, moments and samples are in shared memory, the sums of a thread in registers.  The
// order of addition is fixed.
//
// The parameters of a GAN are w1 (H), b1 (H), w2 (H), b2, a, b: those of D in the order of its theta, then those of G.

#ifndef HIDDEN
#define HIDDEN 10
#endif
#ifndef THREADS
#define THREADS 256
#endif
#define OF_D (3 * HIDDEN + 1)
#define PARAMETERS (OF_D + 2)
#define SLOTS ((OF_D + 31) / 32 * 32)
#define WARPS (THREADS / 32)
#define METRICS 5
#define EVERYONE 0xffffffffu

// --- draws: Philox4x64-10 (Salmon et al. 2011), the integers of numpy.random.Philox --------------------------------

__device__ __forceinline__ void philox(unsigned long long* c, unsigned long long k0, unsigned long long k1) {
#pragma unroll
  for (int round = 0; round < 10; round++) {
    unsigned long long high0 = __umul64hi(0xD2E7470EE14C6C93ull, c[0]), low0 = 0xD2E7470EE14C6C93ull * c[0];
    unsigned long long high1 = __umul64hi(0xCA5A826395121157ull, c[2]), low1 = 0xCA5A826395121157ull * c[2];
    c[0] = high1 ^ c[1] ^ k0;
    c[1] = low1;
    c[2] = high0 ^ c[3] ^ k1;
    c[3] = low0;
    k0 += 0x9E3779B97F4A7C15ull;
    k1 += 0xBB67AE8584CAA73Bull;
  }
}

// sin(pi x) and cos(pi x): unlike sin and cos, these need no stack frame for large arguments.
__device__ __forceinline__ void half_turns(float x, float* s, float* c) { sincospif(x, s, c); }
__device__ __forceinline__ void half_turns(double x, double* s, double* c) { sincospi(x, s, c); }

// Two normal numbers from 64 bits (Box and Muller 1958).  The upper 32 bits are k, with u = (k + 1/2) 2^-32 for the
// radius; the lower ones, as a signed integer, give the angle.  -log u is computed from the nearer end of (0, 1), so
// that a float is accurate to all its digits.
__device__ __forceinline__ void two_normals(unsigned long long bits, real* first, real* second) {
  const real unit = (real)2.3283064365386963e-10, half = (real)0.5;  // 2^-32
  unsigned k = (unsigned)(bits >> 32);
  real minus_log = k < 0x80000000u ? -log(((real)k + half) * unit) : -log1p(-(((real)(~k) + half) * unit));
  real radius = sqrt((real)2 * minus_log), s, c;
  half_turns((real)(int)(unsigned)bits * (2 * unit), &s, &c);
  *first = radius * c;
  *second = radius * s;
}

// Sample i * eights + q of a kind is number i of the eight from the counter (q + 1, iteration, kind, 0).
__device__ __forceinline__ void draw(real* samples, int eights, long long iteration, unsigned kind,
                                     unsigned long long seed, real scale, real shift) {
  for (int q = threadIdx.x; q < eights; q += THREADS) {
    unsigned long long c[4] = {(unsigned long long)q + 1ull, (unsigned long long)iteration, kind, 0ull};
    philox(c, seed, 0ull);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      real x, y;
      two_normals(c[i], &x, &y);
      samples[2 * i * eights + q] = scale * x + shift;
      samples[(2 * i + 1) * eights + q] = scale * y + shift;
    }
  }
}

// --- D -----------------------------------------------------------------------------------------------------------

// s = w2 . h + b2, h = relu(w1 x + b1); NaN stays NaN.    p (3 H + 1,)   h (H,)
__device__ __forceinline__ real logit(const real* p, real x, real* h) {
  real s = p[3 * HIDDEN];
#pragma unroll
  for (int j = 0; j < HIDDEN; j++) {
    real u = p[j] * x + p[HIDDEN + j];
    h[j] = u <= (real)0 ? (real)0 : u;
    s += p[2 * HIDDEN + j] * h[j];
  }
  return s;
}

__device__ __forceinline__ real sigmoid(real s) { return (real)1 / ((real)1 + exp(-s)); }

__device__ __forceinline__ real softplus(real s) {
  return (s > (real)0 ? s : (real)0) + log1p(exp(s > (real)0 ? -s : s));
}

// g += dJ/dp for one example, which adds weight softplus(sign s) to J.
__device__ __forceinline__ void pull_D(const real* p, real x, real sign, real weight, real* g) {
  real h[HIDDEN], d = sign * weight * sigmoid(sign * logit(p, x, h));  // dJ/ds
  g[3 * HIDDEN] += d;
#pragma unroll
  for (int j = 0; j < HIDDEN; j++) {
    real e = h[j] <= (real)0 ? (real)0 : d * p[2 * HIDDEN + j];  // dJ/du_j
    g[2 * HIDDEN + j] += d * h[j];
    g[HIDDEN + j] += e;
    g[j] += e * x;
  }
}

// dJ/dx for one fake x, with J = weight softplus(-s).
__device__ __forceinline__ real pull_x(const real* p, real x, real weight) {
  real h[HIDDEN], slope = (real)0, d = -weight * sigmoid(-logit(p, x, h));
#pragma unroll
  for (int j = 0; j < HIDDEN; j++) slope += h[j] <= (real)0 ? (real)0 : p[2 * HIDDEN + j] * p[j];  // ds/dx
  return d * slope;
}

// --- sums over the block, and Adam -------------------------------------------------------------------------------

// A reduce-scatter over the warp: lane l gets the sum of g[l], l < 32.  At each step a lane keeps half of its numbers
// and sends the other half.  HALF is a template parameter, so that all indices are constant and g stays in registers.
template <int HALF>
__device__ __forceinline__ void halve(real* g, int lane) {
  const bool upper = lane & HALF;
#pragma unroll
  for (int i = 0; i < HALF; i++) {
    real keep = upper ? g[i + HALF] : g[i], give = upper ? g[i] : g[i + HALF];
    g[i] = keep + __shfl_xor_sync(EVERYONE, give, HALF);
  }
}

__device__ __forceinline__ real scatter(real* g, int lane) {
  halve<16>(g, lane);
  halve<8>(g, lane);
  halve<4>(g, lane);
  halve<2>(g, lane);
  halve<1>(g, lane);
  return g[0];
}

// sums[warp * SLOTS + k] = the sum of values[k] over the warp.
__device__ __forceinline__ void warp_sums(real* values, int count, real* sums) {
#pragma unroll
  for (int k = 0; k < count; k++) {
#pragma unroll
    for (int half = 16; half > 0; half >>= 1) values[k] += __shfl_xor_sync(EVERYONE, values[k], half);
    if ((threadIdx.x & 31) == 0) sums[(threadIdx.x >> 5) * SLOTS + k] = values[k];
  }
}

__device__ __forceinline__ real over_warps(const real* sums, int k) {
  real sum = sums[k];
#pragma unroll
  for (int warp = 1; warp < WARPS; warp++) sum += sums[warp * SLOTS + k];
  return sum;
}

struct Rule {  // rate = lr / (1 - beta1^t), unbias = 1 - beta2^t
  real beta1, rest1, beta2, rest2, eps, rate, unbias;
};

__device__ __forceinline__ void adam(real g, real* p, real* m, real* v, const Rule& rule) {
  *m = rule.beta1 * *m + rule.rest1 * g;
  *v = rule.beta2 * *v + rule.rest2 * (g * g);
  *p -= rule.rate * *m / (sqrt(*v / rule.unbias) + rule.eps);
}

// --- the game ----------------------------------------------------------------------------------------------------

// theta, m, v (E, 3 H + 3)   seeds, lr (E,)   powers (E, 4): beta1^t, beta2^t of D, then of G
// metrics (E, 5): J_D, J_G, mean D(x), mean D(G(z)) and D's accuracy, before the last update of D or G
// first: the number of iterations before this launch
extern "C" __global__ void __launch_bounds__(THREADS) gan1d(
    real* __restrict__ theta, real* __restrict__ m, real* __restrict__ v, double* __restrict__ powers,
    real* __restrict__ metrics, const unsigned long long* __restrict__ seeds, const real* __restrict__ lr, int n,
    long long first, int iterations, int d_updates, int g_updates, double mu, double sigma, double factor, double beta1,
    double beta2, double eps) {
  DYNAMIC_SHARED(real, shared);
  const int t = threadIdx.x, lane = t & 31, eights = (n + 7) / 8;
  real *P = shared, *M = P + PARAMETERS, *V = M + PARAMETERS, *sums = V + PARAMETERS, *X = sums + WARPS * SLOTS,
       *Z = X + 8 * eights;
  const long long gan = blockIdx.x;
  for (int i = t; i < PARAMETERS; i += THREADS) {
    P[i] = theta[gan * PARAMETERS + i], M[i] = m[gan * PARAMETERS + i], V[i] = v[gan * PARAMETERS + i];
  }
  double power[4];
#pragma unroll
  for (int i = 0; i < 4; i++) power[i] = powers[gan * 4 + i];
  const real weight_D = (real)(factor / n), weight_G = (real)(1.0 / n), rate = lr[gan];
  Rule rule = {(real)beta1, (real)(1.0 - beta1), (real)beta2, (real)(1.0 - beta2), (real)eps, (real)0, (real)0};
  __syncthreads();

  for (int iteration = 0; iteration < iterations; iteration++) {
    draw(X, eights, first + iteration, 0u, seeds[gan], (real)sigma, (real)mu);
    draw(Z, eights, first + iteration, 1u, seeds[gan], (real)1, (real)0);
    const real a = P[OF_D], b = P[OF_D + 1];  // G's while D is updated
    __syncthreads();

    for (int update = 0; update < d_updates; update++) {
      real p[OF_D], g[SLOTS];
#pragma unroll
      for (int i = 0; i < OF_D; i++) p[i] = P[i];
      if (iteration == iterations - 1 && update == d_updates - 1) {
        real seen[4] = {(real)0, (real)0, (real)0, (real)0}, h[HIDDEN];
        for (int i = t; i < n; i += THREADS) {
          real s_real = logit(p, X[i], h), s_fake = logit(p, a * Z[i] + b, h);
          seen[0] += weight_D * (softplus(-s_real) + softplus(s_fake));
          seen[1] += weight_G * sigmoid(s_real);
          seen[2] += weight_G * sigmoid(s_fake);
          seen[3] += (real)((s_real > (real)0) + (s_fake <= (real)0));
        }
        warp_sums(seen, 4, sums);
        __syncthreads();
        if (t < 4) {
          real sum = over_warps(sums, t);
          metrics[gan * METRICS + (t == 0 ? 0 : t + 1)] = t == 3 ? sum / (real)(2 * n) : sum;
        }
        __syncthreads();
      }
#pragma unroll
      for (int i = 0; i < SLOTS; i++) g[i] = (real)0;
      for (int i = t; i < n; i += THREADS) {
        pull_D(p, X[i], (real)-1, weight_D, g);
        pull_D(p, a * Z[i] + b, (real)1, weight_D, g);
      }
#pragma unroll
      for (int slot = 0; slot < SLOTS; slot += 32) sums[(t >> 5) * SLOTS + slot + lane] = scatter(g + slot, lane);
      power[0] *= beta1, power[1] *= beta2;
      rule.rate = (real)((double)rate / (1.0 - power[0])), rule.unbias = (real)(1.0 - power[1]);
      __syncthreads();
      for (int i = t; i < OF_D; i += THREADS) adam(over_warps(sums, i), P + i, M + i, V + i, rule);
      __syncthreads();
    }

    real p[OF_D];
#pragma unroll
    for (int i = 0; i < OF_D; i++) p[i] = P[i];
    for (int update = 0; update < g_updates; update++) {
      const bool last = iteration == iterations - 1 && update == g_updates - 1;
      const real a_now = P[OF_D], b_now = P[OF_D + 1];
      real g[3] = {(real)0, (real)0, (real)0};  // dJ/da, dJ/db, J
      for (int i = t; i < n; i += THREADS) {
        real x = a_now * Z[i] + b_now, dx = pull_x(p, x, weight_G), h[HIDDEN];
        g[0] += dx * Z[i];
        g[1] += dx;
        if (last) g[2] += weight_G * softplus(-logit(p, x, h));
      }
      warp_sums(g, 3, sums);
      power[2] *= beta1, power[3] *= beta2;
      rule.rate = (real)((double)rate / (1.0 - power[2])), rule.unbias = (real)(1.0 - power[3]);
      __syncthreads();
      if (t < 2) adam(over_warps(sums, t), P + OF_D + t, M + OF_D + t, V + OF_D + t, rule);
      if (t == 2 && last) metrics[gan * METRICS + 1] = over_warps(sums, 2);
      __syncthreads();
    }
  }

  for (int i = t; i < PARAMETERS; i += THREADS) {
    theta[gan * PARAMETERS + i] = P[i], m[gan * PARAMETERS + i] = M[i], v[gan * PARAMETERS + i] = V[i];
  }
  if (t < 4) powers[gan * 4 + t] = t == 0 ? power[0] : t == 1 ? power[1] : t == 2 ? power[2] : power[3];
}
