// Dropout, activation and batch norm of the rows of a matrix x (M, C), C contiguous:
//
//     u = f0(mask0 x)        v = (u - mu - remainder) scale + beta        y = mask1 f1(v)
//
// The remainder is the mean minus mu, which rounding lost, in channels whose mean is far from 0.  Elsewhere it is 0;
// a null pointer means 0 everywhere.  Every pass recomputes what lies between x and y; only x and y are stored.  The
// mask `pre` holds f0 and mask0, the mask `post` holds f1 and mask1.
#include "minigan.cuh"
#include "wide.cuh"
#include "masks.cuh"
#include "columns.cuh"

// u = f0(mask0 x) of WIDTH numbers, the first of which has the index i.
__device__ __forceinline__ Wide drop_and_activate(const Mask& pre, Wide x, long long i) {
#pragma unroll
  for (int k = 0; k < WIDTH; k++) x.at[k] = activate(pre, drop(pre, x.at[k], i + k));
  return x;
}

// Merge the count, mean and sum of squared deviations of set b into those of another (Chan, Golub and LeVeque 1979).
template <class T>
__device__ __forceinline__ void merge(T& n, T& mean, T& m2, T n_b, T mean_b, T m2_b) {
  if (n_b == 0) return;
  const T total = n + n_b, d = mean_b - mean, weight = n_b / total;
  mean += d * weight;
  m2 += m2_b + d * d * (n * weight);
  n = total;
}

// 1 / n: for float to two units in the last place, in one instruction.
__device__ __forceinline__ float reciprocal(float n) { return __fdividef(1.0f, n); }
__device__ __forceinline__ double reciprocal(double n) { return 1 / n; }

// Pass 1: compute mean - pivot and sum (u - mean)^2 of the rows of each part.  Each thread adds its rows one by one
// (Welford 1962), then the threads of a column are merged.  The pivot is u of row 0, so that a mean far above the
// standard deviation costs no digits.    mean, m2 (parts, C)
extern "C" __global__ void __launch_bounds__(THREADS) statistics(
    const real* __restrict__ x, real* __restrict__ mean, real* __restrict__ m2, long long M, int C, int rows,
    int log_lanes, int relu, real slope, int drops, unsigned threshold, unsigned long long key, real keep_scale,
    const unsigned long long* __restrict__ keys) {
  __shared__ Wide means[THREADS], squares[THREADS];
  __shared__ real counts[THREADS];
  const Mask pre = make_mask(relu, slope, drops, threshold, key, keep_scale, keys);
  const Tile at = tile(C, log_lanes);
  const long long first = (long long)blockIdx.y * rows, last = first + rows < M ? first + rows : M;
  Wide mu = every(0), q = every(0);
  real n = 0;
  if (at.inside) {
    const Wide pivot = drop_and_activate(pre, load(x + at.column), at.column);
#pragma unroll(sizeof(real) == 4 ? 4 : 2)
    for (long long r = first + at.row; r < last; r += at.height) {
      const long long i = r * C + at.column;
      const Wide u = drop_and_activate(pre, load(x + i), i);
      n += 1;
      const real weight = reciprocal(n);
#pragma unroll
      for (int k = 0; k < WIDTH; k++) {
        const real v = u.at[k] - pivot.at[k], d = v - mu.at[k];
        mu.at[k] += d * weight;
        q.at[k] += d * (v - mu.at[k]);
      }
    }
  }
  const int lanes = THREADS / at.height, t = threadIdx.x;
  means[t] = mu, squares[t] = q, counts[t] = n;
  for (int half = at.height >> 1; half > 0; half >>= 1) {
    __syncthreads();
    if (at.row < half) {
      const int other = t + half * lanes;
      const Wide mu_b = means[other], q_b = squares[other];
      const real n_b = counts[other];
      real both = n;
#pragma unroll
      for (int k = 0; k < WIDTH; k++) merge(both = n, mu.at[k], q.at[k], n_b, mu_b.at[k], q_b.at[k]);
      n = both;
      means[t] = mu, squares[t] = q, counts[t] = n;
    }
  }
  if (at.row == 0 && at.inside) {
    const long long into = (long long)blockIdx.y * C + at.column;
    store(mean + into, mu);
    store(m2 + into, q);
  }
}

// running + step (batch - running).  With a step above 1/2 the sum starts from the batch's value, so that a running
// value far above it costs no digits.
__device__ __forceinline__ real updated(real running, double batch, double step) {
  return step > 0.5 ? real(batch + (1 - step) * (running - batch)) : running + real(step * (batch - running));
}

// Pass 2: merge the parts, with 32 threads per channel.    mean, m2 (parts, C)   mu, var (C,)
// Unless gamma is null, also compute inverse_std = 1 / sqrt(var + eps), scale = gamma inverse_std, shift = beta and the
// remainder.  Unless running_mean is null, running <- running + step (batch - running), where the batch's variance is
// factor var.
extern "C" __global__ void __launch_bounds__(THREADS) merge_statistics(
    const real* __restrict__ x, const real* __restrict__ mean, const real* __restrict__ m2, real* __restrict__ mu,
    real* __restrict__ var, long long M, int C, int rows, int parts, int relu, real slope, int drops,
    unsigned threshold, unsigned long long key, real keep_scale, const unsigned long long* __restrict__ keys,
    const real* __restrict__ gamma, const real* __restrict__ beta, real* __restrict__ inverse_std,
    real* __restrict__ scale, real* __restrict__ shift, real* __restrict__ remainder, double eps,
    real* __restrict__ running_mean, real* __restrict__ running_var, double step, double factor) {
  __shared__ double counts[THREADS], means[THREADS], squares[THREADS];
  const int t = threadIdx.x, c = blockIdx.x * 8 + t % 8;
  double n = 0, m = 0, q = 0;
  if (c < C) {
#pragma unroll 4
    for (int p = t / 8; p < parts; p += 32) {
      const long long remaining = M - (long long)p * rows, i = (long long)p * C + c;
      merge(n, m, q, double(remaining < rows ? remaining : rows), double(mean[i]), double(m2[i]));
    }
  }
  counts[t] = n, means[t] = m, squares[t] = q;
  for (int half = THREADS / 2; half >= 8; half /= 2) {
    __syncthreads();
    if (t < half) {
      merge(n, m, q, counts[t + half], means[t + half], squares[t + half]);
      counts[t] = n, means[t] = m, squares[t] = q;
    }
  }
  if (t >= 8 || c >= C) return;
  const Mask pre = make_mask(relu, slope, drops, threshold, key, keep_scale, keys);
  const double pivot = activate(pre, drop(pre, x[c], c)), distance = m;
  m += pivot;
  q /= double(M);
  mu[c] = real(m);
  var[c] = real(q);
  if (gamma) {
    const double inv = 1 / sqrt(q + eps);
    inverse_std[c] = real(inv);
    scale[c] = real(gamma[c] * inv);
    shift[c] = beta[c];
    remainder[c] = m * m > 1024 * q ? real(pivot - mu[c] + distance) : 0;  // as in BatchNorm.far
  }
  if (running_mean) {
    running_mean[c] = updated(running_mean[c], m, step);
    running_var[c] = updated(running_var[c], factor * q, step);
  }
}

// y = mask1 f1((u - mu) scale + beta)
extern "C" __global__ void __launch_bounds__(THREADS) apply(
    const real* __restrict__ x, real* __restrict__ y, const real* __restrict__ mu, const real* __restrict__ scale,
    const real* __restrict__ beta, const real* __restrict__ remainder, long long M, int C, int log_lanes,
    int pre_relu, real pre_slope, int pre_drops, unsigned pre_threshold, unsigned long long pre_key,
    real pre_keep_scale,
    int post_relu, real post_slope, int post_drops, unsigned post_threshold, unsigned long long post_key,
    real post_keep_scale, const unsigned long long* __restrict__ keys) {
  const Mask pre = make_mask(pre_relu, pre_slope, pre_drops, pre_threshold, pre_key, pre_keep_scale, keys);
  const Mask post = make_mask(post_relu, post_slope, post_drops, post_threshold, post_key, post_keep_scale, keys);
  const Tile at = tile(C, log_lanes);
  if (!at.inside) return;
  const Wide m = load(mu + at.column), s = load(scale + at.column), b = load(beta + at.column);
  const Wide rem = remainder ? load(remainder + at.column) : every(0);
#pragma unroll 2
  for (long long r = (long long)blockIdx.y * at.height + at.row; r < M; r += (long long)gridDim.y * at.height) {
    const long long i = r * C + at.column;
    Wide v = drop_and_activate(pre, load(x + i), i);
#pragma unroll
    for (int k = 0; k < WIDTH; k++)
      v.at[k] = drop(post, activate(post, (v.at[k] - m.at[k] - rem.at[k]) * s.at[k] + b.at[k]), i + k);
    store(y + i, v);
  }
}

// Add dv and dv (u - mu - remainder) inverse_std over the rows of each part, where dv = f1'(v) mask1 dy.
// partial (parts, 2 C)
extern "C" __global__ void __launch_bounds__(THREADS) sums(
    const real* __restrict__ x, const real* __restrict__ dy, real* __restrict__ partial, const real* __restrict__ mu,
    const real* __restrict__ inverse_std, const real* __restrict__ scale, const real* __restrict__ beta,
    const real* __restrict__ remainder, long long M, int C, int rows, int log_lanes,
    int pre_relu, real pre_slope, int pre_drops, unsigned pre_threshold, unsigned long long pre_key,
    real pre_keep_scale,
    int post_relu, real post_slope, int post_drops, unsigned post_threshold, unsigned long long post_key,
    real post_keep_scale, const unsigned long long* __restrict__ keys) {
  __shared__ Wide shared[THREADS];
  const Mask pre = make_mask(pre_relu, pre_slope, pre_drops, pre_threshold, pre_key, pre_keep_scale, keys);
  const Mask post = make_mask(post_relu, post_slope, post_drops, post_threshold, post_key, post_keep_scale, keys);
  const Tile at = tile(C, log_lanes);
  const long long first = (long long)blockIdx.y * rows, last = first + rows < M ? first + rows : M;
  Wide sum_d = every(0), sum_dx = every(0), factor = every(0);
  if (at.inside) {
    const Wide m = load(mu + at.column), s = load(scale + at.column), b = load(beta + at.column);
    const Wide rem = remainder ? load(remainder + at.column) : every(0);
    factor = load(inverse_std + at.column);
#pragma unroll 2
    for (long long r = first + at.row; r < last; r += at.height) {
      const long long i = r * C + at.column;
      const Wide u = drop_and_activate(pre, load(x + i), i), d = load(dy + i);
#pragma unroll
      for (int k = 0; k < WIDTH; k++) {
        const real centred = u.at[k] - m.at[k] - rem.at[k], v = centred * s.at[k] + b.at[k];
        const real dv = activate_backward(post, v, drop(post, d.at[k], i + k));
        sum_d.at[k] += dv;
        sum_dx.at[k] += dv * centred;
      }
    }
  }
  add_column(sum_d, shared, at);
  add_column(sum_dx, shared, at);
  if (at.row == 0 && at.inside) {
#pragma unroll
    for (int k = 0; k < WIDTH; k++) sum_dx.at[k] *= factor.at[k];
    real* into = partial + (long long)blockIdx.y * 2 * C + at.column;
    store(into, sum_d);
    store(into + C, sum_dx);
  }
}

// dx = mask0 f0'(mask0 x) scale (dv - mean(dv) - x_hat mean(dv x_hat)); without the two means if sum_d is null.
extern "C" __global__ void __launch_bounds__(THREADS) backward(
    const real* __restrict__ x, const real* __restrict__ dy, real* __restrict__ dx, const real* __restrict__ mu,
    const real* __restrict__ inverse_std, const real* __restrict__ scale, const real* __restrict__ beta,
    const real* __restrict__ remainder, const real* __restrict__ sum_d, const real* __restrict__ sum_dx, long long M,
    int C, int log_lanes,
    int pre_relu, real pre_slope, int pre_drops, unsigned pre_threshold, unsigned long long pre_key,
    real pre_keep_scale,
    int post_relu, real post_slope, int post_drops, unsigned post_threshold, unsigned long long post_key,
    real post_keep_scale, const unsigned long long* __restrict__ keys) {
  const Mask pre = make_mask(pre_relu, pre_slope, pre_drops, pre_threshold, pre_key, pre_keep_scale, keys);
  const Mask post = make_mask(post_relu, post_slope, post_drops, post_threshold, post_key, post_keep_scale, keys);
  const Tile at = tile(C, log_lanes);
  if (!at.inside) return;
  const Wide m = load(mu + at.column), s = load(scale + at.column), b = load(beta + at.column);
  const Wide rem = remainder ? load(remainder + at.column) : every(0);
  Wide linear = every(0), constant = every(0);  // the terms of the two means: linear in u - mu
  if (sum_d) {
    const Wide inv = load(inverse_std + at.column), a = load(sum_d + at.column), c = load(sum_dx + at.column);
#pragma unroll
    for (int k = 0; k < WIDTH; k++) {
      linear.at[k] = -s.at[k] * (c.at[k] / real(M)) * inv.at[k];
      constant.at[k] = -s.at[k] * (a.at[k] / real(M));
    }
  }
#pragma unroll 2
  for (long long r = (long long)blockIdx.y * at.height + at.row; r < M; r += (long long)gridDim.y * at.height) {
    const long long i = r * C + at.column;
    const Wide from = load(x + i), u = drop_and_activate(pre, from, i);
    Wide d = load(dy + i);
#pragma unroll
    for (int k = 0; k < WIDTH; k++) {
      const real centred = u.at[k] - m.at[k] - rem.at[k], v = centred * s.at[k] + b.at[k];
      const real dv = activate_backward(post, v, drop(post, d.at[k], i + k));
      real du = dv * s.at[k];
      if (sum_d) du += centred * linear.at[k] + constant.at[k];
      d.at[k] = drop(pre, activate_backward(pre, drop(pre, from.at[k], i + k), du), i + k);
    }
    store(dx + i, d);
  }
}

// y = mask1 f1(f0(mask0 x)), without batch norm.    x, y (n,)
extern "C" __global__ void __launch_bounds__(THREADS) apply_flat(
    const real* __restrict__ x, real* __restrict__ y, long long n,
    int pre_relu, real pre_slope, int pre_drops, unsigned pre_threshold, unsigned long long pre_key,
    real pre_keep_scale,
    int post_relu, real post_slope, int post_drops, unsigned post_threshold, unsigned long long post_key,
    real post_keep_scale, const unsigned long long* __restrict__ keys) {
  const Mask pre = make_mask(pre_relu, pre_slope, pre_drops, pre_threshold, pre_key, pre_keep_scale, keys);
  const Mask post = make_mask(post_relu, post_slope, post_drops, post_threshold, post_key, post_keep_scale, keys);
  auto f = [&](real v, long long i) { return drop(post, activate(post, activate(pre, drop(pre, v, i))), i); };
  auto wide = [&](long long i) {
    Wide v = load(x + i);
#pragma unroll
    for (int k = 0; k < WIDTH; k++) v.at[k] = f(v.at[k], i + k);
    store(y + i, v);
  };
  for_wide(n, wide, [&](long long i) { y[i] = f(x[i], i); });
}

// dx = mask0 f0'(mask0 x) f1'(u) mask1 dy, without batch norm.    x, dy, dx (n,)
extern "C" __global__ void __launch_bounds__(THREADS) backward_flat(
    const real* __restrict__ x, const real* __restrict__ dy, real* __restrict__ dx, long long n,
    int pre_relu, real pre_slope, int pre_drops, unsigned pre_threshold, unsigned long long pre_key,
    real pre_keep_scale,
    int post_relu, real post_slope, int post_drops, unsigned post_threshold, unsigned long long post_key,
    real post_keep_scale, const unsigned long long* __restrict__ keys) {
  const Mask pre = make_mask(pre_relu, pre_slope, pre_drops, pre_threshold, pre_key, pre_keep_scale, keys);
  const Mask post = make_mask(post_relu, post_slope, post_drops, post_threshold, post_key, post_keep_scale, keys);
  auto f = [&](real v, real d, long long i) {
    const real w = drop(pre, v, i), u = activate(pre, w);
    return drop(pre, activate_backward(pre, w, activate_backward(post, u, drop(post, d, i))), i);
  };
  auto wide = [&](long long i) {
    const Wide v = load(x + i);
    Wide d = load(dy + i);
#pragma unroll
    for (int k = 0; k < WIDTH; k++) d.at[k] = f(v.at[k], d.at[k], i + k);
    store(dx + i, d);
  };
  for_wide(n, wide, [&](long long i) { dx[i] = f(x[i], dy[i], i); });
}

// Add the rows of each part.    x (M, C)   partial (parts, C)
extern "C" __global__ void __launch_bounds__(THREADS) sum_columns(
    const real* __restrict__ x, real* __restrict__ partial, long long M, int C, int rows, int log_lanes) {
  __shared__ Wide shared[THREADS];
  const Tile at = tile(C, log_lanes);
  const long long first = (long long)blockIdx.y * rows, last = first + rows < M ? first + rows : M;
  Wide sum = every(0);
  if (at.inside) {
#pragma unroll 4
    for (long long r = first + at.row; r < last; r += at.height) {
      const Wide v = load(x + r * C + at.column);
#pragma unroll
      for (int k = 0; k < WIDTH; k++) sum.at[k] += v.at[k];
    }
  }
  add_column(sum, shared, at);
  if (at.row == 0 && at.inside) store(partial + (long long)blockIdx.y * C + at.column, sum);
}

// Add the parts, always in the same order, with 32 threads per column.    partial (parts, C)   sum (C,)
extern "C" __global__ void __launch_bounds__(THREADS) merge_sums(
    const real* __restrict__ partial, real* __restrict__ sum, int parts, int C) {
  __shared__ double shared[THREADS];
  const int t = threadIdx.x, c = blockIdx.x * 8 + t % 8;
  double s = 0;
  if (c < C) {
#pragma unroll 4
    for (int p = t / 8; p < parts; p += 32) s += partial[(long long)p * C + c];
  }
  shared[t] = s;
  for (int half = THREADS / 2; half >= 8; half /= 2) {
    __syncthreads();
    if (t < half) shared[t] = s += shared[t + half];
  }
  if (t < 8 && c < C) sum[c] = real(s);
}
