// A bias and an activation in one pass over x (M, C); backwards, dx and its sums down the columns in one pass.
//
//     y = f(x + b)        dx = f'(y) dy        db = sum_m dx_m, in parts that merge_sums of norm_act.cu adds up
#include "minigan.cuh"
#include "wide.cuh"
#include "columns.cuh"
#include "functions.cuh"

enum Kind { NONE, RELU, LEAKY_RELU, TANH, SIGMOID };

__device__ __forceinline__ real activate(int kind, real slope, real v) {
  if (kind == RELU) return relu_of(v);
  if (kind == LEAKY_RELU) return v > 0 ? v : slope * v;
  if (kind == TANH) return tanh(v);
  if (kind == SIGMOID) return sigmoid_of(v, exp_minus_abs(v));
  return v;
}

// f'(x + b) d, given y = f(x + b).  The slope of a leaky ReLU is not negative, so that y > 0 exactly if x + b > 0.
__device__ __forceinline__ real activate_back(int kind, real slope, real y, real d) {
  if (kind == RELU) return y <= 0 ? real(0) : d;
  if (kind == LEAKY_RELU) return y > 0 ? d : slope * d;
  if (kind == TANH) return d * (1 - y * y);
  if (kind == SIGMOID) return d * (y * (1 - y));
  return d;
}

extern "C" __global__ void __launch_bounds__(THREADS) bias_activation(
    const real* __restrict__ x, const real* __restrict__ b, real* __restrict__ y, long long M, int C, int log_lanes,
    int kind, real slope) {
  const Tile at = tile(C, log_lanes);
  if (!at.inside) return;
  Wide bias = every(0);
#pragma unroll
  for (int k = 0; k < WIDTH; k++)
    if (b) bias.at[k] = b[at.column + k];  // not in packs: b is a view of theta, with any alignment
#pragma unroll 2
  for (long long r = (long long)blockIdx.y * at.height + at.row; r < M; r += (long long)gridDim.y * at.height) {
    const long long i = r * C + at.column;
    Wide v = load(x + i);
#pragma unroll
    for (int k = 0; k < WIDTH; k++) v.at[k] = activate(kind, slope, v.at[k] + bias.at[k]);
    store(y + i, v);
  }
}

// partial (parts, C): the sum of dx over each part of the rows.
extern "C" __global__ void __launch_bounds__(THREADS) bias_activation_backward(
    const real* __restrict__ dy, const real* __restrict__ y, real* __restrict__ dx, real* __restrict__ partial,
    long long M, int C, int rows, int log_lanes, int kind, real slope) {
  __shared__ Wide shared[THREADS];
  const Tile at = tile(C, log_lanes);
  const long long first = (long long)blockIdx.y * rows, last = first + rows < M ? first + rows : M;
  Wide sum = every(0);
  if (at.inside) {
#pragma unroll 2
    for (long long r = first + at.row; r < last; r += at.height) {
      const long long i = r * C + at.column;
      const Wide v = load(y + i);
      Wide d = load(dy + i);
#pragma unroll
      for (int k = 0; k < WIDTH; k++) {
        d.at[k] = activate_back(kind, slope, v.at[k], d.at[k]);
        sum.at[k] += d.at[k];
      }
      store(dx + i, d);
    }
  }
  add_column(sum, shared, at);
  if (at.row == 0 && at.inside) store(partial + (long long)blockIdx.y * C + at.column, sum);
}
