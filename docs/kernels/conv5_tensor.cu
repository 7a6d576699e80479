#include "minigan.cuh"
#include "patch.cuh"

// On tensor cores: a warp computes 64 x 32 of the block's 128 x 128 outputs by products of 16 x 8 and 8 x 8 matrices.
// The operands are rounded to tf32 on the way to shared memory.  With rows of 20 and 136 words, the 32 words that a
// warp reads at once are in 32 different banks.  C and O are multiples of 4.
extern "C" __global__ void __launch_bounds__(256, 2)
    correlate(const float* __restrict__ x, const float* __restrict__ W, float* __restrict__ y, int N, int H, int L,
              int C, int h, int w, int O, int taps, int stride, int before) {
  __shared__ __align__(16) unsigned a[2][128][20], b[2][16][136];
  const Shape shape{H, L, C, h, w, taps, stride, before};
  const int rows = N * h * w, depth = taps * taps * C;
  const int first_row = blockIdx.x * 128, first_column = blockIdx.y * 128;
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const int down = warp % 2 * 64 + g, across = warp / 2 * 32;
  const int row = threadIdx.x / 4, e = threadIdx.x % 4 * 4, f = threadIdx.x / 32, column = threadIdx.x % 32 * 4;
  const Pixel pixel[2] = {pixel_of(shape, first_row + row), pixel_of(shape, first_row + row + 64)};
  float4 from_x[2], from_W[2];
  auto load = [&](int k) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const bool in_x = first_row + row + 64 * r < rows && k + e < depth;
      const bool in_W = first_column + column < O && k + f + 8 * r < depth;
      from_x[r] = patch4(x, shape, pixel[r], k + e, in_x);
      from_W[r] = load_16(W + (k + f + 8 * r) * O + first_column + column, in_W);
    }
  };
  auto words = [](float4 v) { return make_uint4(to_tf32(v.x), to_tf32(v.y), to_tf32(v.z), to_tf32(v.w)); };
  auto store = [&](int s) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      *reinterpret_cast<uint4*>(&a[s][row + 64 * r][e]) = words(from_x[r]);
      *reinterpret_cast<uint4*>(&b[s][f + 8 * r][column]) = words(from_W[r]);
    }
  };
  float sum[4][4][4] = {};
  load(0), store(0);
  __syncthreads();
  for (int k = 0, s = 0; k < depth; k += 16, s ^= 1) {
    if (k + 16 < depth) load(k + 16);
#pragma unroll
    for (int d = t; d < 16; d += 8) {
      unsigned right[4][2];
#pragma unroll
      for (int j = 0; j < 4; j++)
        right[j][0] = b[s][d][across + 8 * j + g], right[j][1] = b[s][d + 4][across + 8 * j + g];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int m = down + 16 * i;
        const unsigned left[4] = {a[s][m][d], a[s][m + 8][d], a[s][m][d + 4], a[s][m + 8][d + 4]};
#pragma unroll
        for (int j = 0; j < 4; j++) MMA_TF32(sum[i][j], left, right[j]);
      }
    }
    if (k + 16 < depth) store(s ^ 1);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; i++)
#pragma unroll
    for (int j = 0; j < 4; j++)
#pragma unroll
      for (int r = 0; r < 2; r++) {
        const int m = first_row + down + 16 * i + 8 * r, o = first_column + across + 8 * j + 2 * t;
        const float2 pair = make_float2(sum[i][j][2 * r], sum[i][j][2 * r + 1]);
        if (m < rows && o < O) *reinterpret_cast<float2*>(y + m * O + o) = pair;
      }
}
